"""Sets of moments, compared with sets of integers."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from etgraph.model.intervals import Spans, union

INTERVALS = st.lists(st.tuples(st.integers(-20, 60), st.integers(-5, 25)), max_size=12)


def spans(intervals: list[tuple[int, int]]) -> Spans:
    pairs = np.array(intervals, dtype=np.int64).reshape(-1, 2)
    return union(pairs[:, 0], pairs.sum(axis=1))


def moments(found: Spans) -> set[int]:
    return {t for a, b in zip(found.start_ns.tolist(), found.end_ns.tolist()) for t in range(a, b)}


def expected(intervals: list[tuple[int, int]]) -> set[int]:
    return {t for start, length in intervals for t in range(start, start + length)}


@given(INTERVALS, INTERVALS)
def test_they_are_sets(one: list[tuple[int, int]], other: list[tuple[int, int]]) -> None:
    a, b = spans(one), spans(other)
    assert moments(a) == expected(one)
    assert a.ns == len(expected(one))
    assert moments(a.common(b)) == expected(one) & expected(other)
    assert moments(a.without(b)) == expected(one) - expected(other)
    assert moments(a.clipped(3, 30)) == expected(one) & set(range(3, 30))


@given(INTERVALS, INTERVALS)
def test_how_much_of_an_interval_is_inside(one: list[tuple[int, int]], asked: list[tuple[int, int]]) -> None:
    asked = [(start, max(0, length)) for start, length in asked]
    pairs = np.array(asked, dtype=np.int64).reshape(-1, 2)
    found = spans(one).within(pairs[:, 0], pairs.sum(axis=1)).tolist()
    assert found == [len(expected(one) & set(range(start, start + length))) for start, length in asked]


@given(INTERVALS)
def test_they_neither_touch_nor_overlap(one: list[tuple[int, int]]) -> None:
    found = spans(one)
    assert (found.start_ns[1:] > found.end_ns[:-1]).all()
    assert (found.end_ns > found.start_ns).all()
