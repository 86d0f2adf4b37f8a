"""What one run says: its typical step, how surely its steps tell that, and how far another run may be from it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from etgraph.model.columns import Array
from etgraph.queries.comparison.estimating import median_weights

LEAST_NOISE = 0.05
"""Runs of one program on the quietest machine may differ by this share for causes outside of it."""
TIMES_STEPS = 3.0
"""Runs may differ by so many times as much as the steps of one do; see docs/alerts/statistics.md for what was found."""
UNKNOWN_NOISE = 0.25
"""The same where each run has a single step, so that nothing is known: the twelve noisiest runs recorded spread so."""

ENOUGH_FOR_SHAPE = 30
"""Steps from which on it is told whether their noise is long to one side."""
ROUNDING = 1e-12
"""A share by which numbers differ that are the same but for how they were added up."""


def typical(steps: Array) -> float:
    """The median step of Harrell and Davis: all steps in order, weighted by their chance to be the median.

    >>> typical(np.array([5.0])), round(typical(np.array([90.0, 5.0, 4.0])), 1)
    (5.0, 26.8)
    """
    return float(np.sort(steps) @ median_weights(len(steps)))


def typical_of(runs: Sequence[Array]) -> Array:
    """The typical step of each run; in one go where all have as many steps."""
    if len({len(run) for run in runs}) > 1:
        return np.array([typical(run) for run in runs])
    found: Array = np.sort(np.stack(runs), axis=1) @ median_weights(len(runs[0]))
    return found


def lag_one(steps: Array) -> float:
    """The correlation of neighbouring steps, 0…0.95, corrected for the bias that few of them have; 0 below five.

    An estimate from n steps is too low by (1 + 4ρ) / n (Kendall, Biometrika 41, 1954).
    """
    count = len(steps)
    centred = steps - steps.mean()
    power = float(centred @ centred)
    if count < 5 or power == 0.0:
        return 0.0
    found = float(centred[1:] @ centred[:-1]) / power
    return min(max((found * count + 1) / max(count - 4, 1), 0.0), 0.95)


def error_of_typical(steps: Array) -> float:
    """The standard error of `typical` for steps in the order of time, as if they were (1 − ρ) / (1 + ρ) as many.

    Maritz and Jarrett's of the median (JASA 73, 1978), with the number of independent steps of an AR(1) series. One
    step has none: 0.
    """
    ordered, weights = np.sort(steps - steps[0]), median_weights(len(steps))  # so that equal ones are without rounding
    correlation = lag_one(steps)
    variance = float(ordered**2 @ weights) - float(ordered @ weights) ** 2
    return math.sqrt(max(variance, 0.0) * (1 + correlation) / (1 - correlation))


def skewness(runs: Sequence[Array]) -> float:
    """How far steps are long to one side, about the mean of their run; 0 of fewer than `ENOUGH_FOR_SHAPE` in all."""
    rest = np.concatenate([run - run.mean() for run in runs])
    spread = math.sqrt(float((rest**2).mean()))
    if len(rest) - len(runs) < ENOUGH_FOR_SHAPE or spread <= ROUNDING:
        return 0.0
    return float(((rest / spread) ** 3).mean())


def plausible_noise(steps: Array) -> float:
    """How far runs may differ for causes outside of the program, as a share: a bound for what one run cannot tell.

    `steps` are logarithms of the steps of a run.
    """
    if len(steps) < 2:
        return UNKNOWN_NOISE
    return max(LEAST_NOISE, TIMES_STEPS * float(np.std(steps, ddof=1)))


__all__ = ["ROUNDING", "error_of_typical", "lag_one", "plausible_noise", "skewness", "typical", "typical_of"]
