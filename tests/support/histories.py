"""Simulated histories of runs: steps that are autocorrelated, heavy-tailed or skewed, in runs that differ."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from etgraph.model.columns import Array

Shape = Callable[[np.random.Generator, tuple[int, ...]], Array]


def normal(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """The usual noise."""
    return random.standard_normal(shape)


def student(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Heavy tails: Student's t with three degrees of freedom, of variance 1."""
    return random.standard_t(3, shape) / np.sqrt(3)


def skewed(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Long to one side: a log-normal distribution with σ = 1, of mean 0 and variance 1."""
    return (np.exp(random.standard_normal(shape)) - np.exp(0.5)) / np.sqrt((np.e - 1) * np.e)


@dataclass(frozen=True, slots=True)
class Scenario:
    """Runs of steps of 100 times noise factors.

    `step_noise` and `run_noise` are standard deviations of the logarithm; `correlation` is that of neighbouring steps,
    `run_correlation` that of neighbouring runs, `drift` how much longer the last step of a run is than the first one,
    `run_drift` how much longer each run is than the one before. With `alternating`, a run has steps of both sides.
    """

    name: str
    runs: int
    baseline_runs: int
    steps: int = 20
    correlation: float = 0.0
    step_shape: Shape = normal
    run_shape: Shape = normal
    step_noise: float = 0.05
    run_noise: float = 0.03
    run_correlation: float = 0.0
    drift: float = 0.0
    run_drift: float = 0.0
    alternating: bool = False
    ordered: bool = False
    noisier: float = 1.0
    """How much further the samples' runs differ than the baseline's."""

    def drawn(self, random: np.random.Generator, count: int) -> tuple[Array, Array]:
        """So many histories without a change: samples and baseline, each (histories, runs, steps)."""
        runs = self.runs if self.alternating else self.baseline_runs + self.runs
        steps = 2 * self.steps if self.alternating else self.steps
        noise = self.step_noise * series(self.step_shape(random, (count, runs, steps)), self.correlation)
        own = self.run_noise * series(self.run_shape(random, (count, runs)), self.run_correlation)
        if not self.alternating:
            own[:, self.baseline_runs :] *= self.noisier
        place = self.drift * np.linspace(0, 1, steps) + self.run_drift * np.arange(runs)[:, None]
        times = 100 * np.exp(own[..., None] + noise + place)
        if self.alternating:
            return times[..., 1::2], times[..., ::2]
        return times[:, self.baseline_runs :], times[:, : self.baseline_runs]


def series(innovations: Array, correlation: float) -> Array:
    """Along the last axis an AR(1) series with the innovations' variance."""
    found = innovations.copy()
    for place in range(1, found.shape[-1]):
        found[..., place] = (
            correlation * found[..., place - 1] + np.sqrt(1 - correlation**2) * innovations[..., place]
        )  # fmt: skip
    return found


def wilson(hits: int, count: int, times: float = 1.96) -> tuple[float, float]:
    """Wilson's interval of a rate (JASA 22, 1927), 95 % unless told."""
    rate, square = hits / count, times**2 / count
    middle = (rate + square / 2) / (1 + square)
    reach = times * np.sqrt(rate * (1 - rate) / count + square / count / 4) / (1 + square)
    return float(middle - reach), float(middle + reach)


SCENARIOS = (
    Scenario("3 runs a side", 3, 3),
    Scenario("steps ρ = 0.5", 3, 3, correlation=0.5),
    Scenario("steps ρ = 0.8", 3, 3, correlation=0.8),
    Scenario("steps ρ = 0.8, t₃", 3, 3, correlation=0.8, step_shape=student, run_shape=student),
    Scenario("steps ρ = 0.8, log-normal", 3, 3, correlation=0.8, step_shape=skewed, run_shape=skewed),
    Scenario("steps drift by 20 %", 3, 3, correlation=0.8, drift=0.2),
    Scenario("runs hardly differ", 3, 3, correlation=0.8, run_noise=0.003),
    Scenario("5 runs a side, t₃", 5, 5, correlation=0.8, step_shape=student, run_shape=student),
    Scenario("10 runs a side, log-normal", 10, 10, correlation=0.8, step_shape=skewed, run_shape=skewed),
    Scenario("1 run beside 10", 1, 10, correlation=0.8),
    Scenario("1 run beside 10, t₃", 1, 10, correlation=0.8, step_shape=student, run_shape=student),
    Scenario("1 run beside 10, log-normal", 1, 10, correlation=0.8, step_shape=skewed, run_shape=skewed),
    Scenario("3 runs beside 10, log-normal", 3, 10, correlation=0.8, step_shape=skewed, run_shape=skewed),
    Scenario("3 a side, samples' runs twice as noisy", 3, 3, correlation=0.8, noisier=2.0),
    Scenario("3 beside 10, samples' runs twice as noisy", 3, 10, correlation=0.8, noisier=2.0),
    Scenario("6 beside 20, samples' runs twice as noisy", 6, 20, correlation=0.8, noisier=2.0),
    Scenario("10 beside 3, samples' runs twice as noisy", 10, 3, correlation=0.8, noisier=2.0),
    Scenario("10 beside 3, log-normal", 10, 3, correlation=0.8, step_shape=skewed, run_shape=skewed),
    Scenario("5 beside 10", 5, 10, correlation=0.8),
    Scenario("5 beside 10, log-normal", 5, 10, correlation=0.8, step_shape=skewed, run_shape=skewed),
    Scenario("1 run a side", 1, 1, correlation=0.8),
    Scenario("1 run, 10 steps of each side in turns", 1, 1, 10, alternating=True),
    Scenario("the same, t₃", 1, 1, 10, step_shape=student, alternating=True),
    Scenario("the same, ρ = 0.8", 1, 1, 10, correlation=0.8, alternating=True),
    Scenario("the same, ρ = 0.8, drift of 20 %", 1, 1, 10, correlation=0.8, drift=0.2, alternating=True),
    Scenario("4 runs, 10 steps of each side in turns, t₃", 4, 4, 10, 0.8, student, student, alternating=True),
    Scenario("5 runs after 10 in order, ρ = 0", 5, 10, correlation=0.8, ordered=True),
    Scenario("5 runs after 10 in order, ρ = 0.5", 5, 10, correlation=0.8, run_correlation=0.5, ordered=True),
    Scenario("5 runs after 10 in order, ρ = 0.8", 5, 10, correlation=0.8, run_correlation=0.8, ordered=True),
    Scenario("5 after 20, ρ = 0.8, t₃", 5, 20, 20, 0.8, student, student, run_correlation=0.8, ordered=True),
    Scenario("1 run after 20 in order, ρ = 0.8", 1, 20, correlation=0.8, run_correlation=0.8, ordered=True),
    Scenario("3 runs after 10, each 1 % longer", 3, 10, correlation=0.8, run_drift=0.01, ordered=True),
    Scenario("5 runs after 20, each 1 % longer", 5, 20, correlation=0.8, run_drift=0.01, ordered=True),
)
"""What the settings of `etgraph.alerts.statistics` were chosen by: rates of these were looked at again and again. The
last ones tell runs in order, whose correlation is ρ there; that of their steps is 0.8."""
