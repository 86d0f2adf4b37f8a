"""What-ifs beside the truth: runs whose steps alternate between base and variant, predicted from the base steps alone.

The files are cut down to the base steps before they are read, so that nothing of the others can enter. A variant is a
function of a few lines. `ETGRAPH_WHATIF` names a folder of more runs: one each, its name a key of `CHANGES`, `_` and a
number, made by `benchmarks/whatif_training.py`.
"""

from __future__ import annotations

import gzip
import os
import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from benchmarks.collection import folder
from etgraph.ingest import read
from etgraph.model import CommType, Trace
from etgraph.model.columns import Array
from etgraph.sim import edits
from etgraph.sim.replay.plan import Plan
from etgraph.sim.what_if import Edit, RankStep, what_if
from etgraph.sim.what_if.buckets import COPIES_BACK, rebucket
from etgraph.sim.what_if.changes import collectives_after, first_of_each, last_of_each, work_after
from etgraph.sim.what_if.observed import Draw

MB = 1 << 20
_STEP = re.compile(r"ProfilerStep#(\d+)$")


def after_backward(plan: Plan, rank: str = "") -> Array:
    """The last operator of the backward pass in each iteration: the last gradient copied back from its bucket."""
    return last_of_each(plan.trace, edits.matching(plan.trace, COPIES_BACK + rank))


def before_forward(plan: Plan, rank: str = "") -> Array:
    """The operator before the forward pass in each iteration: the one that makes up the words."""
    return first_of_each(plan.trace, edits.matching(plan.trace, f"aten::randint{rank}"))


def linear(plan: Plan, rank: int, weight: str = "") -> Array:
    """Linear layers of a rank, of a weight of that shape."""
    o = plan.trace.operators
    rows = edits.matching(plan.trace, f"aten::linear@{rank}")
    return np.array([row for row in rows.tolist() if weight in (o.value("shapes", row) or "")], dtype=np.int64)


def _early(plan: Plan, draw: Draw) -> Plan:
    awaited = first_of_each(plan.trace, edits.matching(plan.trace, "aten::add_"))
    return collectives_after(plan, before_forward(plan), CommType.ALL_REDUCE, 4 * MB, 1, draw, awaited)


CHANGES: dict[str, Edit] = {
    "tiny_buckets": lambda plan, draw: rebucket(plan, int(0.02 * MB), draw),
    "extra_all_gather": lambda plan, draw: collectives_after(
        plan, after_backward(plan), CommType.ALL_GATHER, 2 * 2 * MB, 6, draw
    ),
    "late_rank": lambda plan, draw: work_after(plan, before_forward(plan, "@1"), linear(plan, 1), 24, draw),
    "extra_barriers": lambda plan, draw: collectives_after(plan, after_backward(plan), CommType.BARRIER, 0, 20, draw),
    "one_bucket": lambda plan, draw: rebucket(plan, 100 * MB, draw),
    "slower_rank": lambda plan, draw: work_after(
        plan, before_forward(plan, "@1"), linear(plan, 1, "[1024,256]"), 12, draw
    ),
    "early_all_reduce": _early,
    "small_all_reduces": lambda plan, draw: collectives_after(
        plan, after_backward(plan), CommType.ALL_REDUCE, 64 << 10, 10, draw
    ),
    "all_to_alls": lambda plan, draw: collectives_after(
        plan, after_backward(plan), CommType.ALL_TO_ALL, 4 * MB, 4, draw
    ),
    "host_work": lambda plan, draw: edits.insert(plan, after_backward(plan, "@0"), 15_000_000),
}
"""Each change as its run's description words it, by the beginning of the run's name."""


@dataclass(frozen=True, slots=True)
class Case:
    """A rank of a run: what was predicted, the variant's measured median, and its 90 % interval by bootstrap."""

    run: str
    predicted: RankStep
    truth_ns: int
    truth_low_ns: int
    truth_high_ns: int

    @property
    def error(self) -> float:
        """Predicted against measured, relative to the variant's step and signed."""
        return (self.predicted.predicted_ns - self.truth_ns) / self.truth_ns

    @property
    def naive_error(self) -> float:
        """The same of the answer that the change changes nothing."""
        return (self.predicted.measured_ns - self.truth_ns) / self.truth_ns

    @property
    def inside(self) -> bool:
        """Whether the truth is in the predicted interval."""
        return self.predicted.low_ns <= self.truth_ns <= self.predicted.high_ns


Document = dict[str, list[dict[str, Any]]]


def documents(run: Path) -> dict[str, Document]:
    """A run's files by their names, in the order of its ranks."""
    found = {}
    for file in sorted(run.glob("kineto*")):
        data = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        found[file.name.removesuffix(".gz")] = msgspec.json.decode(data)
    return found


def base_only(run: dict[str, Document], to: Path) -> Trace:
    """The trace of a run's base steps, from files that hold nothing else: those with an even number."""
    for name, document in run.items():
        windows = [
            (float(e["ts"]), float(e["ts"]) + float(e["dur"]))
            for e in document["traceEvents"]
            if (step := _STEP.match(e.get("name", ""))) and int(step[1]) % 2 == 0 and e.get("ph") == "X"
        ]
        kept = [
            e
            for e in document["traceEvents"]
            if e.get("ph") == "M" or any(a <= float(e.get("ts", -1)) <= b for a, b in windows)
        ]
        (to / name).write_bytes(msgspec.json.encode(document | {"traceEvents": kept}))
    return read(to)


def variant_steps(run: dict[str, Document]) -> dict[int, Array]:
    """The measured lengths in ns of a run's variant steps by rank: of those with an odd number."""
    found = {}
    for rank, document in enumerate(run.values()):
        events = [e for e in document["traceEvents"] if e.get("ph") == "X"]
        steps = [(int(m[1]), float(e["dur"])) for e in events if (m := _STEP.match(e["name"]))]
        found[rank] = np.array([dur * 1000 for number, dur in sorted(set(steps)) if number % 2])
    return found


def cases(run: Path, edit: Edit, *, draws: int = 100) -> list[Case]:
    """Each rank of a run, predicted from its base steps, beside the truth."""
    recorded = documents(run)
    with tempfile.TemporaryDirectory() as made:
        predicted = what_if(base_only(recorded, Path(made)), edit, draws=draws)
    random, truth, found = np.random.default_rng(0), variant_steps(recorded), []
    for step in predicted.ranks:
        ns = truth[step.rank or 0]
        again = np.median(ns[random.integers(0, len(ns), (4000, len(ns)))], axis=1)
        low, high = np.quantile(again, (0.05, 0.95))
        found.append(Case(run.name, step, round(float(np.median(ns))), round(low), round(high)))
    return found


def runs() -> list[Path]:
    """The recorded runs, and those of `ETGRAPH_WHATIF`."""
    more = os.environ.get("ETGRAPH_WHATIF")
    places = [folder() / "recorded" / "whatif", *([Path(more)] if more else [])]
    found = [run for place in places for run in sorted(place.iterdir()) if run.is_dir()]
    return [run for run in found if run.name.rpartition("_")[0] in CHANGES]


def main() -> None:
    """Print a row a run and rank in Markdown; times in ms, errors in % of the variant's step."""
    print("| run | rank | base | variant (its 90 % by bootstrap) | predicted (90 %) | error | no change | inside |")
    print("|---|---:|---:|---:|---:|---:|---:|---|")
    found: list[Case] = []
    for run in runs():
        found += cases(run, CHANGES[run.name.rpartition("_")[0]])
        for case in found[-2:]:
            _print(case)
    for name in CHANGES:
        _summarise(name, [c for c in found if c.run.rpartition("_")[0] == name])
    _summarise("all", found)


def _print(case: Case) -> None:
    p = case.predicted
    print(
        f"| `{case.run}` | {p.rank} | {_ms(p.measured_ns)} "
        f"| {_ms(case.truth_ns)} ({_ms(case.truth_low_ns)}–{_ms(case.truth_high_ns)}) "
        f"| {_ms(p.predicted_ns)} ({_ms(p.low_ns)}–{_ms(p.high_ns)}) "
        f"| {case.error:+.1%} | {case.naive_error:+.1%} | {'yes' if case.inside else 'no'} |",
        flush=True,
    )


def _ms(ns: int) -> str:
    return f"{ns / 1e6:.1f}"


def _summarise(name: str, of: Iterable[Case]) -> None:
    for rank in (0, 1):
        own = [c for c in of if c.predicted.rank == rank]
        if own:
            errors = np.abs([c.error for c in own])
            print(
                f"\n{name}, rank {rank}: mean |error| {errors.mean():.1%}, worst {errors.max():.1%}, within 5 %: "
                f"{np.count_nonzero(errors <= 0.05)} of {len(own)}, truth inside: "
                f"{sum(c.inside for c in own)} of {len(own)}, no change: "
                f"{np.abs([c.naive_error for c in own]).mean():.1%}"
            )
