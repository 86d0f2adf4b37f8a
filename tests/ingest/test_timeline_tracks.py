"""Tracks of a timeline: intervals on one nest, and as few as can be leave their lane's own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etgraph.ingest.writers.timeline.nesting import _crossing, _further, levels

Interval = tuple[int, int, bool]


def put(intervals: list[Interval], deepest: int = 512, parents: dict[int, int] | None = None) -> list[int]:
    """The level of each interval (start, end, whether it makes way), sorted as `levels` wants them."""
    start, end, yields = (np.array(values) for values in zip(*intervals))
    parent = np.full(len(intervals), -1)
    for child, own in (parents or {}).items():
        parent[child] = own
    found: list[int] = levels(
        np.zeros(len(start), dtype=np.int64), start, end, yields, parent, np.array([deepest])
    ).tolist()
    return found


def intervals() -> st.SearchStrategy[list[Interval]]:
    one = st.tuples(st.integers(0, 12), st.integers(0, 8), st.booleans())
    return st.lists(one, min_size=1, max_size=14).map(
        lambda found: sorted(((s, s + d, y) for s, d, y in found), key=lambda i: (i[0], -i[1], not i[2]))
    )


def apart(a: Interval, b: Interval) -> bool:
    """Whether the later of two follows the earlier one."""
    return b[0] >= a[1]


def crosses(a: Interval, b: Interval) -> bool:
    """Whether two can never share a track: the later begins in the earlier and ends after it."""
    return a[0] <= b[0] < a[1] < b[1]


@given(intervals(), st.sampled_from([1, 2, 512]))
def test_what_shares_a_track_nests_no_deeper_than_allowed(found: list[Interval], deepest: int) -> None:
    level = put(found, deepest)
    for k in set(level):
        own = [i for i, other in zip(found, level) if other == k]
        for n, interval in enumerate(own):
            around = [other for other in own[:n] if not apart(other, interval)]
            assert not any(crosses(other, interval) for other in around)
            assert len(around) < deepest
    assert set(level) <= set(range(max(level) + 1))


@given(intervals())
def test_operators_that_nest_stay_whatever_annotations_do(found: list[Interval]) -> None:
    level = put(found)
    operators = [i for i in found if not i[2]]
    if not any(crosses(a, b) for n, b in enumerate(operators) for a in operators[:n]):
        assert [k for i, k in zip(found, level) if not i[2]] == [0] * len(operators)
    if not any(crosses(a, b) for n, b in enumerate(found) for a in found[:n]):
        assert level == [0] * len(found)


@given(intervals(), st.sampled_from([1, 512]))
def test_compiled_kernels_do_the_same(found: list[Interval], deepest: int) -> None:
    start, end, yields = (np.array(values) for values in zip(*found))
    strip, parent, limit = np.zeros(len(found), dtype=np.int64), np.arange(len(found)) // 2 - 1, np.array([deepest])
    off = _crossing.compiled(strip, start, end, yields, parent, limit)
    assert off.tolist() == _crossing.python(strip, start, end, yields, parent, limit).tolist()
    results = []
    for run in (_further.python, _further.compiled):
        level = np.zeros(len(found), dtype=np.int32)
        if off.any():
            run(np.flatnonzero(off), strip, start, end, parent, limit, level)
        results.append(level.tolist())
    assert results[0] == results[1]


@pytest.mark.parametrize(
    ("found", "deepest", "expected"),
    [
        ([(0, 10, False), (2, 8, False), (8, 10, False), (10, 12, False)], 512, [0, 0, 0, 0]),
        ([(0, 10, False), (2, 8, False), (8, 10, False), (10, 12, False)], 1, [0, 1, 1, 0]),
        ([(0, 10, False), (5, 15, False), (9, 20, False), (15, 16, False)], 512, [0, 1, 2, 0]),
        ([(0, 10, True), (5, 15, False)], 512, [1, 0]),
        ([(0, 10, False), (5, 15, True)], 512, [0, 1]),
        ([(0, 20, True), (1, 10, True), (5, 15, False)], 512, [0, 1, 0]),
        ([(0, 0, False), (0, 0, False)], 1, [0, 0]),
        ([(0, 9, False), (0, 8, False), (0, 7, False)], 2, [0, 0, 1]),
    ],
)
def test_levels(found: list[Interval], deepest: int, expected: list[int]) -> None:
    assert put(found, deepest) == expected


def test_children_go_where_their_parent_went() -> None:
    found = [(0, 10, False), (5, 15, False), (6, 20, False), (7, 12, False)]
    assert put(found, parents={1: 0, 2: 1, 3: 1}) == [0, 1, 2, 1]
    assert put(found, parents={1: 0, 2: 1, 3: 2}) == [0, 1, 2, 2]
