"""Deleting a trace's graph: first out of readers' sight, then its loaders, then its nodes in batches."""

from __future__ import annotations

from typing import Final

from etgraph.model.property_graph import NODES
from etgraph.store.neo4j import catalogue
from etgraph.store.neo4j.artefacts import simulations
from etgraph.store.neo4j.artefacts import tables as artefacts
from etgraph.store.neo4j.connection import Connection, rows_of
from etgraph.store.neo4j.types import Transaction
from etgraph.store.neo4j.writing import lease
from etgraph.store.neo4j.writing.batched import delete_all
from etgraph.store.neo4j.writing.batches import key_base
from etgraph.store.neo4j.writing.loading import discard

BATCH: Final = 5_000
"""Nodes of a transaction; each takes its relationships with it."""

# Operators first: they hold most relationships, so that the nodes that they lean on have few left when they go. Rows of
# artefacts again after the artefacts: until these are gone, somebody may write more.
_LABELS: Final = ("ArtefactRow", "Artefact", "ArtefactRow", "Operator",
                  *(t.label for name, t in NODES.items() if name != "operators"), "Rank", "Source")  # fmt: skip
RESUMABLE_SECONDS: Final = 3600.0
"""How long what a dead loader left waits to be taken up again, before other publishers delete it unasked."""


def leftovers(connection: Connection, silent_seconds: float = 0) -> list[tuple[int, str]]:
    """Keys and ids of traces that nobody sees: what was begun to be deleted, and of loaders dead for so long."""
    found = connection.rows(
        "MATCH (t:Trace) WHERE t.state IN ['loading', 'deleting'] "
        "RETURN t.key, t.id, t.state, t.owner, timestamp() - t.seen"
    )
    return [
        (key, trace_id)
        for key, trace_id, state, owner, silent in found
        if state == "deleting" or (silent >= silent_seconds * 1000 and not lease.is_alive(owner, silent))
    ]


def sweep(connection: Connection, silent_seconds: float = 0) -> list[str]:
    """Delete the left-overs, those of loaders dead for so long, tables beside traces included; returns their names."""
    found = leftovers(connection, silent_seconds)
    gone = [f"{trace_id[:12]} (load {key})" for key, trace_id in found if delete(connection, key)]
    for key in artefacts.leftovers(connection):
        artefacts.delete(connection, key)
        gone.append(f"artefact {key}")
    simulations.delete_unused_hardware(connection)
    return gone


def delete(connection: Connection, key: int) -> bool:
    """Delete a trace's nodes, unless a live loader has it or readers see it. Whether anything was there to delete.

    Several may delete one trace at once.
    """
    if not connection.write(lambda tx: _condemn(tx, key)):
        return False
    bounds = {"first": key_base(key), "last": key_base(key + 1)}
    own = f"(n:Artefact){artefacts.OF_OPERATORS} WHERE n.key >= $first AND n.key < $last"
    delete_all(connection, f"MATCH {own} WITH s LIMIT $most DELETE s RETURN count(*)", bounds, BATCH)
    for label in _LABELS:
        some = f"MATCH (n:{label}) WHERE n.key >= $first AND n.key < $last WITH n LIMIT $most DETACH DELETE n"
        delete_all(connection, f"{some} RETURN count(*)", bounds, BATCH)
    connection.write(lambda tx: rows_of(tx, "MATCH (t:Trace {key: $key}) DETACH DELETE t", {"key": key}))
    simulations.delete_unused_hardware(connection)
    return True


def _condemn(tx: Transaction, key: int) -> bool:
    """Whether the trace is to be deleted now; its loaders are gone then, and with them all that could write to it."""
    catalogue.lock(tx)
    found = rows_of(tx, "MATCH (t:Trace {key: $key}) RETURN t.state, t.owner, timestamp() - t.seen", {"key": key})
    if not found:
        return False
    state, owner, silent = found[0]
    if state == "ready" or (state == "loading" and lease.is_alive(owner, silent)):
        return False
    discard(tx, key)
    tx.run("MATCH (l:Loader)-[:FILLS]->(:Trace {key: $key}) DETACH DELETE l", {"key": key}).consume()
    return True
