"""A check of traces of 100,000 operators by the rules that come with etgraph: from files, and from a store.

Reading is told apart: it is what `etgraph.ingest.read` takes for both traces in a process of its own, with its start.
Processes keep the bytecode of modules, as those of an installed package do, and that of kernels.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from etgraph.ingest import read, samples
from etgraph.model import Trace
from etgraph.store import connect

OPERATORS = 100_000
RUNS = 10
"""Runs of the longer baseline."""
ROUNDS = 3
_READ = "import sys; from etgraph.ingest import read; [len(read(path)) for path in sys.argv[1:]]"
_SPREAD: Final = 0.01
"""By how much runs of the baseline differ in speed: the standard deviation."""


def main() -> None:
    """Print the table: wall time, processor time and peak memory of processes, the best of several."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        base, other = (_large(sample, folder / sample) for sample in ("gpt_ddp", "gpt_ddp_regressed"))
        store = str(folder / "store")
        with connect(store) as opened:
            traces = read(base), read(other)
            for run in _runs(traces[0]):
                opened.publish(run, workload="gpt")
            opened.publish(traces[1], workload="gpt")
        sizes = " and ".join(f"{len(trace):,}" for trace in traces)
        print(f"{sizes} operators; every figure is of a new process, the best of {ROUNDS}\n")
        of_store = ("--store", store, "-q")
        steps: dict[str, list[str]] = {
            "start and read both": [sys.executable, "-c", _READ, str(base), str(other)],
            "check of files": _command("check", str(other), "--baseline", str(base), "-q"),
            "check from a store": _command("check", "gpt", "--baseline", "last:1", *of_store),
            f"the same with {RUNS} runs as baseline": _command("check", "gpt", "--baseline", f"last:{RUNS}", *of_store),
        }
        print("| | wall, s | processor, s | peak memory, MB |")
        print("|---|---:|---:|---:|")
        for what, command in steps.items():
            _spent(command, folder)  # what is compiled for the first time is kept
            wall, processor, memory = map(min, zip(*(_spent(command, folder) for _ in range(ROUNDS)), strict=True))
            print(f"| {what} | {wall:.2f} | {processor:.2f} | {memory:.0f} |")


def _runs(trace: Trace) -> list[Trace]:
    """Runs of the same program, some slower than others."""
    speeds = 1 + np.random.default_rng(0).normal(0, _SPREAD, RUNS)
    start, duration = trace.operators["start_ns"], trace.operators["duration_ns"]
    return [
        trace.with_times((start * speed).astype(np.int64), (duration * speed).astype(np.int64), "measured")
        for speed in speeds
    ]


def _large(sample: str, folder: Path) -> Path:
    """Kineto files of a sample's ranks, beside themselves as other ranks, of so many operators in all."""
    files = sorted(samples.path(sample).glob("kineto_rank*"))
    documents: list[dict[str, Any]] = [json.loads(gzip.decompress(file.read_bytes())) for file in files]
    copies = -(-OPERATORS // len(read(samples.path(sample))))
    folder.mkdir()
    world = len(documents) * copies
    for copy in range(copies):
        for place, document in enumerate(documents):
            rank = copy * len(documents) + place
            info = {**document.get("distributedInfo", {}), "rank": rank, "world_size": world}
            with gzip.open(folder / f"kineto_rank{rank}.json.gz", "wt", compresslevel=1) as file:
                json.dump({**document, "distributedInfo": _of_copy(info, copy * len(documents))}, file)
    return folder


def _of_copy(info: dict[str, Any], first: int) -> dict[str, Any]:
    """What a rank of a copy says of itself: groups of the copy's own ranks."""
    groups = [
        {**group, "ranks": [rank + first for rank in group.get("ranks", [])]} for group in info.get("pg_config", [])
    ]
    return {**info, "pg_config": groups}


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "etgraph.cli", *words]


def _spent(command: list[str], folder: Path) -> tuple[float, float, float]:
    """Seconds of wall time and of processor time that a process takes, and its peak memory in MB."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(folder / "bytecode")
    before = time.perf_counter()
    with tempfile.TemporaryFile() as told:
        process = subprocess.Popen(command, stdout=told, stderr=told, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - before
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in (0, 1):
            told.seek(0)
            raise RuntimeError(told.read().decode())
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


if __name__ == "__main__":
    main()
