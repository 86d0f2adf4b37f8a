"""Collectives beside the closed model of symmetric runs, and beside figures worked out by hand."""

from __future__ import annotations

from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etgraph.sim.astra_sim import read_arguments, read_network, read_system, run
from support.astra_cases import NETWORK, SYSTEM, algorithms, trace_of
from support.astra_closed import Collective, Dim, duration

KINDS = {"all-reduce": 0, "all-gather": 2, "all-to-all": 6, "reduce-scatter": 7}


@pytest.fixture(autouse=True)
def _compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("etgraph.sim.astra_sim.running.COMPILE_FROM", 0)


def ends(system: dict[str, Any], network: dict[str, Any], *collectives: dict[str, Any], **given: Any) -> list[int]:
    """When each rank ends after collectives that it does one after another."""
    rows = [{"id": i, "type": "COLL", "deps": [i - 1] if i else [], **c} for i, c in enumerate(collectives)]
    net = read_network(network)
    with TemporaryDirectory() as folder:
        trace = trace_of(Path(folder), [rows] * net.npus)
        simulation = run(trace, system=read_system(SYSTEM | system), network=net, **given)
    return [rank.end_ns for rank in simulation.ranks]


TWO_DIMS = {
    "topology": ["Ring", "Switch"],
    "npus_count": [4, 2],
    "bandwidth": [100.0, 25.0],
    "latency": [300.0, 1000.0],
}


@pytest.mark.parametrize(
    ("kind", "optimization", "expected"),
    [
        ("all-reduce", "localBWAware", 32020), ("all-reduce", "baseline", 62038), ("all-gather", "baseline", 74129),
        ("reduce-scatter", "baseline", 16330), ("all-to-all", "baseline", 33138),
    ],
)  # fmt: skip
def test_worked_examples_in_two_dimensions(kind: str, optimization: str, expected: int) -> None:
    system = {"collective-optimization": optimization} | algorithms("ring", "ring")
    collective = {"comm_type": KINDS[kind], "comm_size": 1 << 20}
    assert ends(system, TWO_DIMS, collective) == [expected] * 8


def test_an_all_reduce_in_one_dimension_takes_the_first_half_of_the_queues_only() -> None:
    one, several = {"active-chunks-per-dimension": 1}, {"active-chunks-per-dimension": 2}
    collective = {"comm_type": 0, "comm_size": 1 << 22}
    halved = ends(several, NETWORK, collective, arguments=read_arguments({"num-queues-per-dim": 2}))
    assert halved == ends(one, NETWORK, collective)
    assert halved > ends(several, NETWORK, collective)


dims = st.builds(
    Dim, st.sampled_from(["Ring", "Switch", "FullyConnected"]), st.integers(2, 5),
    st.sampled_from([0.9, 25.0, 50.0, 400.0]), st.sampled_from([0.0, 3.7, 500.0, 936.25]),
    st.sampled_from(["ring", "direct"]),
)  # fmt: skip
collectives = st.builds(
    Collective, st.sampled_from(sorted(KINDS)), st.integers(16, 1 << 22), st.integers(1, 16), st.integers(1, 4),
    st.sampled_from([1, 10, 500]), st.sampled_from([50, 1600]), st.booleans(),
)  # fmt: skip


def spreads(dim: Dim) -> bool:
    """Direct exchanges on a ring arrive at different times, which the closed model leaves out of all-reduces."""
    return dim.topology == "Ring" and dim.algorithm == "direct" and dim.npus > 3


@settings(max_examples=60)
@given(st.lists(dims, min_size=1, max_size=4).filter(lambda n: prod(d.npus for d in n) <= 40), collectives)
def test_symmetric_collectives_take_what_the_closed_model_says(network: list[Dim], c: Collective) -> None:
    if c.kind == "all-reduce" and any(map(spreads, network)):
        network = [Dim("Switch", d.npus, d.bandwidth, d.latency, d.algorithm) for d in network]
    system = {
        "preferred-dataset-splits": c.splits, "active-chunks-per-dimension": c.places, "endpoint-delay": c.delay,
        "local-mem-bw": c.local_bandwidth, "scheduling-policy": "FIFO",
        "collective-optimization": "localBWAware" if c.local_bandwidth_aware else "baseline",
    } | algorithms(*(d.algorithm for d in network))  # fmt: skip
    described = {
        "topology": [d.topology for d in network], "npus_count": [d.npus for d in network],
        "bandwidth": [d.bandwidth for d in network], "latency": [d.latency for d in network],
    }  # fmt: skip
    collective = {"comm_type": KINDS[c.kind], "comm_size": c.size}
    expected = duration(network, c)
    assert set(ends(system, described, collective)) == {expected}
    twice = ends(system, described, collective, collective)
    assert set(twice) == {2 * expected}
