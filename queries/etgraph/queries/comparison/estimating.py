"""The typical step of several: weights of steps, and how far these would move were other steps recorded.

Times of a typical step must add up, so its parts are weighted sums over the steps with one set of weights for all. The
weights are those of the median of Harrell and Davis (Biometrika 69, 1982): step times in order, each weighted by the
chance that it is the median of as many others, which the Beta distribution gives.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from etgraph.model.columns import Array

LEVEL = 0.9
"""What part of the resamples an interval holds."""
RESAMPLES = 1000
_CELLS = 256
"""Parts of a step's share of the Beta distribution that are added up: the weights are right to 10⁻⁵."""


def median_weights(times: Array) -> Array:
    """The weight of every step, from its time: they sum to 1, and weigh one step, or the mean of two, as a median does.

    >>> median_weights(np.array([30, 10])).tolist(), median_weights(np.array([5, 90, 4])).round(2).tolist()
    ([0.5, 0.5], [0.48, 0.26, 0.26])
    """
    found = np.empty(len(times))
    found[np.argsort(times, kind="stable")] = _ordered(len(times))
    return found


@lru_cache(maxsize=64)
def _ordered(count: int) -> Array:
    """Weights of that many steps in order of their times: shares of the density of Beta((n + 1) / 2, (n + 1) / 2)."""
    place = (np.arange(count * _CELLS) + 0.5) / (count * _CELLS)
    density = (4 * place * (1 - place)) ** ((count - 1) / 2)
    share: Array = density.reshape(count, _CELLS).sum(axis=1)
    return share / share.sum()


def resampled_weights(times: Array, runs: Array) -> Array:
    """Weights of the steps in each of `RESAMPLES` resamples: runs are drawn first, then as many steps of each.

    The same steps give the same resamples, so that an answer can be repeated.
    """
    random = np.random.default_rng(np.append(times, runs).astype(np.uint64))
    members = [np.flatnonzero(runs == run) for run in np.unique(runs)]
    found = np.zeros((RESAMPLES, len(times)))
    for weights in found:
        drawn = random.integers(0, len(members), len(members))
        steps = np.concatenate([random.choice(members[run], len(members[run])) for run in drawn.tolist()])
        np.add.at(weights, steps, median_weights(times[steps]))
    return found


def interval(estimates: Array) -> tuple[Array, Array]:
    """The limits of what resamples (rows) say, for every column."""
    low, high = np.quantile(estimates, ((1 - LEVEL) / 2, (1 + LEVEL) / 2), axis=0)
    return low, high


def rounded(parts: Array) -> Array:
    """Integers that sum to the rounded sum of the parts, each next to its part: the largest remainders go up."""
    floor = np.floor(parts)
    found = floor.astype(np.int64)
    missing = round(float(parts.sum())) - int(found.sum())
    found[np.argsort(floor - parts, kind="stable")[:missing]] += 1
    return found
