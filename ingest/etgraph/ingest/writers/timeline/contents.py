"""What slices say of themselves: name, category, and the values that a viewer shows of the one that is selected."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from etgraph.ingest.writers.timeline.path import Path
from etgraph.ingest.writers.timeline.sheets import ANNOTATION, OPERATOR, SEGMENT
from etgraph.model import Columns, Trace
from etgraph.model.columns import Array
from etgraph.model.schema import Column

if TYPE_CHECKING:
    import pyarrow as pa

_ELSEWHERE: Final = ("rank", "name", "category", "lane", "start_ns", "duration_ns", "attrs")
"""Columns of an operator that its place, name and category show."""
_NUMBERED: Final = {"parent": ("operators", "index"), "iteration": ("iterations", "index")}
"""References that are shown as the number that a reader knows, rather than that of a row."""


@dataclass(frozen=True, slots=True)
class Value:
    """One value of every row of a table: numbers, or codes of `texts`. `there` tells the rows that have one."""

    name: str
    values: Array
    there: Array | None
    texts: pa.StringArray | None = None
    lookup: Array | None = None
    null: Any = None

    def of(self, rows: Array) -> tuple[Array, Array]:
        """The values of some rows, and whether each has one; where it has none, the value is 0."""
        values = self.values[rows]
        there = values != self.null if self.there is None else self.there[rows]
        values = np.where(there, values, 0)
        if self.lookup is not None and len(self.lookup):
            values = self.lookup[values]
        return values, there


@dataclass(frozen=True, slots=True)
class Contents:
    """What the rows of one table say as slices."""

    name: Value
    category: Value
    values: tuple[Value, ...] = ()


def contents_of(trace: Trace, path: Path | None) -> dict[int, Contents]:
    """What slices say, by what they are rows of."""
    o, a = trace.operators, trace.annotations
    found = {
        OPERATOR: Contents(_column(trace, o, "name"), _column(trace, o, "category"), tuple(
            _column(trace, o, c.name) for c in o.table.columns if c.name in o.filled and c.name not in _ELSEWHERE
        )),
        ANNOTATION: Contents(_column(trace, a, "name"), _column(trace, a, "kind")),
    }  # fmt: skip
    if path is not None:
        texts = {name: Value(name, codes, None, texts, null=-1)
                 for name, (codes, texts) in ({"name": path.name} | dict(path.texts)).items()}  # fmt: skip
        numbers = [Value(name, values, None, null=-1) for name, values in (("rank", path.rank), ("index", path.index))]
        told = [texts[name] for name in ("detail", "lane", "via")]
        found[SEGMENT] = Contents(texts["name"], texts["category"], (*told, *numbers))
    return found


def text_of(columns: Columns, name: str) -> Value:
    """A column of texts."""
    return Value(name, columns[name], None, columns.texts(name), null=columns.table.column(name).null)


def _column(trace: Trace, columns: Columns, name: str) -> Value:
    import pyarrow as pa

    column = columns.table.column(name)
    values, null = columns[name], column.null
    there = ~columns.is_null(name) if null is None or column.dtype.kind == "f" else None
    if column.type == "text":
        return text_of(columns, name)
    if column.values is not None:
        known, codes = np.unique(values, return_inverse=True)
        names = pa.array([_word(column, number) for number in known.tolist()], pa.string())
        return Value(name, codes.astype(np.int32), values != null, names)
    if name == "group":
        groups = trace.process_groups
        names = pa.array([groups.value("name", row) for row in range(len(groups))], pa.string())
        return Value(name, values, there, names, null=null)
    if name in _NUMBERED:
        table, number = _NUMBERED[name]
        return Value(name, values, there, lookup=trace.tables[table][number], null=null)
    return Value(name, values, there, null=null)


def _word(column: Column, number: int) -> str:
    """The name of an enumeration's value in small letters, its number where it has none."""
    kinds: type[IntEnum] | None = column.values
    assert kinds is not None
    return kinds(number).name.lower() if number in kinds._value2member_map_ else str(number)
