"""Answers that are kept beside their trace: computed once, and taken from there when the same is asked again.

An answer is kept under its question and its choices; it also says of which version of the question, and of which
revision of the trace it is. One of another version or revision is no answer, and makes room for the next.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

from etgraph.model import Trace, path_tables
from etgraph.model.errors import CorruptStore
from etgraph.model.results import Result, camel_case
from etgraph.queries.questions import QUESTIONS, question
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


class Described(Protocol):
    """What is known of a stored trace."""

    @property
    def id(self) -> str: ...

    @property
    def revision(self) -> int: ...


class Traces(Protocol):
    """What keeps traces and what was computed from them; see `etgraph.store.Store`."""

    def find(self, reference: str) -> Described: ...

    def load(self, reference: str) -> Trace: ...

    def get_artefact(self, trace_id: str, kind: str, key: str) -> pa.Table | None: ...

    def put_artefact(
        self, trace_id: str, kind: str, key: str, table: pa.Table, *, revision: int | None = None
    ) -> None: ...


def answer(store: Traces, reference: str, name: str, *, save: bool = True, **choices: Any) -> Result:
    """The answer to one of `etgraph.queries.questions` about a stored trace, from the store where it was kept there.

    Otherwise the trace is loaded and asked and, with `save`, the answer is kept. A kept answer that cannot be read is
    none. Raises what the store and the question raise.
    """
    asked = question(name)
    found = store.find(reference)
    kind, key = place_of(name, **choices)
    try:
        table = store.get_artefact(found.id, kind, key)
    except CorruptStore:
        table = None
    kept = None if table is None else answer_in(table, name, revision=found.revision)
    if kept is not None:
        return kept
    trace = store.load(found.id)
    result = asked(trace, **choices)
    if save:
        kind, key, table = artefact_of(name, result, revision=trace.revision, **choices)
        store.put_artefact(found.id, kind, key, table, revision=trace.revision)
    return result


def place_of(name: str, **choices: Any) -> tuple[str, str]:
    """Kind and key of the artefact that holds an answer: the question, and all of its choices as JSON.

    A choice that is not made is the function's default. Raises TypeError for one that the question does not have.

    >>> place_of("critical-path", iteration=(3,))
    ('critical-path', '{"iteration":3,"rank":null,"window":"annotation"}')
    """
    key = json.dumps(_made(name, choices), sort_keys=True, separators=(",", ":"), default=_plain)
    return _KINDS.get(name, name), key


def artefact_of(name: str, result: Result, *, revision: int, **choices: Any) -> tuple[str, str, pa.Table]:
    """Kind, key and table of an answer, for `Store.put_artefact`; the choices are those that it was asked with.

    `revision` is that of the trace. The rows of a critical path are its segments, of other answers those of
    `to_pandas()`.
    """
    kind, key = place_of(name, **choices)
    table = to_table(result, _rows_of(kind, type(result)))
    if kind in path_tables.KINDS:
        table = path_tables.with_facts(table, _facts(result, _made(name, choices)))
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
        answers = _type_of(name)
        return from_table(table, answers, _rows_of(_KINDS.get(name, name), answers))
    except (KeyError, TypeError, ValueError, msgspec.MsgspecError, pa.ArrowException):
        return None


def _type_of(name: str) -> type[Result]:
    """The dataclass of a question's answers."""
    function = question(name).function
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
    """A value that JSON has no form for: a number of NumPy's, a set, an enum, a profile by name and content."""
    if isinstance(value, Profile):
        return {"name": value.name, "content": fingerprint(value)}
    if hasattr(value, "item"):
        return value.item()
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return value.name


def _facts(path: Any, made: Mapping[str, Any]) -> dict[str, Any]:
    """What a graph says of a path: what it was asked for, and its length."""
    steps = made["iteration"]
    measured = {name: getattr(path, name, None) for name in _OF_PATH}
    return {
        "rank": made["rank"],
        "iteration": None if isinstance(steps, list) else steps,
        "iterations": steps if isinstance(steps, list) else [] if steps is None else [steps],
        "window": made.get("window"),
        **{camel_case(name): value for name, value in measured.items() if value is not None},
    }
