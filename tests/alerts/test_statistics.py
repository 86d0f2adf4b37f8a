"""What runs can decide: verdicts of small sets, the designs behind them, and what stays true of all of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etgraph.alerts.statistics import adjusted, decide
from etgraph.alerts.statistics.deciding import Decision
from etgraph.alerts.statistics.power import MOST_RUNS, PLANNED, multiple
from etgraph.alerts.statistics.runs import lag_one, typical
from etgraph.model.columns import Array
from etgraph.model.errors import MissingData, UsageError

BASE = [np.array([100.0, 102, 101]), np.array([103.0, 101, 102]), np.array([99.0, 100, 101])]


def times(factor: float, runs: Sequence[Array] = BASE) -> list[Array]:
    return [run * factor for run in runs]


@pytest.mark.parametrize(("factor", "status"), [
    (1.0, "passed"), (1.02, "passed"), (1.049, "undecided"), (1.06, "undecided"), (1.1, "broken"), (1.3, "broken"),
    (0.97, "passed"), (0.945, "passed"), (0.8, "improved"),
])  # fmt: skip
def test_three_runs_a_side(factor: float, status: str) -> None:
    decision = decide(times(factor), BASE, max_increase=0.05)
    assert decision.status == status
    assert decision.change == pytest.approx(factor - 1)
    assert decision.interval.low < decision.difference < decision.interval.high
    assert (decision.runs_needed is not None) == (status == "undecided")


def test_what_is_worse_when_it_is_lower_breaks_by_falling() -> None:
    assert decide(times(0.8), BASE, max_increase=0.05, worse="lower").status == "broken"
    assert decide(times(1.3), BASE, max_increase=0.05, worse="lower").status == "improved"


def test_student_s_interval_of_the_logarithms() -> None:
    """By hand: run values 1, 2 beside 0, 0, 3 on the logarithmic scale, one variance of both, t(0.95, 3)."""
    one = [np.exp([value]) for value in (1.0, 2.0)]
    other = [np.exp([value]) for value in (0.0, 0.0, 3.0)]
    decision = decide(one, other, max_increase=0.0)
    reach = 2.3533634348 * math.sqrt((0.5 + 6.0) / 3 * (1 / 2 + 1 / 3))
    assert decision.baseline == pytest.approx(math.e)
    assert decision.difference == pytest.approx(math.e * math.expm1(0.5))
    assert decision.interval.low == pytest.approx(math.e * math.expm1(0.5 - reach))
    assert decision.interval.high == pytest.approx(math.e * math.expm1(0.5 + reach))
    assert decision.effect == pytest.approx(0.5 / math.sqrt(6.5 / 3))


def test_a_floor_in_the_unit_lets_small_differences_pass() -> None:
    assert decide(times(1.1), BASE, max_increase=0.05).status == "broken"
    assert decide(times(1.1), BASE, max_increase=0.05, floor=30.0).status == "passed"
    assert decide(times(1.1), BASE, max_increase=0.05, floor=30.0).limit == pytest.approx(30.0)


def test_one_run_beside_several_takes_their_noise_for_its_own() -> None:
    assert decide([BASE[0] * 1.3], BASE, max_increase=0.05).status == "broken"
    assert decide([BASE[0] * 1.07], BASE, max_increase=0.05).status == "undecided"
    assert decide([BASE[0] * 1.07], BASE, max_increase=0.05).runs_needed == 7


def test_one_run_a_side_decides_only_what_no_noise_explains() -> None:
    steps = np.tile([100.0, 101.0, 99.0], 30)
    decision = decide([steps * 1.1], [steps], max_increase=0.05)
    assert (decision.status, decision.runs_needed) == ("undecided", 3)
    assert decide([steps * 1.3], [steps], max_increase=0.05).status == "broken"
    assert decide([np.array([150.0])], [np.array([100.0])], max_increase=0.05).status == "undecided"


def test_steps_that_take_turns_in_one_run_decide_it() -> None:
    base, sample = np.array([100.0, 103, 99, 104, 98, 101]), np.array([111.0, 114, 108, 115, 109, 110])
    assert decide([sample], [base], max_increase=0.05, alternating="baseline first").status == "broken"
    assert decide([sample], [base], max_increase=0.05).status == "undecided"


@pytest.mark.parametrize(("first", "second"), [("baseline first", 0), ("samples first", 1)])
def test_a_drift_of_steps_that_take_turns_is_no_change(first: str, second: int) -> None:
    ramp = np.exp(np.arange(12) / 10 + np.random.default_rng(1).normal(0, 0.001, 12))
    decision = decide([ramp[1 - second :: 2]], [ramp[second::2]], max_increase=0.01, alternating=first)  # type: ignore[arg-type]
    assert decision.status == "passed"
    assert decision.interval.low < 0 < decision.interval.high


def test_values_that_are_not_positive_are_compared_as_they_are() -> None:
    zero = [np.zeros(2)] * 3
    assert decide(zero, zero, max_increase=0.05).status == "passed"
    decision = decide([np.ones(2)] * 3, zero, max_increase=0.05)
    assert (decision.status, decision.difference, decision.change) == ("broken", 1.0, None)
    assert decide([np.ones(2)] * 3, zero, max_increase=0.05, floor=2.0).status == "passed"


@given(st.floats(1e-3, 1e12), st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(2, 4))
def test_values_that_do_not_vary_are_no_change_however_they_are_added_up(
    value: float, sizes: list[int], n: int
) -> None:
    same = [np.full(size, value) for size in sizes]
    decision = decide(same, [np.full(3, value)] * n, max_increase=0.0)
    assert (decision.status, decision.difference) == ("passed", 0.0)
    assert decide([run * 1.001 for run in same], [np.full(3, value)] * n, max_increase=0.0).status == "broken"


def test_fewer_runs_than_asked_for_decide_nothing() -> None:
    decision = decide(times(1.3), BASE, max_increase=0.05, min_runs=5)
    assert (decision.status, decision.runs_needed) == ("undecided", 5)


def test_runs_needed_grow_with_noise_and_end() -> None:
    factors = (1.052, 1.054, 1.06)
    needed = [decide(times(factor), BASE, max_increase=0.05).runs_needed for factor in factors]
    assert all(one is not None and other is not None and one > other for one, other in pairwise(needed))
    assert decide(times(1.05), BASE, max_increase=0.05).runs_needed == MOST_RUNS


@pytest.mark.parametrize(("samples", "options", "error"), [
    ([], {}, MissingData),
    ([np.array([])], {}, MissingData),
    ([np.array([1.0, math.nan])], {}, MissingData),
    (BASE, {"confidence": 1.0}, UsageError),
    (BASE, {"max_increase": -0.1}, UsageError),
    (BASE[:2], {"alternating": "baseline first"}, UsageError),
    (times(1.0, [np.ones(6)] * 3), {"alternating": "baseline first"}, UsageError),
])  # fmt: skip
def test_what_cannot_be_asked(samples: list[Array], options: dict[str, float], error: type[Exception]) -> None:
    with pytest.raises(error):
        decide(samples, BASE, **{"max_increase": 0.05, **options})  # type: ignore[arg-type]


def test_neighbouring_steps_tell_their_correlation() -> None:
    noise, steps = np.random.default_rng(5).normal(size=4000), np.zeros(4000)
    for place in range(1, 4000):
        steps[place] = 0.8 * steps[place - 1] + noise[place]
    assert lag_one(steps) == pytest.approx(0.8, abs=0.04)
    assert lag_one(noise) == pytest.approx(0.0, abs=0.04)


def test_the_typical_step_is_hardly_moved_by_a_hiccup() -> None:
    steps = np.linspace(99, 101, 21)
    assert typical(steps) == pytest.approx(100.0)
    assert typical(np.append(steps[:-1], 1e6)) == pytest.approx(100.0, abs=0.1)


def test_the_detectable_effect_by_drawing_runs() -> None:
    """Both errors are drawn from χ² as two sets of runs would give them; the effect is found as often as planned."""
    random, degrees, count = np.random.default_rng(2), 4.0, 400_000
    stated, found = (np.sqrt(random.chisquare(degrees, count) / degrees) for _ in range(2))
    effect = multiple(degrees, 0.05) * stated
    assert np.mean((effect + random.normal(size=count)) / found > 2.1318467863) == pytest.approx(PLANNED, abs=0.005)


def _cases(changes: Sequence[float], seed: int = 7) -> list[Decision]:
    random = np.random.default_rng(seed)
    return [
        decide(
            [np.exp(random.normal(change, 0.02, 1)) for _ in range(6)],
            [np.exp(random.normal(0, 0.02, 1)) for _ in range(6)],
            max_increase=0.0,
        )
        for change in changes
    ]


def test_of_many_rules_the_alarms_that_stand_keep_intervals_beyond_the_limit() -> None:
    decisions = _cases([0.0] * 60 + [0.2] * 3)
    alone = [decision.status == "broken" for decision in decisions]
    together = adjusted(decisions)
    stand = [decision.status == "broken" for decision in together]
    assert sum(alone) > 3
    assert stand[-3:] == [True] * 3
    assert sum(stand) < sum(alone)
    for before, after in zip(decisions, together):
        assert (after.interval.low > after.limit) == (after.status == "broken")
        assert after.interval.low <= before.interval.low
        assert before.status == "broken" or after == before
        assert (before.status, after.status) != ("broken", "passed")


def test_one_rule_is_as_good_as_alone() -> None:
    (decision,) = _cases([0.2])
    assert adjusted([decision]) == (decision,)
    assert adjusted([]) == ()


runs = st.lists(st.lists(st.floats(1.0, 1000.0), min_size=1, max_size=5).map(np.array), min_size=1, max_size=4)


@settings(max_examples=60)
@given(runs, runs, st.floats(0.1, 10.0), st.floats(0, 0.5))
def test_units_and_sides_do_not_matter(one: list[Array], other: list[Array], unit: float, most: float) -> None:
    decision = decide(one, other, max_increase=most)
    scaled = decide(times(unit, one), times(unit, other), max_increase=most)
    assert scaled.difference == pytest.approx(unit * decision.difference, rel=1e-6, abs=1e-6)
    back = decide(other, one, max_increase=most, worse="higher")
    assert (decision.status == "improved") == (back.status == "broken")
    assert 1 + (decision.change or 0) == pytest.approx(1 / (1 + (back.change or 0)))
