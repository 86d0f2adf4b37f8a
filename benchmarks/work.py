"""Share of the computation time whose flops and bytes are known, by file, and what it takes to estimate them."""

from __future__ import annotations

import time
from itertools import takewhile
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.collection import folder, large_kineto_files, repeated
from benchmarks.traces import files
from etgraph.ingest import read
from etgraph.ingest.draft import Draft
from etgraph.ingest.reading import Options, passes_of_a_rank, read_file
from etgraph.ingest.source import SourceFile
from etgraph.ingest.work import coverage, estimate
from etgraph.model.errors import EtgraphError
from etgraph.model.tensors import inputs_of

LEFT, TIMES, REPEATS = 3, 5, 3


def main() -> None:
    """Print one row a file with a base in Markdown, then the time an operator takes in the largest files."""
    print("| file | on | computation ms | of it under dims | of that covered | largest parts that are not |")
    print("|---|---|---:|---:|---:|---|")
    without = []
    for file in files():
        name = str(file.relative_to(folder()))
        try:
            found = coverage(read(file))
        except EtgraphError:
            continue
        if found.share is None:
            without.append(name)
            continue
        parts = [(n, ns / found.base_ns) for n, ns in found.uncovered[:LEFT]]
        left = ", ".join(f"`{n}` {share:.1%}" for n, share in parts if share >= 0.001)
        where = "device" if found.on_device else "host"
        print(
            f"| {name} | {where} | {found.total_ns / 1e6:.3f} | {found.base_ns / found.total_ns:.1%} "
            f"| {found.share:.1%} | {left} |"
        )
    print(f"\n{len(without)} files have no computation time under operators with recorded dims")
    print("\n| file | operators | µs of processor time an operator |")
    print("|---|---:|---:|")
    largest = large_kineto_files()
    for file in largest:
        _time(file, str(file.relative_to(folder())))
    with TemporaryDirectory() as place:
        longer = Path(place) / "repeated.json"
        repeated(largest[0], TIMES, longer)
        _time(longer, f"the first, {TIMES} times over")


def _time(file: Path, name: str) -> None:
    """One row: the fastest of several estimates, each from shapes that were not seen before."""
    draft = _without_estimates(file)
    taken = float("inf")
    for _ in range(REPEATS):
        inputs_of.cache_clear()
        start = time.process_time()
        estimate(draft)
        taken = min(taken, time.process_time() - start)
    print(f"| {name} | {len(draft.trace):,} | {taken / len(draft.trace) * 1e6:.2f} |")


def _without_estimates(file: Path) -> Draft:
    """The draft of a file as it is when its work is estimated."""
    draft = read_file(SourceFile(file), Options())
    for step in takewhile(lambda step: step is not estimate, passes_of_a_rank(draft)):
        draft = step(draft)
    return draft
