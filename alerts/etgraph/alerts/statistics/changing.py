"""Whether a lasting change for the worse stands in a history of runs: the test of a rule by change points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from etgraph.alerts.findings import CONFIDENCE, Worse
from etgraph.alerts.statistics.bounds import Shown, Student
from etgraph.alerts.statistics.deciding import Case, Decision, allowed, check_options, decide, judged
from etgraph.alerts.statistics.estimates import Estimate
from etgraph.alerts.statistics.levels import ALPHA, LEAST_RUNS, change_points
from etgraph.alerts.statistics.ordered import FEWEST, shifts
from etgraph.alerts.statistics.runs import typical
from etgraph.model.columns import Array


def decide_change(
    runs: Sequence[Array],
    *,
    samples: int,
    max_increase: float,
    floor: float = 0.0,
    confidence: float = CONFIDENCE,
    worse: Worse = "higher",
    within: int | None = None,
    min_runs: int = 1,
) -> Decision:
    """Whether a lasting change for the worse stands in runs that are in the order of time, the last `samples` checked.

    *Broken* is a change that `change_points` finds among the last `within` runs (all unless told), is for the worse,
    was not taken back, and is beyond the limit of `decide` even at the better end of its interval. *Passed* is a
    history without such a change, *improved* one with a change as far for the better, *undecided* a change that may be
    below the limit or above it, and everything with fewer than `FEWEST` runs in all or `min_runs` on a side. A change
    is looked for at the level of `change_points`, 1 %, or (1 − confidence) if that is less: with every new run the same
    history is looked at again. `evidence` has the index of its first run. Raises what `decide` raises.
    """
    check_options(max_increase, floor, confidence)
    if len(runs) < FEWEST:
        plain = decide(
            runs[-samples:], runs[:-samples], max_increase=max_increase, floor=floor, confidence=confidence, worse=worse
        )
        why = f"a lasting change is looked for from {FEWEST} runs on, and there are {len(runs)}"
        evidence = {**plain.evidence, "design": "change"}
        return replace(plain, status="undecided", runs_needed=None, why=why, evidence=evidence)
    alpha = (1 - confidence) / 2
    logarithmic = all(float(run.min()) > 0 for run in runs)
    values = np.array([typical(np.log(run) if logarithmic else run) for run in runs])
    sign = 1.0 if worse == "higher" else -1.0
    first, estimate = _standing(values, logarithmic, samples, sign, alpha, within or len(runs))
    case = Case(estimate, allowed(estimate, max_increase, floor, worse), worse, samples, len(runs) - samples, min_runs)
    found = judged(case, alpha)
    enough = min(case.runs, case.baseline_runs) >= min_runs
    if enough and first is None and found.status == "undecided":
        found = replace(found, status="passed", runs_needed=None)
    if enough and found.status == "undecided":
        found = replace(found, runs_needed=None, why="the change may be within the limit or beyond it")
    return found if first is None else replace(found, evidence={**found.evidence, "first": first})


def _standing(
    values: Array, logarithmic: bool, samples: int, sign: float, alpha: float, within: int
) -> tuple[int | None, Estimate]:
    """The place of the change that made the last level worst, or best where none is worse, and its estimate.

    Where there is none, the estimate is of the runs that are checked, or the last `LEAST_RUNS`, beside those before.
    """
    length, level = len(values), min(2 * alpha, ALPHA)
    tries = round(length * max(alpha / level, 1.0))
    # Logarithms are taken again there: of ratios to the largest run.
    points = change_points(np.exp(values - values.max()) if logarithmic else values, alpha=level)
    ends = [0, *(point.first for point in points), length]
    levels = [float(np.median(values[start:end])) for start, end in pairwise(ends)]
    gone = [
        (sign * (levels[-1] - before), number)
        for number, before in enumerate(levels[:-1])
        if ends[number + 1] >= length - within
    ]
    if not gone:
        count = min(max(samples, LEAST_RUNS), length - LEAST_RUNS)
        return None, _estimate(values[:-count], values[-count:], logarithmic, 1.0, tries)
    most, number = max(gone)
    if most <= 0:
        _, number = min(gone)
    before = values[ends[number] : ends[number + 1]]
    return ends[number + 1], _estimate(before, values[ends[-2] :], logarithmic, points[number].p_value / 2, tries)


def _estimate(before: Array, after: Array, logarithmic: bool, existence: float, tries: int) -> Estimate:
    """The shift between two levels, of runs of which neighbours are alike."""
    found = shifts(np.concatenate([before, after])[None], np.array([len(before)]))
    centre, error = float(found.centre[0, 0]), float(found.error[0, 0])
    base = float(np.exp(before.mean())) if logarithmic else float(before.mean())
    bounds = Shown(Student(centre, error, found.degrees), existence, tries)
    deviation = error * np.sqrt(2 / (1 / len(before) + 1 / len(after)))
    return Estimate("change", logarithmic, base, centre, bounds, float(deviation), (2.0, 2.0))


__all__ = ["decide_change"]
