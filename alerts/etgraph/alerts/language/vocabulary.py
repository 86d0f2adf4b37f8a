"""What metrics may name: the questions, and the fields of their answers as the dataclasses declare them."""

from __future__ import annotations

import dataclasses
import importlib
import types
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

from etgraph.alerts.language.amounts import Unit, unit_of
from etgraph.model.result_tables import ResultRow, declared_fields, row_declared
from etgraph.model.results import Result, camel_case

Of = Literal["step", "trace", "pair"]
"""Whether a question is asked of each step, of a whole trace, or of a trace and its baseline."""


@dataclass(frozen=True, slots=True)
class Number:
    """A field that holds a number of some unit."""

    unit: Unit


@dataclass(frozen=True, slots=True)
class Text:
    """A field that holds a text or a truth value, which conditions may look at."""


@dataclass(frozen=True, slots=True)
class Other:
    """A field that metrics cannot use."""


@dataclass(frozen=True, slots=True)
class Fields:
    """An object: its fields by their JSON names."""

    fields: Mapping[str, Field]


@dataclass(frozen=True, slots=True)
class Rows:
    """Objects in order."""

    of: Fields


Kind: TypeAlias = Number | Text | Other | Fields | Rows


@dataclass(frozen=True, slots=True)
class Field:
    """A field: its name in Python, and what it holds."""

    name: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Question:
    """A question that metrics ask: the class of its answers, where the words are that it groups by, and of what.

    `command` is the command of `etgraph` that shows the answer, `changes` its options that change the run first.
    """

    answers: str
    of: Of
    command: str
    by: str | None = None
    changes: tuple[str, ...] = ()

    @property
    def answer(self) -> type[Result]:
        """The class of its answers."""
        found: type[Result] = _named(self.answers)
        return found

    @property
    def groupings(self) -> tuple[str, ...]:
        """What its rows may be grouped by."""
        return get_args(_named(self.by)) if self.by else ()

    @property
    def fields(self) -> Fields:
        """The fields of its answers."""
        answer: type = self.answer
        return fields_of(answer)

    @property
    def table(self) -> Rows:
        """The rows that a notebook shows of its answers: where a field is looked for that the answer does not have."""
        kind = self.fields.fields[camel_case(table_of(self.answer))].kind
        assert isinstance(kind, Rows)
        return kind


_HERE: Final = "etgraph.queries"
_CHANGES: Final = ("scale", "remove", "split", "merge", "overlap", "launch_latency", "queue_depth", "buckets")

QUESTIONS: Final[Mapping[str, Question]] = MappingProxyType(
    {
        "breakdown": Question(f"{_HERE}.breakdown:Breakdown", "step", "breakdown", f"{_HERE}.breakdown:By"),
        "criticalPath": Question(f"{_HERE}.critical_path:CriticalPath", "step", "critical-path"),
        "hotspots": Question(f"{_HERE}.hotspots:Hotspots", "step", "hotspots", f"{_HERE}.hotspots:By"),
        "commMatrix": Question(f"{_HERE}.comm_matrix:CommunicationMatrix", "step", "comm-matrix"),
        "stragglers": Question(f"{_HERE}.stragglers:Stragglers", "step", "stragglers"),
        "deviceUse": Question(f"{_HERE}.device_use:DeviceUse", "step", "device-use"),
        "operators": Question(f"{_HERE}.operators:Operators", "step", "operators", f"{_HERE}.grouping:By"),
        "memory": Question(f"{_HERE}.memory:Memory", "step", "memory", f"{_HERE}.memory:HolderKey"),
        "slack": Question(f"{_HERE}.slack:Slack", "step", "critical-path --model"),
        "iterations": Question(f"{_HERE}.iterations:StepTimes", "step", "iterations"),
        "structure": Question("etgraph.alerts.structure:Structure", "step", "show"),
        "times": Question("etgraph.alerts.times:Times", "step", "operators"),
        "findings": Question(f"{_HERE}.findings.finding:Findings", "trace", "findings"),
        "waterfall": Question(f"{_HERE}.waterfall:Waterfall", "trace", "waterfall"),
        "whatif": Question(f"{_HERE}.whatif:WhatIf", "trace", "whatif", f"{_HERE}.whatif:By", _CHANGES),
        "compare": Question(f"{_HERE}.comparison.result:Comparison", "pair", "compare"),
        "changes": Question("etgraph.alerts.changes:Changes", "pair", "compare"),
    }
)
"""Questions by the name that metrics give them: that of the command in camel case."""

STRUCTURAL: Final = frozenset({"structure", "changes"})
"""Those whose numbers do not differ from run to run, so that one run decides and no statistics are needed."""


def option_of(name: str) -> str:
    """The option of the command that a change is, by the name that metrics give it."""
    return name.replace("_", "-")


def table_of(answer: type[Result]) -> str:
    """The field of an answer that its rows are in: that of its table, where this is a field."""
    declared = {field.name for field in dataclasses.fields(answer)} | _computed(answer).keys()  # type: ignore[arg-type]
    return next(name for name in (answer.TABLE, answer.FRAME, *_ROWS) if name in declared)


_ROWS: Final = ("windows", "steps")
"""Fields with rows of answers whose table is a property."""


@cache
def fields_of(declared: type) -> Fields:
    """The fields of a dataclass, by their JSON names; not those of which metrics can use what its table says."""
    computed = _computed(declared)
    columns = {name for kind in computed.values() for name in kind.of.fields}
    found = {camel_case(name): Field(name, _kind(name, hint)) for name, hint in declared_fields(declared).items()}
    kept = {name: field for name, field in found.items() if name not in columns or not isinstance(field.kind, Other)}
    return Fields(MappingProxyType(kept | {camel_case(name): Field(name, kind) for name, kind in computed.items()}))


def _computed(declared: type) -> dict[str, Rows]:
    """The table of an answer where it is worked out of the fields, and declares its rows."""
    own = getattr(declared, getattr(declared, "TABLE", ""), None)
    if not isinstance(own, property):
        return {}
    import pyarrow as pa

    row = row_declared(get_type_hints(own.fget, localns={"pa": pa}, include_extras=True)["return"])
    return {} if row is None else {declared.TABLE: Rows(_columns(row))}  # type: ignore[attr-defined]


def _kind(name: str, hint: Any) -> Kind:
    if get_origin(hint) is Annotated:
        row = next((note for note in hint.__metadata__ if isinstance(note, ResultRow)), None)
        return Rows(_columns(row)) if row is not None else _kind(name, hint.__origin__)
    if get_origin(hint) in (Union, types.UnionType):
        some = [each for each in get_args(hint) if each is not types.NoneType]
        return _kind(name, some[0]) if len(some) == 1 else Other()
    if hint in (int, float):
        return Number(unit_of(name))
    if hint in (str, bool) or get_origin(hint) is Literal:
        return Text()
    if get_origin(hint) is tuple and dataclasses.is_dataclass(get_args(hint)[0]):
        return Rows(fields_of(get_args(hint)[0]))
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return fields_of(hint)
    return Other()


def _columns(row: ResultRow) -> Fields:
    """The columns of an Arrow table."""
    return Fields(
        MappingProxyType(
            {
                camel_case(column.name): Field(
                    column.name, Text() if column.type in ("string", "bool") else Number(unit_of(column.name))
                )
                for column in row.columns
            }
        )
    )


def _named(target: str) -> Any:
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


__all__ = [
    "QUESTIONS", "STRUCTURAL", "Field", "Fields", "Kind", "Number", "Of", "Other", "Question", "Rows", "Text",
    "fields_of", "option_of", "table_of",
]  # fmt: skip
