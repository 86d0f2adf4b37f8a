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
from etgraph.sim.astra_sim import running as running_module
from etgraph.sim.astra_sim.assemble import machine_of
from support.astra_cases import NETWORK, SYSTEM, algorithms, trace_of
from support.astra_closed import Collective, Dim, duration

KINDS = {"all-reduce": 0, "all-gather": 2, "all-to-all": 6, "reduce-scatter": 7}


@pytest.fixture(autouse=True)
def _compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running_module, "COMPILE_FROM", 0)


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
    assert set(ends(system, described, collective, fold=False)) == {expected}
    for fold in (False, True):
        assert set(ends(system, described, collective, collective, fold=fold)) == {2 * expected}


PROGRAMS = st.lists(
    st.tuples(st.sampled_from(sorted(KINDS)), st.integers(16, 1 << 20), st.integers(0, 60_000), st.integers(1, 3)),
    min_size=1, max_size=6,
)  # fmt: skip


@settings(max_examples=60)
@given(st.lists(dims, min_size=1, max_size=3).filter(lambda n: prod(d.npus for d in n) <= 18), collectives, PROGRAMS)
def test_one_npu_stands_for_all(network: list[Dim], c: Collective, program: list[Any]) -> None:
    """Collectives under computation by roofline, whose ends may fall into any nanosecond."""
    system = {
        "preferred-dataset-splits": c.splits, "active-chunks-per-dimension": c.places, "endpoint-delay": c.delay,
        "roofline-enabled": 1, "local-mem-bw": 1, "peak-perf": 1,
        "collective-optimization": "localBWAware" if c.local_bandwidth_aware else "baseline",
    } | algorithms(*(d.algorithm for d in network))  # fmt: skip
    described = {
        "topology": [d.topology for d in network], "npus_count": [d.npus for d in network],
        "bandwidth": [d.bandwidth for d in network], "latency": [d.latency for d in network],
    }  # fmt: skip
    rows: list[dict[str, Any]] = []
    for at, (kind, size, ops, back) in enumerate(program):
        after = [max(2 * at - back, 0)] if at else []
        rows.append({"id": 2 * at, "type": "COMP", "deps": after, "num_ops": ops + 20, "tensor_size": ops + 20})
        rows.append({"id": 2 * at + 1, "type": "COLL", "deps": [2 * at], "comm_type": KINDS[kind], "comm_size": size})
    net = read_network(described)
    with TemporaryDirectory() as folder:
        trace = trace_of(Path(folder), [rows] * net.npus)
        folded, whole = (
            run(trace, system=read_system(SYSTEM | system), network=net, fold=fold) for fold in (True, False)
        )
    assert folded.nodes.equals(whole.nodes)
    assert folded.ranks == whole.ranks


def test_what_ends_in_one_nanosecond_is_not_folded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entered = []
    monkeypatch.setattr(running_module, "machine_of", lambda *a, **k: entered.append(1) or machine_of(*a, **k))
    alone = [{"id": 0, "type": "COLL", "comm_type": 0, "comm_size": 1 << 20}]
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    given: dict[str, Any] = {"system": read_system(SYSTEM | {"roofline-enabled": 1}), "network": read_network(NETWORK)}
    end = run(trace_of(tmp_path / "a", [alone] * 4), **given).makespan_ns
    assert len(entered) == 1
    tied = [*alone, {"id": 1, "type": "COMP", "num_ops": 1600 * end, "tensor_size": 1600 * end}]
    simulation = run(trace_of(tmp_path / "b", [tied] * 4), **given)
    assert [rank.end_ns for rank in simulation.ranks] == [end] * 4
    assert len(entered) == 3
