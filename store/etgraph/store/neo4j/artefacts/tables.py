"""Tables kept beside a trace, each a node of its own and a form for its rows.

A table is written under a claim as a trace is, and comes into readers' sight at once, in place of the one before.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Protocol

import pyarrow as pa

from etgraph.model import path_tables, simulation_tables
from etgraph.model.errors import CorruptStore
from etgraph.store.clock import now
from etgraph.store.errors import StoreFull
from etgraph.store.neo4j import catalogue
from etgraph.store.neo4j.artefacts import paths as artefact_paths
from etgraph.store.neo4j.artefacts import rows as artefact_rows
from etgraph.store.neo4j.artefacts import simulations as artefact_simulations
from etgraph.store.neo4j.connection import Connection, rows_of
from etgraph.store.neo4j.types import Transaction
from etgraph.store.neo4j.writing import lease
from etgraph.store.neo4j.writing.batched import delete_all
from etgraph.store.neo4j.writing.batches import KEY_BITS, key_base
from etgraph.store.protocol import ArtefactInfo
from etgraph.store.references import revision_differs

ROWS: Final = 5_000
"""Rows of a transaction."""
OF_OPERATORS: Final = "-[s:PASSES|PREDICTS]->()"
"""Relationships `s` of an artefact's node to operators, of which it may have as many as there are."""

_CONDEMN: Final = "SET a.state = 'deleting' REMOVE a.owner, a.seen, a.taken, a.written" + "".join(
    f", a{form.LABELS}" for form in (artefact_paths, artefact_simulations) if form.LABELS
)
"""Cypher that takes the node `a` out of readers' sight."""
_READY: Final = "MATCH (a:Artefact {state: 'ready'})-[:OF]->(t:Trace {id: $id, state: 'ready'}) "


@dataclass(frozen=True, slots=True)
class Artefact:
    """The node of a table: its key, the key of its first row, the number of rows, and the columns."""

    key: int
    first_row: int
    rows: int
    schema: pa.Schema


class Form(Protocol):
    """How rows of a table stand in the graph."""

    LABELS: str
    """Further labels of a finished table's node, as Cypher: `:A`; none: an empty text."""

    def properties(self, table: pa.Table) -> dict[str, Any]:
        """What the table's node says beside what that of every table says."""
        ...

    def join(self, tx: Transaction, key: int, table: pa.Table) -> None:
        """Join the new node of that key to what it refers to beside its trace, in the transaction that makes it."""
        ...

    def rows(self, connection: Connection, trace: int, table: pa.Table) -> Iterable[Any]:
        """The rows as `WRITE` takes them; `trace` is the number of the trace's load."""
        ...

    WRITE: str
    """Cypher that writes `$rows`, which begin at the row of key `$first`, for the table's node `a`."""

    def read(self, connection: Connection, artefact: Artefact) -> pa.Table:
        """The table. Raises CorruptStore for rows that are missing or hold what their column cannot."""
        ...


def form_of(kind: str) -> Form:
    """The form in which tables of a kind are kept."""
    form: Form = artefact_rows
    if kind in path_tables.KINDS:
        form = artefact_paths
    elif kind == simulation_tables.KIND:
        form = artefact_simulations
    return form


def listed(tx: Transaction, trace_id: str) -> list[ArtefactInfo]:
    """What is kept beside a trace, by kind and key. Raises NotFound for an unknown trace."""
    catalogue.required(tx, trace_id)
    found = rows_of(
        tx, f"{_READY} RETURN a.kind AS kind, a.name AS name, a.created, a.bytes ORDER BY kind, name", {"id": trace_id}
    )
    return [ArtefactInfo(*row) for row in found]


def get(connection: Connection, trace_id: str, kind: str, name: str) -> pa.Table | None:
    """The table of that kind and name beside a trace, None where there is none. Raises NotFound for the trace."""

    def look(tx: Transaction) -> Artefact | None:
        return _find(tx, trace_id, kind, name)

    while True:
        found = catalogue.settled(connection, look)
        if found is None:
            return None
        failure: CorruptStore | None = None
        try:
            table = form_of(kind).read(connection, found)
        except CorruptStore as error:
            failure = error
        # What was replaced meanwhile is deleted, and may have been read in part.
        if catalogue.settled(connection, look) == found:
            if failure is not None:
                raise failure
            return table


def schema(connection: Connection, trace_id: str, kind: str, name: str) -> pa.Schema | None:
    """The columns of such a table and what it says of itself, without its rows."""
    found = catalogue.settled(connection, lambda tx: _find(tx, trace_id, kind, name))
    return None if found is None else found.schema


def _find(tx: Transaction, trace_id: str, kind: str, name: str) -> Artefact | None:
    catalogue.required(tx, trace_id)
    found = rows_of(
        tx,
        f"{_READY} WHERE a.kind = $kind AND a.name = $name RETURN a.key, a.firstRow, a.rows, a.schema",
        {"id": trace_id, "kind": kind, "name": name},
    )
    return artefact_of(*found[0]) if found else None


def artefact_of(key: int, first_row: int, rows: int, schema: str) -> Artefact:
    """An artefact as its node's properties tell."""
    return Artefact(key, first_row, rows, pa.ipc.read_schema(pa.BufferReader(base64.b64decode(schema))))


@dataclass(frozen=True, slots=True)
class _Claim:
    """What a table is written for, and by whom."""

    trace_id: str
    kind: str
    name: str
    owner: str
    revision: int | None


def put(
    connection: Connection, trace_id: str, kind: str, name: str, table: pa.Table, revision: int | None = None
) -> None:
    """Keep a table beside a trace; see `etgraph.store.Store.put_artefact`."""
    with lease.owner() as owner:
        while not _put(connection, _Claim(trace_id, kind, name, owner, revision), table):
            pass


def _put(connection: Connection, claim: _Claim, table: pa.Table) -> bool:
    """Whether it is in; False where the trace was replaced meanwhile."""
    form = form_of(claim.kind)
    trace, key, first = connection.write(lambda tx: _begin(tx, claim, form, table))

    def write(some: list[Any], begin: int) -> None:
        values = {
            "key": key, "owner": claim.owner, "begin": begin, "end": begin + len(some), "first": first + begin,
            "rows": some,
        }  # fmt: skip
        # A transaction that is repeated, although it was committed, finds its rows written.
        # The lock comes first: what was matched before it may have been changed by who held it.
        guard = (
            "MATCH (a:Artefact {key: $key}) SET a.taken = true WITH count(*) AS locked "
            "MATCH (a:Artefact {key: $key, owner: $owner, written: $begin}) SET a.written = $end WITH a"
        )
        connection.write(lambda tx: rows_of(tx, f"{guard} {form.WRITE}", values))

    with lease.Lease(connection, "Artefact", key, claim.owner):
        rows, begin = iter(form.rows(connection, trace, table)), 0
        while some := list(islice(rows, ROWS)):
            write(some, begin)
            begin += len(some)
    replaced = connection.write(lambda tx: _finish(tx, claim, form, trace, key))
    for gone in [key] if replaced is None else replaced:
        delete(connection, gone)
    return replaced is not None


def _begin(tx: Transaction, claim: _Claim, form: Form, table: pa.Table) -> tuple[int, int, int]:
    """Numbers of the trace's load, of a new artefact's node and of its first row."""
    catalogue.lock(tx)
    trace = catalogue.required(tx, claim.trace_id)
    if claim.revision is not None and claim.revision != trace.revision:
        raise revision_differs(claim.trace_id, trace.revision, claim.revision)
    base = key_base(trace.key)
    properties = form.properties(table) | {
        "kind": claim.kind,
        "name": claim.name,
        "created": now(),
        "rows": len(table),
        "bytes": table.nbytes,
        "schema": base64.b64encode(table.schema.serialize()).decode(),
        "state": "loading",
        "owner": claim.owner,
        "written": 0,
    }
    found = rows_of(
        tx,
        """MATCH (t:Trace {key: $trace})
        SET t.artefacts = coalesce(t.artefacts, 0) + 1, t.artefactRows = coalesce(t.artefactRows, 0) + $rows
        WITH t, $base + t.artefacts AS key, $base + t.artefactRows - $rows AS first
        CREATE (a:Artefact {key: key, firstRow: first, seen: timestamp()})-[:OF]->(t) SET a += $properties
        RETURN key, first""",
        {"trace": trace.key, "base": base, "rows": len(table), "properties": properties},
    )
    key, first = found[0]
    if first + len(table) > base + (1 << KEY_BITS):
        raise StoreFull(f"trace {claim.trace_id[:12]}: found {first - base} rows of artefacts, expected less than 2³¹")
    form.join(tx, key, table)
    return trace.key, key, first


def _finish(tx: Transaction, claim: _Claim, form: Form, trace: int, key: int) -> list[int] | None:
    """Keys of the artefacts that this one replaces; None where the trace was replaced, or this one swept, meanwhile."""
    catalogue.lock(tx)
    found = rows_of(
        tx,
        f"""MATCH (a:Artefact {{key: $key}})-[:OF]->(t:Trace {{key: $trace, state: 'ready'}})
        WHERE a.owner = $owner OR a.state = 'ready'
        SET a.state = 'ready'{f", a{form.LABELS}" if form.LABELS else ""} REMOVE a.owner, a.seen, a.taken, a.written
        RETURN a.key""",
        {"key": key, "trace": trace, "owner": claim.owner},
    )
    if not found:
        return None
    replaced = rows_of(
        tx,
        f"""MATCH (a:Artefact {{kind: $kind, name: $name}})-[:OF]->(:Trace {{key: $trace}})
        WHERE a.key < $key AND a.state IN ['ready', 'deleting'] {_CONDEMN} RETURN a.key""",
        {"key": key, "trace": trace, "kind": claim.kind, "name": claim.name},
    )
    return [row[0] for row in replaced]


def remove(connection: Connection, trace_id: str, kind: str, name: str) -> bool:
    """Delete the table of that kind and name, and say whether there was one. Raises NotFound for the trace."""
    gone: set[int] = set()

    def condemn(tx: Transaction) -> None:
        catalogue.lock(tx)
        catalogue.required(tx, trace_id)
        # A transaction that is repeated, although it was committed, finds nothing more: what it found before counts.
        gone.update(key for (key,) in rows_of(
            tx, f"{_READY} WHERE a.kind = $kind AND a.name = $name {_CONDEMN} RETURN a.key",
            {"id": trace_id, "kind": kind, "name": name},
        ))  # fmt: skip

    connection.write(condemn)
    for key in gone:
        delete(connection, key)
    return bool(gone)


def leftovers(connection: Connection) -> list[int]:
    """Keys of artefacts that nobody will finish or see."""
    found = connection.rows(
        "MATCH (a:Artefact) WHERE a.state IN ['loading', 'deleting'] "
        "RETURN a.key, a.state, a.owner, timestamp() - a.seen"
    )
    return [key for key, state, owner, silent in found if state == "deleting" or not lease.is_alive(owner, silent)]


def delete(connection: Connection, key: int) -> None:
    """Delete an artefact that is in no reader's sight."""
    values = {"key": key}
    begin = f"MATCH (a:Artefact {{key: $key}}) WHERE a.state <> 'ready' {_CONDEMN}"
    own = "MATCH (a:Artefact {key: $key, state: 'deleting'})"
    connection.write(lambda tx: rows_of(tx, begin, values))
    for some in ("-[:HAS_ROW]->(r) WITH r LIMIT $most DETACH DELETE r", f"{OF_OPERATORS} WITH s LIMIT $most DELETE s"):
        delete_all(connection, f"{own}{some} RETURN count(*)", values, ROWS)
    connection.write(lambda tx: rows_of(tx, f"{own} DETACH DELETE a", values))
    artefact_simulations.delete_unused_hardware(connection)
