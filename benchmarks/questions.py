"""Every question on traces of 100 000 operators and more: warm in this process, cold in another one from a local store.

Processor time, since other programs run beside; cold, with the imports and the loading of the trace and the kernels.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.clock import seconds
from benchmarks.collection import large_kineto_files, repeated
from etgraph.ingest import read, samples, trace_files
from etgraph.model import Trace
from etgraph.model.errors import EtgraphError
from etgraph.queries.questions import QUESTIONS
from etgraph.store import connect

OPERATORS = 100_000
TIMES = 3
"""As often the sample's five steps of two ranks have 100 000 operators."""
COLD = """
import sys, time
from etgraph.queries.questions import QUESTIONS
from etgraph.store import connect
with connect(sys.argv[1]) as store:
    QUESTIONS[sys.argv[3]](store.load(sys.argv[2]))
print(time.process_time())
"""


def main() -> None:
    """Print one row a question for each trace."""
    with tempfile.TemporaryDirectory() as folder:
        for name, trace in _traces(Path(folder)).items():
            store = f"{folder}/store"
            with connect(store) as opened:
                identity = opened.publish(trace, workload="benchmark")
            ranks, operators = len(trace.ranks), len(trace)
            print(f"{name}: {operators:,} operators, {ranks} rank{'s' * (ranks > 1)}\n")
            print("| question | warm, ms | cold, s |\n|---|---:|---:|")
            for question in QUESTIONS:
                print(f"| {question} | {_warm(trace, question)} | {_cold(store, identity, question)} |", flush=True)
            print()


def _traces(folder: Path) -> dict[str, Trace]:
    """A sample and the largest file at hand, each repeated until it is long enough."""
    ranks = folder / "ranks"
    ranks.mkdir()
    for file in trace_files(samples.path("gpt_ddp_5steps")):
        if "kineto" in file.name:
            repeated(file, TIMES, ranks / file.name.removesuffix(".gz"))
    found = {f"gpt_ddp_5steps × {TIMES}, host only": read(ranks)}
    large = large_kineto_files()[0]
    once = read(large)
    times = -(-OPERATORS // len(once))
    repeated(large, times, folder / "large.json")
    return found | {f"{large.name} × {times}": read(folder / "large.json")}


def _warm(trace: Trace, question: str) -> str:
    try:
        QUESTIONS[question](trace)
        return f"{1e3 * seconds(lambda: QUESTIONS[question](trace), clock=time.process_time):.0f}"
    except EtgraphError as error:
        return error.code


def _cold(store: str, identity: str, question: str) -> str:
    command = [sys.executable, "-c", COLD, store, identity, question]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    return f"{float(run.stdout):.2f}" if run.returncode == 0 else "–"
