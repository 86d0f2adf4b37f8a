"""Arguments of a question out of its function's signature."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

import graphene

from etgraph.api.generating.enums import choice_of
from etgraph.api.scalars import Attributes
from etgraph.model.errors import UsageError
from etgraph.model.results import camel_case
from etgraph.queries.questions import question as asked
from etgraph.queries.windows import Iterations, Window
from etgraph.sim.what_if.declared import Change

_EVERY: Final[Mapping[str, str]] = MappingProxyType(
    {
        "rank": "Only this rank.",
        "iteration": "Only these steps, by index; one alone needs no brackets.",
        "window": "What counts as a step: its annotation on the host, its work on the device, or both together.",
        "profile": "This hardware: the name of a built-in profile, or a profile as the text of its file, whole.",
        "by": "What makes rows of the answer.",
        "each": "A row for every iteration rather than one for all of them.",
        "lane": "Only operators of hosts, or of devices.",
        "explain": "At which rendezvous causes are looked for.",
        "threshold": "The least part of the step that a finding must gain.",
        "changes": "Changes, one after another: objects with the keys of a row of a file of changes.",
        "draws": "How often costs of what is new are drawn from what was measured.",
        "seed": "Another one draws other costs; the same one gives the same answer.",
        "waiting": "Whether what operators waited for each other within their durations is work, or may shrink.",
    }
)
"""What arguments of these names say. One that a new question takes needs a line here."""
_SIMULATION: Final = "On the timeline of this simulation of the trace: its id, or the beginning of it."


def arguments_of(
    question: str, function: Callable[..., Any], *, after: int, simulation: bool | None = None
) -> dict[str, graphene.Argument]:
    """The keywords of a question's function as arguments, `after` as many that are traces.

    Of one trace there is `simulation` too, on whose timeline it may be asked, unless that is told otherwise.
    Raises KeyError for one that nothing is said of, TypeError for one of a type that has no form in GraphQL.
    """
    hints = _hints(function)
    keywords = list(inspect.signature(function).parameters.values())[after:]
    found = {each.name: _argument(question, each, hints[each.name], _EVERY[each.name]) for each in keywords}
    on_another = after == 1 if simulation is None else simulation
    return found | ({"simulation": graphene.Argument(graphene.ID, description=_SIMULATION)} if on_another else {})


def choices_of(question: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Keywords of a question, which clients name as its arguments, out of JSON. Profiles and changes stay as they are.

    Raises UsageError for a keyword that the question does not have, and for a value that it does not take.
    """
    import msgspec

    hints = _hints(asked(question).function)
    names = {camel_case(name): name for name in list(inspect.signature(asked(question).function).parameters)[1:]}
    found = {}
    for key, value in given.items():
        if key not in names:
            raise UsageError(f"choices: found {key!r}, expected what {question} takes: {', '.join(names)}")
        try:
            found[names[key]] = msgspec.convert(value, _plain(hints[names[key]]))
        except msgspec.ValidationError as error:
            raise UsageError(f"choices, {key}: {error}") from None
    return found


def _plain(hint: Any) -> Any:
    """The type of a keyword as JSON has it."""
    from etgraph.sim.profiles import Profile

    if hint == Sequence[Change]:
        return list[dict[str, Any]]
    return str | None if Profile in get_args(hint) else hint


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Types of a function's keywords. Modules of questions import some for the type checker only."""
    import pyarrow as pa

    from etgraph.model import Trace
    from etgraph.sim.profiles import Profile

    known = {"pa": pa, "Iterations": Iterations, "Profile": Profile, "Trace": Trace, "Window": Window}
    return get_type_hints(function, localns=known)


def _argument(question: str, keyword: inspect.Parameter, hint: Any, description: str) -> graphene.Argument:
    from etgraph.sim.profiles import Profile

    if hint == Sequence[Change]:
        return graphene.Argument(graphene.List(graphene.NonNull(Attributes)), description=description)
    if hint == Iterations:
        return graphene.Argument(graphene.List(graphene.NonNull(graphene.Int)), description=description)
    options = (hint,) if get_origin(hint) is Literal else get_args(hint) or (hint,)
    kind = next(each for each in options if each is not type(None))
    if get_origin(kind) is Literal:
        name = "Window" if kind == Window else f"{_camel(question)}{keyword.name.capitalize()}"
        kind = choice_of(kind, name, description)
    else:
        plain = {
            int: graphene.Int,
            float: graphene.Float,
            bool: graphene.Boolean,
            str: graphene.String,
            Profile: graphene.String,
        }
        if kind not in plain:
            raise TypeError(f"{question}, {keyword.name}: found {hint}, expected what an argument can hold")
        kind = plain[kind]
    if keyword.default is None:
        return graphene.Argument(kind, description=description)
    return graphene.Argument(graphene.NonNull(kind), default_value=keyword.default, description=description)


def _camel(question: str) -> str:
    return "".join(part.capitalize() for part in question.split("-"))
