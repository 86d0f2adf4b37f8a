"""Tables for the tests of the model: one with a column of every type, its rows as plain dictionaries, and operators."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from etgraph.model import TABLES, Columns, NodeType, Trace
from etgraph.model.schema import TYPES, Column, Table

Row = dict[str, Any]

SAMPLES = Table(
    "samples",
    "a column of every type, and one that every row needs",
    "",
    (
        Column("number", "int32", "required"),
        *(Column(f"some_{name}", name, "nullable", nullable=True) for name in TYPES if name not in ("enum", "row")),
        Column("some_row", "row", "nullable", nullable=True, refers="samples"),
        Column("some_enum", "enum", "nullable", nullable=True, values=NodeType),
    ),
)

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "bool": st.booleans(),
    "int8": st.integers(-(2**7) + 1, 2**7 - 1),
    "int32": st.integers(-(2**31) + 1, 2**31 - 1),
    "int64": st.integers(-(2**63) + 1, 2**63 - 1),
    "uint64": st.sampled_from([0, 2**63, 2**64 - 1]) | st.integers(0, 2**64 - 1),
    "float32": st.floats(allow_nan=False, width=32),
    "float64": st.floats(allow_nan=False),
    "text": st.sampled_from(["", "mm", "größe", "a/b|c"]),
    "row": st.integers(0, 2**31 - 1),
    "enum": st.sampled_from(NodeType) | st.integers(90, 99),
}


def _row() -> st.SearchStrategy[Row]:
    return st.fixed_dictionaries(
        {c.name: st.none() | VALUES[c.type] if c.nullable else VALUES[c.type] for c in SAMPLES.columns}
    )


sample_rows: st.SearchStrategy[list[Row]] = st.lists(_row(), max_size=8)
"""Rows of `SAMPLES` as dictionaries."""


def columns_of(rows: Sequence[Row], table: Table = SAMPLES) -> Columns:
    """The columns that hold these rows; columns without any value are not filled."""
    data: dict[str, Any] = {}
    dictionaries: dict[str, list[str]] = {}
    masks: dict[str, list[bool]] = {}
    for column in table.columns:
        values = [row.get(column.name) for row in rows]
        if column.nullable and all(value is None for value in values):
            continue
        if column.type == "text":
            dictionaries[column.name] = list(dict.fromkeys(v for v in values if v is not None))
            values = [None if v is None else dictionaries[column.name].index(v) for v in values]
        if column.null is None and column.nullable:
            masks[column.name] = [v is not None for v in values]
        null = 0 if column.null is None else column.null
        data[column.name] = np.array([null if v is None else v for v in values], dtype=column.dtype)
    return Columns(table, data, dictionaries, masks, length=len(rows))


def rows_of(columns: Columns) -> list[Row]:
    """All rows as dictionaries of Python values."""
    return [columns.row(row) for row in range(len(columns))]


def through_file(columns: Columns, path: Path) -> pa.Table:
    """The Arrow table, mapped from a file to which it was written."""
    arrow = columns.to_arrow()
    with pa.ipc.new_file(path, arrow.schema) as writer:
        writer.write_table(arrow)
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


def operators(count: int, **columns: Any) -> Columns:
    """`count` operators of rank 0 called `op`; the columns given by name replace the defaults."""
    zeros = np.zeros(count, dtype=np.int32)
    data = {"rank": zeros, "index": np.arange(count), "name": zeros, "kind": zeros + NodeType.COMP, "category": zeros}
    return Columns(TABLES["operators"], data | columns, {"name": ["op"]})


def edges(*found: tuple[int, int, int]) -> Columns:
    """Dependencies (src, dst, kind)."""
    src, dst, kind = (np.array(part) for part in zip(*found)) if found else (np.zeros(0, np.int32),) * 3
    data = {
        "src": src,
        "dst": dst,
        "kind": kind,
        "inferred": kind < 0,
        "method": kind * 0,
        "confidence": kind * 0 + 1.0,
    }
    return Columns(TABLES["dependencies"], data, {"method": ["drawn"]})


def graph(count: int, *found: tuple[int, int, int]) -> Trace:
    """A trace of `count` operators and dependencies (src, dst, kind)."""
    return Trace(operators(count), edges(*found))
