"""How far two sets of runs are apart, and how surely that is known: an estimate and its standard error.

Runs are the units, not steps: steps of one run follow each other and share what their run met. Each run is its typical
step. Positive values are compared by their logarithms, so that noise is a share of the step, alike on both sides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from etgraph.alerts.statistics.ordered import FEWEST, shift_of_the_last
from etgraph.alerts.statistics.runs import ROUNDING, error_of_typical, plausible_noise, typical
from etgraph.model.columns import Array
from etgraph.model.errors import MissingData, UsageError

Design = Literal["runs", "history", "blocks", "steps", "single runs"]
"""Where the error comes from: runs that differ; runs in order, of which neighbours are alike; runs each with steps of
both sides; steps of both sides that alternate in one run; or a bound of what one run a side cannot tell."""
Alternating = Literal["baseline first", "samples first"]
"""Whose step is the first one of a run in which steps of two sides take turns."""
ENOUGH_FOR_OWN_VARIANCE = 5
"""From so many runs on each side has a variance of its own where the numbers differ; below, it is one of both."""
ENOUGH_BLOCKS = 3


@dataclass(frozen=True, slots=True)
class Estimate:
    """Where two sets of runs are apart: `centre` is that of the samples minus that of the baseline.

    With `logarithmic` it is the logarithm of their ratio. `standard_error` has so many `degrees` of freedom.
    `deviation` is what one run a side leaves uncertain: n runs have an error of deviation / √n with a · n − b degrees,
    (a, b) being `degrees_by_runs`. `baseline` is the typical value of the baseline, in the metric's unit.
    """

    design: Design
    logarithmic: bool
    baseline: float
    centre: float
    standard_error: float
    degrees: float
    deviation: float
    degrees_by_runs: tuple[float, float]


def estimated(
    samples: Sequence[Array],
    baseline: Sequence[Array],
    *,
    alternating: Alternating | None = None,
    ordered: bool = False,
) -> Estimate:
    """The estimate of runs of steps. With `alternating`, run i of both sides is one run whose steps take turns.

    `ordered` says that the runs are in the order of time, the samples' after the baseline's. Raises MissingData for a
    run without steps or with values that are no numbers, and UsageError for sides of which `alternating` cannot hold.
    """
    one, other = _checked(samples, "samples"), _checked(baseline, "baseline")
    logarithmic = all(float(run.min()) > 0 for run in (*one, *other))
    if logarithmic:
        one, other = [np.log(run) for run in one], [np.log(run) for run in other]
    found = None if alternating is None else _alternating(one, other, logarithmic, alternating)
    if found is None and len(one) == len(other) == 1:
        found = _single(one[0], other[0], logarithmic)
    if found is None:
        values, before = np.array([typical(run) for run in one]), np.array([typical(run) for run in other])
        found = _several(values, before, logarithmic, ordered and len(one) + len(other) >= FEWEST)
    nothing = ROUNDING * (1.0 if logarithmic else max(float(np.abs(run).max()) for run in (*one, *other)))
    if abs(found.centre) <= nothing:
        found = replace(found, centre=0.0)
    return found if found.standard_error > nothing else replace(found, standard_error=0.0, deviation=0.0)


def _checked(runs: Sequence[Array], side: str) -> list[Array]:
    if not runs:
        raise MissingData(f"the {side} hold no run")
    found = [np.asarray(run, dtype=float) for run in runs]
    for number, run in enumerate(found):
        if run.ndim != 1 or not len(run) or not np.isfinite(run).all():
            raise MissingData(
                f"run {number} of the {side}: found {run.size} values in {run.ndim} dimensions, of which "
                f"{int(np.isfinite(run).sum())} are finite; expected a list of finite numbers, one a step"
            )
    return found


def _several(one: Array, other: Array, logarithmic: bool, ordered: bool) -> Estimate:
    """Student's t with one variance of both sides, or Welch's where the numbers differ and are large enough.

    With one variance a side may be a single run: the other side's runs tell how far runs differ.
    """
    n, m = len(one), len(other)
    centre, degrees = float(one.mean() - other.mean()), float(n + m - 2)
    a, b = (float(((side - side.mean()) ** 2).sum()) for side in (one, other))
    error = math.sqrt((a + b) / degrees * (1 / n + 1 / m))
    if ordered:
        centre, error, degrees = shift_of_the_last(np.append(other, one), n)
    elif n != m and min(n, m) >= ENOUGH_FOR_OWN_VARIANCE and a + b > 0:
        a, b = a / (n - 1) / n, b / (m - 1) / m
        error, degrees = math.sqrt(a + b), (a + b) ** 2 / (a**2 / (n - 1) + b**2 / (m - 1))
    return Estimate(
        "history" if ordered else "runs", logarithmic, _back(float(other.mean()), logarithmic), centre, error, degrees,
        error * math.sqrt(2 / (1 / n + 1 / m)), (2.0, 2.0),
    )  # fmt: skip


def _alternating(
    one: Sequence[Array], other: Sequence[Array], logarithmic: bool, first: Alternating
) -> Estimate | None:
    """Neighbouring steps of both sides as pairs, which share what their run meets; a linear drift is taken out before.

    Of several runs the means of their pairs are the units; of one or two the pairs, each about its run's mean. None
    where these are too few to tell how far they differ.
    """
    if len(one) != len(other):
        raise UsageError(f"sides that alternate in the same runs: found {len(one)} and {len(other)} runs")
    pairs = [_pairs(number, a, b, first) for number, (a, b) in enumerate(zip(one, other))]
    means = np.array([run.mean() for run in pairs])
    base = _back(float(np.mean([typical(run) for run in other])), logarithmic)
    centre, runs = float(means.mean()), len(pairs)
    if runs >= ENOUGH_BLOCKS:
        deviation = float(np.std(means, ddof=1))
        return Estimate(
            "blocks", logarithmic, base, centre, deviation / math.sqrt(runs), runs - 1.0, deviation, (1.0, 1.0)
        )
    count = sum(map(len, pairs))
    degrees = count - 2 * runs
    if degrees < 1:
        return None
    variance = sum(float(((run - run.mean()) ** 2).sum()) for run in pairs) / degrees
    error = math.sqrt(variance * sum(1 / len(run) for run in pairs)) / runs
    return Estimate(
        "steps", logarithmic, base, centre, error, float(degrees), error * math.sqrt(runs), (count / runs - 2, 0.0)
    )


def _pairs(number: int, sample: Array, baseline: Array, first: Alternating) -> Array:
    """Differences of neighbouring steps of a run, without what a linear drift makes the later one longer by."""
    count = min(len(sample), len(baseline))
    if abs(len(sample) - len(baseline)) > 1:
        raise UsageError(
            f"run {number}: {len(sample)} and {len(baseline)} steps do not alternate",
            hint="give every other step to each side",
        )
    place = np.arange(count) - (count - 1) / 2
    drift = float(place @ (sample[:count] + baseline[:count])) / max(4 * float(place @ place), 1.0)
    later = drift if first == "baseline first" else -drift
    pairs: Array = sample[:count] - baseline[:count] - later
    return pairs


def _single(one: Array, other: Array, logarithmic: bool) -> Estimate:
    """One run a side: how far runs differ is not known, only bounded, and what steps tell is added to the bound."""
    steps = math.hypot(error_of_typical(one), error_of_typical(other))
    centre, base = typical(one) - typical(other), typical(other)
    if logarithmic:
        noise = max(plausible_noise(one), plausible_noise(other))
    else:
        scale = max(float(np.abs(one).max()), float(np.abs(other).max())) or 1.0
        noise = scale * max(plausible_noise(one / scale), plausible_noise(other / scale))
    error = math.hypot(steps, math.sqrt(2) * noise)
    return Estimate("single runs", logarithmic, _back(base, logarithmic), centre, error, math.inf, steps, (2.0, 2.0))


def _back(value: float, logarithmic: bool) -> float:
    return math.exp(value) if logarithmic else value


__all__ = ["Alternating", "Design", "Estimate", "estimated"]
