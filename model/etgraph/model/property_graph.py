"""A trace as a property graph: the nodes, properties and relationships that its tables become.

The stores and exports that hold graphs follow from here, as this follows from the schema. A property's value is an
int, float, bool or str; a number beyond 63 bits is a decimal string, an enumeration's value its name where it has one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from etgraph.model.columns import Array, Columns
from etgraph.model.schema import TABLES, Column, Table

RELATIONSHIPS_OF_DEPENDENCIES: Final = TABLES["dependencies"].columns[3:]
"""The columns that a dependency's relationship carries as properties, beside its `order` among the dependencies."""


@dataclass(frozen=True, slots=True)
class NodeTable:
    """A table whose rows become nodes.

    `properties` are the columns that a node carries, `references` those that become relationships to other nodes.
    """

    table: Table
    properties: tuple[Column, ...]
    references: tuple[Column, ...]

    @property
    def label(self) -> str:
        """Label of the nodes."""
        return self.table.neo4j

    @property
    def of_rank(self) -> bool:
        """Whether a rank owns the nodes; else the trace does."""
        return any(column.name == "rank" for column in self.table.columns)


def _node_table(table: Table) -> NodeTable:
    references = tuple(c for c in table.columns if c.neo4j.isupper())
    properties = tuple(c for c in table.columns if c not in references and c.refers != "attributes")
    return NodeTable(table, properties, references)


NODES: Final[Mapping[str, NodeTable]] = MappingProxyType(
    {name: _node_table(table) for name, table in TABLES.items() if table.neo4j}
)
"""Tables whose rows become nodes, by name."""


def filled(columns: Columns, properties: tuple[Column, ...]) -> tuple[Column, ...]:
    """Those of the columns that have a value in some row."""
    return tuple(
        c for c in properties if c.name in columns.filled and not (c.nullable and bool(columns.is_null(c.name).all()))
    )


@dataclass(frozen=True, slots=True)
class Values:
    """A column of some rows as a graph holds it: a value a row, None for null.

    With `texts`, the values are positions in that list: what repeats is spelled once.
    """

    values: list[Any]
    texts: list[Any] | None = None

    def spelled(self) -> list[Any]:
        """The values themselves."""
        texts = self.texts
        return self.values if texts is None else [None if v is None else texts[v] for v in self.values]


def encode(columns: Columns, column: Column, rows: slice) -> Values:
    """The values of some rows of a column, row numbers included (as they are)."""
    values = columns[column.name][rows]
    null = columns.is_null(column.name)[rows] if column.nullable else np.zeros(len(values), dtype=bool)
    if column.type == "text" or column.values is not None:
        known, positions = np.unique(values[~null], return_inverse=True)
        if column.values is None:
            texts = columns.texts(column.name).take(known).to_pylist()
        else:
            names = {int(member): member.name for member in column.values}
            texts = [names.get(number, number) for number in known.tolist()]
        return Values(_with_nulls(positions, null), texts)
    if column.dtype == np.uint64 and len(values) and int(values.max()) >= 2**63:
        return Values([None if n else v if v < 2**63 else str(v) for v, n in zip(values.tolist(), null.tolist())])
    return Values(_with_nulls(values[~null], null))


def _with_nulls(values: Array, null: Array) -> list[Any]:
    if not null.any():
        listed: list[Any] = values.tolist()
        return listed
    every = np.full(len(null), None, dtype=object)
    every[~null] = values.tolist()
    return list(every)


@dataclass(frozen=True, slots=True)
class Decoded:
    """A column that was read from a graph: its array, and what a text or a type without a reserved null needs."""

    array: Array
    texts: list[str] | None = None
    valid: Array | None = None


def decode(column: Column, values: list[Any]) -> Decoded:
    """A whole column out of the values that a graph holds, None for null.

    Raises TypeError, ValueError or OverflowError for a value that the column cannot hold.
    """
    if column.type == "text":
        codes: dict[str, int] = {}
        array = np.fromiter(
            (-1 if v is None else codes.setdefault(v, len(codes)) for v in values), np.int32, count=len(values)
        )
        for text in codes:
            if not isinstance(text, str):
                raise TypeError(f"found {text!r}, expected a text")
        return Decoded(array, texts=list(codes))
    if column.values is not None:
        numbers: dict[Any, int | None] = {member.name: int(member) for member in column.values}
        values = [v if isinstance(v, int) else numbers[v] if v in numbers else _unknown(column, v) for v in values]
    elif column.dtype == np.uint64:
        values = [int(v) if isinstance(v, str) else v for v in values]
    valid = None
    if None in values:
        if not column.nullable:
            raise ValueError("found no value, expected one")
        null = 0 if column.null is None else column.null
        if column.null is None:
            valid = np.fromiter((v is not None for v in values), bool, count=len(values))
        values = [null if v is None else v for v in values]
    return Decoded(_array(column, values), valid=valid)


def _array(column: Column, values: list[Any]) -> Array:
    """An array that NumPy made out of the values without changing one; `Columns` refuses what does not fit."""
    if column.dtype == np.uint64 or not values:
        return np.array(values, dtype=column.dtype)
    array = np.array(values)
    if array.dtype.kind not in ("if" if column.dtype.kind == "f" else column.dtype.kind):
        odd = next(v for v in values if not isinstance(v, {"b": bool, "i": int}.get(column.dtype.kind, float)))
        raise TypeError(f"found {odd!r}, expected {column.dtype}")
    return array.astype(np.float32) if column.dtype == np.float32 else array


def _unknown(column: Column, value: Any) -> int | None:
    if value is None:
        return None
    known = ", ".join(member.name for member in column.values or ())
    raise ValueError(f"found {value!r}, expected a number or one of {known}")
