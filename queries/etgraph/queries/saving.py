"""Answers that are kept beside their trace: computed once, and taken from there when the same is asked again.

An answer is kept under its question and its choices; it also says of which version of the question, and of which
revision of the trace it is. One of another version or revision is no answer, and makes room for the next.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, Final

from etgraph.model import path_tables
from etgraph.model.errors import CorruptStore
from etgraph.model.results import Result, camel_case
from etgraph.queries.questions import OF_SEVERAL, QUESTIONS, question
from etgraph.queries.saved_simulations import Traces, find_simulation, load_on
from etgraph.queries.tables import from_table, to_table
from etgraph.queries.windows import indices_of
from etgraph.sim.profiles import Profile, fingerprint

if TYPE_CHECKING:
    import pyarrow as pa

_ANSWER: Final = b"etgraph.answer"
"""Metadata of a table: what it is the answer to."""
_KINDS: Final[Mapping[str, str]] = {"critical-path": path_tables.MEASURED, "slack": path_tables.MODEL}
"""Kinds of artefacts that have another name than their question, or a form of their own."""
_OF_PATH: Final = ("start_ns", "end_ns", "window_ns", "length_ns")
"""Fields of an answer that a graph tells of a path."""


def answer(
    store: Traces, reference: str, name: str, *, save: bool = True, simulation: str | None = None, **choices: Any
) -> Result:
    """The answer to one of `etgraph.queries.questions` about a stored trace, from the store where it was kept there.

    Otherwise the trace is loaded and asked and, with `save`, the answer is kept. With `simulation`, the id of one that
    is kept beside the trace or the beginning of it, the question is asked on that timeline. A kept answer that cannot
    be read is none. Raises what the store, the question and `find_simulation` raise.
    """
    asked = question(name)
    found = store.find(reference)
    if simulation is not None:
        simulation = find_simulation(store, found.id, simulation)
    kind, key = place_of(name, simulation=simulation, **choices)
    try:
        table = store.get_artefact(found.id, kind, key)
    except CorruptStore:
        table = None
    kept = None if table is None else answer_in(table, name, revision=found.revision)
    if kept is not None:
        return kept
    trace = store.load(found.id) if simulation is None else load_on(store, found.id, simulation)
    result = asked(trace, **choices)
    if save:
        kind, key, table = artefact_of(name, result, revision=trace.revision, simulation=simulation, **choices)
        store.put_artefact(found.id, kind, key, table, revision=trace.revision)
    return result


def place_of(name: str, *, simulation: str | None = None, **choices: Any) -> tuple[str, str]:
    """Kind and key of the artefact that holds an answer: the question, and all of its choices as JSON.

    A choice that is not made is the function's default. The id of a simulation, which follows from its times, is among
    them where the answer is one on its timeline, so that it is never taken for another one. Raises TypeError for a
    choice that the question does not have.

    >>> place_of("critical-path", iteration=(3,))
    ('critical-path', '{"iteration":3,"rank":null,"window":"annotation"}')
    """
    made = _made(name, choices) | ({} if simulation is None else {"simulation": simulation})
    key = json.dumps(made, sort_keys=True, separators=(",", ":"), default=_plain)
    return _KINDS.get(name, name), key


def artefact_of(
    name: str, result: Result, *, revision: int, simulation: str | None = None, **choices: Any
) -> tuple[str, str, pa.Table]:
    """Kind, key and table of an answer, for `Store.put_artefact`; the choices are those that it was asked with.

    `revision` is that of the trace, `simulation` the id of the one on whose timeline it was asked. The rows of a
    critical path are its segments, of other answers those of `to_pandas()`.
    """
    kind, key = place_of(name, simulation=simulation, **choices)
    table = to_table(result, _rows_of(kind, type(result)))
    if kind in path_tables.KINDS:
        table = path_tables.with_facts(table, _facts(result, _made(name, choices), simulation))
    told = {"question": name, "version": QUESTIONS[name].version, "revision": revision}
    return kind, key, table.replace_schema_metadata({**table.schema.metadata, _ANSWER: json.dumps(told).encode()})


def answer_in(table: pa.Table, name: str, *, revision: int) -> Result | None:
    """The answer that a table holds; None where that is of another question, version or trace's revision, or none."""
    import msgspec
    import pyarrow as pa

    told = {"question": name, "version": QUESTIONS[name].version, "revision": revision}
    try:
        if json.loads((table.schema.metadata or {})[_ANSWER]) != told:
            return None
        answers = type_of_answers(name)
        return from_table(table, answers, _rows_of(_KINDS.get(name, name), answers))
    except (KeyError, TypeError, ValueError, msgspec.MsgspecError, pa.ArrowException):
        return None


def type_of_answers(name: str) -> type[Result]:
    """The dataclass of a question's answers."""
    function = question(name, {**QUESTIONS, **OF_SEVERAL}).function
    declared = function.__annotations__["return"]
    found: type[Result] = getattr(inspect.getmodule(function), declared) if isinstance(declared, str) else declared
    return found


def _rows_of(kind: str, answers: type[Result]) -> str:
    return "segments" if kind in path_tables.KINDS else answers.FRAME


def _made(name: str, choices: Mapping[str, Any]) -> dict[str, Any]:
    """All choices of a question by name, defaults too."""
    bound = inspect.signature(question(name).function).bind(None, **choices)
    bound.apply_defaults()
    _, *made = bound.arguments.items()
    return {choice: _steps(value) if choice == "iteration" else value for choice, value in made}


def _steps(iteration: Any) -> Any:
    """Iterations in their order; one of them alone is itself."""
    steps = indices_of(iteration)
    return steps if steps is None else steps[0] if len(steps) == 1 else list(steps)


def _plain(value: Any) -> Any:
    """A value that JSON has no form for: a number of NumPy's, a set, an enum, a change; a profile by name, content."""
    if isinstance(value, Profile):
        return {"name": value.name, "content": fingerprint(value)}
    if is_dataclass(value):
        return {"is": type(value).__name__} | {each.name: getattr(value, each.name) for each in fields(value)}
    if hasattr(value, "item"):
        return value.item()
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return value.name


def _facts(path: Any, made: Mapping[str, Any], simulation: str | None) -> dict[str, Any]:
    """What a graph says of a path: what it was asked for, on which timeline, and its length."""
    steps = made["iteration"]
    measured = {name: getattr(path, name, None) for name in _OF_PATH}
    return {
        "rank": made["rank"],
        "iteration": None if isinstance(steps, list) else steps,
        "iterations": steps if isinstance(steps, list) else [] if steps is None else [steps],
        "window": made.get("window"),
        **({} if simulation is None else {"simulation": simulation}),
        **{camel_case(name): value for name, value in measured.items() if value is not None},
    }
