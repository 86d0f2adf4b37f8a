"""The peer: total time by name and rank on both sides, as a spreadsheet or a trace diff has it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from etgraph.alerts.runs import Run
from etgraph.model import Trace

ALARM: Final = 0.02
"""The peer says nothing of noise: it alarms where a name's total on a rank grew by this share of the step."""


@dataclass(frozen=True, slots=True)
class Grown:
    """A name on a rank, and by what share of the step its total time grew."""

    name: str
    rank: int
    share: float


def grown(runs: Sequence[Run], baseline: Sequence[Run], step_ns: float) -> list[Grown]:
    """Names on ranks whose mean total time grew, those by most first."""
    after, before = (_totals(side) for side in (runs, baseline))
    steps = max(len(runs[0].trace.iteration_indices), 1)
    more = {key: (after[key] - before.get(key, 0.0)) / steps / step_ns for key in after}
    return [Grown(name, rank, more[name, rank]) for name, rank in sorted(more, key=lambda key: -more[key])[:3]]


def _totals(side: Sequence[Run]) -> dict[tuple[str, int], float]:
    total: dict[tuple[str, int], float] = {}
    for run in side:
        for key, ns in _of_trace(run.trace).items():
            total[key] = total.get(key, 0.0) + ns / len(side)
    return total


def _of_trace(trace: Trace) -> dict[tuple[str, int], float]:
    o, names = trace.operators, trace.operators.texts("name").to_pylist()
    rows = np.flatnonzero(trace.timed & (o["name"] >= 0))
    rank, name = o["rank"][rows].astype(np.int64), o["name"][rows].astype(np.int64)
    total = np.bincount(rank * len(names) + name, o["duration_ns"][rows])
    return {(names[key % len(names)], key // len(names)): float(total[key]) for key in np.flatnonzero(total).tolist()}


__all__ = ["ALARM", "Grown", "grown"]
