"""Mann and Whitney's test of two sides of runs, with the shift of Hodges and Lehmann and its exact interval."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import ndtr

from etgraph.alerts.statistics.bounds import Bounds, Student
from etgraph.model.columns import Array

MOST_PAIRS = 2500
"""Pairs of runs up to which the distribution is counted; above, it is the normal one that it is close to."""
_TIES = 1e-9


@dataclass(frozen=True, slots=True)
class Ranks(Bounds):
    """The test of Mann and Whitney (Annals of Mathematical Statistics 18, 1947) on runs, not on steps.

    `pairs` are the differences of every run of one side from every one of the other, in order. Their median is the
    shift of Hodges and Lehmann (Annals of Mathematical Statistics 34, 1963), whose interval goes from one of them to
    another. `student` says how far shifts must be to be found.
    """

    pairs: Array
    runs: int
    baseline_runs: int
    student: Student

    @property
    def superiority(self) -> float:
        """The share of pairs in which the sample is larger; a tie is half a pair."""
        return float((self.pairs > 0).mean() + (self.pairs == 0).mean() / 2)

    def lower(self, alpha: float) -> float:
        """The pair up to which so many may be below the truth by chance; the first one where `level` is above that."""
        return float(self.pairs[self._place(alpha)])

    def upper(self, alpha: float) -> float:
        """The same from above."""
        return float(self.pairs[-1 - self._place(alpha)])

    def _place(self, alpha: float) -> int:
        tails = chances(self.runs, self.baseline_runs)
        return min(max(int(np.searchsorted(tails, alpha * (1 + _TIES), side="right")), 1), len(self.pairs)) - 1

    def level(self, alpha: float) -> float:
        """No less than the chance of the clearest order of the runs."""
        return alpha if self._can(alpha) else 1 / math.comb(self.runs + self.baseline_runs, self.runs)

    def _can(self, alpha: float) -> bool:
        return can_decide(self.runs, self.baseline_runs, alpha)

    def p_above(self, limit: float) -> float:
        """The chance that so few pairs, or fewer, are at the limit or below."""
        return float(chances(self.runs, self.baseline_runs)[np.searchsorted(self.pairs, limit, side="right")])

    def p_below(self, limit: float) -> float:
        """The same for what is below the limit."""
        count = len(self.pairs) - int(np.searchsorted(self.pairs, limit, side="left"))
        return float(chances(self.runs, self.baseline_runs)[count])

    def detectable(self, alpha: float, *, above: bool) -> float | None:
        """That of Student's t, of which ranks find hardly less; None where no order of the runs would be enough."""
        return self.student.detectable(alpha, above=above) if self._can(alpha) else None


def ranks(one: Array, other: Array, student: Student, nothing: float = 0.0) -> Ranks:
    """The test of two sides of runs; differences up to `nothing` are none."""
    pairs = np.subtract.outer(one, other)
    pairs[np.abs(pairs) <= nothing] = 0.0
    return Ranks(np.sort(pairs, axis=None), len(one), len(other), student)


def can_decide(runs: int, baseline_runs: int, alpha: float) -> bool:
    """Whether the clearest order of so many runs has a chance of `alpha` or less.

    >>> can_decide(3, 3, 0.05), can_decide(2, 4, 0.05), can_decide(1, 19, 0.05)
    (True, False, True)
    """
    return math.comb(runs + baseline_runs, runs) * alpha * (1 + _TIES) >= 1


@lru_cache(maxsize=256)
def chances(runs: int, others: int) -> Array:
    """The chance that of all pairs of runs of two equal sides so many (index) or fewer are the other side's.

    Counted by the recursion of Mann and Whitney up to `MOST_PAIRS`; above that the normal distribution, with a
    correction for continuity.

    >>> chances(2, 2).round(3).tolist()
    [0.167, 0.333, 0.667, 0.833, 1.0]
    """
    pairs = runs * others
    if pairs > MOST_PAIRS:
        deviation = math.sqrt(pairs * (runs + others + 1) / 12)
        found: Array = ndtr((np.arange(pairs + 1) + 0.5 - pairs / 2) / deviation)
        return found
    # The number of orders with so many pairs is a Gaussian binomial coefficient: Π (1 − xᵐ⁺ⁱ) / (1 − xⁱ).
    counts = np.zeros(pairs + 1)
    counts[0] = 1.0
    for each in range(1, runs + 1):
        over = others + each
        if over <= pairs:
            counts[over:] -= counts[: pairs + 1 - over].copy()
        for start in range(each):
            counts[start::each] = np.cumsum(counts[start::each])
    tails: Array = np.cumsum(counts) / math.comb(runs + others, runs)
    return tails


__all__ = ["MOST_PAIRS", "Ranks", "can_decide", "chances", "ranks"]
