"""The form of a critical path: a relationship to each operator that it passes; pauses are lists on the path's node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from etgraph.model import path_tables
from etgraph.model.errors import CorruptStore, UsageError
from etgraph.model.results import camel_case
from etgraph.store.neo4j.artefacts.values import from_values, to_values
from etgraph.store.neo4j.connection import Connection
from etgraph.store.neo4j.types import Transaction
from etgraph.store.neo4j.writing.batches import key_base

if TYPE_CHECKING:
    from etgraph.store.neo4j.artefacts.tables import Artefact

LABELS: Final = ":CriticalPath"
PAGE: Final = 50_000
"""Segments that come as one list of each column."""
WRITE: Final = (
    "UNWIND $rows AS row MATCH (o:Operator {key: row[0]}) CREATE (a)-[s:PASSES {order: row[1]}]->(o) SET s += row[2]"
)
OF_OPERATOR: Final = frozenset({"rank", "index", "name"})
"""Columns that are properties of the operator; a pause has no index and no name."""
PAUSE: Final = "pause"
"""What begins the names of the node's lists about pauses."""


def properties(table: pa.Table) -> dict[str, Any]:
    """What the path is the path of, and its pauses as one list for each column; a text that is missing is empty."""
    facts = {name: value for name, value in path_tables.facts_of(table.schema).items() if value not in (None, [])}
    pauses = table.filter(table["index"].is_null())
    if not len(pauses):
        return facts
    order = [at for at, index in enumerate(table["index"].is_valid().to_pylist()) if not index]
    lists: dict[str, list[Any]] = {_list_name("order"): order}
    for field in table.schema:
        if field.name not in ("index", "name"):
            values = to_values(pauses[field.name], field)
            if any(v is not None for v in values):
                if None in values and not isinstance(next(v for v in values if v is not None), str):
                    raise UsageError(f"critical path, column {field.name}: found a pause without a value, expected one")
                lists[_list_name(field.name)] = ["" if v is None else v for v in values]
    return facts | lists


def join(tx: Transaction, key: int, table: pa.Table) -> None:
    """Nothing: the table refers to nothing but its trace."""


def rows(connection: Connection, trace: int, table: pa.Table) -> list[Any]:
    """For each segment with an operator: the operator's key, the order, and the relationship's other properties."""
    values = {field.name: to_values(table[field.name], field) for field in table.schema}
    keys = _keys(connection, trace, sorted({rank for rank in values["rank"] if rank is not None}))
    names = [name for name in values if name not in OF_OPERATOR]
    found = []
    for at, (rank, index) in enumerate(zip(values["rank"], values["index"], strict=True)):
        if index is None:
            continue
        if (rank, index) not in keys:
            raise UsageError(f"critical path, segment {at}: found operator {rank}:{index}, expected one of the trace")
        told = {camel_case(name): values[name][at] for name in names}
        found.append([keys[rank, index], at, {name: value for name, value in told.items() if value is not None}])
    return found


def _keys(connection: Connection, trace: int, ranks: list[int]) -> dict[tuple[int, int], int]:
    """Keys of the operators of some ranks, by rank and index."""
    found = connection.rows(
        "MATCH (k:Rank) WHERE k.key >= $first AND k.key < $last AND k.rank IN $ranks MATCH (k)-[:RAN]->(o:Operator) "
        "RETURN k.rank, collect(o.index), collect(o.key)",
        {"first": key_base(trace), "last": key_base(trace + 1), "ranks": ranks},
    )
    return {(rank, i): key for rank, indices, keys in found for i, key in zip(indices, keys, strict=True)}


def read(connection: Connection, artefact: Artefact) -> pa.Table:
    """The segments, in order."""
    names = [field.name for field in artefact.schema]
    cells = ["s.order", *(f"o.{name}" if name in OF_OPERATOR else f"s.{camel_case(name)}" for name in names)]
    # Each page is a list of rows: `collect` of a column would leave nulls out.
    pages = connection.rows(
        "MATCH (:Artefact {key: $key})-[s:PASSES]->(o:Operator) "
        f"RETURN s.order / $page, collect([{', '.join(cells)}])",
        {"key": artefact.key, "page": PAGE},
    )
    segments = [row for _, page in pages for row in page] + _pauses(connection, artefact, names)
    if len(segments) != artefact.rows:
        raise CorruptStore(f"{connection.url}: path: found {len(segments)} segments, expected {artefact.rows}")
    segments.sort(key=lambda row: row[0])
    columns = [from_values([row[at] for row in segments], field) for at, field in enumerate(artefact.schema, start=1)]
    return pa.Table.from_arrays(columns, schema=artefact.schema)


def _pauses(connection: Connection, artefact: Artefact, names: list[str]) -> list[list[Any]]:
    ((node,),) = connection.rows("MATCH (a:Artefact {key: $key}) RETURN properties(a)", {"key": artefact.key})
    order = node.get(_list_name("order"), [])
    columns = [node.get(_list_name(name)) or [None] * len(order) for name in names]
    return [[at, *(None if v == "" else v for v in cells)] for at, *cells in zip(order, *columns, strict=True)]


def _list_name(column: str) -> str:
    name = camel_case(column)
    return f"{PAUSE}{name[0].upper()}{name[1:]}"
