"""False alarms and power on simulated histories; benchmarks/alerts_statistics.py does the same with more of them."""

from __future__ import annotations

import numpy as np
import pytest

from etgraph.alerts.statistics import adjusted, change_points, decide
from etgraph.alerts.statistics.deciding import Decision
from etgraph.alerts.statistics.levels import ALPHA
from etgraph.model.columns import Array
from support.histories import SCENARIOS, Scenario, normal, series, student, wilson

HISTORIES = 1500
SURE = 3.3
"""Standard errors by which a rate may be off: one in a thousand seeds is."""
NOMINAL = 0.05
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


def decided(scenario: Scenario, samples: Array, baseline: Array) -> list[Decision]:
    alternating = "baseline first" if scenario.alternating else None
    return [
        decide(list(one), list(other), max_increase=0.0, ordered=scenario.ordered, alternating=alternating)  # type: ignore[arg-type]
        for one, other in zip(samples, baseline)
    ]


def broken(decisions: list[Decision]) -> int:
    return sum(decision.status == "broken" for decision in decisions)


@pytest.mark.parametrize(("name", "least", "most"), [
    ("steps ρ = 0.8", 0.05, 0.05),
    ("5 runs a side, t₃", 0.045, 0.05),
    ("1 run beside 10", 0.05, 0.05),
    ("1 run, 10 steps of each side in turns", 0.045, 0.05),
    ("1 run a side", 0.0, 0.001),
    ("10 runs a side, log-normal", 0.05, 0.05),
    ("1 run after 20 in order, ρ = 0.8", 0.045, 0.055),
    ("5 runs after 10 in order, ρ = 0.8", 0.03, 0.055),
])  # fmt: skip
def test_false_alarms_are_as_many_as_said_and_what_is_said_to_be_found_is(name: str, least: float, most: float) -> None:
    scenario, random = BY_NAME[name], np.random.default_rng(11)
    samples, baseline = scenario.drawn(random, HISTORIES)
    found = decided(scenario, samples, baseline)
    low, high = wilson(broken(found), HISTORIES, SURE)
    assert low <= most
    assert high >= least
    stated = np.array([decision.detectable / decision.baseline for decision in found])
    fresh, before = scenario.drawn(random, HISTORIES)
    _, power = wilson(broken(decided(scenario, fresh * (1 + stated)[:, None, None], before)), HISTORIES, SURE)
    assert power >= 0.8


def test_steps_that_are_taken_for_independent_cry_wolf() -> None:
    """What the tool must not do: the steps of all runs of a side in one sample."""
    samples, baseline = BY_NAME["steps ρ = 0.8"].drawn(np.random.default_rng(11), 400)
    one, other = (side.reshape(400, -1) for side in (samples, baseline))
    error = np.sqrt(one.var(axis=1, ddof=1) / one.shape[1] + other.var(axis=1, ddof=1) / other.shape[1])
    assert np.mean((one.mean(axis=1) - other.mean(axis=1)) / error > 1.66) > 4 * NOMINAL


def test_false_ones_among_the_alarms_of_many_rules_are_few() -> None:
    random, checks, rules, changed = np.random.default_rng(4), 60, 30, 3
    shares: dict[str, list[float]] = {"alone": [], "adjusted": []}
    for _ in range(checks):
        runs = np.exp(random.normal(0, 0.02, (2, 1, 5)) + random.normal(0, 0.02, (2, rules, 5)))
        runs[0, :changed] *= 1.2
        alone = [decide(list(runs[0, n, :, None]), list(runs[1, n, :, None]), max_increase=0.0) for n in range(rules)]
        for name, decisions in (("alone", alone), ("adjusted", list(adjusted(alone)))):
            shares[name].append(broken(decisions[changed:]) / max(broken(decisions), 1))
    assert np.mean(shares["adjusted"]) < 0.08 < np.mean(shares["alone"])


@pytest.mark.parametrize(("runs", "correlation", "shape"), [(30, 0.0, student), (20, 0.5, normal), (12, 0.0, student)])
def test_histories_without_a_change_and_with_one(runs: int, correlation: float, shape: object) -> None:
    random, count = np.random.default_rng(6), 40
    noise = 0.03 * series(shape(random, (count, runs)), correlation)  # type: ignore[operator]
    alarms = sum(bool(change_points(np.exp(each))) for each in noise)
    assert wilson(alarms, count, SURE)[0] <= ALPHA
    noise[:, runs // 2 :] += 0.2
    near = sum(any(abs(point.first - runs // 2) <= 2 for point in change_points(np.exp(each))) for each in noise)
    assert near / count > 0.8
