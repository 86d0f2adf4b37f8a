"""What-if: a measured run with a change, as a distribution: the median step, and where that of another run would lie.

The run is replayed with the change many times, each time with other times drawn for what the change adds (`observed`).
Each step of the run becomes, in each replay, a step of the changed run: what it was measured to be, and by how much
the change moves it. So the noise of the steps stays in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from etgraph.model import Trace, Trust
from etgraph.model.columns import Array
from etgraph.model.errors import MissingData
from etgraph.model.results import Result
from etgraph.sim.engine import run
from etgraph.sim.engine.stuck import check_ended
from etgraph.sim.outcome import on_timeline, window_times
from etgraph.sim.replay.plan import Plan, program_of
from etgraph.sim.replay.replay import SIMULATOR, measured_plan
from etgraph.sim.simulation import WindowTimes
from etgraph.sim.what_if.buckets import awaited
from etgraph.sim.what_if.observed import Draw, observed

Edit = Callable[[Plan, Draw], Plan]
"""A change: from a plan, and times drawn for what is new, to a plan."""

DRAWS = 100
LEVEL = 0.9
RESAMPLES = 40
"""Sets of steps that are drawn from each replay."""


@dataclass(frozen=True, slots=True)
class RankStep:
    """The median step of a rank in ns: measured, replayed, predicted; the 90 % interval of that of as many others.

    `cost_low_ns` and `cost_high_ns` are the part of it that comes from what the change costs, without the steps' noise.
    """

    rank: int | None
    steps: int
    measured_ns: int
    replay_ns: int
    predicted_ns: int
    low_ns: int
    high_ns: int
    cost_low_ns: int
    cost_high_ns: int

    @property
    def change(self) -> float:
        """Predicted against measured, relative and signed."""
        return (self.predicted_ns - self.measured_ns) / self.measured_ns


@dataclass(frozen=True, slots=True)
class WhatIf(Result):
    """What a change makes of the median step of each rank; `draws` are the replays that it rests on."""

    ranks: tuple[RankStep, ...]
    draws: int
    trust: Trust = field(default_factory=Trust)

    TABLE: ClassVar[str] = "ranks"

    def headline(self) -> str:
        """The answer in a few words."""
        worst = max(self.ranks, key=lambda r: r.predicted_ns)
        where = "" if worst.rank is None else f", rank {worst.rank}"
        return (
            f"{worst.measured_ns / 1e6:.3f} ms → {worst.predicted_ns / 1e6:.3f} ms "
            f"({worst.low_ns / 1e6:.3f} to {worst.high_ns / 1e6:.3f}{where})"
        )


def what_if(trace: Trace, edit: Edit, *, draws: int = DRAWS, seed: int = 0) -> WhatIf:
    """What a change makes of a measured run's median step, on each rank.

    The interval covers the median of as many steps of the changed run as were measured: it adds what the change may
    cost, how well so many steps tell their median, and how far that of so many others lies from it. The steps' noise is
    resampled twice for that: once for the measured steps, once for the others. The same input gives the same answer.

    O(draws · replay). Without iterations the whole trace is one step. Raises MissingData for a trace without times,
    and what the edit raises.
    """
    plan = measured_plan(trace)
    seen = observed(plan)
    plan = awaited(plan)
    base = _windows(plan)
    if not base:
        raise MissingData("the trace has nothing that lasts")
    random = np.random.default_rng(seed)
    moved = []
    for _ in range(draws):
        draw = Draw(seen, np.random.default_rng(random.integers(2**63)))
        moved.append([w.simulated_ns for w in _windows(edit(plan, draw))])
        if not draw.used:
            break
    shift = np.array(moved) - np.array([w.simulated_ns for w in base])
    ranks = []
    for rank in dict.fromkeys(w.rank for w in base):
        own = [place for place, w in enumerate(base) if w.rank == rank]
        ranks.append(_rank_step(rank, [base[place] for place in own], shift[:, own], random))
    warnings = list(trace.metadata.report.warnings)
    if min(r.steps for r in ranks) < 3:
        warnings.append("fewer than three steps: the interval knows nothing of their noise")
    return WhatIf(tuple(ranks), len(moved), Trust(warnings=tuple(warnings)))


def _windows(plan: Plan) -> tuple[WindowTimes, ...]:
    program = program_of(plan)
    timeline = run(program)
    check_ended(plan.trace, program, timeline)
    return window_times(plan.trace, on_timeline(plan.trace, timeline.start_ns, timeline.end_ns, SIMULATOR))


def _rank_step(rank: int | None, base: list[WindowTimes], shift: Array, random: np.random.Generator) -> RankStep:
    """`shift` has a row a draw and a column a step: how much longer the step is with the change."""
    measured = np.array([w.measured_ns for w in base])
    steps, count = measured + shift, len(base)
    medians = np.median(steps, axis=1)
    predicted = float(np.median(medians))
    costs = np.quantile(medians, _TAILS)
    every = np.repeat(np.arange(len(steps)), max(RESAMPLES, 4000 // len(steps)))
    first = random.integers(0, count, (len(every), count))
    second = np.take_along_axis(first, random.integers(0, count, (len(every), count)), axis=1)
    again = np.median(steps[every[:, None], second], axis=1)
    # A resample of few varies less than they do, by this factor.
    wider = (count / (count - 1)) ** 0.5 if count > 1 else 1.0
    centre = medians[every]
    low, high = np.quantile(centre + (again - centre) * wider, _TAILS)
    return RankStep(
        rank, count, round(float(np.median(measured))), round(float(np.median([w.simulated_ns for w in base]))),
        round(predicted), *(round(max(float(ns), 0.0)) for ns in (low, high, *costs)),
    )  # fmt: skip


_TAILS = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)


__all__ = ["DRAWS", "Edit", "RankStep", "WhatIf", "what_if"]
