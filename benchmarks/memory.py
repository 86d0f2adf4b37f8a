"""Memory of a read in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_MEMORY = """
import sys
from pathlib import Path
import numba, pandas, pyarrow
from etgraph.ingest import read

def resident(line):
    return int(Path("/proc/self/status").read_text().split(line + ":")[1].split()[0]) * 1024

read(sys.argv[2])
before = resident("VmRSS")
trace = read(sys.argv[1])
print(resident("VmHWM") - before, len(trace), len(trace.dependencies))
print(trace.operators.nbytes, trace.dependencies.nbytes)
"""
"""Peak of a read in a process that has read a smaller file before, so that libraries and kernels are loaded (Linux)."""


def memory(file: Path, small: Path) -> tuple[int, int, int, int, int]:
    """Bytes of the peak, nodes, dependencies, bytes of the columns of both."""
    command = [sys.executable, "-c", _MEMORY, str(file), str(small)]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    peak, nodes, links, operators, dependencies = map(int, out.split())
    return peak, nodes, links, operators, dependencies
