"""Share of the computation time whose flops and bytes are known, by file, and what it takes to estimate them."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

from benchmarks.clock import seconds
from benchmarks.collection import folder, large_kineto_files
from benchmarks.traces import files
from etgraph.ingest import pipeline, read
from etgraph.ingest.draft import Draft
from etgraph.ingest.work import coverage, estimate
from etgraph.model import Trace
from etgraph.model.errors import EtgraphError

LEFT = 3


def estimated(file: Path) -> Trace:
    """A trace with the work of its operators."""
    finish = pipeline.passes
    with patch.object(pipeline, "passes", lambda *args: (*finish(*args), estimate)):
        return read(file)


def main() -> None:
    """Print one row a file with a base in Markdown, then the time an operator takes in the largest files."""
    print("| file | on | computation ms | of it under dims | of that covered | largest parts that are not |")
    print("|---|---|---:|---:|---:|---|")
    without = []
    for file in files():
        name = str(file.relative_to(folder()))
        try:
            found = coverage(estimated(file))
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
    print("\n| file | operators | µs an operator |")
    print("|---|---:|---:|")
    for file in large_kineto_files():
        draft = Draft(read(file))
        taken = seconds(lambda draft=draft: estimate(draft))  # type: ignore[misc]
        print(f"| {file.relative_to(folder())} | {len(draft.trace):,} | {taken / len(draft.trace) * 1e6:.2f} |")
