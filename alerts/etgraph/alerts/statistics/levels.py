"""Where a history of runs changed its level, and by how much.

The series is cut where the shift is clearest (`ordered`: neighbours may be alike), if so clear a one is rare in series
without any; then each part is cut in turn. Shifts are looked for in the whole and in stretches of it, halves, quarters
and so on that overlap by half, so that one that is taken back later is seen too (seeded binary segmentation: Kovács,
Bühlmann, Li and Munk, Biometrika 110, 2023). How rare it is comes from series that are made of the stretch's own
innovations, so tails may be heavy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.special import ndtri, stdtr

from etgraph.alerts.statistics.ordered import CORRELATIONS, FEWEST, shifts
from etgraph.alerts.statistics.runs import ROUNDING
from etgraph.model.columns import Array
from etgraph.model.errors import MissingData, UsageError

ALPHA = 0.01
"""The probability of finding a change in a history that has none."""
LEAST_RUNS = 3
"""Runs that a level has at least: fewer may be outliers."""
RESAMPLES = 499
_AT_A_TIME = 100
"""Resamples after which it is looked whether enough of them are as clear."""


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
    scaled = np.log(series) if (series > 0).all() else series
    return _told(series, sorted(_cuts(scaled, alpha)))


def steps_of(values: Sequence[float] | Array) -> tuple[ChangePoint, ...]:
    """The changes of a history without noise: wherever a value is another one than that before."""
    series = np.asarray(values, dtype=float)
    return _told(series, [(int(place) + 1, 0.0) for place in np.flatnonzero(np.diff(series))])


def _told(series: Array, found: Sequence[tuple[int, float]]) -> tuple[ChangePoint, ...]:
    if not found:
        return ()
    ends = [0, *(first for first, _ in found), len(series)]
    levels = [float(np.median(series[start:end])) for start, end in pairwise(ends)]
    return tuple(
        ChangePoint(first, before, after, (after - before) / abs(before) if before else None, p_value)
        for (first, p_value), before, after in zip(found, levels, levels[1:])
    )


def _cuts(series: Array, alpha: float) -> Iterator[tuple[int, float]]:
    """Places of changes with their p-values."""
    parts = [(0, len(series))]
    while parts:
        start, end = parts.pop()
        part = series[start:end]
        if end - start < FEWEST or np.ptp(part) <= ROUNDING * max(1.0, float(np.abs(part).max())):
            continue
        place, p_value = _clearest(part, alpha)
        if p_value <= alpha:
            yield start + place, p_value
            parts += [(start, start + place), (start + place, end)]


def _clearest(series: Array, alpha: float) -> tuple[int, float]:
    """The place of the clearest shift, and how probable so clear a one is without any; above `alpha`, at least so."""
    length = len(series)
    best, stretch, place = max(
        ((float(clear.max()), stretch, int(np.argmax(clear)) + LEAST_RUNS) for stretch, clear in _shifts(series[None])),
        key=lambda found: found[0],
    )
    if best == 0.0:
        return place, 1.0
    # The same series has the same resamples.
    random = np.random.default_rng(length)
    more, enough = 0, alpha * (RESAMPLES + 1)
    for start in range(0, RESAMPLES, _AT_A_TIME):
        count = min(_AT_A_TIME, RESAMPLES - start)
        without = _without(series[stretch], place, random, (count, length))
        clearest = np.max([clear.max(axis=1) for _, clear in _shifts(without)], axis=0)
        more += int((clearest >= best).sum())
        if more >= enough:
            break
    return stretch.start + place, (more + 1) / (RESAMPLES + 1)


def _shifts(series: Array) -> Iterator[tuple[slice, Array]]:
    """Stretches of series (rows), and how clear the shift from each place in them on is: as a normal variable's."""
    length, parts = series.shape[1], 1
    while length / parts >= FEWEST:
        size = length // parts
        for start in np.linspace(0, length - size, 2 * parts - 1).astype(int).tolist():
            found = shifts(series[:, start : start + size], np.arange(LEAST_RUNS, size - LEAST_RUNS + 1))
            yield slice(start, start + size), -ndtri(stdtr(found.degrees, -np.abs(found.times)))
        parts *= 2


def _without(stretch: Array, place: int, random: np.random.Generator, shape: tuple[int, int]) -> Array:
    """Series without a shift, of the innovations of a stretch with one, correlated as it may be."""
    weights = shifts(stretch[None], np.array([place])).weights[0, 0]
    rest = stretch - np.where(np.arange(len(stretch)) < place, stretch[:place].mean(), stretch[place:].mean())
    rho, mean = random.choice(CORRELATIONS, shape[0], p=weights), float(weights @ CORRELATIONS)
    innovations = (rest[1:] - mean * rest[:-1]) / np.sqrt(1 - mean**2)
    drawn = random.choice(innovations - innovations.mean(), shape)
    for column in range(1, shape[1]):
        drawn[:, column] = rho * drawn[:, column - 1] + np.sqrt(1 - rho**2) * drawn[:, column]
    return drawn


__all__ = ["ALPHA", "LEAST_RUNS", "ChangePoint", "change_points", "steps_of"]
