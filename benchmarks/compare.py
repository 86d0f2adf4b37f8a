"""Comparison of two traces, beside sums by name as tools without structure do it; and which names a known change first.

The peer groups both traces by name in pandas and subtracts counts and summed times, which is what TraceDiff of HTA
gives. It knows neither paths nor steps: its differences are of busy time over all ranks and do not add up to the step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from benchmarks.clock import seconds
from benchmarks.collection import folder
from benchmarks.questions import tiled
from etgraph.ingest import read, samples
from etgraph.model import Trace
from etgraph.queries import compare
from etgraph.queries.alignment import align
from etgraph.queries.comparison import Comparison
from etgraph.queries.subjects import Subject

OPERATORS = 100_000
WHATIF = {
    "extra_all_gather": "gloo:all_gather", "extra_barriers": "gloo:barrier", "late_rank": "aten::linear",
    "tiny_buckets": "gloo:all_reduce",
}  # fmt: skip
SERIES = "gloo:all_to_all"
RUNS = 6


def main() -> None:
    """Print both tables."""
    print("| traces | operators | etgraph, s | of it the alignment, s | by name in pandas, s |")
    print("|---|---:|---:|---:|---:|")
    for what, base, other in _pairs():
        whole, aligning, peer = (seconds(partial(ask, base, other), 3) for ask in (compare, align, by_name))
        print(f"| {what} | {len(base):,}, {len(other):,} | {whole:.2f} | {aligning:.2f} | {peer:.3f} |")
    runs = list(_known())
    if not runs:
        print("\nno collection with known changes: ETGRAPH_TRACES")
        return
    print("\n| runs | known change | named first of the changes | place by name in pandas |")
    print("|---|---|---|---|")
    for what, change, base, other in runs:
        result = compare(base, other)
        places = by_name(_rows(base), _rows(other)).index.tolist()
        first = result.structural[0]
        named = "yes" if first.key in (change, change.removeprefix("gloo:")) else f"no: {first.key}"
        print(f"| {what} | {change} | {named}, {_milliseconds(result)} ms | {places.index(change) + 1} |")


def by_name(base: Trace | pd.DataFrame, other: Trace | pd.DataFrame) -> pd.DataFrame:
    """Counts and summed times of both by name, the largest difference of times first."""
    sums = [
        (_frame(side) if isinstance(side, Trace) else side).groupby("name").agg(
            count=("duration_ns", "size"), ns=("duration_ns", "sum")
        )
        for side in (base, other)
    ]  # fmt: skip
    both = sums[0].join(sums[1], how="outer", lsuffix="_base", rsuffix="_other").fillna(0)
    order = (both["ns_other"] - both["ns_base"]).abs().sort_values(ascending=False).index
    return both.loc[order]


def _frame(trace: Trace) -> pd.DataFrame:
    o = trace.operators
    names = np.array(o.texts("name").to_pylist(), dtype=object)
    return pd.DataFrame({"name": names[o["name"]], "duration_ns": o["duration_ns"]})


def _rows(side: Trace | Subject) -> pd.DataFrame:
    """The operators of a trace, or of the steps of it that are meant."""
    if isinstance(side, Trace):
        return _frame(side)
    return _frame(side.trace.select_iterations(side.iterations or side.trace.iteration_indices))


def _pairs() -> Iterator[tuple[str, Trace, Trace]]:
    ddp, regressed = (read(samples.path(name)) for name in ("gpt_ddp", "gpt_ddp_regressed"))
    yield "gpt_ddp and gpt_ddp_regressed, on many ranks", _large(ddp, "1"), _large(regressed, "2")
    steps = _large(read(samples.path("gpt_ddp_5steps")), "3")
    start, duration = steps.operators["start_ns"], steps.operators["duration_ns"]
    yield "five steps and the same with other times", steps, steps.with_times(start, duration + 10, "slower")
    control, test = (folder() / "hta" / "trace_diff" / name for name in ("control", "test"))
    if control.exists():
        yield "control and test of HTA", read(control), read(test)


def _large(trace: Trace, digit: str) -> Trace:
    return replace(tiled(trace, OPERATORS), trace_id=digit * 64)


def _known() -> Iterator[tuple[str, str, Trace | Subject, Trace | Subject]]:
    """Pairs of runs or of steps that differ in one known change, and by noise."""
    recorded = folder() / "recorded"
    for variant, change in WHATIF.items():
        for path in sorted((recorded / "whatif").glob(f"{variant}_*")):
            trace = read(path)
            yield path.name, change, Subject(trace, (0, 2, 4, 6, 8)), Subject(trace, (1, 3, 5, 7, 9))
    if (recorded / "series").exists():
        base, slow = (
            [read(recorded / "series" / f"{kind}_{run}") for run in range(1, RUNS + 1)] for kind in ("base", "slow")
        )
        for i, one in enumerate(base, 1):
            for j, two in enumerate(slow, 1):
                yield f"base_{i}, slow_{j}", SERIES, one, two


def _milliseconds(result: Comparison) -> str:
    return f"{result.structural[0].contribution_ns / 1e6:+.1f} of {result.difference_ns / 1e6:+.1f}"


if __name__ == "__main__":
    main()
