"""Where a short sequence lies in a long one, beside a plain dynamic program; what is nearly as good is said too."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etgraph.ingest.linking.stretches import ALIKE, NOTHING_ALIKE, Stretch, _search, stretches

TOKENS = st.lists(st.integers(0, 3), min_size=1, max_size=24)


def found(short: list[int], long: list[int]) -> list[Stretch]:
    return stretches(np.array(short), np.array(long))


def fewest_edits(short: list[int], long: list[int]) -> int:
    """Of the edits that make some stretch of the long sequence of the short one, the fewest, by the book."""
    row = [0] * (len(long) + 1)
    for x in short:
        above, row = row, [row[0] + 1]
        for j, y in enumerate(long):
            row.append(min(above[j] + (x != y), above[j + 1] + 1, row[j] + 1))
    return min(row)


@settings(max_examples=300)
@given(TOKENS, TOKENS)
def test_the_place_has_fewest_edits(short: list[int], long: list[int]) -> None:
    fewest = fewest_edits(short, long)
    best = found(short, long)
    assert bool(best) == (fewest <= len(short) // ALIKE)
    if best:
        assert best[0].edits == fewest
        assert fewest_edits(short, long[best[0].low : best[0].high]) == fewest
        assert all(fewest <= other.edits < len(short) / NOTHING_ALIKE for other in best[1:])


@pytest.mark.parametrize("seed", range(3))
def test_compiled_and_plain_kernel_agree(seed: int) -> None:
    rng = random.Random(seed)
    long = [rng.randrange(5) for _ in range(300)]
    short = [x for x in long[100:200] if rng.random() < 0.9]
    forbidden = np.array([rng.randrange(-1, 300) for _ in short])
    given_ = np.array(short), np.array(long), forbidden, 3, 250, 40, 6
    plain, compiled = _search.python(*given_), _search.compiled(*given_)
    assert len(plain)
    assert np.array_equal(plain, compiled)


def step(layers: int, seed: int, ends: int = 40) -> list[int]:
    """Tokens of one iteration: a beginning, layers that are alike, an end."""
    rng = random.Random(seed)
    head, layer, tail = (
        [rng.randrange(first, first + 30) for _ in range(n)] for first, n in ((0, ends), (40, 25), (80, ends))
    )
    return head + layer * layers + tail


@settings(max_examples=40)
@given(st.integers(1, 6), st.integers(2, 30), st.integers(0, 5), st.integers(0, 50))
def test_iterations_that_are_alike_are_all_places(k: int, layers: int, seed: int, before: int) -> None:
    """Not one off by a layer, whose tokens agree but for the iteration's ends."""
    short = step(layers, seed)
    long = [999 + i for i in range(before)] + short * k + [777] * 5
    assert sorted(p.low for p in found(short, long)) == [before + i * len(short) for i in range(k)]


@settings(max_examples=40)
@given(st.integers(0, 4), st.lists(st.integers(0, 150), max_size=4), st.randoms(use_true_random=False))
def test_a_few_edits_hide_no_place(chosen: int, cuts: list[int], rng: random.Random) -> None:
    """Of five iterations that are alike, those with edits are places as well as those without."""
    base = step(3, 1, ends=150)
    short = [t for i, t in enumerate(base) if i not in cuts]
    long = base * 5
    for _ in range(3):
        long.insert(rng.randrange(len(long)), 555)
    assert min(abs(place.low - chosen * len(base)) for place in found(short, long)) <= 8


@pytest.mark.parametrize(("differing", "places_"), [(0, 2), (8, 2), (9, 1)])
def test_another_place_is_excluded_by_edits_enough(differing: int, places_: int) -> None:
    """Edits of the long sequence fall on either place; nine on one and none on the other are no chance."""
    short = list(range(60))
    other = [t if i % 6 or i // 6 >= differing else 500 + i for i, t in enumerate(short)]
    assert len(found(short, [900, 901, *other, 902, *short, 903])) == places_


def test_many_edits_of_both_places_leave_them_undecided() -> None:
    rng = random.Random(0)
    short = [rng.randrange(50) for _ in range(400)]

    def with_edits(share: float) -> list[int]:
        return [800 + rng.randrange(50) if rng.random() < share else t for t in short]

    assert len(found(short, with_edits(0.08) + with_edits(0.11))) == 2
    assert len(found(short, with_edits(0.02) + with_edits(0.2))) == 1


def test_a_place_may_hang_over_the_ends() -> None:
    """What the long sequence lacks at its ends costs an edit a token."""
    long = list(range(100))
    assert found([*long[80:], 777], long) == [Stretch(80, 100, 1)]
    assert found([777, *long[:20]], long)[0].edits == 1


def test_what_is_nowhere_alike_has_no_place() -> None:
    assert not found(list(range(50)), list(range(100, 300)))
    assert not stretches(np.zeros(0, dtype=np.int64), np.arange(20))
    assert not stretches(np.arange(20), np.zeros(0, dtype=np.int64))


def test_where_a_place_may_begin_can_be_limited() -> None:
    short, long = np.arange(20), np.tile(np.arange(20), 4)
    assert [p.low for p in stretches(short, long)] == [0, 20, 40, 60]
    assert [p.low for p in stretches(short, long, first=0, last=0)] == [0]
    assert [p.low for p in stretches(short, long, first=39)] == [40, 60]


def test_equal_sequences_are_one_place_however_much_they_repeat() -> None:
    assert found([1] * 30, [1] * 30) == [Stretch(0, 30, 0)]
    assert len(found([1] * 30, [1] * 31)) > 1


def test_of_as_few_edits_those_count_that_leave_more_pairs() -> None:
    assert found([1, 2, 3, 4, 5], [1, 2, 3, 4, 4, 5]) == [Stretch(0, 6, 1)]
