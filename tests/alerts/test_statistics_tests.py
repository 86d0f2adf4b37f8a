"""The tests that a rule may ask for: permutations, ranks, drifts and lasting changes, each beside another way to it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu, permutation_test, ttest_ind

from etgraph.alerts.statistics import Decision, adjusted, decide, decide_change
from etgraph.alerts.statistics.arrangements import MOST, Studentised, arrangements
from etgraph.alerts.statistics.estimates import estimated
from etgraph.alerts.statistics.ranks import MOST_PAIRS, chances
from etgraph.model.columns import Array
from etgraph.model.errors import UsageError

RANDOM = np.random.default_rng(17)


def runs(*values: float) -> list[Array]:
    """Runs of one step each, whose logarithms are these."""
    return [np.exp([value]) for value in values]


def drawn(count: int, mean: float = 0.0, seed: int = 3) -> list[float]:
    found: list[float] = np.random.default_rng([seed, count]).normal(mean, 0.05, count).tolist()
    return found


# Permutations


@pytest.mark.parametrize(("one", "other"), [
    (drawn(3, 0.04), drawn(3)), (drawn(4, 0.02), drawn(4)), (drawn(2, 0.05), drawn(6)), (drawn(4, -0.01), drawn(4)),
])  # fmt: skip
def test_the_p_value_is_the_share_of_arrangements_as_far_apart(one: list[float], other: list[float]) -> None:
    expected = permutation_test(
        (one, other), lambda a, b, axis: a.mean(axis) - b.mean(axis), alternative="greater", n_resamples=np.inf,
        vectorized=True,
    ).pvalue  # fmt: skip
    assert decide(runs(*one), runs(*other), max_increase=0.0).case.p_value == pytest.approx(expected)


def test_of_unequal_numbers_it_is_the_share_of_those_with_as_large_a_welch_s_t() -> None:
    one, other = drawn(3, 0.06), drawn(7)
    bounds = estimated(runs(*one), runs(*other)).bounds
    assert isinstance(bounds, Studentised)
    every = np.array([*one, *other])
    chosen = list(combinations(range(10), 3))
    times = np.array([ttest_ind(every[list(c)], np.delete(every, c), equal_var=False).statistic for c in chosen])
    share = float((times >= times[0] * (1 - 1e-9)).mean())
    welch = ttest_ind(one, other, equal_var=False, alternative="greater").pvalue
    assert bounds.p_above(0.0) == pytest.approx(share if bounds._leans() else max(share, welch))
    assert bounds.student.p_above(0.0) == pytest.approx(welch)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 6), st.integers(2, 6), st.integers(0, 10**6), st.sampled_from(["means", "ranks"]))
def test_an_interval_ends_where_its_p_value_is_the_level(n: int, m: int, seed: int, test: str) -> None:
    one, other = np.random.default_rng(seed).normal(0, 1, n), np.random.default_rng([seed, 1]).normal(0, 1, m)
    bounds = estimated(runs(*one), runs(*other), test=test).bounds  # type: ignore[arg-type]
    alpha = bounds.level(0.05)
    low, high = bounds.lower(alpha), bounds.upper(alpha)
    assert low <= high
    assert bounds.p_above(low - 0.02) <= alpha * (1 + 1e-9)
    assert bounds.p_below(high + 0.02) <= alpha * (1 + 1e-9)
    assert max(bounds.p_above(low + 0.02), bounds.p_below(high - 0.02)) > alpha
    turned = estimated(runs(*other), runs(*one), test=test).bounds  # type: ignore[arg-type]
    assert (-turned.upper(alpha), -turned.lower(alpha)) == pytest.approx((low, high), abs=0.02)


def test_beyond_what_arrangements_can_tell_student_s_t_goes_on() -> None:
    """Three a side have 20 arrangements; of many rules a clear regression must stand all the same."""
    clear = decide(runs(0.5, 0.51, 0.52), runs(0.0, 0.01, 0.02), max_increase=0.05)
    assert clear.case.p_value < 1e-4
    others = [decide(runs(*drawn(3, seed=seed)), runs(*drawn(3, seed=-seed + 99)), max_increase=0.05)
              for seed in range(20)]  # fmt: skip
    assert adjusted([clear, *others])[0].status == "broken"


def test_more_arrangements_than_are_looked_at_are_drawn_once() -> None:
    found = arrangements(8, 9)
    assert found.shape == (MOST, 17)
    assert (found.sum(axis=1) == 8).all()
    assert found[0].tolist() == [1.0] * 8 + [0.0] * 9
    assert arrangements(8, 9) is found


def test_noise_that_is_long_to_one_side_widens_that_side_of_few_runs() -> None:
    """Ten runs of the same typical steps; their hiccups make no run longer, but one more run may be."""
    other = [np.exp(value + np.linspace(-0.1, 0.1, 11)) for value in drawn(10)]
    hiccups = [np.append(run, [3.0, 3.0]) for run in other]
    even, long = (estimated([side[0] * 1.1], side).bounds.student for side in (other, hiccups))
    assert (even.upwards, even.downwards) == (1.0, 1.0)
    assert long.upwards > 1.2
    assert long.downwards == 1.0


def test_few_runs_that_are_alike_by_luck_differ_by_no_less_than_their_steps_leave_open() -> None:
    steps = np.exp(RANDOM.normal(0, 0.2, 20))
    alike = [steps, steps[::-1] * 1.0001, np.roll(steps, 3)]
    assert decide([steps * 1.02], alike, max_increase=0.0).status == "undecided"
    assert decide([run[:1] for run in [steps * 1.02]], [run[:1] for run in [steps] * 3], max_increase=0.0).status == (
        "broken"
    )


# Ranks


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 10**6))
def test_ranks_have_the_exact_p_value_of_mann_and_whitney(n: int, m: int, seed: int) -> None:
    one, other = np.random.default_rng(seed).normal(0.3, 1, n), np.random.default_rng([seed, 1]).normal(0, 1, m)
    decision = decide(runs(*one), runs(*other), max_increase=0.0, test="ranks")
    greater = mannwhitneyu(one, other, alternative="greater", method="exact")
    assert decision.case.p_value == pytest.approx(greater.pvalue)
    assert decision.evidence["superiority"] == pytest.approx(greater.statistic / n / m)
    assert 1 + (decision.change or 0) == pytest.approx(math.exp(np.median(np.subtract.outer(one, other))))


def test_many_pairs_have_nearly_the_normal_distribution() -> None:
    assert MOST_PAIRS < 60 * 60
    for pairs in (1500, 1800, 2000):
        expected = mannwhitneyu(
            np.arange(60) + 0.5, _others(60, 60, pairs), alternative="less", method="asymptotic"
        )  # fmt: skip
        assert chances(60, 60)[int(expected.statistic)] == pytest.approx(expected.pvalue, rel=1e-6)


def _others(n: int, m: int, pairs: int) -> Array:
    """m values of which `pairs` pairs with 0.5 … n − 0.5 are smaller."""
    whole, rest = divmod(pairs, m)
    found: Array = np.array([n - whole - (place < rest) for place in range(m)], dtype=float)
    return found + np.linspace(0, 1e-3, m)


def test_ranks_of_too_few_runs_are_undecided_and_say_how_many_are_needed() -> None:
    decision = decide(runs(5.0, 5.1), runs(0.0, 0.1), max_increase=0.05, test="ranks")
    assert (decision.status, decision.runs_needed, decision.detectable) == ("undecided", 3, None)
    assert decision.interval.confidence == pytest.approx(1 - 2 / 6)
    assert decision.interval.low < decision.difference < decision.interval.high
    strict = decide(runs(5.0, 5.1, 5.2), runs(0.0, 0.1, 0.2), max_increase=0.05, test="ranks", confidence=0.99)
    assert (strict.status, strict.runs_needed) == ("undecided", 5)
    assert decide(runs(5.0, 5.1, 5.2), runs(0.0, 0.1, 0.2), max_increase=0.05, test="ranks").status == "broken"


def test_an_outlier_does_not_move_the_shift_of_ranks() -> None:
    one, other = [*drawn(6, 0.2), 5.0], drawn(7)
    assert decide(runs(*one), runs(*other), max_increase=0.1).change > 0.5  # type: ignore[operator]
    decision = decide(runs(*one), runs(*other), max_increase=0.1, test="ranks")
    assert decision.status == "broken"
    assert decision.change == pytest.approx(math.expm1(0.22), abs=0.08)


def test_of_many_rules_those_by_ranks_stand_as_far_as_their_runs_can_tell() -> None:
    """Three a side have a p-value of 0.05 at best: enough alone, not enough beside nine others; six a side are."""
    few = decide(runs(1.0, 1.1, 1.2), runs(0.0, 0.1, 0.2), max_increase=0.05, test="ranks")
    more = decide(runs(*drawn(6, 1.0)), runs(*drawn(6)), max_increase=0.05, test="ranks")
    same = [decide(runs(*drawn(3)), runs(*drawn(3)), max_increase=0.05) for _ in range(9)]
    assert few.status == "broken"
    found = adjusted([few, more, *same])
    assert [each.status for each in found[:2]] == ["undecided", "broken"]
    assert found[0].runs_needed == 5


# Drifts


def test_a_drift_of_all_runs_is_no_jump_and_a_jump_beside_one_is_found() -> None:
    place, noise = np.arange(24), np.array(drawn(24)) / 10
    before, after = runs(*(0.01 * place + noise)[:20]), runs(*(0.01 * place + noise)[20:])
    decision = decide(after, before, max_increase=0.03, ordered=True)
    assert abs(decision.change or 0) < 0.02
    assert decision.evidence["drift_per_run"] == pytest.approx(0.01, abs=0.002)
    assert decide(after, before, max_increase=0.03).status == "broken"
    jumped = decide([run * 1.2 for run in after], before, max_increase=0.03, ordered=True)
    assert (jumped.status, round(jumped.change or 0, 1)) == ("broken", 0.2)
    assert jumped.value == pytest.approx(math.exp(np.mean([math.log(run[0] * 1.2) for run in after])))


def test_what_drifted_beyond_the_limit_has_not_passed() -> None:
    place, noise = np.arange(24), np.array(drawn(24)) / 100
    decision = decide(
        runs(*(0.01 * place + noise)[20:]), runs(*(0.01 * place + noise)[:20]), max_increase=0.05, ordered=True
    )
    assert (decision.status, decision.runs_needed) == ("undecided", None)
    assert "drift" in (decision.why or "")


# Lasting changes


def _changed(*parts: tuple[int, float], **options: object) -> Decision:
    values = np.concatenate([np.full(count, level) for count, level in parts])
    noise = np.random.default_rng(5).normal(0, 0.02, len(values))
    return decide_change(runs(*(values + noise)), **{"samples": 1, "max_increase": 0.05, **options})  # type: ignore[arg-type]


def test_a_lasting_change_for_the_worse_is_broken_since_its_first_run() -> None:
    decision = _changed((12, 0.0), (6, 0.3))
    assert (decision.status, decision.evidence["first"]) == ("broken", 12)
    assert decision.change == pytest.approx(math.expm1(0.3), abs=0.05)
    assert decision.interval.low < decision.difference < decision.interval.high
    assert decision.effect > 5  # type: ignore[operator]


@pytest.mark.parametrize(("parts", "options", "status"), [
    (((18, 0.0),), {}, "passed"),
    (((12, 0.0), (6, -0.3)), {}, "improved"),
    (((12, 0.0), (6, -0.3)), {"worse": "lower"}, "broken"),
    (((8, 0.0), (8, 0.3), (8, 0.0)), {}, "improved"),  # taken back
    (((12, 0.0), (6, 0.3)), {"within": 4}, "passed"),  # before the last four
    (((12, 0.0), (6, 0.3)), {"within": 6}, "broken"),
    (((12, 0.0), (1, 0.3)), {}, "passed"),  # a single odd run is no change
    (((8, 0.0), (8, 0.3), (8, 0.6)), {}, "broken"),
    (((12, 0.0), (6, 0.3)), {"max_increase": 0.5}, "passed"),
    (((12, 0.0), (6, 0.3)), {"max_increase": 0.35}, "undecided"),
    (((12, 0.0), (6, 0.3)), {"min_runs": 2}, "undecided"),
    (((3, 0.0), (3, 0.3)), {}, "undecided"),
])  # fmt: skip
def test_which_histories_are_broken(
    parts: Sequence[tuple[int, float]], options: dict[str, object], status: str
) -> None:
    assert _changed(*parts, **options).status == status


def test_too_few_runs_for_a_change_say_so() -> None:
    decision = _changed((5, 0.0))
    assert decision.why == "a lasting change is looked for from 8 runs on, and there are 5"
    assert decision.runs_needed is None


def test_changes_stand_among_many_rules_as_far_as_they_are_clear() -> None:
    decisions = [_changed((12, 0.0), (6, 0.3)), *(_changed((18, 0.0)) for _ in range(9))]
    assert [each.status for each in adjusted(decisions)] == ["broken"] + ["passed"] * 9
    assert adjusted(decisions, q=1e-4)[0].status == "undecided"


def test_a_change_needs_options_in_range() -> None:
    with pytest.raises(UsageError):
        _changed((12, 0.0), confidence=0.0)


# Extremes


VALUES = st.one_of(st.just(0.0), st.sampled_from([1e-300, -1e-9, 1.0, 1e18]), st.floats(-1e12, 1e12))
SIDES = st.lists(st.lists(VALUES, min_size=1, max_size=4).map(np.array), min_size=1, max_size=6)


@settings(max_examples=150, deadline=None)
@given(SIDES, SIDES, st.booleans(), st.sampled_from(["means", "ranks"]), st.sampled_from(["higher", "lower"]))
def test_whatever_the_values_every_figure_is_a_number(
    one: list[Array], other: list[Array], ordered: bool, test: str, worse: str
) -> None:
    decision = decide(one, other, max_increase=0.05, floor=1e-9, ordered=ordered, test=test, worse=worse)  # type: ignore[arg-type]
    figures = [decision.value, decision.baseline, decision.difference, decision.interval.low, decision.interval.high,
               decision.limit, decision.change or 0.0, decision.effect or 0.0, decision.case.p_value]  # fmt: skip
    assert not any(map(math.isnan, figures))
    assert 0 <= decision.case.p_value <= 1
    assert decision.interval.low <= decision.interval.high
    (alone,) = adjusted([decision])
    assert alone.status == decision.status


@pytest.mark.parametrize("value", [0.0, -3.0, 5.0, 1e-300])
@pytest.mark.parametrize("count", [1, 3, 8])
def test_constants_do_not_change(value: float, count: int) -> None:
    same = [np.full(2, value)] * count
    for test in ("means", "ranks"):
        decision = decide(same, same, max_increase=0.05, ordered=True, test=test)  # type: ignore[arg-type]
        assert (decision.difference, decision.status in ("passed", "undecided")) == (0.0, True)
        assert (decision.change is None) == (value == 0.0)
    assert decide_change(same * 12, samples=1, max_increase=0.05).status == "passed"
