"""What NCCL and gloo choose, and what NCCL's protocols cost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etgraph.model import CommType
from etgraph.sim.communication.algorithms import MESSAGE
from etgraph.sim.communication.levels import span_of
from etgraph.sim.communication.libraries import ANY, GLOO, LIBRARIES, NCCL, cheapest, library_of
from etgraph.sim.profiles import Tier

# Steps as NCCL's own table has them for LL: 0.6 µs on NVLink, 2.7 µs on a network (a switch counts as two hops).
NODE = Tier("nvlink", "switch", 8, 130e9, 300)
NET = Tier("ib", "switch", 4, 25e9, 1350)


@pytest.mark.parametrize(
    ("protocol", "start", "hop", "fraction"),
    [("LL", 6.6, 0.6, 1 / 4), ("LL128", 14.0, 1.9, 0.92), ("Simple", 8.4, 3.4, 1.0)],
)
def test_on_one_node_a_ring_costs_what_nccls_tuning_model_says(
    protocol: str, start: float, hop: float, fraction: float
) -> None:
    # ncclTopoTuneModel: latency = baseLat + nsteps · hwLat; bandwidth = busBw · n / nsteps, nsteps = 2 (n − 1).
    plans = dict(NCCL.plans(CommType.ALL_REDUCE, span_of([NODE], range(8))))
    steps, size = 14, 3e6
    expected = start * 1e3 + steps * hop * 1e3 + size / (130 * fraction * 8 / steps)
    assert plans[f"ring, {protocol}"].duration_ns(np.array([size]))[0] == pytest.approx(expected)


def test_over_nodes_the_tree_has_fewer_steps_and_the_ring_more_bandwidth() -> None:
    chosen = cheapest(NCCL, CommType.ALL_REDUCE, span_of([NODE, NET], range(32)), np.array([1e3, 1e6, 4e9]))
    assert chosen is not None
    assert [chosen.ways[way] for way in chosen.way] == ["tree, LL", "tree, LL128", "ring, Simple"]
    # Tree, LL: baseLat + 2 · (7 · NVLink's step + log2(4) · the network's).
    assert chosen.duration_ns[0] == pytest.approx((6.8 + 2 * (7 * 0.6 + 2 * 5.0)) * 1e3, rel=0.01)


def test_small_messages_go_by_ll_large_ones_by_simple() -> None:
    chosen = cheapest(NCCL, CommType.ALL_GATHER, span_of([NODE], range(8)), np.array([1e3, 4e6, 4e9]))
    assert chosen is not None
    assert [chosen.ways[way] for way in chosen.way] == ["ring, LL", "ring, LL128", "ring, Simple"]


def test_a_library_without_an_algorithm_for_a_span_says_so_and_a_single_rank_sends_nothing() -> None:
    assert cheapest(GLOO, MESSAGE, span_of([NODE], [0, 1, 2]), np.array([1.0])) is None
    alone = cheapest(NCCL, CommType.ALL_REDUCE, span_of([NODE], [3]), np.array([5.0]))
    assert alone is not None
    assert alone.duration_ns.tolist() == [0.0]


@pytest.mark.parametrize(
    ("backend", "library"),
    [("nccl", NCCL), ("cpu:gloo,cuda:nccl", NCCL), ("cpu:gloo,cuda:gloo", GLOO), ("mpi", ANY), (None, ANY)],
)
def test_the_backend_names_the_library(backend: str | None, library: object) -> None:
    assert library_of(backend) is library


@given(
    st.sampled_from(sorted(LIBRARIES)), st.sampled_from([*map(int, CommType), MESSAGE]),
    st.lists(st.integers(0, 31), min_size=2, max_size=32, unique=True), st.lists(st.integers(0, 10**10), min_size=2),
)  # fmt: skip
def test_the_cheapest_is_never_dearer_for_less_and_never_faster_than_the_ports(
    name: str, type: int, ranks: list[int], sizes: list[int]
) -> None:
    size = np.sort(np.array(sizes, dtype=np.float64))
    chosen = cheapest(LIBRARIES[name], type, span_of([NODE, NET], ranks), size)
    if chosen is None:
        assert type == MESSAGE or name == "gloo"
        return
    assert (np.diff(chosen.duration_ns) >= 0).all()
    if type != CommType.BARRIER:
        assert (chosen.duration_ns >= size / 2 / (130 + 25)).all()
