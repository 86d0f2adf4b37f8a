"""What a number of runs can decide: the effect that is found in four cases of five, and the runs that one takes."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from scipy.special import gammaincinv, ndtr, ndtri, stdtrit

from etgraph.model.columns import Array

POWER = 0.8
"""The probability that what is stated as detectable is found, whatever the tails of the noise."""
PLANNED = 0.88
"""The same of normally distributed runs, for which it is worked out: heavy tails and skewness take up to 8 points, as
docs/alerts/statistics.md shows."""
MOST_RUNS = 1000
"""No answer of `runs_needed` is larger: an effect at the limit itself is not decided by any number."""
_CASES = 100


def quantile(probability: float, degrees: float) -> float:
    """Student's t, or the normal distribution's where the degrees of freedom are infinite."""
    return float(ndtri(probability) if math.isinf(degrees) else stdtrit(degrees, probability))


@lru_cache(maxsize=4096)
def multiple(degrees: float, alpha: float) -> float:
    """By how many standard errors an effect is beyond its limit that is found with a probability of `PLANNED`.

    The standard error is one that was estimated with those degrees of freedom, and the runs that are to find the effect
    are others, whose error is estimated anew: c with E[Φ(c S − t S′)] = 0.88, where S² and S′² are χ² / degrees and t
    is the quantile of the one-sided test. That is more than t + t₀.₈₈, which holds only if the error is known.

    >>> round(multiple(float("inf"), 0.05), 3), round(multiple(4, 0.05), 2)
    (2.82, 4.6)
    """
    test = quantile(1 - alpha, degrees)
    if math.isinf(degrees):
        return test + float(ndtri(PLANNED))
    cases = (np.arange(_CASES) + 0.5) / _CASES
    error = np.sqrt(gammaincinv(degrees / 2, cases) * 2 / degrees)
    low, high = 0.0, 1.0
    while _power(high, test, error) < PLANNED:
        low, high = high, 2 * high
    while high - low > 1e-4 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if _power(middle, test, error) >= PLANNED else (middle, high)
    return high


def _power(times: float, test: float, error: Array) -> float:
    return float(ndtr(times * error[:, None] - test * error).mean())


def runs_needed(gap: float, deviation: float, degrees: tuple[float, float], alpha: float, least: int = 2) -> int:
    """How many runs a side decide an effect that is `gap` from its limit, with a probability of `PLANNED`.

    With n runs the standard error is `deviation` / √n, with a · n − b degrees of freedom, which `degrees` gives as
    (a, b). At most `MOST_RUNS`.
    """
    a, b = degrees

    def enough(runs: int) -> bool:
        return multiple(max(a * runs - b, 1.0), alpha) * deviation <= gap * math.sqrt(runs)

    low, high = least - 1, least
    while high < MOST_RUNS and not enough(high):
        low, high = high, min(2 * high, MOST_RUNS)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


__all__ = ["MOST_RUNS", "PLANNED", "POWER", "multiple", "quantile", "runs_needed"]
