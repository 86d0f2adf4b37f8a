"""What `doctor` and `verify` say of a database and of the traces in it."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from etgraph.model import Trace
from etgraph.model.errors import EtgraphError
from etgraph.store.neo4j import catalogue
from etgraph.store.neo4j.artefacts import tables as artefacts
from etgraph.store.neo4j.connection import Connection
from etgraph.store.neo4j.migrations import FORMAT, found_format, missing
from etgraph.store.neo4j.reading import read_trace
from etgraph.store.neo4j.types import Transaction
from etgraph.store.neo4j.writing import deleting
from etgraph.store.protocol import Check, Problem


def checks(connection: Connection) -> list[Check]:
    """What can be said of a database without reading traces."""
    found = connection.read(found_format)
    server = Check("server", True, f"{connection.url}: {connection.server}")
    if not found:
        return [server, Check("store", True, "nothing published yet")]
    ((count, size),) = connection.rows("MATCH (t:Trace {state: 'ready'}) RETURN count(*), coalesce(sum(t.bytes), 0)")
    lacking = missing(connection)
    stale = len(deleting.leftovers(connection)) + len(artefacts.leftovers(connection))
    loading = connection.rows("MATCH (t:Trace {state: 'loading'}) RETURN count(*)")[0][0]
    writable = _writable(connection)
    return [
        server,
        Check("store", True, f"{count} traces, {size} bytes as columns"),
        Check("writable", writable is None, writable or "yes"),
        Check("format", found == FORMAT, f"{found}" if found == FORMAT else f"{found}, and today's is {FORMAT}"),
        Check("constraints", not lacking, f"missing: {', '.join(lacking)}" if lacking else "all there"),
        Check("publishers", True, f"{loading} loading; {stale} left behind"),
    ]


def _writable(connection: Connection) -> str | None:
    """Why nothing can be written; None where it can. What is tried is undone."""

    class Undone(Exception):
        pass

    def attempt(tx: Transaction) -> None:
        catalogue.lock(tx)
        raise Undone

    try:
        connection.write(attempt)
    except Undone:
        return None
    except EtgraphError as error:
        return error.message
    return None


def verify(connection: Connection, trace_id: str) -> list[Problem]:
    """Faults of a trace's graph, and of the tables beside it."""
    while True:
        found = connection.rows(
            "MATCH (t:Trace {id: $id, state: 'ready'}) RETURN t.key, properties(t)", {"id": trace_id}
        )
        if not found:
            return []
        key, node = found[0]
        where = f"{connection.url}, trace {trace_id[:12]}"
        try:
            trace = read_trace(connection, key)
            if trace is None:
                continue
            faults = _faults(trace, node)
        except EtgraphError as error:
            faults = [error.message]
        return [Problem(trace_id, where, fault) for fault in [*faults, *_artefact_faults(connection, key)]]


def _faults(trace: Trace, node: dict[str, Any]) -> list[str]:
    """What is there less or more than when the trace was published, and what makes it no valid trace."""
    faults = []
    if len(trace) != node["operators"]:
        faults.append(f"found {len(trace)} operators, expected {node['operators']}")
    counts, expected = Counter(trace.dependency_counts), Counter(json.loads(node["dependencies"]))
    faults += [
        f"found {counts[kind]} dependencies {kind}, expected {expected[kind]}"
        for kind in sorted(counts | expected)
        if counts[kind] != expected[kind]
    ]
    try:
        trace.validate()
    except EtgraphError as error:
        faults.append(error.message)
    return faults


def _artefact_faults(connection: Connection, key: int) -> list[str]:
    listed = connection.rows(
        "MATCH (a:Artefact {state: 'ready'})-[:OF]->(:Trace {key: $key}) "
        "RETURN a.kind, a.name, a.key, a.firstRow, a.rows, a.schema",
        {"key": key},
    )
    faults = []
    for kind, name, *found in listed:
        try:
            artefacts.form_of(kind).read(connection, artefacts.artefact_of(*found))
        except EtgraphError as error:
            faults.append(f"{kind} {name}: {error.message}")
    return faults
