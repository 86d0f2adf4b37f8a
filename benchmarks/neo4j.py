"""Publishing to Neo4j and loading back, beside a plain loader and a plain reader of the same graph in the same run."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.clock import seconds
from benchmarks.store import synthetic_trace
from etgraph.model import DEPENDENCIES, DependencyKind, Trace
from etgraph.model.property_graph import NODES, encode, filled
from etgraph.store import connect
from etgraph.store.neo4j_server import process
from etgraph.store.neo4j_server import server as neo4j_server
from etgraph.store.neo4j_server.state import read_password

OPERATORS = 100_000
BATCH = 10_000
SIZES = (50_000, 200_000)
"""Operators of the traces whose loaders' memory is compared."""

_MEMORY = """
import sys
from pathlib import Path
from benchmarks.store import synthetic_trace
from etgraph.store import connect

def resident(line):
    return int(Path("/proc/self/status").read_text().split(line + ":")[1].split()[0]) * 1024

store = connect(sys.argv[1])
trace = synthetic_trace(20_000, revision=8)
store.publish(trace)
store.remove(trace.trace_id)
trace = synthetic_trace(int(sys.argv[2]), revision=9)
before = resident("VmRSS")
Path("/proc/self/clear_refs").write_text("5")
store.publish(trace)
print(resident("VmHWM") - before, sum(columns.nbytes for columns in trace.tables.values()))
store.remove(trace.trace_id)
"""
"""Growth of a process' peak while it publishes a trace that it holds already, having published a smaller one before."""


def main() -> None:
    """Print microseconds an operator, how many times longer the plain ways take, and the loader's memory."""
    trace = synthetic_trace(OPERATORS)
    with server() as url, connect(url) as store:
        store.publish(synthetic_trace(20_000, revision=7))
        with _driver(url) as driver:
            plain_write = seconds(lambda: _publish_plainly(driver, trace), repeats=1)
            _remove_plainly(driver)
            begin = time.perf_counter()
            store.publish(trace)
            write = time.perf_counter() - begin
            read = seconds(lambda: store.load(trace.trace_id), repeats=2)
            plain_read = seconds(lambda: _read_plainly(driver, trace.trace_id), repeats=1)
        remove = seconds(lambda: store.remove(trace.trace_id), repeats=1)
        peaks = [_peak(url, size) for size in SIZES]
    print(f"Neo4j: {len(trace)} operators, {len(trace.dependencies)} dependencies; µs an operator")
    for title, ours, plain in (("publish", write, plain_write), ("load", read, plain_read)):
        each = 1e6 / len(trace)
        print(f"{title:10}{ours * each:8.1f}   plain {plain * each:8.1f}   {plain / ours:5.1f} ×")
    print(f"{'remove':10}{remove * 1e6 / len(trace):8.1f}")
    for size, (peak, held) in zip(SIZES, peaks, strict=True):
        print(
            f"publishing {size} operators: the peak grows by {peak / 1e6:.0f} MB; the trace holds {held / 1e6:.0f} MB"
        )
    print("targets: publish ≥ 6 × faster, load ≥ 5 ×; the loader's memory does not grow with the trace")


@contextmanager
def server() -> Iterator[str]:
    """The server that `ETGRAPH_NEO4J_URI` names, or one of our own for this run."""
    if url := os.environ.get("ETGRAPH_NEO4J_URI"):
        yield url
        return
    with tempfile.TemporaryDirectory(prefix="etgraph-neo4j-") as name:
        folder = Path(name)
        ports = {"port": process.free_port(), "http_port": process.free_port()}
        found = neo4j_server.start("5.26", memory="2g", folder=folder, **ports)
        os.environ["ETGRAPH_NEO4J_PASSWORD"] = read_password(folder) or ""
        try:
            yield str(found.uri)
        finally:
            neo4j_server.stop(folder)
            del os.environ["ETGRAPH_NEO4J_PASSWORD"]


def _driver(url: str) -> Any:
    import neo4j

    user, password = os.environ.get("ETGRAPH_NEO4J_USER", "neo4j"), os.environ["ETGRAPH_NEO4J_PASSWORD"]
    return neo4j.GraphDatabase.driver(url, auth=(user, password))


def _publish_plainly(driver: Any, trace: Trace) -> None:
    """The same nodes, properties and relationships as every tutorial loads them: maps, then both ends by their keys."""
    with driver.session() as session:
        session.run("CREATE CONSTRAINT plain IF NOT EXISTS FOR (n:Plain) REQUIRE n.key IS UNIQUE").consume()
        session.run("CREATE CONSTRAINT rank IF NOT EXISTS FOR (n:PlainRank) REQUIRE n.rank IS UNIQUE").consume()
        for rank in trace.ranks:
            session.run("CREATE (:PlainRank {rank: $rank})", rank=rank).consume()
        for name, label in (("lanes", "PlainLane"), ("iterations", "PlainIteration")):
            session.run(f"CREATE CONSTRAINT {label} IF NOT EXISTS FOR (n:{label}) REQUIRE n.key IS UNIQUE").consume()
            _create(session, label, _rows_of(trace, name))
        _create(session, "Plain", _rows_of(trace, "operators"))
        o = trace.operators
        for relationship, label, key, targets in (
            ("RAN", "PlainRank", "rank", o["rank"]), ("ON_LANE", "PlainLane", "key", o["lane"]),
            ("IN_ITERATION", "PlainIteration", "key", o["iteration"]),
        ):  # fmt: skip
            rows = [{"a": at, "b": target} for at, target in enumerate(targets.tolist()) if target >= 0]
            text = f"UNWIND $rows AS r MATCH (a:Plain {{key: r.a}}) MATCH (b:{label} {{{key}: r.b}}) "
            _run(session, f"{text} CREATE (a)-[:{relationship}]->(b)", rows)
        d = trace.dependencies
        methods = d.texts("method").to_pylist()
        for kind in sorted(set(d["kind"].tolist())):
            of_kind = d["kind"] == kind
            columns = [d[c][of_kind].tolist() for c in ("src", "dst", "method", "inferred", "confidence")]
            rows = [
                {"src": s, "dst": t, "method": methods[m], "inferred": i, "confidence": c}
                for s, t, m, i, c in zip(*columns)
            ]
            relationship = DEPENDENCIES[DependencyKind(kind)].neo4j
            _run(
                session,
                "UNWIND $rows AS r MATCH (a:Plain {key: r.src}) MATCH (b:Plain {key: r.dst}) "
                f"CREATE (a)-[:{relationship} "
                "{method: r.method, inferred: r.inferred, confidence: r.confidence}]->(b)",
                rows,
            )


def _rows_of(trace: Trace, table: str) -> list[dict[str, Any]]:
    columns = trace.tables[table]
    properties = filled(columns, NODES[table].properties)
    values = [encode(columns, column, slice(None)).spelled() for column in properties]
    names = [column.neo4j for column in properties]
    return [{"key": at, **dict(zip(names, cells))} for at, cells in enumerate(zip(*values))]


def _create(session: Any, label: str, rows: list[dict[str, Any]]) -> None:
    _run(session, f"UNWIND $rows AS r CREATE (n:{label}) SET n = r", rows)


def _run(session: Any, text: str, rows: list[dict[str, Any]]) -> None:
    for begin in range(0, len(rows), BATCH):
        some = rows[begin : begin + BATCH]
        session.execute_write(lambda tx, some=some: tx.run(text, rows=some).consume())


def _remove_plainly(driver: Any) -> None:
    with driver.session() as session:
        for label in ("Plain", "PlainRank", "PlainLane", "PlainIteration"):
            text = f"MATCH (n:{label}) CALL (n) {{ DETACH DELETE n }} IN TRANSACTIONS OF 10000 ROWS"
            session.run(text).consume()


def _read_plainly(driver: Any, trace_id: str) -> tuple[list[Any], list[Any]]:
    """Operators and dependencies record by record."""
    with driver.session() as session:
        own = "MATCH (:Trace {id: $id})-[:HAS_RANK]->()-[:RAN]->(o:Operator)"
        operators = [dict(record["o"]) for record in session.run(f"{own} RETURN o", id=trace_id)]
        kinds = "|".join(d.neo4j for k, d in DEPENDENCIES.items() if k != DependencyKind.COLLECTIVE)
        text = f"{own}-[r:{kinds}]->(p:Operator) RETURN o.key, p.key, type(r), properties(r)"
        return operators, [record.values() for record in session.run(text, id=trace_id)]


def _peak(url: str, operators: int) -> tuple[int, int]:
    command = [sys.executable, "-c", _MEMORY, url, str(operators)]
    # With an arena for each thread the C library keeps some 60 bytes an operator of what was given back to it.
    environment = {**os.environ, "MALLOC_ARENA_MAX": "1"}
    out = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    peak, held = map(int, out.split())
    return peak, held


if __name__ == "__main__":
    main()
