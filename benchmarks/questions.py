"""Every question on a trace of 100,000 operators: asked again, and for the first time by a new process from a store."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.clock import seconds
from etgraph.ingest import read, samples
from etgraph.model import Trace
from etgraph.model.errors import EtgraphError
from etgraph.queries.questions import QUESTIONS, question
from etgraph.store import connect

SAMPLE = "gpt_ddp_5steps"
OPERATORS = 100_000

_FIRST = """
import sys, time
start = time.perf_counter()
from etgraph.queries.questions import question
from etgraph.store import connect
with connect(sys.argv[1]) as store:
    trace = store.load(sys.argv[2])
    loaded = time.perf_counter()
    question(sys.argv[3])(trace)
    print(loaded - start, time.perf_counter() - loaded)
"""


def tiled(trace: Trace, operators: int) -> Trace:
    """The trace beside itself as other ranks, in groups of their own, up to at least so many operators."""
    copies = -(-operators // len(trace))
    return Trace.concat([_moved(trace, (max(trace.ranks) + 1) * copy) for copy in range(copies)])


def _moved(trace: Trace, ranks: int) -> Trace:
    tables: Mapping[str, Any] = {
        name: columns.replace({"rank": columns["rank"] + np.int32(ranks)})
        for name, columns in trace.tables.items()
        if "rank" in columns.filled
    }
    return replace(trace, **tables, metadata=replace(trace.metadata, sources=()), trace_id="")


def main() -> None:
    """Print the table: milliseconds of wall and processor time, and seconds of a new process."""
    trace = replace(tiled(read(samples.path(SAMPLE)), OPERATORS), trace_id="1" * 64)
    print(f"{len(trace):,} operators of {len(trace.ranks)} ranks, {len(trace.collectives)} collectives\n")
    print("| question | warm, ms | processor time, ms | first answer of a process, s | before it: start and load, s |")
    print("|---|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store"
        with connect(str(path)) as store:
            trace_id = store.publish(trace)
        for name in QUESTIONS:
            ask = partial(question(name), trace)
            try:
                ask()
            except EtgraphError as error:
                print(f"| {name} | {error.message} | | | |")
                continue
            warm = seconds(ask, 5)
            processor = seconds(ask, 5, time.process_time)
            loaded, first = _first(path, trace_id, name)
            print(f"| {name} | {warm * 1e3:.0f} | {processor * 1e3:.0f} | {first:.2f} | {loaded:.2f} |")


def _first(path: Path, trace_id: str, name: str) -> tuple[float, float]:
    """Seconds that a new process takes to start and load the trace, and to answer."""
    command = [sys.executable, "-c", _FIRST, str(path), trace_id, name]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    loaded, first = map(float, out.split())
    return loaded, first


if __name__ == "__main__":
    main()
