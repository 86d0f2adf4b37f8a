"""Where a history of runs changed its level, and by how much.

The series is cut where the shift is largest in its standard errors (`ordered`, neighbours may be alike), if so large a
one is rare in series without any; then each part is cut in turn (binary segmentation: Scott and Knott, Biometrics 30,
1974). How rare it is comes from series that are made of the parts' own innovations, so tails may be heavy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from etgraph.alerts.statistics.ordered import CORRELATIONS, FEWEST, Shifts, shifts
from etgraph.model.columns import Array
from etgraph.model.errors import MissingData, UsageError

ALPHA = 0.05
"""The probability of finding a change in a history that has none."""
LEAST_RUNS = 3
"""Runs that a level has at least: fewer may be outliers."""
RESAMPLES = 999
_BATCH = 2_000_000
"""Numbers in memory for resamples at a time."""


@dataclass(frozen=True, slots=True)
class ChangePoint:
    """A lasting change: `first` is the index of the first run on the new level.

    `before` and `after` are the levels (medians of the runs up to the neighbouring changes), `change` their difference
    over `before` (None where that is 0). `p_value` is the probability of so clear a shift in a series without any.
    """

    first: int
    before: float
    after: float
    change: float | None
    p_value: float


def change_points(values: Sequence[float] | Array, *, alpha: float = ALPHA) -> tuple[ChangePoint, ...]:
    """The changes of a history, one value a run in the order of time; none where there are fewer than `FEWEST` runs.

    Values that are all positive are taken by their logarithms. The same values give the same answer. Raises MissingData
    for values that are no numbers and UsageError for an `alpha` that is no probability.
    """
    series = np.asarray(values, dtype=float)
    if series.ndim != 1 or not np.isfinite(series).all():
        raise MissingData("a history: expected a list of finite numbers, one a run")
    if not 0 < alpha < 1:
        raise UsageError(f"alpha: found {alpha}, expected a number between 0 and 1")
    scaled = np.log(series) if len(series) and series.min() > 0 else series
    return _told(series, sorted(_cuts(scaled, alpha)))


def steps_of(values: Sequence[float] | Array) -> tuple[ChangePoint, ...]:
    """The changes of a history without noise: wherever a value is another one than that before."""
    series = np.asarray(values, dtype=float)
    return _told(series, [(int(place) + 1, 0.0) for place in np.flatnonzero(np.diff(series))])


def _told(series: Array, found: Sequence[tuple[int, float]]) -> tuple[ChangePoint, ...]:
    ends = [0, *(first for first, _ in found), len(series)]
    levels = [float(np.median(series[start:end])) for start, end in pairwise(ends)]
    return tuple(
        ChangePoint(first, before, after, (after - before) / abs(before) if before else None, p_value)
        for (first, p_value), before, after in zip(found, levels, levels[1:])
    )


def _cuts(series: Array, alpha: float) -> Iterator[tuple[int, float]]:
    """Places of changes with their p-values, the clearest of each part first."""
    parts = [(0, len(series))]
    while parts:
        start, end = parts.pop()
        if end - start < FEWEST:
            continue
        place, p_value = _clearest(series[start:end])
        if p_value <= alpha:
            yield start + place, p_value
            parts += [(start, start + place), (start + place, end)]


def _clearest(series: Array) -> tuple[int, float]:
    """The place from which on the shift is largest in its errors, and how probable so large a one is without any."""
    places = np.arange(LEAST_RUNS, len(series) - LEAST_RUNS + 1)
    found = shifts(series[None, :], places)
    largest = np.abs(found.times[0])
    best = int(np.argmax(largest))
    if largest[best] == 0.0:
        return int(places[best]), 1.0
    # The same series has the same resamples, whatever its unit is.
    random = np.random.default_rng(len(series))
    more, size = 0, max(1, _BATCH // (len(series) * len(CORRELATIONS)))
    for start in range(0, RESAMPLES, size):
        without = _without(series, int(places[best]), found, best, random, min(size, RESAMPLES - start))
        more += int((np.abs(shifts(without, places).times).max(axis=1) >= largest[best]).sum())
    return int(places[best]), (more + 1) / (RESAMPLES + 1)


def _without(series: Array, place: int, found: Shifts, best: int, random: np.random.Generator, count: int) -> Array:
    """Series without a shift, of the innovations that are left of this one, correlated as it may be."""
    rest = series.copy()
    rest[:place] -= rest[:place].mean()
    rest[place:] -= rest[place:].mean()
    rho = random.choice(CORRELATIONS, count, p=found.weights[0, best])
    mean = float(found.weights[0, best] @ CORRELATIONS)
    innovations = (rest[1:] - mean * rest[:-1]) / np.sqrt(1 - mean**2)
    drawn = random.choice(innovations - innovations.mean(), (count, len(series)))
    for column in range(1, drawn.shape[1]):
        drawn[:, column] = rho * drawn[:, column - 1] + np.sqrt(1 - rho**2) * drawn[:, column]
    return drawn


__all__ = ["ALPHA", "LEAST_RUNS", "ChangePoint", "change_points", "steps_of"]
