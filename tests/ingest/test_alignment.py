"""Alignment of sequences beside a plain dynamic program, and the places where a short one may lie in a long one."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etgraph.ingest.linking.alignment import _align, align, methods
from etgraph.model import LinkMethod
from etgraph.model.columns import Array

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
    plain, compiled = _align.python(*arrays, 400), _align.compiled(*arrays, 400)
    assert plain[1]
    assert compiled[1]
    assert np.array_equal(plain[0], compiled[0])
    check(a, b, plain[0])


def test_sequences_that_differ_too_much_are_not_aligned() -> None:
    a, b = np.arange(3000), np.arange(10_000, 13_000)
    assert align(a, b) is None
    assert align(a, a[::2]) is None  # a third of all tokens
    assert align(a, a[a % 4 > 0]) is not None  # a seventh


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


def slow_methods(partner: list[int], count: int) -> list[int]:
    """Steps to where the run ends, one by one; what both sequences begin or end with ends no run."""
    grades = ((16, 2), (8, 3), (4, 4), (2, 5), (1, 6))

    def reach(i: int, by: int) -> float:
        steps = 1
        while True:
            at, j = i + by, partner[i] + by
            if not 0 <= at < len(partner) and not 0 <= j < count:
                return float("inf")
            if not 0 <= at < len(partner) or not 0 <= j < count or partner[at] != j:
                return steps
            i, steps = at, steps + 1

    return [
        -1 if j < 0 else next(m for least, m in grades if min(reach(i, -1), reach(i, 1)) >= least)
        for i, j in enumerate(partner)
    ]


@given(TOKENS, TOKENS)
def test_confidence_grows_with_the_distance_to_the_runs_ends(a: list[int], b: list[int]) -> None:
    partner = align(np.array(a, dtype=np.int64), np.array(b, dtype=np.int64))
    assert partner is not None
    assert methods(partner, len(b)).tolist() == slow_methods(partner.tolist(), len(b))


def test_the_longer_the_run_the_surer_its_middle() -> None:
    partner = np.concatenate([np.arange(40), [-1], 41 + np.arange(40)])
    found = methods(partner, 81)
    assert found[0] == LinkMethod.ALIGNED_16  # both begin there
    assert found[39] == LinkMethod.ALIGNED_1
    assert found[36] == LinkMethod.ALIGNED_4
    assert found[24] == LinkMethod.ALIGNED_16
    assert found[40] == -1
