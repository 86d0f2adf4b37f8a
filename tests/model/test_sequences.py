"""Alignment of sequences beside a plain dynamic program."""

from __future__ import annotations

import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etgraph.model.columns import Array
from etgraph.model.sequences import _align, _gather, align, align_boxes, ascending, side_by_side

TOKENS = st.lists(st.integers(0, 3), max_size=24)


def longest(a: list[int], b: list[int]) -> int:
    """Length of a longest common subsequence, by the book."""
    best = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            best[i + 1][j + 1] = best[i][j] + 1 if x == y else max(best[i][j + 1], best[i + 1][j])
    return best[-1][-1]


def check(a: list[int], b: list[int], partner: Array) -> None:
    """Partners ascend, are equal, and are as many as can be."""
    found = [j for j in partner.tolist() if j >= 0]
    assert found == sorted(set(found))
    assert all(a[i] == b[j] for i, j in enumerate(partner.tolist()) if j >= 0)
    assert len(found) == longest(a, b)


@settings(max_examples=300)
@given(TOKENS, TOKENS)
def test_an_alignment_is_a_longest_common_subsequence(a: list[int], b: list[int]) -> None:
    partner = align(np.array(a, dtype=np.int64), np.array(b, dtype=np.int64))
    assert partner is not None
    check(a, b, partner)


@pytest.mark.parametrize("seed", range(3))
def test_compiled_and_plain_kernel_agree(seed: int) -> None:
    rng = random.Random(seed)
    a = [rng.randrange(5) for _ in range(120)]
    b = [x for x in a if rng.random() < 0.8] + [rng.randrange(5) for _ in range(9)]
    arrays = np.array(a, dtype=np.int64), np.array(b, dtype=np.int64)
    rest = np.array([[0, len(a), 0, len(b)]]), 400, 10**6
    plain, compiled = _align.python(*arrays, *rest), _align.compiled(*arrays, *rest)
    assert plain[1].all()
    assert compiled[1].all()
    assert np.array_equal(plain[0], compiled[0])
    check(a, b, plain[0])


def test_sequences_that_differ_too_much_are_not_aligned() -> None:
    a, b = np.arange(3000), np.arange(10_000, 13_000)
    assert align(a, b) is None
    assert align(a, a[::2]) is None  # a third of all tokens
    assert align(a, a[a % 4 > 0]) is not None  # a seventh


@given(st.lists(st.tuples(TOKENS, TOKENS), max_size=4))
def test_stretches_are_aligned_each_for_itself(pairs: list[tuple[list[int], list[int]]]) -> None:
    ends = [np.cumsum([0, *(len(pair[side]) for pair in pairs)]) for side in (0, 1)]
    boxes = np.array([(*ends[0][k : k + 2], *ends[1][k : k + 2]) for k in range(len(pairs))]).reshape(-1, 4)
    a, b = (np.array([x for pair in pairs for x in pair[side]], dtype=np.int64) for side in (0, 1))
    partner, given_up = align_boxes(a, b, boxes, 100)
    assert not len(given_up)
    for (one, other), (a0, a1, b0, _) in zip(pairs, boxes.tolist(), strict=True):
        check(one, other, np.where(partner[a0:a1] >= 0, partner[a0:a1] - b0, -1))


def test_a_stretch_that_takes_too_long_is_given_up_and_the_others_are_not() -> None:
    a, b = np.arange(90), np.concatenate([np.arange(30), np.arange(60, 30, -1), np.arange(60, 90)])
    boxes = np.array([[0, 30, 0, 30], [30, 60, 30, 60], [60, 90, 60, 90]])
    partner, given_up = align_boxes(a, b, boxes, 20)
    assert given_up.tolist() == [[30, 60, 30, 60]]
    assert (partner >= 0).sum() == 60
    _, given_up = align_boxes(a, b, boxes, 1000, steps=50)
    assert given_up.tolist() == [[30, 60, 30, 60]]


def places(partner: list[int], count: int) -> int:
    """How many places between matches have tokens without a partner."""
    steps = [-1, *(i for i, j in enumerate(partner) if j >= 0), len(partner)]
    ends = [-1, *(j for j in partner if j >= 0), count]
    return sum(
        i - before > 1 or j - ahead > 1 for (before, i), (ahead, j) in zip(pairwise(steps), pairwise(ends), strict=True)
    )


@given(TOKENS, TOKENS)
def test_tokens_without_partners_are_gathered_and_no_partner_is_lost(a: list[int], b: list[int]) -> None:
    arrays = np.array(a, dtype=np.int64), np.array(b, dtype=np.int64)
    partner = align(*arrays)
    assert partner is not None
    box = np.array([[0, len(a), 0, len(b)]])
    found = side_by_side(partner, *arrays, box)
    check(a, b, found)
    assert places(found.tolist(), len(b)) <= places(partner.tolist(), len(b))
    plain, compiled = partner.copy(), partner.copy()
    _gather.python(plain, *arrays, box)
    _gather.compiled(compiled, *arrays, box)
    assert plain.tolist() == compiled.tolist()


@pytest.mark.parametrize(
    ("a", "b", "found"),
    [
        ([1, 1, 1, 1], [1, 2, 1, 1], [0, -1, 2, 3]),  # the one at whose place the other has something else
        ([1] * 6, [1, 2, 1, 1, 3, 1], [0, -1, 2, 3, -1, 5]),  # two of them
        ([1, 2] * 3, [1, 2, 9, 8, 1, 2], [0, 1, -1, -1, 4, 5]),  # groups of tokens
        ([5, 1, 2], [1, 2, 6], [-1, 0, 1]),  # not alike: it stays
    ],
)
def test_what_is_left_of_both_stands_side_by_side(a: list[int], b: list[int], found: list[int]) -> None:
    for one, two in ((a, b), (b, a)):
        arrays = np.array(one), np.array(two)
        partner = align(*arrays)
        assert partner is not None
        result = side_by_side(partner, *arrays, np.array([[0, len(one), 0, len(two)]])).tolist()
        assert [(i, j) for i, j in enumerate(result) if j >= 0] == [
            (i, j) if one is a else (j, i) for i, j in enumerate(found) if j >= 0
        ]


@given(st.lists(st.integers(0, 30), unique=True))
def test_as_many_pairs_as_ascend_are_kept(values: list[int]) -> None:
    first, second = ascending(np.arange(len(values)), np.array(values, dtype=np.int64))
    assert (np.diff(first) > 0).all()
    assert (np.diff(second) > 0).all()
    assert len(second) == longest(values, sorted(values))


@given(st.data())
def test_runs_of_edits_leave_the_rest_linked_as_it_was(data: st.DataObject) -> None:
    """Each token is its own, so the truth is known: what both sides kept is linked, and nothing else."""
    kept_a = data.draw(_runs(200))
    kept_b = data.draw(_runs(200))
    a, b = np.flatnonzero(kept_a), np.flatnonzero(kept_b)
    partner = align(a, b)
    assert partner is not None
    assert {int(a[i]) for i in np.flatnonzero(partner >= 0)} == set(np.flatnonzero(kept_a & kept_b).tolist())


def _runs(count: int) -> st.SearchStrategy[Array]:
    """Which of so many tokens are kept when a few runs of them are cut out."""

    def cut(runs: list[tuple[int, int]]) -> Array:
        kept = np.ones(count, dtype=bool)
        for first, length in runs:
            kept[first : first + length] = False
        return kept

    return st.lists(st.tuples(st.integers(0, count - 1), st.integers(1, 20)), max_size=5).map(cut)
