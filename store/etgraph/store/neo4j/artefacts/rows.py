"""The form of a table that has no other: a node for each row, with a property for each column."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from etgraph.model.errors import CorruptStore
from etgraph.store.neo4j.artefacts.values import from_values, names_of, to_values
from etgraph.store.neo4j.connection import Connection
from etgraph.store.neo4j.types import Transaction

if TYPE_CHECKING:
    from etgraph.store.neo4j.artefacts.tables import Artefact

LABELS: Final = ""
PAGE: Final = 50_000
"""Rows that are read at once."""
WRITE: Final = (
    "UNWIND range(0, size($rows) - 1) AS i CREATE (a)-[:HAS_ROW]->(r:ArtefactRow {key: $first + i}) SET r += $rows[i]"
)


def properties(table: pa.Table) -> dict[str, Any]:
    """Nothing: the table's own columns say all."""
    return {}


def join(tx: Transaction, key: int, table: pa.Table) -> None:
    """Nothing: the table refers to nothing but its trace."""


def rows(connection: Connection, trace: int, table: pa.Table) -> list[dict[str, Any]]:
    """The properties of each row's node."""
    names = names_of(table.schema)
    columns = [to_values(column, field) for column, field in zip(table.columns, table.schema, strict=True)]
    return [dict(zip(names, cells)) for cells in zip(*columns, strict=True)] if names else [{}] * len(table)


def read(connection: Connection, artefact: Artefact) -> pa.Table:
    """The table out of its rows' nodes, by pages."""
    names = names_of(artefact.schema)
    wanted = "".join(f", [r IN rs | r[$names[{at}]]]" for at in range(len(names)))
    first, last = artefact.first_row, artefact.first_row + artefact.rows
    parts = []
    for begin, end in pairwise([*range(first, last, PAGE), last]):
        ((held, *lists),) = connection.rows(
            "MATCH (r:ArtefactRow) WHERE r.key >= $first AND r.key < $last WITH r ORDER BY r.key "
            f"WITH collect(r) AS rs RETURN size(rs){wanted}",
            {"first": begin, "last": end, "names": names},
        )
        if held != end - begin:
            raise CorruptStore(f"{connection.url}: artefact: found {held} rows, expected {end - begin}")
        parts.append([from_values(values, field) for values, field in zip(lists, artefact.schema, strict=True)])
    if not names:
        return artefact.schema.empty_table()
    columns = [pa.chunked_array([p[at] for p in parts], type=f.type) for at, f in enumerate(artefact.schema)]
    return pa.Table.from_arrays(columns, schema=artefact.schema)
