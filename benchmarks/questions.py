"""Every question of the table on traces of 100 000 operators or more: warm, and cold from the local store."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.clock import seconds
from benchmarks.collection import folder, large_kineto_files, repeated
from etgraph.ingest import read
from etgraph.model import Trace
from etgraph.model.errors import MissingData
from etgraph.queries.questions import QUESTIONS
from etgraph.store import connect

OPERATORS = 100_000
WITH_MEMORY = "kineto_tb/resnet50_num_workers_0/worker0.1623143089861.pt.trace.json.gz"
_COLD = """
import sys, time
start = time.perf_counter()
from etgraph.queries.questions import question
from etgraph.store import connect
with connect(sys.argv[1]) as store:
    question(sys.argv[2])(store.load(sys.argv[3]))
print(time.perf_counter() - start, time.process_time())
"""


def main() -> None:
    """Print a row for each question, on the first of the traces that it has an answer for."""
    with tempfile.TemporaryDirectory() as place, connect(f"{place}/store") as store:
        traces = [(name, trace, store.publish(trace)) for name, trace in _traces(Path(place))]
        loaded = [(name, store.load(trace_id), trace_id) for name, _, trace_id in traces]
        print("| question | trace | operators | warm, s | processor, s | cold, s | processor, s |")
        print("|---|---|---:|---:|---:|---:|---:|")
        for question in QUESTIONS:
            print(f"| {question} | {_row(question, loaded, f'{place}/store')} |", flush=True)
    print("\ncold: from the first import in a new process to the answer; compiled kernels come from numba's cache;")
    print("its processor time is that of the whole process")


def _row(question: str, traces: list[tuple[str, Trace, str]], store: str) -> str:
    for name, trace, trace_id in traces:

        def ask(trace: Trace = trace) -> Any:
            return QUESTIONS[question](trace)

        try:
            ask()
        except MissingData:
            continue
        warm, spent = seconds(ask, 5), seconds(ask, 5, time.process_time)
        command = [sys.executable, "-c", _COLD, store, question, trace_id]
        runs = [subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() for _ in range(3)]
        cold, used = (min(map(float, times)) for times in zip(*runs))
        return f"{name} | {len(trace):,} | {warm:.3f} | {spent:.3f} | {cold:.2f} | {used:.2f}"
    return "no trace at hand has what it needs | | | | |"


def _traces(place: Path) -> Iterator[tuple[str, Trace]]:
    """Files of the collection, or of the samples, repeated until they have so many operators."""
    files = [folder() / WITH_MEMORY, *large_kineto_files()]
    for number, file in enumerate(dict.fromkeys(file for file in files if file.exists())):
        once = len(read(file))
        target = place / f"{number}.json"
        repeated(file, -(-OPERATORS // once), target)
        yield file.parent.name, read(target)
