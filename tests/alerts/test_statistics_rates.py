"""False alarms and power on simulated histories; benchmarks/alerts_statistics.py does the same with more of them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from etgraph.alerts.statistics import Case, Decision, adjusted, change_points, decide, decide_change
from etgraph.alerts.statistics.deciding import judged
from etgraph.alerts.statistics.estimates import Alternating, Test, estimated
from etgraph.alerts.statistics.levels import ALPHA
from etgraph.model.columns import Array
from support.held_out import HELD_OUT
from support.histories import SCENARIOS, Scenario, normal, series, student, wilson

HISTORIES = 1000
SURE = 3.3
"""Standard errors by which a rate may be off: one in a thousand seeds is."""
NOMINAL = 0.05
BY_NAME = {scenario.name: scenario for scenario in (*SCENARIOS, *HELD_OUT)}


def cases(scenario: Scenario, samples: Array, baseline: Array, test: Test = "means") -> list[Case]:
    alternating: Alternating | None = "baseline first" if scenario.alternating else None
    return [
        Case(
            estimated(list(one), list(other), ordered=scenario.ordered, alternating=alternating, test=test),
            0.0, "higher", len(one), len(other),
        )
        for one, other in zip(samples, baseline)
    ]  # fmt: skip


def alarms(found: Iterable[Case]) -> int:
    """How many are broken: those of a p-value up to the level, as the second test has it."""
    return sum(case.p_value <= NOMINAL * (1 + 1e-9) for case in found)


def broken(decisions: Iterable[Decision]) -> int:
    return sum(decision.status == "broken" for decision in decisions)


@pytest.mark.parametrize(("name", "test", "least", "most"), [
    ("steps ρ = 0.8", "means", 0.05, 0.05),
    ("steps ρ = 0.8, log-normal", "means", 0.05, 0.05),
    ("5 runs a side, t₃", "means", 0.0476, 0.0476),  # 12 of 252 arrangements
    ("5 runs a side, t₃", "ranks", 0.0476, 0.0476),
    ("1 run beside 10", "means", 0.05, 0.05),
    ("1 run beside 10, log-normal", "means", 0.05, 0.06),
    ("3 runs beside 10, log-normal", "means", 0.03, 0.05),
    ("3 beside 10, samples' runs twice as noisy", "means", 0.05, 0.055),
    ("1 run, 10 steps of each side in turns", "means", 0.045, 0.05),
    ("1 run a side", "means", 0.0, 0.001),
    ("10 runs a side, log-normal", "ranks", 0.045, 0.05),
    ("1 run after 20 in order, ρ = 0.8", "means", 0.045, 0.055),
    ("5 runs after 10 in order, ρ = 0.8", "means", 0.03, 0.055),
    ("3 runs after 10, each 1 % longer", "means", 0.025, 0.05),
    ("4 beside 6, steps AR(2)", "means", 0.045, 0.05),
    ("5 beside 12, runs of two kinds", "means", 0.03, 0.055),
])  # fmt: skip
def test_false_alarms_are_as_many_as_said_and_what_is_said_to_be_found_is(
    name: str, test: Test, least: float, most: float
) -> None:
    scenario, random = BY_NAME[name], np.random.default_rng(11)
    found = cases(scenario, *scenario.drawn(random, HISTORIES), test)
    low, high = wilson(alarms(found), HISTORIES, SURE)
    assert low <= most
    assert high >= least
    stated = np.array([case.estimate.bounds.detectable(NOMINAL, above=True) for case in found], dtype=float)
    fresh, before = scenario.drawn(random, HISTORIES)
    _, power = wilson(alarms(cases(scenario, fresh * np.exp(stated)[:, None, None], before, test)), HISTORIES, SURE)
    assert power >= 0.8


def test_a_case_is_broken_where_its_p_value_is_no_larger_than_the_level() -> None:
    """What makes the rates of p-values, of which the benchmark tells, those of verdicts."""
    random = np.random.default_rng(12)
    for name in ("3 runs beside 10, log-normal", "steps ρ = 0.8", "1 run beside 10", "2 runs a side"):
        scenario = BY_NAME[name]
        samples, baseline = scenario.drawn(random, 60)
        for test in ("means", "ranks"):
            for case in cases(scenario, samples * 1.08, baseline, test):
                small = case.p_value <= NOMINAL * (1 + 1e-9)
                if abs(case.p_value - NOMINAL) > 1e-3:
                    assert (judged(case, NOMINAL).status == "broken") == small


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


def test_lasting_changes_are_found_where_they_are_and_seldom_where_none_is() -> None:
    random, count = np.random.default_rng(13), 30

    def decided(noise: Array) -> list[Decision]:
        return [decide_change(list(np.exp(each)[:, None]), samples=1, max_increase=0.0) for each in noise]

    without = decided(0.03 * student(random, (count, 16)))
    assert wilson(broken(without), count, SURE)[0] <= NOMINAL
    stated = np.log1p([(each.detectable or 0.0) / each.baseline for each in without])
    changed = 0.03 * student(random, (count, 16))
    changed[:, -5:] += stated[:, None]
    assert wilson(broken(decided(changed)), count, SURE)[1] >= 0.8
