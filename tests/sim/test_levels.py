"""What a group spans of a profile's tiers."""

from __future__ import annotations

import numpy as np
import pytest

from etgraph.model.errors import UsageError
from etgraph.sim.communication.levels import Span, coordinates, span_of
from etgraph.sim.profiles import Tier

TIERS = [
    Tier("nvlink", "switch", 4, 400e9, 300),
    Tier("ib", "switch", 3, 50e9, 1500),
    Tier("pod", "ring", 2, 5e9, 9000),
]


def shape(span: Span) -> list[tuple[str, int, int, int]]:
    return [(level.name, level.members, level.below, level.positions) for level in span.levels]


def test_the_first_tier_varies_fastest() -> None:
    assert coordinates(TIERS, np.array([0, 5, 23])).tolist() == [[0, 0, 0], [1, 1, 0], [3, 2, 1]]


@pytest.mark.parametrize(
    ("ranks", "expected", "regular"),
    [
        (range(4), [("nvlink", 4, 1, 4)], True),
        (range(8), [("nvlink", 4, 1, 8), ("ib", 2, 4, 2)], True),
        ([0, 4, 8], [("ib", 3, 1, 3)], True),
        ([0, 12], [("pod", 2, 1, 2)], True),
        ([0, 1, 2, 8], [("nvlink", 3, 1, 4), ("ib", 2, 1, 2)], False),
        (range(24), [("nvlink", 4, 1, 24), ("ib", 3, 4, 6), ("pod", 2, 12, 2)], True),
        ([7], [], True),
    ],
)
def test_a_group_spans_the_tiers_in_which_its_members_differ(
    ranks: list[int], expected: list[tuple[str, int, int, int]], regular: bool
) -> None:
    span = span_of(TIERS, ranks)
    assert shape(span) == expected
    assert (span.regular, span.ranks) == (regular, len(ranks))


def test_placed_elsewhere_the_same_ranks_span_other_tiers() -> None:
    by_node = span_of(TIERS, [0, 1], placement=[0, 4, 1, 5])
    assert shape(by_node) == [("ib", 2, 1, 2)]


def test_latency_and_bandwidth_follow_the_topology() -> None:
    def level(topology: str, members: int) -> tuple[float, float, float, float]:
        tier = Tier("t", topology, 8, 80e9, 100)  # type: ignore[arg-type]
        (one,) = span_of([tier], range(members)).levels
        return one.neighbour_ns, one.farthest_ns, one.usable, one.to_one

    assert level("switch", 8) == (200, 200, 80, 80)
    assert level("fully-connected", 8) == (100, 100, 80, pytest.approx(80 / 7))
    assert level("fully-connected", 3) == (100, 100, pytest.approx(80 * 2 / 7), pytest.approx(80 / 7))
    assert level("ring", 8) == (100, 400, 80, 40)
    assert level("ring", 2) == (100, 100, 80, 40)
    (apart,) = span_of([Tier("t", "ring", 8, 80e9, 100)], [1, 4]).levels
    assert (apart.neighbour_ns, apart.farthest_ns) == (300, 300)


def test_a_rank_beyond_the_tiers_is_an_error_that_says_how_many_there_are() -> None:
    with pytest.raises(UsageError, match="device 24 does not exist: the profile's tiers join 24"):
        span_of(TIERS, [0, 24])
    with pytest.raises(UsageError, match="rank 2 has no place: the placement names 2 ranks"):
        span_of(TIERS, [2], placement=[0, 1])
    with pytest.raises(UsageError, match="several ranks of a group are placed on device 4"):
        span_of(TIERS, [0, 1], placement=[4, 4])
