"""Files into a finished rank, beside what other tools do with the same files, each in a process of its own.

etgraph reads, links host and device file, and infers; HTA loads the device file into a data frame; the linker of
`mlc-chakra` writes a linked file. Both are installed into an environment in the user's cache.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.collection import events_of, large_kineto_files, repeated, repeated_nodes
from benchmarks.linking import pair
from benchmarks.peers import PACKAGES, Cost, cached, cost
from etgraph.ingest import samples

TIMES = (1, 6, 24)
"""How many times over the recorded pair is read."""
READ = """
import pyarrow
from etgraph.ingest import read
from etgraph.model import kernels

usual, kernels.COMPILE_FROM = kernels.COMPILE_FROM, 0

def work(path, *_):
    trace = read(path, workers=1)
    kernels.COMPILE_FROM = usual
    return trace
"""
"""The first, small input loads all compiled kernels."""
LOADED = """
import logging
from hta.common.trace import Trace
logging.disable(logging.CRITICAL)

def work(_, device, *__):
    trace = Trace(trace_files={0: device}, trace_dir="")
    trace.load_traces(use_multiprocessing=False, use_memory_profiling=False)
    return trace
"""
LINKED = """
import logging, os
from chakra.src.trace_link.trace_linker import TraceLinker
logging.disable(logging.CRITICAL)

def work(_, device, host):
    TraceLinker().link(0, host, device, os.devnull)
"""


@dataclass(frozen=True, slots=True)
class Rank:
    """Files of a rank: where they lie, the device file, the host file if there is one; how many events and nodes."""

    title: str
    path: Path
    device: Path
    host: Path | None
    events: int

    def given(self) -> tuple[Path, ...]:
        """What a piece of work is told."""
        return (self.path, self.device) if self.host is None else (self.path, self.device, self.host)


def main() -> None:
    """Print one row a rank."""
    try:
        peer: Path | None = cached()
        print(f"beside {' and '.join(PACKAGES)}; processor time, and memory at the peak")
    except (subprocess.CalledProcessError, OSError) as error:
        peer = None
        print(f"{' and '.join(PACKAGES)} cannot be installed: {getattr(error, 'stderr', '') or error}")
    head = f"{'files':38} {'events, nodes':>13} {'µs each':>8} {'etgraph':>16} {'HTA, device file':>17} {'ratio':>13}"
    print(f"\n{head}  mlc-chakra's linker")
    reasons: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small = _copied(folder / "small", *_small_pair(), 1)
        for file in large_kineto_files():
            _row(Rank(file.name, file, file, None, events_of(file)), small, peer, reasons)
        for times in TIMES:
            _row(_copied(folder / f"pair{times}", *pair(), times), small, peer, reasons)
    for number, reason in enumerate(reasons, start=1):
        print(f"[{number}] does not run: {reason}")


def _small_pair() -> tuple[Path, Path]:
    folder = samples.path("dlrm_alltoall")
    return folder / "et_rank0.json.gz", folder / "kineto_rank0.json.gz"


def _copied(folder: Path, host: Path, device: Path, times: int) -> Rank:
    """A folder with both files of a rank, several times over."""
    folder.mkdir()
    ours, theirs = folder / "et_rank0.json", folder / "kineto_rank0.json"
    events = repeated(device, times, theirs) + repeated_nodes(host, times, ours)
    return Rank(f"{host.parent.name}, host and device, × {times}", folder, theirs, ours, events)


def _row(rank: Rank, small: Rank, peer: Path | None, reasons: list[str]) -> None:
    ours = cost(sys.executable, READ, small.given(), rank.given())
    line = f"{rank.title[:38]:38} {rank.events:13,} {ours.seconds / rank.events * 1e6:8.2f} {_shown(ours):>16}"
    if peer is not None:
        line += _beside(peer, LOADED, small, rank, ours, reasons)
        line += _beside(peer, LINKED, small, rank, ours, reasons) if rank.host is not None else ""
    print(line, flush=True)


def _beside(peer: Path, prepare: str, small: Rank, rank: Rank, ours: Cost, reasons: list[str]) -> str:
    """What it costs another tool, and how many times ours; or the number of the reason why it does not run."""
    try:
        theirs = cost(peer, prepare, small.given(), rank.given())
    except RuntimeError as error:
        if str(error) not in reasons:
            reasons.append(str(error))
        return f"  {f'[{reasons.index(str(error)) + 1}]':>16}"
    return f"  {_shown(theirs):>16} {theirs.seconds / ours.seconds:5.1f}x {theirs.bytes / max(ours.bytes, 1):5.1f}x"


def _shown(found: Cost) -> str:
    return f"{found.seconds:.2f} s {found.bytes / 1e6:.0f} MB"
