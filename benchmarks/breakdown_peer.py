"""Breakdown beside Holistic Trace Analysis, in an environment that is made for it in the user's cache.

Needs a package registry and the collection. Processor time of the question alone, after reading; both tools give the
same four times of each rank, idle, computation, the rest and the whole, or the difference is printed.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from benchmarks.clock import seconds
from benchmarks.collection import folder
from benchmarks.peers import cached
from etgraph.ingest import read
from etgraph.model import TABLES, Columns, Trace
from etgraph.queries import breakdown
from etgraph.queries.breakdown import WindowBreakdown

TRACES = ("hta/trace_diff/control", "hta/trace_diff/test", "param/dlrm_kineto")
_ASK = """
import json, logging, sys, time, warnings
warnings.simplefilter("ignore")
logging.disable()
from hta.trace_analysis import TraceAnalysis
analysis = TraceAnalysis(trace_dir=sys.argv[1])
taken = []
for _ in range(3):
    start = time.process_time()
    parts = analysis.get_temporal_breakdown(visualize=False)
    analysis.get_comm_comp_overlap(visualize=False)
    taken.append(time.process_time() - start)
names = ("idle_time(us)", "compute_time(us)", "non_compute_time(us)", "kernel_time(us)")
print(json.dumps([min(taken), [[int(v) for v in row] for row in parts[["rank", *names]].values.tolist()]]))
"""


def main() -> None:
    """Print one row a trace."""
    with tempfile.TemporaryDirectory() as temporary:
        python = cached()
        print("| trace | operators | etgraph, ms | HTA, ms | times |\n|---|---:|---:|---:|---:|")
        for name in TRACES:
            files = Path(temporary) / name.replace("/", "-")
            shutil.copytree(folder() / name, files)
            _row(name, files, python)


def _row(name: str, files: Path, python: Path) -> None:
    run = subprocess.run([str(python), "-c", _ASK, str(files)], capture_output=True, text=True, check=True, cwd=files)
    theirs, expected = json.loads(run.stdout.splitlines()[-1])
    trace = _same_window(read(files))
    breakdown(trace, window="device")
    ours = seconds(lambda: breakdown(trace, window="device"), clock=time.process_time)
    print(f"| {name} | {len(trace):,} | {1e3 * ours:.1f} | {1e3 * theirs:.0f} | {theirs / ours:.0f} |", flush=True)
    found = [
        [w.rank, *(ns // 1000 for ns in (w.idle_ns, w.computation_ns, _rest(w), w.end_ns - w.start_ns))]
        for w in breakdown(trace, window="device").windows
    ]
    if found != expected:
        print(f"not the same: {found}, expected {expected}")


def _rest(window: WindowBreakdown) -> int:
    return window.exposed_communication_ns + window.exposed_memory_ns


def _same_window(trace: Trace) -> Trace:
    """The operators that the other tool looks at: of several steps, not the last one."""
    if len(trace.iteration_indices) > 1:
        trace = trace.select_iterations(trace.iteration_indices[:-1])
    return replace(trace, iterations=Columns.empty(TABLES["iterations"]))
