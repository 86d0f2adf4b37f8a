"""The typical step of several: weights of steps, and how far these would move were other steps recorded.

Times of a typical step must add up, so its parts are weighted sums over the steps with one set of weights for all. The
weights are those of the median of Harrell and Davis (Biometrika 69, 1982): step times in order, each weighted by the
chance that it is the median of as many others, which the Beta distribution gives.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from etgraph.model.columns import Array

LEVEL = 0.9
"""What part of the resamples an interval holds."""
RESAMPLES = 1000
_CELLS = 256
"""Parts of a step's share of the Beta distribution that are added up: the weights are right to 10⁻⁵."""


@dataclass(frozen=True, slots=True)
class Typical:
    """The weight of every step in the typical one; `drawn` has a row of weights a resample, and none of one step."""

    weights: Array
    drawn: Array

    def of(self, values: Array) -> Array:
        """The typical step's part of what the steps (rows) have of something (columns)."""
        part: Array = self.weights @ values
        return part

    def again(self, values: Array) -> Array:
        """The same in every resample (rows); they spread as far as medians of other steps of the same run would."""
        centre, count = self.of(values), len(self.weights)
        # A resample of few varies less than they do, by this factor.
        spread: Array = centre + (self.drawn @ values - centre) * (count / max(count - 1, 1)) ** 0.5
        return spread


def typical(times: Array, runs: Array) -> Typical:
    """The typical step of those times; resamples draw runs first, then as many steps of each as it has.

    The same steps give the same resamples, so that an answer can be repeated.

    >>> typical(np.array([30, 10]), np.array([0, 0])).weights.tolist()
    [0.5, 0.5]
    >>> typical(np.array([5, 90, 4]), np.zeros(3)).weights.round(2).tolist()
    [0.48, 0.26, 0.26]
    """
    count = len(times)
    order = np.argsort(times, kind="stable")
    weights = np.empty(count)
    weights[order] = median_weights(count)
    drawn = np.zeros((RESAMPLES if count > 1 else 0, count))
    if count > 1:
        picked = _picked(runs[order], np.random.default_rng([count, *times.tolist()]))
        size = np.count_nonzero(picked < count, axis=1)
        for length in np.unique(size).tolist():
            some = np.flatnonzero(size == length)
            np.add.at(drawn, (some[:, None], order[picked[some, :length]]), median_weights(length))
    return Typical(weights, drawn)


def _picked(runs: Array, random: np.random.Generator) -> Array:
    """Steps of every resample in their order, a row each; rows with fewer steps end in numbers beyond the last one."""
    members = [np.flatnonzero(runs == run) for run in np.unique(runs)]
    size = np.array([len(steps) for steps in members])
    widest = int(size.max())
    table = np.stack([np.resize(steps, widest) for steps in members])
    run = random.integers(0, len(members), (RESAMPLES, len(members)))
    place = np.floor(random.random((*run.shape, widest)) * size[run][..., None]).astype(np.int64)
    picked = np.where(np.arange(widest) < size[run][..., None], table[run[..., None], place], len(runs))
    ordered: Array = np.sort(picked.reshape(RESAMPLES, -1), axis=1)
    return ordered


@lru_cache(maxsize=64)
def median_weights(count: int) -> Array:
    """Weights of that many steps in order of their times: shares of the density of Beta((n + 1) / 2, (n + 1) / 2)."""
    place = (np.arange(count * _CELLS) + 0.5) / (count * _CELLS)
    density = (4 * place * (1 - place)) ** ((count - 1) / 2)
    share: Array = density.reshape(count, _CELLS).sum(axis=1) / density.sum()
    return share


def interval(estimates: Array) -> tuple[Array, Array]:
    """The limits of what resamples (rows) say, for every column."""
    low, high = np.quantile(estimates, ((1 - LEVEL) / 2, (1 + LEVEL) / 2), axis=0)
    return low, high


def rounded(parts: Array, whole: int) -> Array:
    """Integers that sum to the whole, each next to its part where the parts do so nearly: largest remainders go up.

    >>> rounded(np.array([0.5, 1.6, 0.9]), 3).tolist()
    [0, 2, 1]
    """
    floor = np.floor(parts)
    found = floor.astype(np.int64)
    if len(parts):
        more, rest = divmod(whole - int(found.sum()), len(parts))
        found[np.argsort(floor - parts, kind="stable")[:rest]] += 1
        found += more
    return found
