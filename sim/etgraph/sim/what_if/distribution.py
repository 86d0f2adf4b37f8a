"""What-if: a measured run with a change, as a distribution: the median step, and where that of another run would lie.

The run is replayed with the change many times, each time with other times drawn for what the change adds (`observed`).
Each step of the run becomes, in each replay, a step of the changed run: what it was measured to be, and by how much
the change moves it. So the noise of the steps stays in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from etgraph.model import Trace, Trust
from etgraph.model.columns import Array
from etgraph.model.results import Result
from etgraph.sim.proof import ENOUGH_SHARE, mean_relative_error, verdict
from etgraph.sim.replay import judged_plan
from etgraph.sim.replay.plan import Plan, timeline_of
from etgraph.sim.steps import Extents, Steps, steps_of
from etgraph.sim.what_if.buckets import awaited
from etgraph.sim.what_if.observed import Draw, observed

Edit = Callable[[Plan, Draw], Plan]
"""A change: from a plan, and times drawn for what is new, to a plan."""

DRAWS = 100
MOST_DRAWS = 10_000
LEVEL = 0.9
RESAMPLES = 40
"""Sets of steps that are drawn from each replay."""


@dataclass(frozen=True, slots=True)
class RankStep:
    """The median step of a rank in ns: measured, replayed, predicted; the 90 % interval of that of as many others.

    `rank` None is all ranks together, from the earliest start to the latest end. `cost_low_ns` and `cost_high_ns` are
    the part of the interval that comes from what the change costs, without the steps' noise.
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
        return (self.predicted_ns - self.measured_ns) / self.measured_ns if self.measured_ns else 0.0


@dataclass(frozen=True, slots=True)
class ChangedSteps(Result):
    """The median step of a changed run: over all ranks that were asked for, and on each of them.

    `draws` is how often costs were drawn, `replay_error` the mean relative error of the steps, replayed unchanged.
    """

    whole: RankStep
    ranks: tuple[RankStep, ...]
    draws: int
    replay_error: float
    trust: Trust = field(default_factory=Trust)

    TABLE: ClassVar[str] = "ranks"

    def headline(self) -> str:
        """The answer in a few words."""
        step = self.whole
        return (
            f"{step.measured_ns / 1e6:.3f} ms → {step.predicted_ns / 1e6:.3f} ms "
            f"({step.low_ns / 1e6:.3f} to {step.high_ns / 1e6:.3f})"
        )


def what_if(
    trace: Trace,
    edit: Edit,
    *,
    draws: int = DRAWS,
    seed: int = 0,
    rank: int | None = None,
    iterations: Sequence[int] | None = None,
) -> ChangedSteps:
    """What a change makes of a measured run's median step, over all ranks and on each rank.

    The interval covers the median of as many steps of the changed run as were measured: it adds what the change may
    cost, how well so many steps tell their median, and how far that of so many others lies from it. The steps' noise is
    resampled twice for that: once for the measured steps, once for the others. The same input gives the same answer.
    With `rank` and `iterations` only these steps are looked at; the whole run is replayed all the same.

    O(draws · replay). Without iterations the whole trace is one step. Raises MissingData for a trace without times, a
    rank or an iteration that is not there, and what the edit raises.
    """
    plan, unexplained = judged_plan(trace)
    steps = steps_of(trace, rank, iterations)
    seen = observed(plan)
    plan = awaited(plan)
    measured, base = _both(steps.on(trace.operators["start_ns"], trace.end_ns)), _replayed(plan, steps)
    random = np.random.default_rng(seed)
    changed = []
    for _ in range(draws):
        draw = Draw(seen, np.random.default_rng(random.integers(2**63)))
        changed.append(_replayed(edit(plan, draw), steps))
        if not draw.used:
            break
    found = []
    for which, (before, replayed) in enumerate(zip(measured, base)):
        shift = np.array([steps[which].length_ns for steps in changed]) - replayed.length_ns
        for one in dict.fromkeys(before.rank.tolist()):
            own = np.flatnonzero(before.rank == one)
            found.append(_rank_step(one, before.length_ns[own], replayed.length_ns[own], shift[:, own], random))
    *ranks, whole = found
    error = mean_relative_error(base[0].length_ns, measured[0].length_ns)
    warnings = list(trace.metadata.report.warnings)
    if unexplained > ENOUGH_SHARE:
        warnings.insert(0, verdict(unexplained))
    if min(r.steps for r in ranks) < 3:
        warnings.append("fewer than three steps: the interval knows nothing of their noise")
    trust = Trust(max(0.0, 1.0 - unexplained), warnings=tuple(warnings))
    return ChangedSteps(whole, tuple(ranks), len(changed), error, trust)


def _replayed(plan: Plan, steps: Steps) -> tuple[Extents, Extents]:
    _, timeline = timeline_of(plan)
    return _both(steps.on(timeline.start_ns, timeline.end_ns))


def _both(extents: Extents) -> tuple[Extents, Extents]:
    """Steps of each rank, and over all ranks."""
    return extents, extents.together()


def _rank_step(rank: int, measured: Array, replayed: Array, shift: Array, random: np.random.Generator) -> RankStep:
    """`shift` has a row a draw and a column a step: how much longer the step is with the change."""
    steps, count = measured + shift, len(measured)
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
        None if rank < 0 else rank, count, round(float(np.median(measured))), round(float(np.median(replayed))),
        round(predicted), *(round(max(float(ns), 0.0)) for ns in (low, high, *costs)),
    )  # fmt: skip


_TAILS = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)


__all__ = ["DRAWS", "MOST_DRAWS", "ChangedSteps", "Edit", "RankStep", "what_if"]
