"""The form of a simulation: a relationship to each operator with its predicted times, and one to the hardware."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from etgraph.model import simulation_tables
from etgraph.model.errors import CorruptStore, UsageError
from etgraph.model.results import camel_case
from etgraph.model.simulation_tables import HARDWARE, OF_OPERATOR
from etgraph.store.neo4j import catalogue
from etgraph.store.neo4j.artefacts.values import from_values, to_values
from etgraph.store.neo4j.connection import Connection
from etgraph.store.neo4j.types import Transaction
from etgraph.store.neo4j.writing.batches import key_base

if TYPE_CHECKING:
    from etgraph.store.neo4j.artefacts.tables import Artefact

LABELS: Final = ":Simulation"
CHUNK: Final = 50_000
"""Rows that are taken out of the table at once."""
PAGE: Final = 50_000
"""Operators whose times come as one list of each column."""
COLUMNS: Final = (*simulation_tables.TIMES, "source", "extrapolated")
"""Columns of every simulation, in a list's order; others come in a map, which takes the driver three times as long."""
WRITE: Final = (
    "UNWIND $rows AS row MATCH (o:Operator {key: row[0]}) CREATE (a)-[s:PREDICTS {"
    + ", ".join(f"{camel_case(name)}: row[{at}]" for at, name in enumerate(COLUMNS, start=1))
    + f"}}]->(o) SET s += row[{len(COLUMNS) + 1}]"
)
_UNUSED: Final = "MATCH (h:HardwareProfile) WHERE NOT EXISTS { (h)<-[:ON]-() }"


def properties(table: pa.Table) -> dict[str, Any]:
    """What the table says of its simulation; what is nested is JSON."""
    facts = simulation_tables.facts_of(table.schema)
    return {
        name: json.dumps(value) if isinstance(value, (dict, list)) else value
        for name, value in facts.items()
        if value is not None and name != HARDWARE
    }


def join(tx: Transaction, key: int, table: pa.Table) -> None:
    """Join the node of that key to the hardware that was simulated, which simulations share."""
    hardware = simulation_tables.facts_of(table.schema).get(HARDWARE)
    if not hardware:
        return
    told = {name: value for name, value in hardware.items() if value is not None}
    tx.run(
        "MATCH (a:Artefact {key: $key}) MERGE (h:HardwareProfile {name: $told.name, content: $told.content}) "
        "SET h = $told CREATE (a)-[:ON]->(h)",
        {"key": key, "told": told},
    ).consume()


def delete_unused_hardware(connection: Connection) -> None:
    """Delete the hardware that no simulation is on any more."""
    ((unused,),) = connection.rows(f"{_UNUSED} RETURN count(h)")
    if not unused:
        return

    def delete(tx: Transaction) -> None:
        catalogue.lock(tx)
        tx.run(f"{_UNUSED} DELETE h").consume()

    connection.write(delete)


def rows(connection: Connection, trace: int, table: pa.Table) -> Iterator[list[Any]]:
    """For each operator its key, a value for each of `COLUMNS`, and a map of the others."""
    theirs = np.stack([table[name].to_numpy().astype(np.int64) for name in ("rank", "index")])
    found = connection.rows(
        "MATCH (k:Rank) WHERE k.key >= $first AND k.key < $last MATCH (k)-[:RAN]->(o:Operator) "
        "WITH o ORDER BY o.rank, o.index RETURN o.rank, collect(o.index), collect(o.key) ORDER BY o.rank",
        {"first": key_base(trace), "last": key_base(trace + 1)},
    )
    keys = [key for _, _, some in found for key in some]
    ours = np.array([[rank, index] for rank, indices, _ in found for index in indices], np.int64).reshape(-1, 2).T
    if not np.array_equal(ours, theirs):
        raise UsageError(
            f"simulation: found {theirs.shape[1]:,} rows, expected one for each of the {len(keys):,} operators of the "
            "trace, in order of rank and index"
        )
    return (
        row for first in range(0, len(keys), CHUNK) for row in _rows(keys[first : first + CHUNK], table.slice(first))
    )


def _rows(keys: Sequence[int], table: pa.Table) -> Iterator[list[Any]]:
    """Rows of the operators of these keys, whose times the table begins with."""
    part = table.slice(0, len(keys))
    values = {field.name: to_values(part[field.name], field) for field in part.schema if field.name not in OF_OPERATOR}
    nothing = [None] * len(keys)
    columns = [values.pop(name, nothing) for name in COLUMNS]
    others = [(camel_case(name), column) for name, column in values.items()]
    for at, key in enumerate(keys):
        more = {name: column[at] for name, column in others if column[at] is not None}
        yield [key, *(column[at] for column in columns), more]


def read(connection: Connection, artefact: Artefact) -> pa.Table:
    """The predicted times, in order of rank and index; an operator's own columns are the operator's."""
    cells = ", ".join(["o.rank", "o.index", *(_cell(field.name) for field in artefact.schema)])
    # Each page is a list of rows: `collect` of a column would leave nulls out.
    pages = connection.rows(
        f"MATCH (:Artefact {{key: $key}})-[s:PREDICTS]->(o:Operator) RETURN o.key / $page, collect([{cells}])",
        {"key": artefact.key, "page": PAGE},
    )
    found = [row for _, page in pages for row in page]
    if len(found) != artefact.rows:
        raise CorruptStore(f"{connection.url}: simulation: found {len(found)} operators, expected {artefact.rows}")
    found.sort(key=lambda row: (row[0], row[1]))
    columns = [from_values([row[at] for row in found], field) for at, field in enumerate(artefact.schema, start=2)]
    return pa.Table.from_arrays(columns, schema=artefact.schema)


def _cell(name: str) -> str:
    if name == "node_id":
        return "toString(o.nodeId)"
    return f"o.{name}" if name in OF_OPERATOR else f"s.`{camel_case(name)}`"
