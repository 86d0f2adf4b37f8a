"""Prediction on a profile: measured traces with other costs, traces without times by their dependencies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from etgraph.ingest import read
from etgraph.model import NodeType
from etgraph.model.errors import UsageError
from etgraph.sim.costs import costed
from etgraph.sim.predict import Mismatch, predict, with_costs
from etgraph.sim.profiles import load, with_overrides
from etgraph.sim.profiles.recognising import recognised
from etgraph.sim.replay import measured_plan, run_plan
from support.build import build

TWO_RANKS = """
    rank 0 | thread 1 | call    0..10   -> a
    rank 0 | stream 7 | a      12..112
    rank 0 | stream 7 | all_reduce 4MB  112..200
    rank 1 | thread 1 | call    0..10   -> b
    rank 1 | stream 7 | b      12..52
    rank 1 | stream 7 | all_reduce 4MB   52..200
"""


@pytest.mark.parametrize(("model", "name"), [
    ("NVIDIA H100 80GB HBM3", "h100-sxm"), ("NVIDIA H100 PCIe", "h100-pcie"), ("Tesla V100-SXM2-16GB", "v100"),
    ("Tesla V100-DGXS-32GB", "v100"), ("NVIDIA A100-SXM4-40GB", "a100-40gb"), ("AMD Instinct MI300X VF", "mi300x"),
])  # fmt: skip
def test_devices_are_recognised_by_the_names_that_traces_have(model: str, name: str) -> None:
    found = recognised(model)
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize("model", [None, "", "Some device", "GeForce RTX 2080"])
def test_an_unknown_device_is_not_guessed(model: str | None) -> None:
    assert recognised(model) is None


def test_communication_takes_what_the_tiers_let_it() -> None:
    trace = build(TWO_RANKS)
    slow = with_overrides(load("dgx-h100"), {"tiers.nvlink.bandwidth": "45 GB/s"})
    fast, slower = predict(trace, "dgx-h100"), predict(trace, slow)
    assert slower.makespan_ns > 2 * fast.makespan_ns
    sources = fast.nodes.column("source").to_pylist()
    assert "nvlink" in sources[2]
    assert "measured" in sources[0]


def test_launches_take_the_latency_of_the_profile() -> None:
    trace = build("""
        rank 0 | thread 1 | call  0..10  -> a
        rank 0 | stream 7 | a    15..20
    """)
    found = predict(trace, with_overrides(load("h100-sxm"), {"device.launch_latency": "7 us"}))
    assert found.nodes.column("start_ns").to_pylist() == [0, 7_010]


def test_a_receive_on_a_host_takes_what_was_predicted_for_it() -> None:
    trace = build("""
        rank 0 | thread 7 | send  10..30 -COMM-> message
        rank 1 | thread 7 | message: receive  10..60
        rank 1 | thread 7 | after  60..70
    """)
    costs = costed(trace).on(load("h100-sxm"))
    receive = np.arange(3) == 1
    faster = replace(costs.predictions, duration_ns=np.where(receive, 5, costs.predictions.duration_ns))
    before = measured_plan(trace)
    plan = with_costs(before, before.latency_ns, replace(costs, predictions=faster, modelled=receive))
    assert run_plan(plan).operators["start_ns"].tolist() == [10, 10, 15]


def test_a_rank_needs_a_device() -> None:
    with pytest.raises(UsageError):
        predict(build(TWO_RANKS.replace("rank 1", "rank 9")), "dgx-h100")


def test_transfers_at_the_same_time_share_links() -> None:
    lines = [f"rank {r} | stream {s} | {'all_reduce' if s == 7 else 'all_gather'} 64MB  0..900"
             for r in (0, 1) for s in (7, 8)]  # fmt: skip
    trace = build("\n".join(lines))
    alone, shared = predict(trace, "dgx-h100", sharing=False), predict(trace, "dgx-h100")
    lengths = [max(p.nodes.column("duration_ns").to_pylist()) for p in (alone, shared)]
    assert lengths[1] > 1.3 * lengths[0]


def test_a_watching_thread_is_no_part_of_the_makespan() -> None:
    watched = TWO_RANKS + "\n    rank 0 | thread 9 | cudaEventQuery  100000..100010"
    found = predict(build(watched), "dgx-h100")
    assert found.measured_ns == 200
    assert found.makespan_ns < 100_000


# Traces without times


def test_ranks_run_by_their_dependencies(reference_dir: Path) -> None:
    trace = read(reference_dir / "astra_sim" / "dp_step_4npus")
    found = predict(trace, "dgx-h100")
    nodes = {row["node_id"]: row for row in found.nodes.slice(0, 7).to_pylist()}
    end = {name: row["start_ns"] + row["duration_ns"] for name, row in nodes.items()}
    assert found.measured_ns is None
    # fwd0, fwd1, bwd1, then bwd0 beside the first all-reduce; the second waits for the first; the optimizer for it.
    assert nodes["4"]["start_ns"] == nodes["3"]["start_ns"] == end["2"]
    assert nodes["5"]["start_ns"] >= max(end["3"], end["4"])
    assert nodes["6"]["start_ns"] == end["5"]
    assert {rank.end_ns for rank in found.ranks} == {found.makespan_ns}


def test_a_collective_that_a_rank_lacks_is_named(reference_dir: Path) -> None:
    whole = read(reference_dir / "astra_sim" / "all_reduce_4npus_64KB")
    kinds = whole.operators["kind"].copy()
    collectives = whole.operators["collective"].copy()
    kinds[2], collectives[2] = int(NodeType.COMP), -1
    trace = replace(whole, operators=whole.operators.replace({"kind": kinds, "collective": collectives}))
    with pytest.raises(Mismatch, match="missing on rank 2") as raised:
        predict(trace, "dgx-h100")
    assert raised.value.operators == ((0, 0), (1, 0), (3, 0))


def test_a_host_trace_is_predicted_from_what_it_was_to_launch(collection_dir: Path) -> None:
    found = predict(read(collection_dir / "param" / "resnet_1gpu_et.json.gz"), "h100-sxm")
    assert 10e6 < found.makespan_ns < 1e9
    assert found.measured_ns is None


def test_a_faster_device_takes_what_is_bound_by_the_device_less_time(collection_dir: Path) -> None:
    trace = read(collection_dir / "hta" / "ns_resolution_trace")
    same, faster = predict(trace, "v100"), predict(trace, "h100-sxm")
    assert same.error is not None
    assert abs(same.error) < 0.05
    assert faster.makespan_ns < 0.6 * same.makespan_ns
    assert {w.iteration for w in faster.windows} == {0, 1, 2, 3, 4}


def test_without_sharing_and_with_nothing_else_on_the_links_it_is_the_same(collection_dir: Path) -> None:
    trace = read(collection_dir / "param" / "dlrm_kineto")
    alone, shared = (predict(trace, "dgx-v100", sharing=sharing) for sharing in (False, True))
    assert shared.makespan_ns >= alone.makespan_ns
    assert abs(shared.makespan_ns - alone.makespan_ns) / alone.makespan_ns < 0.02
