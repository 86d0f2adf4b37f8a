"""Start-up: the command line's help, and what the kernels cost a machine that never compiled them."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time

_FIRST = """
import time
start = time.perf_counter()
import numpy as np
from benchmarks.path import synthetic
from etgraph.queries import critical_path
imported = time.perf_counter()
trace = synthetic(200_000)
critical_path(trace)
trace.validate()
print(imported - start, time.perf_counter() - imported)
"""


def main() -> None:
    """Print both tables."""
    command = [sys.executable, "-m", "etgraph.cli", "--help"]
    subprocess.run(command, capture_output=True, check=True)
    times = []
    for _ in range(10):
        start = time.perf_counter()
        subprocess.run(command, capture_output=True, check=True)
        times.append(time.perf_counter() - start)
    python = []
    for _ in range(10):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", "pass"], check=True)
        python.append(time.perf_counter() - start)
    fastest, bare = sorted(times)[len(times) // 2], sorted(python)[len(python) // 2]
    print(f"etgraph --help   {fastest:.3f} s (median of 10; Python itself {bare:.3f} s)")
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
        for label in ("empty cache", "warm cache"):
            out = subprocess.run(
                [sys.executable, "-c", _FIRST], capture_output=True, text=True, check=True, env=environment
            )
            imported, ran = map(float, out.stdout.split())
            print(f"all kernels on 200,000 operators, {label:12} {ran:6.2f} s after imports of {imported:.2f} s")
