"""Whether a metric got worse by more than it may: one interval beside one limit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from etgraph.alerts.findings import CONFIDENCE, Interval, Worse
from etgraph.alerts.statistics.estimates import Alternating, Estimate, Test, estimated
from etgraph.alerts.statistics.power import MOST_RUNS, runs_needed
from etgraph.alerts.statistics.ranks import can_decide
from etgraph.model.columns import Array
from etgraph.model.errors import UsageError

Verdict = Literal["passed", "broken", "improved", "undecided"]
LEAST_OF_SINGLE = 3
"""Runs a side that are asked for where each has one: fewer hardly tell how far runs differ."""

BY_DRIFT = "all runs drift, and have come beyond the limit without a jump"
"""Why a difference is undecided that noise leaves no doubt of."""


@dataclass(frozen=True, slots=True)
class Case:
    """What is decided: an estimate beside the limit up to which it may get worse, both on the estimate's scale.

    `limit` is 0 or more and towards what is `worse`; with fewer than `min_runs` on a side nothing is decided.
    """

    estimate: Estimate
    limit: float
    worse: Worse
    runs: int
    baseline_runs: int
    min_runs: int = 1

    @property
    def worsening(self) -> float:
        """How much worse the samples are, on the estimate's scale; below 0 where they are better."""
        return self.estimate.centre if self.worse == "higher" else -self.estimate.centre

    @property
    def p_value(self) -> float:
        """The smallest chance of a false alarm at the limit at which the case would be broken."""
        bounds = self.estimate.bounds
        return bounds.p_above(self.limit) if self.worse == "higher" else bounds.p_below(-self.limit)

    def interval(self, alpha: float) -> tuple[float, float]:
        """The worsening's better and its worse end, each beyond the truth with a probability of `alpha`."""
        bounds = self.estimate.bounds
        low, high = bounds.lower(alpha), bounds.upper(alpha)
        return (low, high) if self.worse == "higher" else (-high, -low)

    @property
    def drifted(self) -> float:
        """How much worse the samples are for a drift of all runs, which is no part of the worsening."""
        return self.estimate.drift if self.worse == "higher" else -self.estimate.drift

    def change(self, worsening: float) -> float:
        """A worsening on the estimate's scale as a difference in the metric's unit, with its sign."""
        centre = worsening if self.worse == "higher" else -worsening
        return self.estimate.baseline * math.expm1(min(centre, 700.0)) if self.estimate.logarithmic else centre


@dataclass(frozen=True, slots=True)
class Decision:
    """What two sets of runs say of a metric.

    `value`, `baseline` and `difference` (value − baseline) are typical steps in the metric's unit; `change` is the
    difference over the baseline, None where that is 0. `interval` is of the difference; each of its ends is beyond the
    truth with a probability of (1 − confidence) / 2. `limit` is the difference from which on the metric is broken, and
    `detectable` the one that as many runs of the same noise find to be broken with a probability of 0.8. `effect` is
    the difference in standard deviations of a run, None where these are not known or 0. `runs_needed` is how many runs
    a side would decide what is undecided, `why` says why it is, where not for noise. `evidence` is what the test saw,
    by name.
    """

    status: Verdict
    value: float
    baseline: float
    difference: float
    change: float | None
    interval: Interval
    limit: float
    detectable: float | None
    effect: float | None
    runs: int
    baseline_runs: int
    runs_needed: int | None
    why: str | None
    evidence: dict[str, Any]
    case: Case


def decide(
    samples: Sequence[Array],
    baseline: Sequence[Array],
    *,
    max_increase: float,
    floor: float = 0.0,
    confidence: float = CONFIDENCE,
    worse: Worse = "higher",
    alternating: Alternating | None = None,
    ordered: bool = False,
    min_runs: int = 1,
    test: Test = "means",
) -> Decision:
    """Whether runs are worse than those of a baseline by more than `max_increase`, a share, and `floor`, in the unit.

    A run is an array of its steps in the order of time. *Broken* is what is worse even at the interval's better end,
    *passed* what is not even at its worse end, *improved* what is better by more than the same limit; all else is
    *undecided*, and so is everything with fewer than `min_runs` on a side. `alternating` says that run i of both
    sides is the same run, whose steps take turns, as `REF#1,3,5` and `REF#0,2,4` do ("baseline first"): then what the
    run met is on both sides, and one run may decide. Otherwise one run a side cannot tell how far runs differ, and
    decides only what is beyond anything plausible. `ordered` says that the runs are in the order of time, those of the
    baseline first: then, from eight on, neighbours may be alike and all may drift. `test` "ranks" asks Mann and Whitney
    about the order of runs by size, with the shift of Hodges and Lehmann as difference. Raises UsageError for options
    out of range, and what `estimated` raises.

    >>> import numpy as np
    >>> before = [np.array([100.0, 103, 101]), np.array([102.0, 100, 104]), np.array([99.0, 101, 100])]
    >>> decision = decide([run * 1.3 for run in before], before, max_increase=0.05)
    >>> decision.status, round(decision.change, 2)
    ('broken', 0.3)
    """
    check_options(max_increase, floor, confidence)
    estimate = estimated(samples, baseline, alternating=alternating, ordered=ordered, test=test)
    limit = allowed(estimate, max_increase, floor, worse)
    return judged(Case(estimate, limit, worse, len(samples), len(baseline), min_runs), (1 - confidence) / 2)


def check_options(max_increase: float, floor: float, confidence: float) -> None:
    """Raises UsageError for options out of range."""
    if not 0 < confidence < 1:
        raise UsageError(f"confidence: found {confidence}, expected a number between 0 and 1")
    if not (max_increase >= 0 and floor >= 0):
        raise UsageError(f"max_increase {max_increase} and floor {floor}: expected 0 or more")


def judged(case: Case, alpha: float) -> Decision:
    """The decision on a case that is a false alarm with a probability of `alpha` at the limit."""
    estimate, worsening = case.estimate, case.worsening
    bounds, student = estimate.bounds, estimate.bounds.student
    level = bounds.level(alpha)
    better, worst = case.interval(level)
    drifted = worsening + case.drifted > case.limit
    status: Verdict = "undecided"
    if level <= alpha and min(case.runs, case.baseline_runs) >= case.min_runs:
        if better > case.limit:
            status = "broken"
        elif worst < -case.limit:
            status = "improved"
        elif worst <= case.limit and not drifted:
            status = "passed"
    low, high = sorted((case.change(better), case.change(worst)))
    difference, baseline = case.change(worsening), estimate.baseline
    of_a_run = estimate.deviation if estimate.design == "blocks" else estimate.deviation / math.sqrt(2)
    beyond = bounds.detectable(alpha, above=case.worse == "higher")
    by_drift = status == "undecided" and drifted and worst <= case.limit
    return Decision(
        status,
        baseline + difference,
        baseline,
        difference,
        difference / abs(baseline) if baseline else None,
        Interval(low, high, 1 - 2 * level),
        case.change(case.limit),
        None if beyond is None else case.change(case.limit + beyond),
        estimate.centre / of_a_run if of_a_run and estimate.design not in ("steps", "single runs") else None,
        case.runs,
        case.baseline_runs,
        _runs_needed(case, alpha) if status == "undecided" and not by_drift else None,
        BY_DRIFT if by_drift else None,
        {
            "design": estimate.design,
            "scale": "logarithm" if estimate.logarithmic else "value",
            "centre": estimate.centre,
            "standard_error": student.error,
            "degrees_of_freedom": None if math.isinf(student.degrees) else student.degrees,
            "false_alarm_rate": alpha,
            "p_value": case.p_value,
            **estimate.evidence,
        },
        case,
    )


def allowed(estimate: Estimate, max_increase: float, floor: float, worse: Worse) -> float:
    """The worsening that is still allowed, on the estimate's scale: the larger one of the share and of the floor."""
    base = abs(estimate.baseline)
    if not estimate.logarithmic:
        return max(max_increase * base, floor)
    share = max(max_increase, floor / base)
    if worse == "higher":
        return math.log1p(share)
    return -math.log1p(-share) if share < 1 else math.inf


def _runs_needed(case: Case, alpha: float) -> int:
    """Runs a side that decide the case, were its worsening what was found; more than there are, and `min_runs`."""
    estimate = case.estimate
    least = max(min(case.runs, case.baseline_runs) + 1, case.min_runs)
    if estimate.design == "single runs":
        least = max(least, LEAST_OF_SINGLE)
    if estimate.design == "ranks":
        least = max(least, next(runs for runs in range(1, MOST_RUNS) if can_decide(runs, runs, alpha)))
    return runs_needed(abs(case.worsening - case.limit), estimate.deviation, estimate.degrees_by_runs, alpha, least)


__all__ = ["Case", "Decision", "Verdict", "allowed", "check_options", "decide", "judged"]
