"""Every trace of the collection published to Neo4j, loaded back and compared; then removed again."""

from __future__ import annotations

import time

from benchmarks.collection import folder
from benchmarks.neo4j import server
from benchmarks.traces import files
from etgraph.ingest import read
from etgraph.model import Trace
from etgraph.model.errors import EtgraphError
from etgraph.store import connect

MOST = 100_000
"""Operators of the largest trace that is published."""


def main() -> None:
    """Print each trace that came back different, and sums."""
    equal = refused = large = different = operators = 0
    begin = time.perf_counter()
    with server() as url, connect(url) as store:
        for file in files():
            try:
                trace = read(file)
            except EtgraphError:
                refused += 1
                continue
            if len(trace) > MOST:
                large += 1
                continue
            store.publish(trace)
            found = differences(store.load(trace.trace_id), trace)
            if found:
                different += 1
                print(f"{file.relative_to(folder())}: {', '.join(found)}", flush=True)
            else:
                equal += 1
                operators += len(trace)
            store.remove(trace.trace_id)
        left = store.verify()
    print(f"{equal} traces of {operators} operators came back equal, {different} did not; {left or 'no'} damage")
    print(f"{refused} files are no readable traces, {large} have more than {MOST} operators")
    print(f"{time.perf_counter() - begin:.0f} s")


def differences(found: Trace, expected: Trace) -> list[str]:
    """What is not the same in two traces: tables with their columns, metadata, attributes."""
    named = [
        f"{name}: {d}" for name, columns in expected.tables.items() for d in found.tables[name].differences(columns)
    ]
    if found.metadata != expected.metadata:
        named.append("metadata")
    rows = expected.operators["attrs"]
    if found.attributes.texts(rows) != expected.attributes.texts(rows):
        named.append("attributes")
    return named
