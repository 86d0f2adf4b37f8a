"""Documents of GraphQL around selections, and answers that come in several parts."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, TypeVar

from etgraph.cli.remote.failures import NotUnderstood, TooCostly, Unreachable, made
from etgraph.cli.remote.http import Client
from etgraph.cli.remote.reading import read
from etgraph.cli.remote.selections import Selection, selection_of
from etgraph.model.results import camel_case

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, slots=True)
class Arguments:
    """Arguments of a field as text, and the values of the variables among them with their types."""

    text: str = ""
    variables: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    types: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def declared(self) -> str:
        """The variables, as an operation declares them."""
        return " ".join(f"${name}: {kind}" for name, kind in self.types.items())


def arguments_of(choices: Mapping[str, Any], types: Mapping[str, str] | None = None) -> Arguments:
    """Choices that are made, as arguments. Those with a type given here go as variables, the others as literals.

    >>> arguments_of({"rank": 3, "window": "device", "each": True, "iteration": (0, 2), "by": None}).text
    '(rank: 3, window: device, each: true, iteration: [0, 2])'
    """
    made_choices = {camel_case(name): value for name, value in choices.items() if value is not None}
    types = {camel_case(name): kind for name, kind in (types or {}).items() if camel_case(name) in made_choices}
    told = [f"{name}: {f'${name}' if name in types else _literal(value)}" for name, value in made_choices.items()]
    return Arguments(f"({', '.join(told)})" if told else "", {name: made_choices[name] for name in types}, types)


def _literal(value: Any) -> str:
    """A number, a truth value, a list of them, or a choice, whose texts are names in GraphQL."""
    if isinstance(value, str):
        return value
    return json.dumps(list(value) if isinstance(value, (list, tuple)) else value)


def answered(
    kind: type[T],
    ask: Callable[[str], Mapping[str, Any]],
    without: Iterable[str] = (),
    *,
    windows: bool | None = None,
) -> T:
    """An answer of a kind: `ask` gives the object for a selection, as often as there are further rows.

    Raises NotUnderstood for an object that is none of that kind.
    """
    left_out = frozenset(without)
    selection = selection_of(kind, left_out, windows=windows)
    return read_as(kind, _whole(selection, ask), left_out)


def read_as(kind: type[T], found: Mapping[str, Any], without: Collection[str] = ()) -> T:
    """The dataclass that an object of an answer says. Raises NotUnderstood for an object that is none of that kind."""
    try:
        return read(kind, found, without)
    except (KeyError, TypeError, ValueError) as error:
        raise NotUnderstood(f"the server's {kind.__name__} is not as this version knows it: {error!r}") from error


def _whole(selection: Selection, ask: Callable[[str], Mapping[str, Any]]) -> dict[str, Any]:
    """All fields with all rows. Where a request may not cost that much, fewer rows are asked for at once."""
    first = selection.rows
    found: dict[str, Any] | None = None
    offsets = dict.fromkeys(selection.windows, 0)
    while found is None or offsets:
        try:
            part = ask(selection.text(first, offsets, whole=found is None))
        except TooCostly:
            if first == 1 or not offsets:
                raise
            first = max(1, first // 4)
            continue
        if found is None:
            found = dict(part)
        else:
            for name in offsets:
                found[name] = found[name] + part[name]
        offsets = {
            name: offset + first
            for name, offset in offsets.items()
            if part[name] is not None and len(part[name]) == first
        }
    return found


def found_at(data: Mapping[str, Any], *names: str) -> Any:
    """What an answer's data hold under names, one inside the other. Raises NotUnderstood where there is nothing."""
    found: Any = data
    for name in names:
        if not isinstance(found, Mapping) or found.get(name) is None:
            raise NotUnderstood(f"the answer is not as this version knows it: found nothing at {'.'.join(names)}")
        found = found[name]
    return found


def ask_trace(client: Client, trace_id: str, field: str, arguments: Arguments) -> Callable[[str], Mapping[str, Any]]:
    """Asks a field of a trace for a selection."""
    more = f", {arguments.declared}" if arguments.types else ""
    text = f"query ($reference: String!{more}) {{ trace(reference: $reference) {{ answer: {field}{arguments.text} "
    variables = {"reference": trace_id, **arguments.variables}
    return lambda selection: found_at(client.graphql(f"{text}{selection} }} }}", variables), "trace", "answer")


def ask_root(client: Client, field: str, arguments: Arguments) -> Callable[[str], Mapping[str, Any]]:
    """Asks a field of the root for a selection."""
    more = f"({arguments.declared}) " if arguments.types else ""
    text = f"query {more}{{ answer: {field}{arguments.text} "
    return lambda selection: found_at(client.graphql(f"{text}{selection} }}", arguments.variables), "answer")


def change(client: Client, field: str, arguments: Arguments, success: str) -> Mapping[str, Any]:
    """What a mutation gives; `success` selects of it. Raises the error that is its outcome."""
    kind = field[0].upper() + field[1:]
    document = (
        f"mutation ({arguments.declared}) {{ outcome: {field}{arguments.text} {{ __typename "
        f"... on {kind}Success {{ {success} }} ... on Error {{ code message hint }} }} }}"
    )
    found: Mapping[str, Any] = found_at(client.graphql(document, arguments.variables, again=False), "outcome")
    if "code" in found:
        raise made(found["code"], found["message"], found["hint"])
    return found


def pages(
    ask: Callable[[str, str], Mapping[str, Any]], nodes: str, first: int, *, most: int | None = None
) -> list[Mapping[str, Any]]:
    """The nodes of a connection, no more than `most`, page by page: `ask` gives one for a cursor, given as an argument,
    and a selection.
    """
    found: list[Mapping[str, Any]] = []
    after: str | None = None
    while True:
        place = f", after: {json.dumps(after)}" if after else ""
        page = ask(f"first: {first}{place}", f"{{ nodes {{ {nodes} }} pageInfo {{ hasNextPage endCursor }} }}")
        found += page["nodes"]
        if not page["pageInfo"]["hasNextPage"] or (most is not None and len(found) >= most):
            return found[:most]
        if page["pageInfo"]["endCursor"] in (None, after):
            raise Unreachable("the server gives the same page again and again")
        after = page["pageInfo"]["endCursor"]


__all__ = [
    "Arguments", "answered", "arguments_of", "ask_root", "ask_trace", "change", "found_at", "pages",
    "read_as",
]  # fmt: skip
