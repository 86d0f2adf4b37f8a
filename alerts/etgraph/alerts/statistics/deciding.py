"""Whether a metric got worse by more than it may: one interval beside one limit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from scipy.special import ndtr, stdtr

from etgraph.alerts.findings import Interval
from etgraph.alerts.statistics.estimates import Alternating, Estimate, estimated
from etgraph.alerts.statistics.power import multiple, quantile, runs_needed
from etgraph.model.columns import Array
from etgraph.model.errors import UsageError

Verdict = Literal["passed", "broken", "improved", "undecided"]
Worse = Literal["higher", "lower"]
CONFIDENCE = 0.9
"""Of intervals here and elsewhere in etgraph: each end is passed by chance in one case of twenty."""
LEAST_OF_SINGLE = 3
"""Runs a side that are asked for where each has one: fewer hardly tell how far runs differ."""


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
        above, error = self.worsening - self.limit, self.estimate.standard_error
        if error == 0.0:
            return 0.0 if above > 0 else 1.0
        times, degrees = -above / error, self.estimate.degrees
        return float(ndtr(times) if math.isinf(degrees) else stdtr(degrees, times))

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
    a side would decide what is undecided. `evidence` is what the test saw, by name.
    """

    status: Verdict
    value: float
    baseline: float
    difference: float
    change: float | None
    interval: Interval
    limit: float
    detectable: float
    effect: float | None
    runs: int
    baseline_runs: int
    runs_needed: int | None
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
) -> Decision:
    """Whether runs are worse than those of a baseline by more than `max_increase`, a share, and `floor`, in the unit.

    A run is an array of its steps in the order of time. *Broken* is what is worse even at the interval's better end,
    *passed* what is not even at its worse end, *improved* what is better by more than the same limit; all else is
    *undecided*, and so is everything with fewer than `min_runs` on a side. `alternating` says that run i of both
    sides is the same run, whose steps take turns, as `REF#1,3,5` and `REF#0,2,4` do ("baseline first"): then what the
    run met is on both sides, and one run may decide. Otherwise one run a side cannot tell how far runs differ, and
    decides only what is beyond anything plausible. `ordered` says that the runs are in the order of time, those of the
    baseline first: then, from eight on, neighbours may be alike. Raises UsageError for options out of range, and what
    `estimated` raises.

    >>> import numpy as np
    >>> before = [np.array([100.0, 103, 101]), np.array([102.0, 100, 104]), np.array([99.0, 101, 100])]
    >>> decision = decide([run * 1.3 for run in before], before, max_increase=0.05)
    >>> decision.status, round(decision.change, 2)
    ('broken', 0.3)
    """
    if not 0 < confidence < 1:
        raise UsageError(f"confidence: found {confidence}, expected a number between 0 and 1")
    if not (max_increase >= 0 and floor >= 0):
        raise UsageError(f"max_increase {max_increase} and floor {floor}: expected 0 or more")
    estimate = estimated(samples, baseline, alternating=alternating, ordered=ordered)
    limit = _limit(estimate, max_increase, floor, worse)
    case = Case(estimate, limit, worse, len(samples), len(baseline), min_runs)
    return judged(case, (1 - confidence) / 2)


def judged(case: Case, alpha: float) -> Decision:
    """The decision on a case that is a false alarm with a probability of `alpha` at the limit."""
    estimate, worsening = case.estimate, case.worsening
    reach = quantile(1 - alpha, estimate.degrees) * estimate.standard_error
    better, worst = worsening - reach, worsening + reach
    status: Verdict = "undecided"
    if min(case.runs, case.baseline_runs) >= case.min_runs:
        if better > case.limit:
            status = "broken"
        elif worst < -case.limit:
            status = "improved"
        elif worst <= case.limit:
            status = "passed"
    low, high = sorted((case.change(better), case.change(worst)))
    difference, baseline = case.change(worsening), estimate.baseline
    of_a_run = estimate.deviation if estimate.design == "blocks" else estimate.deviation / math.sqrt(2)
    detectable = case.limit + multiple(round(estimate.degrees, 1), alpha) * estimate.standard_error
    return Decision(
        status,
        baseline + difference,
        baseline,
        difference,
        difference / abs(baseline) if baseline else None,
        Interval(low, high, 1 - 2 * alpha),
        case.change(case.limit),
        case.change(detectable),
        estimate.centre / of_a_run if of_a_run and estimate.design in ("runs", "history", "blocks") else None,
        case.runs,
        case.baseline_runs,
        _runs_needed(case, alpha) if status == "undecided" else None,
        {
            "design": estimate.design,
            "scale": "logarithm" if estimate.logarithmic else "value",
            "centre": estimate.centre,
            "standard_error": estimate.standard_error,
            "degrees_of_freedom": None if math.isinf(estimate.degrees) else estimate.degrees,
            "false_alarm_rate": alpha,
            "p_value": case.p_value,
        },
        case,
    )


def _limit(estimate: Estimate, max_increase: float, floor: float, worse: Worse) -> float:
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
    return runs_needed(abs(case.worsening - case.limit), estimate.deviation, estimate.degrees_by_runs, alpha, least)


__all__ = ["CONFIDENCE", "Case", "Decision", "Verdict", "Worse", "decide", "judged"]
