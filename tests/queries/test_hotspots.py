"""Communication hotspots: known answers on small traces, the DLRM figures, and the samples."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from etgraph.model import TABLES, Columns, CommType, Trace
from etgraph.model.arrivals import arrivals
from etgraph.model.errors import MissingData, UsageError
from etgraph.model.meetings import bus_factors, meetings
from etgraph.queries import breakdown, hotspots
from etgraph.queries.hotspots import Hotspot
from etgraph.queries.keys import sizes
from etgraph.sim.profiles import Profile, load, with_overrides
from support.build import build
from support.collection import read_once
from support.read_samples import NAMES, sample

LATE = """
    rank 0 | stream 7 | all_reduce 4MB  10..50
    rank 0 | stream 9 | gemm            20..45
    rank 1 | stream 7 | all_reduce 4MB  30..50
"""


def only(trace: Trace, **question: object) -> Hotspot:
    (row,) = hotspots(trace, **question).rows  # type: ignore[arg-type]
    return row


def test_the_last_rank_does_not_wait() -> None:
    row = only(build(LATE))
    assert (row.key, row.count, row.bytes) == ("ALL_REDUCE", 1, 4 << 20)
    assert (row.total_ns, row.wait_ns, row.transfer_ns, row.unmatched_ns) == (60, 20, 40, 0)
    assert row.exposed_ns == 60 - 25
    assert row.algorithm_bandwidth == pytest.approx((4 << 20) / 20e-9)
    assert row.bus_bandwidth == row.algorithm_bandwidth  # 2 · (2 − 1) / 2


def test_the_size_is_the_collectives_or_the_mean_of_what_its_members_say() -> None:
    trace = build("rank 0 | stream 7 | all_to_all 100B  0..9\nrank 1 | stream 7 | all_to_all 60B  0..9")
    assert only(trace).bytes == 100
    null = np.full(1, trace.collectives.table.column("bytes").null)
    assert only(replace(trace, collectives=trace.collectives.replace({"bytes": null}))).bytes == 80
    silent = np.full(2, trace.operators.table.column("comm_bytes").null)
    assert only(replace(trace, operators=trace.operators.replace({"comm_bytes": silent}))).bytes == 100


def test_ranks_that_are_not_recorded_count_for_the_bus() -> None:
    """Two of the four ranks of a group are here, and the collective says how many belong to it."""
    trace = build("rank 0 | stream 7 | all_gather 100B  0..9\nrank 1 | stream 7 | all_gather 100B  0..9")
    groups = Columns(TABLES["process_groups"], {"name": [0], "size": [4]}, {"name": ["all"]})
    group = np.zeros(2, dtype=np.int32)
    trace = replace(trace, operators=trace.operators.replace({"group": group}), process_groups=groups)
    row = only(trace)
    assert (row.bus_bandwidth or 0) / (row.algorithm_bandwidth or 1) == pytest.approx(3 / 4)
    bigger = replace(trace, collectives=trace.collectives.replace({"size": [5]}))
    assert meetings(bigger, arrivals(bigger)).ranks.tolist() == [5]


def test_nobody_waits_longer_than_it_was_there() -> None:
    row = only(build("rank 0 | stream 7 | all_reduce 4MB  0..10\nrank 1 | stream 7 | all_reduce 4MB  30..50"))
    assert (row.total_ns, row.wait_ns, row.transfer_ns) == (30, 10, 20)


def test_times_are_those_of_the_rank_that_is_named_and_bandwidths_of_the_collective() -> None:
    row = only(build(LATE), rank=1)
    assert (row.count, row.total_ns, row.wait_ns, row.transfer_ns, row.exposed_ns) == (1, 20, 0, 20, 20)
    assert row.algorithm_bandwidth == pytest.approx((4 << 20) / 20e-9)


def test_time_on_the_critical_path_is_that_of_its_segments() -> None:
    trace = build("""
        rank 0 | stream 7 | all_reduce 4MB  10..50
        rank 0 | stream 7 | gemm            50..80
        rank 1 | stream 7 | all_reduce 4MB  30..50
    """)
    assert only(trace, rank=0, window="device").critical_ns == 40
    assert only(trace, rank=1, window="device").critical_ns == 20


def test_a_collective_whose_ranks_are_not_all_recorded_is_neither_waiting_nor_transfer() -> None:
    trace = build(LATE)
    partial = replace(trace, collectives=trace.collectives.replace({"size": [3]}))
    row = only(partial)
    assert (row.count, row.total_ns, row.unmatched_ns) == (1, 60, 60)
    assert (row.wait_ns, row.transfer_ns, row.algorithm_bandwidth, row.bus_bandwidth) == (None,) * 4
    trust = hotspots(partial).trust
    assert trust.unmatched_collectives == 1
    assert any("100.0% of the communication time" in warning for warning in trust.warnings)


def test_without_a_path_nothing_is_critical_and_that_is_said() -> None:
    trace = build("rank 0 | thread 1 | a  0..10\nrank 1 | stream 7 | all_reduce  0..10")
    found = hotspots(trace, window="device")
    assert [row.total_ns for row in found.rows] == [10]
    assert any(warning.startswith("rank 0 left out") for warning in found.trust.warnings)


def test_what_met_nobody_counts_by_itself() -> None:
    row = only(build("rank 0 | stream 7 | all_reduce 1KB  0..10\nrank 0 | stream 7 | all_reduce 1KB  20..50"))
    assert (row.count, row.bytes, row.total_ns, row.unmatched_ns) == (2, 2048, 40, 40)


def test_a_message_is_two_operators_and_counts_once() -> None:
    trace = build("""
        rank 0 | stream 7 | send: ncclSend 1KB   30..50  -COMM-> receive
        rank 1 | stream 7 | receive: ncclRecv 1KB  0..60
    """)
    row = only(trace)
    assert (row.key, row.count, row.bytes) == ("SEND_RECV", 1, 1024)
    assert (row.total_ns, row.wait_ns, row.transfer_ns) == (80, 30, 50)
    assert row.algorithm_bandwidth == row.bus_bandwidth == pytest.approx(1024 / 30e-9)


def test_a_message_may_begin_with_the_call_that_issues_it() -> None:
    trace = build("""
        rank 0 | thread 1 | c10d::send               0..100  -COMM-> receive
        rank 0 | thread 1 | gloo:send 1KB           10..90
        rank 1 | thread 1 | receive: gloo:recv 1KB  50..110
    """)
    kinds = trace.operators["kind"].copy()
    kinds[1:] = (5, 6)
    row = only(replace(trace, operators=trace.operators.replace({"kind": kinds})))
    assert (row.count, row.total_ns, row.wait_ns) == (1, 140, 0)
    assert row.algorithm_bandwidth == pytest.approx(1024 / 60e-9)


def test_a_call_around_the_library_is_not_a_second_collective() -> None:
    trace = build("rank 0 | thread 1 | gloo:all_reduce 1KB  0..100\nrank 0 | thread 1 | gloo:all_reduce 1KB  10..90")
    assert only(trace).count == 1


@pytest.mark.parametrize(
    ("by", "keys"),
    [
        ("type", ["ALL_REDUCE", "ALL_GATHER"]),
        ("group", ["tensor [0, 1]", "no group recorded"]),
        ("size", ["1 to 10 MB", "below 1 kB"]),
        ("scope", ["model/layer", "no scope"]),
    ],
)
def test_collectives_are_grouped_by_what_is_asked(by: str, keys: list[str]) -> None:
    trace = build("""
        rank 0 | stream 7 | all_reduce 4MB  10..50
        rank 0 | stream 7 | all_gather 10B  60..70
        rank 1 | stream 7 | all_reduce 4MB  30..50
        rank 1 | stream 7 | all_gather 10B  60..70
    """)
    group, scope = (np.array([0, -1, 0, -1], dtype=np.int32) for _ in range(2))
    groups = Columns(TABLES["process_groups"], {"name": [0], "size": [2]}, {"name": ["tensor"]})
    members = Columns(TABLES["group_members"], {"group": [0, 0], "rank": [0, 1]})
    operators = trace.operators.replace({"group": group, "scope": scope}, {"scope": ["model/layer"]})
    trace = replace(trace, operators=operators, process_groups=groups, group_members=members)
    assert [row.key for row in hotspots(trace, by=by).rows] == keys  # type: ignore[arg-type]


def test_a_collective_on_a_thread_of_its_own_is_in_the_scope_that_issued_it() -> None:
    trace = build("""
        rank 0 | thread 1 | c10d::allreduce_  0..10  -SPAWN-> gloo:all_reduce
        rank 0 | thread 2 | gloo:all_reduce   5..90
    """)
    scope = np.array([0, -1], dtype=np.int32)
    trace = replace(trace, operators=trace.operators.replace({"scope": scope}, {"scope": ["backward"]}))
    assert only(trace, by="scope").key == "backward"


@pytest.mark.parametrize(
    ("type", "ranks", "factor"),
    [
        (CommType.ALL_REDUCE, 4, 1.5), (CommType.ALL_REDUCE, 1, 0.0), (CommType.ALL_GATHER, 4, 0.75),
        (CommType.REDUCE_SCATTER, 8, 0.875), (CommType.ALL_TO_ALL, 2, 0.5), (CommType.BROADCAST, 8, 1.0),
        (CommType.REDUCE, 8, 1.0),
    ],
)  # fmt: skip
def test_bus_bandwidth_is_that_of_nccl_tests(type: CommType, ranks: int, factor: float) -> None:
    assert bus_factors(np.array([int(type)]), np.array([ranks])).tolist() == [factor]


def test_classes_of_size_hold_their_lower_limit() -> None:
    bytes = np.array([0, 999, 1000, 9999, 10_000, 10**9 - 1, 10**9, -(2**63)])
    keys = sizes(bytes)
    assert [keys.texts[code] for code in keys.code] == [
        "below 1 kB", "below 1 kB", "1 to 10 kB", "1 to 10 kB", "10 to 100 kB", "100 MB to 1 GB", "1 GB or more",
        "size not recorded",
    ]  # fmt: skip


def test_a_barrier_has_no_bytes_and_a_size_that_is_not_recorded_is_said() -> None:
    barrier = build("rank 0 | stream 7 | barrier  0..10\nrank 1 | stream 7 | barrier  5..10")
    assert only(barrier).bytes == 0
    assert only(barrier).algorithm_bandwidth is None
    assert not any("bytes" in warning for warning in hotspots(barrier).trust.warnings)
    unsized = build("rank 0 | stream 7 | all_reduce  0..10\nrank 1 | stream 7 | all_reduce  5..10")
    assert only(unsized, by="size").key == "size not recorded"
    assert "1 of 1 collectives and messages count no bytes: their size is not recorded" in (
        hotspots(unsized, rank=0).trust.warnings
    )


def test_without_communication_there_are_no_rows() -> None:
    assert hotspots(build("rank 0 | stream 7 | gemm  0..10")).rows == ()


@pytest.mark.parametrize(
    ("question", "error"), [({"rank": 7}, MissingData), ({"iteration": 3}, MissingData), ({"by": "colour"}, UsageError)]
)
def test_bad_questions_are_refused(question: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error):
        hotspots(build(LATE), **question)  # type: ignore[arg-type]


def test_without_times_it_says_so() -> None:
    trace = build(LATE)
    null = np.full(len(trace), trace.operators.table.column("start_ns").null)
    with pytest.raises(MissingData, match="measured times"):
        hotspots(replace(trace, operators=trace.operators.replace({"start_ns": null})))
    with pytest.raises(MissingData, match="no operators"):
        hotspots(Trace(Columns.empty(TABLES["operators"])))


def test_an_operator_without_a_duration_does_not_count() -> None:
    trace = build(LATE)
    duration = trace.operators["duration_ns"].copy()
    duration[0] = trace.operators.table.column("duration_ns").null
    row = only(replace(trace, operators=trace.operators.replace({"duration_ns": duration})))
    assert (row.count, row.total_ns, row.algorithm_bandwidth) == (1, 20, None)


@pytest.mark.parametrize(
    ("name", "by"),
    [*((name, "type") for name in NAMES), *(("gpt_tp2_pp2", by) for by in ("group", "size", "scope"))],
)
def test_the_samples_divide_into_waiting_and_transfer(name: str, by: str) -> None:
    trace = sample(name)
    rows = hotspots(trace, by=by).rows  # type: ignore[arg-type]
    members = trace.operators["collective"] >= 0
    messages = np.isin(trace.operators["kind"], (5, 6))
    assert sum(row.total_ns for row in rows) == trace.operators["duration_ns"][members | messages].sum()
    assert sum(row.count for row in rows) == len(trace.collectives) + np.count_nonzero(messages) // 2
    for row in rows:
        assert row.unmatched_ns == 0
        assert row.total_ns == (row.wait_ns or 0) + (row.transfer_ns or 0)
        assert 0 <= row.exposed_ns <= row.total_ns
        assert 0 <= row.critical_ns <= row.total_ns


def test_exposed_time_is_that_of_the_breakdown_where_nothing_runs_side_by_side() -> None:
    """On these ranks no two operators communicate at once, and none leaves the window."""
    trace = sample("gpt_tp2_pp2")
    exposed = sum(row.exposed_ns for row in hotspots(trace).rows)
    assert exposed == sum(one.exposed_communication_ns for one in breakdown(trace).windows)


def test_dlrm_waits(collection_dir: Path, reference_dir: Path) -> None:
    trace = read_once(collection_dir / "param" / "dlrm_kineto")
    reference = json.loads((reference_dir / "dlrm.json").read_text())["ranks"]
    rows = hotspots(trace).rows
    assert {row.key: row.count for row in rows} == {"ALL_TO_ALL": 5, "ALL_REDUCE": 3}
    total, waits = sum(row.total_ns for row in rows), sum(row.wait_ns or 0 for row in rows)
    assert waits / total == pytest.approx(0.965, abs=0.0005)
    assert waits == pytest.approx(46.8e6, abs=0.05e6)
    for rank, figures in reference.items():
        own = hotspots(trace, rank=int(rank)).rows
        assert sum(row.total_ns for row in own) == figures["busy_comm"] * 1000
        assert sum(row.transfer_ns or 0 for row in own) == pytest.approx(0.2e6, abs=0.07e6)


def test_the_page_tells_the_figures_of_the_sample() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "queries" / "communication.md").read_text("utf-8")
    for row in hotspots(sample("gpt_tp2_pp2")).rows:
        for ns in (row.total_ns, row.wait_ns, row.transfer_ns, row.exposed_ns):
            assert f"{(ns or 0) / 1e6:.1f} ms" in page
        assert f"{(row.algorithm_bandwidth or 0) / 1e6:.1f} MB/s" in page


# Against a profile


def two_nodes() -> Profile:
    """Nodes of two devices with 4 B/ns, two of them with 1 B/ns."""
    return with_overrides(
        load("dgx-h100-32"),
        {
            "tiers.nvlink.size": 2, "tiers.nvlink.bandwidth": 4e9,
            "tiers.infiniband.size": 2, "tiers.infiniband.bandwidth": 1e9,
        },
    )  # fmt: skip


@pytest.mark.parametrize(("last", "tier", "share"), [(1, "nvlink", 0.25), (2, "infiniband", 4 / 3)])
def test_bus_bandwidth_against_the_tier_that_joins_the_ranks(last: int, tier: str, share: float) -> None:
    lines = [f"rank {rank} | stream 7 | all_reduce 1KB 0..1024" for rank in range(last + 1)]
    (row,) = hotspots(build("\n".join(lines)), profile=two_nodes()).rows
    assert (row.tier, row.peak_bandwidth) == (tier, {"nvlink": 4e9, "infiniband": 1e9}[tier])
    assert row.bus_bandwidth_share == pytest.approx(share)
    assert row.bus_bandwidth_share == pytest.approx(row.bus_bandwidth / row.peak_bandwidth)


def test_groups_beyond_the_devices_are_not_compared() -> None:
    text = "\n".join(f"rank {rank} | stream 7 | all_reduce 1KB 0..1024" for rank in range(5))
    answer = hotspots(build(text), profile=two_nodes())
    (row,) = answer.rows
    assert (row.tier, row.peak_bandwidth, row.bus_bandwidth_share) == (None, None, None)
    assert "1 collectives and messages span more devices than the 4 of dgx-h100-32" in answer.trust.warnings
    assert answer.profile == "dgx-h100-32"


def test_rows_over_several_tiers_count_by_time() -> None:
    answer = hotspots(
        build("""
            rank 0 | stream 7 | send 4KB    0..4096      -COMM-> near
            rank 1 | stream 7 | near: recv 4KB 0..4096
            rank 1 | stream 7 | send 4KB 5000..9096   -COMM-> far
            rank 2 | stream 7 | far: recv 4KB 5000..9096
        """),
        profile=two_nodes(),
    )
    (row,) = answer.rows
    assert row.tier == "nvlink, infiniband"
    assert row.bus_bandwidth_share == pytest.approx((1024 + 4096) / (4096 + 4096))
    assert row.peak_bandwidth == pytest.approx(8192 / (1024 + 4096) * 1e9)


def test_without_a_profile_there_is_nothing_beside() -> None:
    answer = hotspots(build("rank 0 | stream 7 | all_reduce 1KB 0..9\nrank 1 | stream 7 | all_reduce 1KB 0..9"))
    assert (answer.profile, answer.rows[0].tier, answer.rows[0].bus_bandwidth_share) == (None, None, None)
