"""How far two sets of runs are apart, and how surely that is known: an estimate and its bounds.

Runs are the units, not steps: steps of one run follow each other and share what their run met. Each run is its typical
step. Positive values are compared by their logarithms, so that noise is a share of the step, alike on both sides.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from etgraph.alerts.statistics.arrangements import FEWEST_OF_A_SIDE, Studentised, are_enough, arranged
from etgraph.alerts.statistics.bounds import Bounds, Student
from etgraph.alerts.statistics.ordered import FEWEST, shift_of_the_last
from etgraph.alerts.statistics.ranks import ranks
from etgraph.alerts.statistics.runs import ROUNDING, error_of_typical, plausible_noise, skewness, typical, typical_of
from etgraph.model.columns import Array
from etgraph.model.errors import MissingData, UsageError

Design = Literal["runs", "ranks", "history", "change", "blocks", "steps", "single runs"]
"""Where the error comes from: runs that differ; their order by size; runs in the order of time, which drift and whose
neighbours are alike; a lasting change among these; runs each with steps of both sides; steps of both sides that
alternate in one run; or a bound of what one run a side cannot tell."""
Test = Literal["means", "ranks"]
"""By what runs are compared: by the means of their logarithms, or by their order, as Mann and Whitney do."""
Alternating = Literal["baseline first", "samples first"]
"""Whose step is the first one of a run in which steps of two sides take turns."""
ENOUGH_BLOCKS = 3
FEW_DEGREES = 3
"""With so few degrees of freedom or fewer the variance of runs may be small by luck: it is at least that of steps."""
SKEWNESS = 0.18
"""By how much the error of one side grows with each unit of the steps' skewness, where few runs stand beside many."""
MOST_SKEWNESS = 3.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """Where two sets of runs are apart: `centre` is that of the samples minus that of the baseline.

    With `logarithmic` it is the logarithm of their ratio. `bounds` say how surely it is known. `deviation` is what one
    run a side leaves uncertain: n runs have an error of deviation / √n with a · n − b degrees, (a, b) being
    `degrees_by_runs`. `baseline` is the typical value of the baseline, in the metric's unit. `drift` is by how much the
    sides are apart for a trend that all runs share, which `centre` has not, and `evidence` what else the test saw.
    """

    design: Design
    logarithmic: bool
    baseline: float
    centre: float
    bounds: Bounds
    deviation: float
    degrees_by_runs: tuple[float, float]
    drift: float = 0.0
    evidence: Mapping[str, float] = field(default_factory=dict)


def estimated(
    samples: Sequence[Array],
    baseline: Sequence[Array],
    *,
    alternating: Alternating | None = None,
    ordered: bool = False,
    test: Test = "means",
) -> Estimate:
    """The estimate of runs of steps. With `alternating`, run i of both sides is one run whose steps take turns.

    `ordered` says that the runs are in the order of time, the samples' after the baseline's. The test by ranks takes
    runs for nothing but runs. Raises MissingData for a run without steps or with values that are no numbers, and
    UsageError for sides of which `alternating` cannot hold.
    """
    one, other = _checked(samples, "samples"), _checked(baseline, "baseline")
    steps = np.concatenate([*one, *other])
    logarithmic = bool((steps > 0).all())
    if logarithmic:
        one, other = [np.log(run) for run in one], [np.log(run) for run in other]
    nothing = ROUNDING * (1.0 if logarithmic else float(np.abs(steps).max()))
    found = None
    if test == "ranks":
        found = _by_ranks(one, other, logarithmic, nothing)
    elif alternating is not None:
        found = _alternating(one, other, logarithmic, alternating)
    if found is None and len(one) == len(other) == 1:
        found = _single(one[0], other[0], logarithmic)
    if found is None and ordered and len(one) + len(other) >= FEWEST:
        found = _in_order(one, other, logarithmic)
    if found is None:
        found = _several(one, other, logarithmic)
    if found.bounds.student.error > nothing or test == "ranks":
        return replace(found, centre=0.0) if abs(found.centre) <= nothing else found
    # All runs of a side are the same: there is no noise but that of adding up.
    centre = found.centre if abs(found.centre) > nothing else 0.0
    return replace(found, centre=centre, bounds=Student(centre, 0.0, found.bounds.student.degrees), deviation=0.0)


def _checked(runs: Sequence[Array], side: str) -> list[Array]:
    if not runs:
        raise MissingData(f"the {side} hold no run")
    found = [np.asarray(run, dtype=float) for run in runs]
    if all(run.ndim == 1 and len(run) for run in found) and np.isfinite(np.concatenate(found)).all():
        return found
    number, run = next(
        (number, run) for number, run in enumerate(found)
        if run.ndim != 1 or not len(run) or not np.isfinite(run).all()
    )  # fmt: skip
    raise MissingData(
        f"run {number} of the {side}: found {run.size} values in {run.ndim} dimensions, of which "
        f"{int(np.isfinite(run).sum())} are finite; expected a list of finite numbers, one a step"
    )


def _typical(one: Sequence[Array], other: Sequence[Array]) -> tuple[Array, Array]:
    values = typical_of([*one, *other])
    return values[: len(one)], values[len(one) :]


def _several(one: Sequence[Array], other: Sequence[Array], logarithmic: bool) -> Estimate:
    """A permutation test where there are arrangements enough, else Student's t with one variance of both sides.

    With one variance a side may be a single run: the other side's runs tell how far runs differ.
    """
    values, before = _typical(one, other)
    n, m = len(values), len(before)
    student = _student(values, before, (*one, *other))
    deviation = student.error * math.sqrt(2 / (1 / n + 1 / m))
    bounds: Bounds = student
    if are_enough(n, m):
        if n != m and min(n, m) >= FEWEST_OF_A_SIDE:
            bounds = Studentised(values, before, _welch(values, before))
        else:
            bounds = arranged(values, before, student)
    else:
        lean = SKEWNESS * min(max(skewness((*one, *other)) * np.sign(m - n), -MOST_SKEWNESS), MOST_SKEWNESS)
        bounds = replace(student, upwards=1 + max(lean, 0.0), downwards=1 + max(-lean, 0.0))
    base = _back(float(before.mean()), logarithmic)
    return Estimate("runs", logarithmic, base, student.centre, bounds, deviation, (2.0, 2.0))


def _student(values: Array, before: Array, runs: Sequence[Array]) -> Student:
    """Student's t; few runs may be alike by luck, but do not differ less than their steps leave uncertain."""
    n, m = len(values), len(before)
    degrees = n + m - 2
    variance = sum(float(((side - side.mean()) ** 2).sum()) for side in (values, before)) / degrees
    if degrees <= FEW_DEGREES:
        variance = max(variance, float(np.mean([error_of_typical(run) ** 2 for run in runs])))
    error = math.sqrt(variance * (1 / n + 1 / m))
    return Student(float(values.mean() - before.mean()), error, float(degrees))


def _welch(values: Array, before: Array) -> Student:
    """Welch's t (Biometrika 34, 1947), each side with a variance of its own."""
    n, m = len(values), len(before)
    a, b = float(values.var(ddof=1)) / n, float(before.var(ddof=1)) / m
    degrees = (a + b) ** 2 / (a**2 / (n - 1) + b**2 / (m - 1)) if a + b > 0 else n + m - 2.0
    return Student(float(values.mean() - before.mean()), math.sqrt(a + b), degrees)


def _by_ranks(one: Sequence[Array], other: Sequence[Array], logarithmic: bool, nothing: float) -> Estimate:
    """Mann and Whitney's test of runs, and the shift of Hodges and Lehmann."""
    values, before = _typical(one, other)
    n, m = len(values), len(before)
    student = _student(values, before, (*one, *other)) if n + m > 2 else Student(0.0, 0.0, 1.0)
    if min(n, m) >= FEWEST_OF_A_SIDE:  # the noisier side's own noise counts for what can be found
        student = replace(student, error=max(student.error, _welch(values, before).error))
    bounds = ranks(values, before, student, nothing)
    return Estimate(
        "ranks", logarithmic, _back(float(np.median(before)), logarithmic), float(np.median(bounds.pairs)), bounds,
        student.error * math.sqrt(2 / (1 / n + 1 / m)), (2.0, 2.0), evidence={"superiority": bounds.superiority},
    )  # fmt: skip


def _in_order(one: Sequence[Array], other: Sequence[Array], logarithmic: bool) -> Estimate:
    """A shift at the first sample beside a drift of all runs: the baseline is what it would be by now."""
    values, before = _typical(one, other)
    n, m = len(values), len(before)
    found = shift_of_the_last(np.append(before, values), n)
    return Estimate(
        "history", logarithmic, _back(float(values.mean()) - found.centre, logarithmic), found.centre,
        Student(found.centre, found.error, found.degrees), found.error * math.sqrt(2 / (1 / n + 1 / m)), (2.0, 3.0),
        float(values.mean() - before.mean()) - found.centre, {"drift_per_run": found.slope},
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
        bounds = Student(centre, deviation / math.sqrt(runs), runs - 1.0)
        return Estimate("blocks", logarithmic, base, centre, bounds, deviation, (1.0, 1.0))
    count = sum(map(len, pairs))
    degrees = count - 2 * runs
    if degrees < 1:
        return None
    variance = sum(float(((run - run.mean()) ** 2).sum()) for run in pairs) / degrees
    error = math.sqrt(variance * sum(1 / len(run) for run in pairs)) / runs
    return Estimate(
        "steps", logarithmic, base, centre, Student(centre, error, float(degrees)), error * math.sqrt(runs),
        (count / runs - 2, 0.0),
    )  # fmt: skip


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
    bounds = Student(centre, error, math.inf)
    return Estimate("single runs", logarithmic, _back(base, logarithmic), centre, bounds, steps, (2.0, 2.0))


def _back(value: float, logarithmic: bool) -> float:
    return math.exp(value) if logarithmic else value


__all__ = ["Alternating", "Design", "Estimate", "Test", "estimated"]
