"""Constants that a replay uses in place of what was measured operator by operator, fitted on the trace itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from etgraph.model.columns import Array
from etgraph.model.latency import ENOUGH


@dataclass(frozen=True, slots=True)
class Observations:
    """What was seen of one kind of delay: a key (what should behave alike), the delay in ns, and on which operator.

    Only the `usable` ones say something: those in which nothing else held the operator up.
    """

    key: Array
    ns: Array
    row: Array
    usable: Array

    def of(self, chosen: Array) -> Observations:
        """Those of the chosen operators (a mask over the trace's rows)."""
        return Observations(self.key, self.ns, self.row, self.usable & chosen[self.row])


@dataclass(frozen=True, slots=True)
class Constants:
    """A usual delay in ns by key, and that of all together where fewer than `ENOUGH` of a key were seen."""

    keys: Array
    values: Array
    spread: Array
    usual: float

    def at(self, key: Array) -> Array:
        """The delays of those keys, in whole ns and not negative."""
        return np.maximum(np.rint(self._look_up(key, self.values, self.usual)), 0).astype(np.int64)

    def share(self, key: Array) -> Array:
        """The constants of those keys as they are, where they are no delays."""
        return self._look_up(key, self.values, self.usual)

    def spread_of(self, key: Array) -> Array:
        """Median distance of what was seen from the constant, infinite where too little was."""
        return self._look_up(key, self.spread, np.inf)

    def _look_up(self, key: Array, values: Array, otherwise: float) -> Array:
        if not len(self.keys):
            return np.full(len(key), otherwise)
        at = np.minimum(np.searchsorted(self.keys, key), len(self.keys) - 1)
        return np.where(self.keys[at] == key, values[at], otherwise)


Statistic = Callable[[Array], float]


def median(values: Array) -> float:
    """The median: what is usual, whatever the outliers."""
    return float(np.median(values))


STRAY_NS = 20_000
"""A delay this much above the median has a reason of its own."""


def mean(values: Array) -> float:
    """The arithmetic mean of what is usual: what adds up, where many of them do."""
    return float(np.mean(values[values <= np.median(values) + STRAY_NS]))


def fit(seen: Observations, statistic: Statistic, otherwise: float = 0.0) -> Constants:
    """The constants that observations give. O(n log n). `otherwise` is used where there are none at all."""
    key, ns = seen.key[seen.usable], seen.ns[seen.usable]
    if not len(ns):
        nothing = np.zeros(0)
        return Constants(nothing, nothing, nothing, otherwise)
    order = np.argsort(key, kind="stable")
    keys, at, count = np.unique(key[order], return_index=True, return_counts=True)
    kept, values, spread = [], [], []
    for one, begin, number in zip(keys.tolist(), at.tolist(), count.tolist()):
        if number < ENOUGH:
            continue
        same = ns[order[begin : begin + number]]
        kept.append(one)
        values.append(statistic(same))
        spread.append(float(np.median(np.abs(same - values[-1]))))
    return Constants(np.array(kept), np.array(values), np.array(spread), statistic(ns))
