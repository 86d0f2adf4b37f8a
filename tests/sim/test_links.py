"""The links that a message occupies."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from etgraph.sim.communication.links import Routes, routes
from etgraph.sim.communication.sharing import share
from etgraph.sim.profiles import Tier


def way(found: Routes, flow: int) -> list[int]:
    return found.links[found.offsets[flow] : found.offsets[flow + 1]].tolist()


def to(tiers: list[Tier], *pairs: tuple[int, int]) -> Routes:
    source, target = np.array(pairs).T
    return routes(tiers, source, target)


def test_over_a_switch_a_message_goes_up_and_down() -> None:
    found = to([Tier("nvswitch", "switch", 4, 8e9, 300)], (0, 3), (3, 0), (2, 2))
    assert [way(found, f) for f in range(3)] == [[0, 7], [3, 4], []]
    assert found.latency_ns.tolist() == [600, 600, 0]
    assert found.capacity.tolist() == [8.0] * 8


def test_round_a_ring_it_goes_the_shorter_way_and_clockwise_of_two_equal_ones() -> None:
    found = to([Tier("ring", "ring", 6, 8e9, 100)], (0, 2), (0, 5), (1, 4))
    # Link d leads from device d on, link 6 + d back.
    assert [way(found, f) for f in range(3)] == [[0, 1], [6], [1, 2, 3]]
    assert found.latency_ns.tolist() == [200, 100, 300]
    assert found.capacity[0] == 4.0  # half of what both directions carry


def test_in_a_mesh_each_pair_has_a_link() -> None:
    found = to([Tier("mesh", "fully-connected", 4, 9e9, 100)], (0, 1), (1, 0), (0, 2))
    assert len({tuple(way(found, f)) for f in range(3)}) == 3
    assert found.capacity[0] == 3.0


def test_between_nodes_it_goes_from_port_to_port_of_the_outermost_switch() -> None:
    tiers = [Tier("node", "switch", 2, 100e9, 300), Tier("net", "switch", 2, 10e9, 1000)]
    found = to(tiers, (0, 3), (1, 3), (0, 1))
    # Links 0–3 up and 4–7 down inside nodes, 8–11 up and 12–15 down between them, by device.
    assert [way(found, f) for f in range(3)] == [[8, 15], [9, 15], [0, 5]]
    assert found.latency_ns.tolist() == [2000, 2000, 600]


def test_in_a_torus_it_moves_along_one_dimension_after_the_other() -> None:
    tiers = [Tier("x", "ring", 3, 2e9, 10), Tier("y", "ring", 4, 4e9, 100)]
    found = to(tiers, (0, 7), (2, 0))
    # In x: onwards 0–11, back 12–23; in y from 24 on. Device 7 is (1, 2): one hop in x, then two in y.
    assert way(found, 0) == [0, 24 + 1, 24 + 4]
    assert way(found, 1) == [2]
    assert found.latency_ns.tolist() == [210, 10]
    assert found.capacity.tolist() == [1.0] * 24 + [2.0] * 24


def test_two_messages_into_one_device_share_its_link_down() -> None:
    found = to([Tier("switch", "switch", 3, 10e9, 0)], (0, 2), (1, 2))
    end = share(np.zeros(2, np.int64), np.array([1000, 1000]), found.offsets, found.links, found.capacity)
    assert end.tolist() == [200, 200]


topologies = st.sampled_from(["ring", "switch", "fully-connected"])
grids = st.lists(st.builds(Tier, st.just("tier"), topologies, st.integers(2, 5), st.just(1e9), st.just(10)), max_size=3)


@given(grids, st.integers(0, 10**6), st.integers(0, 10**6))
def test_links_of_a_way_are_known_and_different_and_as_many_as_its_latency_says(
    tiers: list[Tier], source: int, target: int
) -> None:
    devices = int(np.prod([tier.size for tier in tiers]))
    found = to(tiers, (source % devices, target % devices))
    used = way(found, 0)
    assert len(used) == len(set(used)) == found.latency_ns[0] / 10
    assert all(0 <= link < len(found.capacity) for link in used)
    assert bool(used) == (source % devices != target % devices)
