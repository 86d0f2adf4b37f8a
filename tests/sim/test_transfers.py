"""Transfers of a trace, as cost models see them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from etgraph.ingest import read
from etgraph.model import CommType
from etgraph.model.arrivals import NULL
from etgraph.sim.communication import measured
from etgraph.sim.communication.algorithms import MESSAGE
from etgraph.sim.communication.transfers import clock_resolution_ns
from support.build import build
from support.meetings import matched


def test_a_transfer_runs_from_the_last_start_to_the_last_end() -> None:
    found = measured(
        build("""
            rank 0 | stream 7 | ncclAllReduce 4MB  10000..50000
            rank 1 | stream 7 | ncclAllReduce 4MB  30000..52000
            rank 2 | stream 7 | ncclAllReduce 4MB  20000..51000
        """)
    )
    t = found.transfers
    assert (t.type.tolist(), t.bytes.tolist()) == ([CommType.ALL_REDUCE], [4 << 20])
    assert (t.groups, t.libraries, t.ranks.tolist()) == (((0, 1, 2),), ("nccl",), [3])
    assert found.transfer_ns.tolist() == [22_000]
    assert (found.collective.tolist(), found.operator.tolist()) == ([0], [0])


def test_a_message_is_a_group_of_its_sender_and_its_receiver() -> None:
    found = measured(
        build("""
            rank 0 | stream 7 | recv 1KB         10..90
            rank 1 | stream 7 | send 1KB         40..50   -COMM-> recv
        """)
    )
    assert found.transfers.type.tolist() == [MESSAGE]
    assert found.transfers.groups == ((1, 0),)
    assert found.transfer_ns.tolist() == [50]


def test_a_message_to_a_rank_that_is_not_recorded_names_it() -> None:
    found = measured(
        matched("""
            rank 1 | thread 1 | send>5#0 8B  10..20
            rank 1 | thread 1 | recv<7#0 8B  30..40
        """)
    )
    t = found.transfers
    assert sorted(t.groups[group] for group in t.group) == [(1, 5), (7, 1)]
    assert set(found.transfer_ns.tolist()) == {NULL}


def test_ranks_that_are_not_recorded_belong_to_the_group_and_leave_the_time_unknown() -> None:
    trace = matched(
        """
        rank 0 | stream 7 | all_reduce@tp 4KB  10..50
        rank 1 | stream 7 | all_reduce@tp 4KB  30..50
        """,
        {"tp": [0, 1, 5]},
    )
    found = measured(trace)
    assert [found.transfers.groups[g] for g in found.transfers.group] == [(0, 1, 5)] * len(found)
    assert set(found.transfer_ns.tolist()) == {NULL}
    assert not len(found.usable)


def test_a_barrier_has_no_bytes_and_an_unknown_size_is_not_fitted() -> None:
    found = measured(
        build("""
            rank 0 | stream 7 | barrier     10..50
            rank 0 | stream 7 | all_gather  60..70
            rank 1 | stream 7 | barrier     30..50
            rank 1 | stream 7 | all_gather  60..70
        """)
    )
    by_type = dict(zip(found.transfers.type.tolist(), found.transfers.bytes.tolist()))
    assert by_type == {CommType.BARRIER: 0, CommType.ALL_GATHER: NULL}
    assert found.transfers.type[found.usable].tolist() == [CommType.BARRIER]


def test_the_clocks_step_is_what_all_times_are_multiples_of() -> None:
    trace = build("""
        rank 0 | stream 7 | a  7000..19000
        rank 0 | stream 7 | b  20000..35000
        rank 1 | stream 7 | c  20500..35000
    """)
    assert clock_resolution_ns(trace, np.array([0, 1])) == 1000
    assert clock_resolution_ns(trace, np.array([0, 1, 2])) == 500
    assert clock_resolution_ns(trace, np.zeros(0, np.int64)) == 1


def test_a_recorded_run_names_its_library_groups_and_messages(traces_dir: Path) -> None:
    found = measured(read(next(p for p in traces_dir.rglob("gpt_tp2_pp2") if p.is_dir())))
    t = found.transfers
    assert set(t.libraries) == {"gloo"}
    assert found.resolution_ns == 1
    counts = {kind: int(np.count_nonzero(t.type == kind)) for kind in (CommType.ALL_REDUCE, MESSAGE)}
    assert counts == {CommType.ALL_REDUCE: 32, MESSAGE: 16}
    assert {t.groups[g] for g in t.group[t.type == CommType.ALL_REDUCE]} == {(0, 1), (2, 3)}
    assert (found.transfer_ns > 0).all()


def test_no_communication_gives_no_transfers() -> None:
    found = measured(build("rank 0 | thread 1 | aten::mm 0..20"))
    assert (len(found), found.transfers.groups) == (0, ())
