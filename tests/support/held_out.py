"""Simulated histories by which no setting was chosen: other noise, other numbers, and seeds that were used once.

Change nothing of `etgraph.alerts.statistics` because of what comes out here, or these are no longer held out.
"""

from __future__ import annotations

import numpy as np

from etgraph.model.columns import Array
from support.histories import Scenario, normal, series, student

SEED = 20_260_000
_BURNT = 60


def second_order(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Along the last axis an AR(2) series with coefficients 0.5 and 0.3, of variance 1."""
    found = random.standard_normal((*shape[:-1], shape[-1] + _BURNT))
    for place in range(2, found.shape[-1]):
        found[..., place] += 0.5 * found[..., place - 1] + 0.3 * found[..., place - 2]
    # The variance of an AR(2) series (Box and Jenkins, Time Series Analysis, 3.2).
    kept: Array = found[..., _BURNT:] / np.sqrt((1 - 0.3) / (1 + 0.3) / ((1 - 0.3) ** 2 - 0.5**2))
    return kept


def back_and_forth(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Neighbours differ more than others: an AR(1) series of ρ = −0.5, as where every other step collects garbage."""
    return series(random.standard_normal(shape), -0.5)


def with_outliers(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """One in ten is disturbed, by an exponential time of five standard deviations."""
    hit = random.random(shape) < 0.1
    return random.standard_normal(shape) + hit * random.exponential(5.0, shape)


def bimodal(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Three of ten meet another clock: two narrow modes, of variance 1."""
    return ((random.random(shape) < 0.3) - 0.3) * 2.0 + 0.4 * random.standard_normal(shape)


def gamma(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Moderately long to one side: a gamma distribution of shape 2, of mean 0 and variance 1."""
    return (random.gamma(2.0, size=shape) - 2.0) / np.sqrt(2)


def laplace(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Exponential tails to both sides, of variance 1."""
    return random.laplace(size=shape) / np.sqrt(2)


def warming_up(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """The first steps are longer, and noisier: a time constant of four steps."""
    warm = np.exp(-np.arange(shape[-1]) / 4)
    return random.standard_normal(shape) * (1 + 3 * warm) + 8 * warm


def moving_average(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """An ARMA(1, 1) series: AR(1) of ρ = 0.7 under as much noise of its own."""
    return (series(random.standard_normal(shape), 0.7) + random.standard_normal(shape)) / np.sqrt(2)


def by_weeks(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Every seventh and eighth run meets a busier machine."""
    return random.standard_normal(shape) + 1.5 * (np.arange(shape[-1]) % 7 >= 5)


HELD_OUT = (
    Scenario("2 runs a side", 2, 2, correlation=0.6),
    Scenario("4 beside 6, steps AR(2)", 4, 6, 35, step_shape=second_order),
    Scenario("3 a side, steps ρ = −0.5", 3, 3, 16, step_shape=back_and_forth),
    Scenario("4 a side, outliers", 4, 4, 25, 0.5, with_outliers, with_outliers),
    Scenario("3 a side, runs of two kinds", 3, 3, 12, 0.5, normal, bimodal),
    Scenario("5 beside 12, runs of two kinds", 5, 12, 12, 0.5, normal, bimodal, 0.02),
    Scenario("1 beside 8, runs of two kinds", 1, 8, 12, 0.5, normal, bimodal, 0.02),
    Scenario("1 beside 6, gamma", 1, 6, 40, 0.5, gamma, gamma),
    Scenario("2 beside 8, gamma", 2, 8, 40, 0.5, gamma, gamma),
    Scenario("1 beside 14, outliers", 1, 14, 25, 0.5, with_outliers, with_outliers),
    Scenario("1 beside 25, Laplace", 1, 25, 10, 0.3, laplace, laplace),
    Scenario("7 beside 4, gamma", 7, 4, 8, 0.5, gamma, gamma),
    Scenario("6 a side of one step, t₃", 6, 6, 1, 0.0, student, student),
    Scenario("8 beside 15, outliers in runs", 8, 15, 6, 0.9, laplace, with_outliers),
    Scenario("4 a side, steps warm up", 4, 4, 30, step_shape=warming_up, step_noise=0.03),
    Scenario("4 beside 9, samples half as noisy", 4, 9, correlation=0.6, noisier=0.5),
    Scenario("4 beside 9, samples three times as noisy", 4, 9, correlation=0.6, noisier=3.0),
    Scenario("5 a side, samples three times as noisy, gamma", 5, 5, 20, 0.6, gamma, gamma, noisier=3.0),
    Scenario("2 runs, 8 steps of each side in turns, gamma", 2, 2, 8, 0.3, gamma, alternating=True),
    Scenario("1 run, 25 steps in turns, outliers", 1, 1, 25, 0.3, with_outliers, alternating=True),
    Scenario("6 runs, 5 steps in turns, runs of two kinds", 6, 6, 5, 0.3, laplace, bimodal, alternating=True),
    Scenario("2 runs after 15 in order, ARMA(1, 1)", 2, 15, 20, 0.5, normal, moving_average, ordered=True),
    Scenario(
        "4 after 12, each 0.5 % shorter, Laplace", 4, 12, 20, 0.5, laplace, laplace, run_drift=-0.005, ordered=True
    ),
    Scenario(
        "1 after 30, each 0.3 % longer, ρ = 0.6", 1, 30, 20, 0.5, run_correlation=0.6, run_drift=0.003, ordered=True
    ),
    Scenario("3 after 18, a busy end of each week", 3, 18, 20, 0.5, normal, by_weeks, ordered=True),
    Scenario("6 after 6, ρ = 0.4, gamma", 6, 6, 20, 0.5, gamma, gamma, run_correlation=0.4, ordered=True),
)
"""Families of noise and numbers of runs and steps that `support.histories` has not."""
