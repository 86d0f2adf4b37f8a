"""The measured critical path: known answers on small traces, an independent walk, and every real trace."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from etgraph.ingest import read
from etgraph.model import DependencyKind, Trace
from etgraph.model.arrivals import arrivals
from etgraph.model.errors import MissingData, UsageError
from etgraph.model.schema import LAUNCH_QUEUE_FULL
from etgraph.queries import critical_path, walk
from etgraph.queries.critical_path import ground_of
from etgraph.queries.windows import window_of, windows_of
from support.build import build
from support.collection import kineto_files, read_once
from support.random_traces import distributed_traces, traces
from support.slow_walk import slow_walk


def path(trace: Trace, **question: object) -> list[tuple[str | None, str, int, str | None]]:
    """Segments that last as (operator, detail, ns, via)."""
    table = critical_path(trace, **question).segments.to_pylist()  # type: ignore[arg-type]
    return [
        (s["name"], s["detail"], s["end_ns"] - s["start_ns"], s["via"]) for s in table if s["end_ns"] > s["start_ns"]
    ]


def test_a_kernel_behind_its_launch() -> None:
    trace = build("""
        rank 0 | thread 1 | aten::mm          0..20000
        rank 0 | thread 1 | cudaLaunchKernel  5000..10000   -> gemm
        rank 0 | stream 7 | gemm             12000..60000
    """)
    assert path(trace) == [
        ("aten::mm", "operator", 5000, None),
        ("cudaLaunchKernel", "runtime-call", 5000, "CALL"),
        (None, "latency", 2000, None),
        ("gemm", "kernel", 48000, "LAUNCH"),
    ]


def test_a_kernel_that_starts_before_its_launch_returns() -> None:
    trace = build("""
        rank 0 | thread 1 | cudaLaunchKernel  0..10   -> gemm
        rank 0 | stream 7 | gemm              4..60
    """)
    assert path(trace) == [("cudaLaunchKernel", "runtime-call", 4, None), ("gemm", "kernel", 56, "LAUNCH")]


@pytest.mark.parametrize(
    ("rank", "expected"),
    [
        (0, [("all_reduce", "waiting", 20, None), ("all_reduce", "transfer", 20, None)]),
        (1, [("add", "kernel", 10, None), ("all_reduce", "transfer", 20, "STREAM")]),
    ],
)
def test_a_collective_waits_until_the_last_rank_comes(rank: int, expected: list[object]) -> None:
    trace = build("""
        rank 0 | stream 7 | all_reduce 4MB  10..50
        rank 1 | stream 7 | add             20..30
        rank 1 | stream 7 | all_reduce 4MB  30..50
    """)
    assert path(trace, rank=rank, window="device") == expected
    assert critical_path(trace, rank=rank, window="device").length_ns == sum(ns for *_, ns, _ in expected)  # type: ignore[misc]


def test_a_collective_of_a_rank_that_is_not_recorded_cannot_be_told_apart() -> None:
    trace = build("""
        rank 0 | stream 7 | all_reduce 4MB  10..50
        rank 1 | stream 7 | all_reduce 4MB  30..50
    """)
    partial = replace(trace, collectives=trace.collectives.replace({"size": [3]}))
    assert path(partial, rank=0, window="device") == [("all_reduce", "waiting", 40, None)]
    assert critical_path(partial, rank=0, window="device").trust.unmatched_collectives == 1


def test_all_messages_of_two_stages_are_met(traces_dir: Path) -> None:
    folder = next(p for p in (traces_dir / "recorded" / "gpt_tp2_pp2", traces_dir / "gpt_tp2_pp2") if p.is_dir())
    trace = read_once(folder)
    for rank in trace.ranks:
        assert critical_path(trace, rank=rank).trust.unmatched_collectives == 0


def test_segments_are_a_data_frame() -> None:
    """Two threads of one name, as several ranks have them, are one value of the column."""
    trace = build("rank 0 | thread 1 | a 0..10\nrank 1 | thread 1 | b 0..20")
    frame = critical_path(trace, rank=1).to_pandas()
    assert frame[["rank", "lane", "name"]].values.tolist() == [[1, "thread 1", "b"]]
    assert frame["category"].tolist() == ["computation"]


def test_a_message_that_was_sent_before_is_not_waited_for() -> None:
    trace = build("""
        rank 0 | stream 7 | send: ncclSend   0..10  -COMM-> early
        rank 1 | stream 7 | early: ncclRecv  5..12
        rank 1 | stream 7 | late: ncclRecv  20..50
        rank 0 | stream 7 | ncclSend        40..50  -COMM-> late
    """)
    assert path(trace, rank=1, window="device") == [
        ("ncclRecv", "transfer", 7, None),
        (None, "dependency-latency", 8, None),
        ("ncclRecv", "waiting", 20, "STREAM"),
        ("ncclRecv", "transfer", 10, "STREAM"),
    ]


def test_a_busy_stream_owns_the_path_and_not_the_launch() -> None:
    trace = build("""
        rank 0 | thread 1 | cudaLaunchKernel  0..10   -> a
        rank 0 | thread 1 | cudaLaunchKernel 10..20   -> b
        rank 0 | stream 7 | a                12..100
        rank 0 | stream 7 | b               101..150
    """)
    assert path(trace) == [
        ("cudaLaunchKernel", "runtime-call", 10, None),
        (None, "latency", 2, None),
        ("a", "kernel", 88, "LAUNCH"),
        (None, "dependency-latency", 1, None),
        ("b", "kernel", 49, "STREAM"),
    ]


def test_a_late_kernel_without_a_recorded_reason_is_unexplained() -> None:
    trace = build("""
        rank 0 | thread 1 | cudaLaunchKernel  0..10   -> a
        rank 0 | thread 1 | cudaLaunchKernel 10..20   -> b
        rank 0 | stream 7 | a                12..100
        rank 0 | stream 7 | b             50100..50150
    """)
    result = critical_path(trace)
    assert ("b", "kernel", 50, "STREAM") in path(trace)
    assert (None, "unexplained", 46000, None) in path(trace)
    assert result.trust.explained_share == pytest.approx(1 - 46000 / 50150)


def test_an_event_joins_two_streams() -> None:
    trace = build("""
        rank 0 | thread 1 | cudaLaunchKernel  0..10   -> a
        rank 0 | thread 1 | cudaLaunchKernel 10..20   -> b
        rank 0 | stream 7 | a                12..100  -EVENT-> b
        rank 0 | stream 9 | b               103..150
    """)
    assert path(trace)[-3:] == [
        ("a", "kernel", 88, "LAUNCH"),
        (None, "dependency-latency", 3, None),
        ("b", "kernel", 47, "EVENT"),
    ]


def test_a_blocking_call_does_not_hide_the_work_it_waits_for() -> None:
    trace = build("""
        rank 0 | thread 1 | cudaLaunchKernel       0..10   -> a
        rank 0 | thread 1 | cudaDeviceSynchronize 10..110
        rank 0 | stream 7 | a                     12..100  -SYNC-> cudaDeviceSynchronize
    """)
    assert path(trace) == [
        ("cudaLaunchKernel", "runtime-call", 10, None),
        (None, "latency", 2, None),
        ("a", "kernel", 88, "LAUNCH"),
        ("cudaDeviceSynchronize", "synchronisation", 10, "SYNC"),
    ]


def test_a_blocking_call_whose_cause_is_not_stored_is_synchronisation_with_a_warning() -> None:
    trace = build("""
        rank 0 | thread 1 | cudaLaunchKernel       0..10   -> a
        rank 0 | thread 1 | cudaDeviceSynchronize 10..110
        rank 0 | stream 7 | a                     12..100
    """)
    assert path(trace) == [
        ("cudaLaunchKernel", "runtime-call", 10, None),
        ("cudaDeviceSynchronize", "synchronisation", 100, "THREAD"),
    ]
    assert "not resolved" in " ".join(critical_path(trace).trust.warnings)


def test_an_asynchronous_copy_that_its_call_waits_for_is_synchronisation() -> None:
    text = """
        rank 0 | thread 1 | cudaMemcpyAsync  0..100   -> copy
        rank 0 | stream 7 | copy: Memcpy     20..90   {arrow}
    """
    assert path(build(text.format(arrow=""))) == [("cudaMemcpyAsync", "runtime-call", 100, None)]
    assert path(build(text.format(arrow="-SYNC-> cudaMemcpyAsync"))) == [
        ("cudaMemcpyAsync", "synchronisation", 20, None),
        ("Memcpy", "copy", 70, "LAUNCH"),
        ("cudaMemcpyAsync", "synchronisation", 10, "SYNC"),
    ]


def test_a_copy_inside_its_call_waits_for_its_stream_and_not_for_the_call() -> None:
    trace = build("""
        rank 0 | thread 1 | cudaLaunchKernel    0..10   -> a
        rank 0 | thread 1 | cudaMemcpyAsync    10..100  -> copy
        rank 0 | stream 7 | a                  12..60
        rank 0 | stream 7 | copy: Memcpy       62..90   -SYNC-> cudaMemcpyAsync
    """)
    assert path(trace) == [
        ("cudaLaunchKernel", "runtime-call", 10, None),
        (None, "latency", 2, None),
        ("a", "kernel", 48, "LAUNCH"),
        (None, "dependency-latency", 2, None),
        ("Memcpy", "copy", 28, "STREAM"),
        ("cudaMemcpyAsync", "synchronisation", 10, "SYNC"),
    ]


def test_a_launch_that_found_the_queue_full() -> None:
    trace = build("""
        rank 0 | thread 1 | cudaLaunchKernel        0..10   -> a
        rank 0 | thread 1 | b: cudaLaunchKernel    10..110
        rank 0 | stream 7 | a                      12..100  -SYNC-> b
    """)
    full = trace.dependencies.replace({}, {"method": [
        LAUNCH_QUEUE_FULL if m == "drawn" else m for m in trace.dependencies.texts("method").to_pylist()
    ]})  # fmt: skip
    assert path(replace(trace, dependencies=full))[-1] == ("cudaLaunchKernel", "queue-full", 10, "SYNC")


def test_a_kernel_that_held_the_device_owns_the_path_though_it_ends_later() -> None:
    trace = build("""
        rank 0 | thread 1 | cudaLaunchKernel  0..10   -> a
        rank 0 | thread 1 | cudaLaunchKernel 10..20   -> b
        rank 0 | stream 7 | a                12..100  -OCCUPANCY-> b
        rank 0 | stream 9 | b                98..150
    """)
    assert path(trace)[-2:] == [("a", "occupancy", 86, "LAUNCH"), ("b", "kernel", 52, "OCCUPANCY")]


def test_a_blocking_call_released_at_the_moment_its_last_child_ends_waited_for_the_device() -> None:
    trace = build("""
        rank 0 | thread 1 | cudaLaunchKernel       0..10   -> a
        rank 0 | thread 1 | cudaDeviceSynchronize 10..110
        rank 0 | thread 1 | aten::child           20..100
        rank 0 | stream 7 | a                     12..100  -SYNC-> cudaDeviceSynchronize
    """)
    assert [p[0] for p in path(trace)] == ["cudaLaunchKernel", None, "a", "cudaDeviceSynchronize"]


def test_a_parent_owns_the_time_between_its_children() -> None:
    trace = build("""
        rank 0 | thread 1 | aten::linear  0..100
        rank 0 | thread 1 | aten::t      10..20
        rank 0 | thread 1 | aten::addmm  30..90
    """)
    assert path(trace) == [
        ("aten::linear", "cpu-kernel", 10, None),
        ("aten::t", "cpu-kernel", 10, "CALL"),
        ("aten::linear", "cpu-kernel", 10, "CALL"),
        ("aten::addmm", "cpu-kernel", 60, "CALL"),
        ("aten::linear", "cpu-kernel", 10, "CALL"),
    ]


def test_copies_and_fills_are_memory() -> None:
    trace = build("""
        rank 0 | thread 1 | cudaMemsetAsync    0..10   -> fill
        rank 0 | thread 1 | cudaMemcpyAsync   10..20   -> copy
        rank 0 | stream 7 | fill: Memset      12..40
        rank 0 | stream 7 | copy: Memcpy      41..90
    """)
    assert [(n, d, ns) for n, d, ns, _ in path(trace)][2:] == [
        ("Memset", "set", 28), (None, "dependency-latency", 1), ("Memcpy", "copy", 49),
    ]  # fmt: skip


def test_a_kernel_that_was_launched_before_the_recording() -> None:
    """Where launches are recorded, one without was launched before; where none are, nothing is known."""
    trace = build("""
        rank 0 | stream 7 | early             40..60
        rank 0 | thread 1 | cudaLaunchKernel   0..10   -> a
        rank 0 | stream 9 | a                 12..30
    """)
    assert path(trace, window="device") == [
        (None, "before-recording", 28, None), ("early", "kernel", 20, None),
    ]  # fmt: skip
    silent = build("rank 0 | stream 7 | early  40..60\nrank 0 | stream 9 | a  12..30")
    assert path(silent) == [(None, "unexplained", 28, None), ("early", "kernel", 20, None)]


def test_a_graph_launch_is_the_kernels_it_launches() -> None:
    trace = build("""
        rank 0 | thread 1 | cudaGraphLaunch         0..20   -> a
        rank 0 | thread 1 | cudaStreamSynchronize  20..205
        rank 0 | stream 7 | a                      25..100
        rank 0 | stream 7 | b                     100..150
        rank 0 | stream 7 | c                     151..200  -SYNC-> cudaStreamSynchronize
    """)
    assert {c.detail: c.ns for c in critical_path(trace).by_category} == {
        "kernel": 174, "runtime-call": 20, "synchronisation": 5, "latency": 5, "dependency-latency": 1,
    }  # fmt: skip


def test_of_causes_that_end_together_one_is_taken_and_the_path_goes_on() -> None:
    trace = build("""
        rank 0 | thread 1 | cudaLaunchKernel  0..10   -> a
        rank 0 | thread 1 | cudaLaunchKernel 10..20   -> b
        rank 0 | thread 1 | cudaLaunchKernel 20..30   -> c
        rank 0 | stream 7 | a                12..100  -EVENT-> c
        rank 0 | stream 9 | b                22..100
        rank 0 | stream 9 | c               100..150
    """)
    result = critical_path(trace)
    assert result.length_ns == result.window_ns == 150
    assert sum(c.ns for c in result.by_category if c.category == "computation") in (88 + 50, 78 + 50)
    assert path(trace)[-1][:3] == ("c", "kernel", 50)


def test_siblings_that_overlap_are_cut_where_the_next_one_begins() -> None:
    """A walk back from the end of the later one never comes to the end of the earlier one."""
    trace = build("""
        rank 0 | thread 1 | c10d::send   0..50
        rank 0 | thread 1 | gloo:send   10..80
        rank 0 | thread 1 | aten::b     60..100
    """)
    result = critical_path(trace)
    assert result.length_ns == result.window_ns == 100
    assert path(trace)[-1] == ("aten::b", "cpu-kernel", 40, "THREAD")


def test_a_pause_of_the_host_between_operators() -> None:
    trace = build("""
        rank 0 | thread 1 | aten::a   0..10
        rank 0 | thread 1 | aten::b  40..50
    """)
    assert path(trace)[1] == (None, "host-gap", 30, None)
    assert path(trace)[2] == ("aten::b", "cpu-kernel", 10, "THREAD")


def test_a_long_pause_while_another_thread_works_is_not_the_hosts_own() -> None:
    trace = build("""
        rank 0 | thread 1 | aten::a        0..100000
        rank 0 | thread 2 | aten::b   100000..900000
        rank 0 | thread 1 | aten::c   900000..1000000
    """)
    assert (None, "unexplained", 800000, None) in path(trace)


def test_a_joined_thread_explains_the_pause() -> None:
    trace = build("""
        rank 0 | thread 1 | aten::a        0..100000  -SPAWN-> b
        rank 0 | thread 2 | b: aten::b   90000..900000  -JOIN-> c
        rank 0 | thread 1 | c: aten::c   900000..1000000
    """)
    assert path(trace) == [
        ("aten::a", "cpu-kernel", 90000, None),
        ("aten::b", "cpu-kernel", 810000, "SPAWN"),
        ("aten::c", "cpu-kernel", 100000, "JOIN"),
    ]


def test_a_child_that_outlives_its_parent_is_clipped() -> None:
    trace = build("""
        rank 0 | thread 1 | c10d::send  0..50
        rank 0 | thread 1 | gloo:send  10..80
        rank 0 | thread 1 | aten::b    90..100
    """)
    assert path(trace) == [
        ("c10d::send", "operator", 10, None),
        ("gloo:send", "operator", 40, "SPAWN"),
        (None, "host-gap", 40, None),
        ("aten::b", "cpu-kernel", 10, "THREAD"),
    ]


def test_operators_of_no_duration_keep_the_chain_of_edges() -> None:
    trace = build("""
        rank 0 | thread 1 | aten::a   0..10
        rank 0 | thread 1 | aten::b  10..10
        rank 0 | thread 1 | aten::c  10..30
    """)
    table = critical_path(trace).segments.to_pylist()
    assert [(s["name"], s["via"]) for s in table] == [
        ("aten::a", None), ("aten::b", "THREAD"), ("aten::c", "THREAD"),
    ]  # fmt: skip


def test_communication_without_its_peers_may_be_waiting() -> None:
    trace = build("rank 0 | stream 7 | all_reduce 4MB  0..50", world_size=2)
    (row,) = critical_path(trace, window="device").by_category
    assert (row.category, row.detail, row.ns) == ("communication", "waiting", 50)


def test_communication_of_matched_ranks_is_transfer() -> None:
    trace = build("""
        rank 0 | stream 7 | all_reduce 4MB  10..50
        rank 1 | stream 7 | all_reduce 4MB  30..50
    """)
    (row,) = critical_path(trace, rank=1, window="device").by_category
    assert (row.category, row.detail) == ("communication", "transfer")


STEPS = """
    rank 0 | thread 1 | iteration ProfilerStep#3    0..100
    rank 0 | thread 1 | cudaLaunchKernel           10..20   -> a
    rank 0 | stream 7 | a                          30..150
    rank 0 | thread 1 | iteration ProfilerStep#4  100..200
    rank 0 | thread 1 | aten::b                   110..120
"""


def test_windows() -> None:
    trace = build(STEPS)
    o = trace.operators.replace({"iteration": np.array([0, 0, 1])})
    trace = Trace(o, trace.dependencies, trace.lanes, iterations=trace.iterations)
    spans = {
        window: (found.start_ns, found.end_ns)
        for window in ("annotation", "device", "launch")
        for found in [critical_path(trace, iteration=0, window=window)]  # type: ignore[arg-type]
    }
    assert spans == {"annotation": (0, 100), "device": (30, 150), "launch": (0, 150)}
    whole = critical_path(trace)
    assert (whole.start_ns, whole.end_ns) == (0, 200)


def test_questions_that_the_trace_cannot_answer() -> None:
    trace = build(STEPS)
    with pytest.raises(MissingData, match="no rank 5: the trace holds ranks 0"):
        critical_path(trace, rank=5)
    with pytest.raises(MissingData, match="no iteration 7"):
        critical_path(trace, iteration=7)
    with pytest.raises(MissingData, match="no device operators"):
        critical_path(build("rank 0 | thread 1 | aten::b  1..2"), window="device")
    with pytest.raises(UsageError, match="no window 'all'"):
        critical_path(trace, window="all")  # type: ignore[arg-type]


def test_over_all_ranks_the_path_begins_on_the_rank_that_ends_last() -> None:
    trace = build("""
        rank 2 | thread 1 | aten::a  0..10
        rank 3 | thread 1 | aten::a  0..20
    """)
    result = critical_path(trace)
    assert [(r.rank, r.ns) for r in result.by_rank] == [(3, 20)]
    assert result.window_ns == 20


def test_the_path_goes_to_the_rank_that_came_last_and_does_not_wait() -> None:
    trace = build("""
        rank 0 | stream 7 | a                0..10
        rank 0 | stream 7 | all_reduce 4MB  10..50
        rank 0 | stream 7 | c               50..70
        rank 1 | stream 7 | b                0..30
        rank 1 | stream 7 | all_reduce 4MB  30..50
    """)
    assert path(trace) == [
        ("b", "kernel", 30, None), ("all_reduce", "transfer", 20, "COLLECTIVE"), ("c", "kernel", 20, "STREAM"),
    ]  # fmt: skip
    assert [(r.rank, r.ns) for r in critical_path(trace).by_rank] == [(0, 40), (1, 30)]
    assert path(trace, rank=0)[1] == ("all_reduce", "waiting", 20, "STREAM")


def test_a_straggler_behind_a_straggler() -> None:
    trace = build(
        """
        rank 0 | stream 7 | all_reduce 4MB   5..32
        rank 1 | stream 7 | all_reduce 4MB  30..32
        rank 1 | stream 7 | early            0..30
        rank 1 | stream 7 | all_gather 4MB  33..80
        rank 2 | stream 7 | all_gather 4MB  60..80
        rank 2 | stream 7 | ncclSend: x     0..1
    """.replace("ncclSend: x", "other")
    )
    assert [(n, ns) for n, _, ns, _ in path(trace) if n] == [("other", 1), ("all_gather", 20)]
    chain = build("""
        rank 0 | stream 7 | all_reduce 4MB   5..32
        rank 0 | stream 7 | x               32..60
        rank 0 | stream 7 | all_gather 4MB  60..80
        rank 1 | stream 7 | early            0..30
        rank 1 | stream 7 | all_reduce 4MB  30..32
        rank 1 | stream 7 | all_gather 4MB  33..80
        rank 1 | stream 7 | last            80..90
    """)
    assert path(chain) == [
        ("early", "kernel", 30, None), ("all_reduce", "transfer", 2, "COLLECTIVE"), ("x", "kernel", 28, "STREAM"),
        ("all_gather", "transfer", 20, "COLLECTIVE"), ("last", "kernel", 10, "STREAM"),
    ]  # fmt: skip


def test_a_receive_leads_to_its_sender() -> None:
    trace = build("""
        rank 0 | stream 7 | a             0..40
        rank 0 | stream 7 | ncclSend     40..50  -COMM-> late
        rank 1 | stream 7 | late: ncclRecv  20..52
        rank 1 | stream 7 | b            52..60
    """)
    assert path(trace) == [
        ("a", "kernel", 40, None), ("ncclRecv", "transfer", 12, "COMM"), ("b", "kernel", 8, "STREAM"),
    ]  # fmt: skip


def test_ranks_that_come_together_wait_for_nobody() -> None:
    trace = build("""
        rank 0 | stream 7 | a                0..30
        rank 0 | stream 7 | all_reduce 4MB  30..50
        rank 1 | stream 7 | b                0..30
        rank 1 | stream 7 | all_reduce 4MB  30..50
    """)
    assert [r.rank for r in critical_path(trace).by_rank] == [0]
    assert path(trace)[1] == ("all_reduce", "transfer", 20, "STREAM")


LATE = """
    rank 0 | thread 1 | iteration ProfilerStep#3    0..100
    rank 0 | stream 7 | a                           0..10
    rank 0 | stream 7 | all_reduce 4MB             10..90
    rank 1 | stream 7 | before                      0..35
    rank 1 | thread 1 | iteration ProfilerStep#3   40..95
    rank 1 | stream 7 | b                          45..80
    rank 1 | stream 7 | all_reduce 4MB             80..90
    rank 0 | thread 1 | cudaDeviceSynchronize       5..100
"""


def test_a_rank_that_enters_late() -> None:
    trace = build(LATE)
    sync = "SYNC-> cudaDeviceSynchronize"
    trace = build(LATE.replace("all_reduce 4MB             10..90", f"x: all_reduce 4MB  10..90 -{sync}"))
    result = critical_path(trace, iteration=0)
    assert (result.start_ns, result.end_ns) == (0, 100)
    assert path(trace, iteration=0) == [
        (None, "late-entry", 40, None), (None, "dependency-latency", 5, None), ("b", "kernel", 35, "STREAM"),
        ("all_reduce", "transfer", 10, "COLLECTIVE"), ("cudaDeviceSynchronize", "synchronisation", 10, "SYNC"),
    ]  # fmt: skip
    assert [(r.rank, r.ns) for r in result.by_rank] == [(0, 20), (1, 80)]


def test_a_rank_that_has_ended_its_step_leaves_early() -> None:
    trace = build(
        """
        rank 0 | thread 1 | iteration ProfilerStep#3    0..50
        rank 0 | thread 1 | aten::a                     0..50
        rank 0 | thread 1 | ncclSend: c10d              90..91
        rank 1 | thread 1 | iteration ProfilerStep#3    0..100
        rank 1 | thread 1 | aten::b                     0..20
    """.replace("ncclSend: c10d", "aten::later")
    )
    assert critical_path(trace, iteration=0).by_rank[0].rank == 1
    sent = build("""
        rank 0 | thread 1 | iteration ProfilerStep#3    0..50
        rank 0 | stream 7 | a                           0..50
        rank 0 | stream 7 | ncclSend                   60..91  -COMM-> x
        rank 1 | thread 1 | iteration ProfilerStep#3    0..100
        rank 1 | stream 7 | x: ncclRecv                10..92  -SYNC-> cudaDeviceSynchronize
        rank 1 | thread 1 | cudaDeviceSynchronize       5..100
    """)
    assert path(sent, iteration=0)[:3] == [
        ("a", "kernel", 50, None), (None, "early-exit", 10, None), ("ncclRecv", "transfer", 32, "COMM"),
    ]  # fmt: skip


def test_ranks_without_the_step_are_said_to_be_left_out() -> None:
    trace = build("""
        rank 0 | thread 1 | iteration ProfilerStep#3    0..50
        rank 0 | thread 1 | aten::a                     0..50
        rank 1 | thread 1 | aten::b                     0..20
        rank 0 | thread 1 | iteration ProfilerStep#4   60..90
        rank 1 | thread 1 | iteration ProfilerStep#3    0..30
    """)
    result = critical_path(trace, iteration=1)
    assert "rank 1 left out, without operators in such a window" in result.trust.warnings
    assert [r.rank for r in result.by_rank] == [0]


def test_links_of_low_confidence_are_counted_where_the_path_came_by_them() -> None:
    trace = build("""
        rank 0 | thread 1 | aten::a        0..100000  -SPAWN-> b
        rank 0 | thread 2 | b: aten::b   90000..900000  -JOIN-> c
        rank 0 | thread 1 | c: aten::c   900000..1000000
        rank 0 | thread 3 | d: aten::d    10000..20000   -JOIN-> c
    """)
    assert critical_path(trace).trust.weak_links == 0
    unsure = trace.dependencies.replace({"confidence": np.full(len(trace.dependencies), 0.5)})
    assert critical_path(replace(trace, dependencies=unsure)).trust.weak_links == 2


def test_how_often_an_operator_is_on_the_path() -> None:
    trace = build("""
        rank 0 | thread 1 | iteration ProfilerStep#3    0..50
        rank 0 | thread 1 | aten::a                     0..20
        rank 0 | thread 1 | aten::a                    20..40
        rank 0 | thread 1 | iteration ProfilerStep#4   50..90
        rank 0 | thread 1 | aten::b                    60..90
    """)
    result = critical_path(trace)
    assert [(o.name, o.count, o.iterations, o.ns) for o in result.by_operator] == [
        ("aten::a", 2, 1, 40), ("aten::b", 1, 1, 30),
    ]  # fmt: skip
    assert [(i.iteration, i.ns) for i in result.by_iteration] == [(0, 40), (1, 50)]


@settings(max_examples=300)
@given(traces())
def test_equal_to_an_independent_walk(trace: Trace) -> None:
    window = window_of(trace, 0, None, "annotation")
    fast, slow = walk.walk(trace, (window,)), slow_walk(trace, window)
    assert list(zip(*(c.tolist() for c in _columns(fast)), strict=True)) == slow


@settings(max_examples=300)
@given(distributed_traces())
def test_equal_to_an_independent_walk_over_all_ranks(trace: Trace) -> None:
    windows = windows_of(trace, None, None, "annotation")
    fast = walk.walk(trace, windows, arrivals(trace))
    assert list(zip(*(c.tolist() for c in _columns(fast)), strict=True)) == slow_walk(trace, *windows, follow=True)
    assert (fast.end_ns - fast.start_ns).sum() == max(w.end_ns for w in windows) - min(w.start_ns for w in windows)
    check_edges(trace, fast)


@settings(max_examples=60)
@given(traces())
def test_both_modes_of_the_kernel_agree(trace: Trace) -> None:
    window = window_of(trace, 0, None, "annotation")
    plain = walk.walk(trace, (window,))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("etgraph.model.kernels.COMPILE_FROM", 0)
        compiled = walk.walk(trace, (window,))
    for a, b in zip(_columns(plain), _columns(compiled), strict=True):
        assert np.array_equal(a, b)


def _columns(steps: walk.Steps) -> list[np.ndarray[tuple[int], np.dtype[np.int64]]]:
    return [steps.operator, steps.lane, steps.start_ns, steps.end_ns, steps.what, steps.via]


def test_real_traces_tile_their_windows_along_stored_edges(traces_dir: Path) -> None:
    checked = 0
    for file in kineto_files(traces_dir):
        trace = read_once(file)
        for iteration in (None, *trace.iteration_indices):
            for window in ("annotation", "device"):
                try:
                    found = window_of(trace, trace.ranks[0], iteration, window)  # type: ignore[arg-type]
                except MissingData:
                    continue
                result = critical_path(trace, iteration=iteration, window=window)  # type: ignore[arg-type]
                assert result.length_ns == result.window_ns == sum(c.ns for c in result.by_category), file
                check_edges(trace, walk.walk(trace, (found,)))
                checked += 1
    assert checked >= 10


def check_edges(trace: Trace, steps: walk.Steps) -> None:
    """Steps follow each other without gap or overlap, and each `via` is a stored edge from the step before."""
    assert (steps.start_ns[1:] == steps.end_ns[:-1]).all()
    d = trace.dependencies
    n = len(trace)
    stored = set(((d["kind"].astype(np.int64) * n + d["src"]) * n + d["dst"]).tolist())
    own = np.flatnonzero(steps.operator >= 0)
    back = (int(DependencyKind.CALL), int(DependencyKind.SPAWN))
    for before, after in zip(own[:-1].tolist(), own[1:].tolist(), strict=True):
        a, b, kind = int(steps.operator[before]), int(steps.operator[after]), int(steps.via[after])
        assert kind >= 0, (trace.describe(a), trace.describe(b))
        if kind == int(DependencyKind.COLLECTIVE):
            meeting = trace.operators["collective"]
            assert meeting[a] == meeting[b] >= 0, (trace.describe(a), trace.describe(b))
            continue
        there, returning = (kind * n + a) * n + b in stored, (kind * n + b) * n + a in stored
        assert there or (returning and kind in back), (trace.describe(a), trace.describe(b), kind)


def test_several_iterations_are_one_window_only_where_they_follow_each_other() -> None:
    trace = build("""
        rank 0 | thread 1 | iteration ProfilerStep#3    0..100
        rank 0 | thread 1 | aten::a                    10..20
        rank 0 | thread 1 | iteration ProfilerStep#4  100..200
        rank 0 | thread 1 | iteration ProfilerStep#5  200..300
    """)
    two = critical_path(trace, iteration=(1, 2))
    assert (two.start_ns, two.end_ns) == (100, 300)
    with pytest.raises(UsageError, match="iterations 0, 2 have 1 between them"):
        critical_path(trace, iteration=(0, 2))


def detail_shares(trace: Trace, **question: object) -> dict[str, float]:
    return {c.detail: c.share for c in critical_path(trace, **question).by_category}  # type: ignore[arg-type]


def test_a_pipeline_is_followed_through_its_stages(traces_dir: Path) -> None:
    """Two stages of two ranks: a walk that stays on a rank says that a fifth of the step is waiting."""
    name = "gpt_tp2_pp2"
    trace = read_once(next(p for p in (traces_dir / "recorded" / name, traces_dir / name) if p.is_dir()))
    result = critical_path(trace, iteration=0)
    assert [r.rank for r in result.by_rank] == [0, 1, 2, 3]
    assert {"COMM", "COLLECTIVE"} <= set(result.segments["via"].to_pylist())
    assert "waiting" not in detail_shares(trace, iteration=0)
    assert detail_shares(trace, iteration=0, rank=1)["waiting"] > 0.1
    assert result.trust.explained_share is not None
    assert result.trust.explained_share > 0.98


def test_nobody_waits_where_all_ranks_are_recorded(traces_dir: Path) -> None:
    names = ("gpt_ddp", "gpt_ddp_5steps", "gpt_ddp_regressed", "dlrm_alltoall")
    for folder in (p for p in sorted(traces_dir.rglob("*")) if p.is_dir() and p.name in names):
        trace = read_once(folder)
        for iteration in (None, *trace.iteration_indices):
            assert "waiting" not in detail_shares(trace, iteration=iteration), (folder, iteration)


def test_recommender_of_eight_ranks(collection_dir: Path, tmp_path: Path) -> None:
    """The path is on the rank that entered last, 36 % of it before that; the peers' transfers are next to nothing."""
    for file in (collection_dir / "param" / "dlrm_kineto").iterdir():
        (tmp_path / file.name).symlink_to(file)
    shares = detail_shares(read(tmp_path), iteration=0)
    assert shares["late-entry"] == pytest.approx(0.36, abs=0.005)
    assert shares["transfer"] < 0.01
    assert "waiting" not in shares


def test_a_full_launch_queue_leaves_the_device_on_the_path(collection_dir: Path) -> None:
    (file,) = (collection_dir / "hta" / "ns_resolution_trace").glob("*.gz")
    trace = read_once(file)
    assert detail_shares(trace, iteration=(1, 2, 3, 4))["kernel"] >= 0.95
    for iteration in (1, 2, 3, 4):
        assert detail_shares(trace, iteration=iteration)["kernel"] >= 0.95


def test_clocks_that_differ_a_little_do_not_hide_the_late_rank() -> None:
    """A member ends a nanosecond before the last one starts, which matching tolerates."""
    trace = build("""
        rank 0 | stream 7 | a                  0..1000
        rank 0 | stream 7 | all_reduce 4MB  1000..29999
        rank 0 | stream 7 | c              40000..50000
        rank 1 | stream 7 | slow               0..30000
        rank 1 | stream 7 | all_reduce 4MB 30000..30050
    """)
    found = critical_path(trace)
    assert found.length_ns == found.window_ns
    assert [(r.rank, r.ns) for r in found.by_rank] == [(0, 20001), (1, 29999)]
    assert "waiting" not in {c.detail for c in found.by_category}


def test_a_pause_is_an_early_exit_from_the_moment_the_window_ends() -> None:
    trace = build("""
        rank 0 | thread 1 | iteration ProfilerStep#3 0..50000
        rank 0 | stream 7 | a                        0..40000
        rank 0 | stream 7 | ncclSend                 90000..91000 -COMM-> x
        rank 1 | thread 1 | iteration ProfilerStep#3 0..100000
        rank 1 | stream 7 | x: ncclRecv              10..92000 -SYNC-> cudaDeviceSynchronize
        rank 1 | thread 1 | cudaDeviceSynchronize    5..100000
    """)
    pauses = [(d, ns) for n, d, ns, _ in path(trace, iteration=0) if n is None]
    assert pauses == [("dependency-latency", 4000), ("unexplained", 6000), ("early-exit", 40000)]


def test_a_rank_without_the_step_that_the_path_goes_through_is_not_said_to_be_left_out() -> None:
    trace = build("""
        rank 0 | thread 1 | iteration ProfilerStep#3    0..10
        rank 0 | thread 1 | iteration ProfilerStep#4   10..100
        rank 0 | stream 7 | all_reduce 4MB             15..95  -SYNC-> cudaDeviceSynchronize
        rank 0 | thread 1 | cudaDeviceSynchronize      12..100
        rank 1 | thread 1 | iteration ProfilerStep#3    0..10
        rank 1 | stream 7 | y                          20..90
        rank 1 | stream 7 | all_reduce 4MB             90..95
    """)
    warnings = critical_path(trace, iteration=1).trust.warnings
    assert "the path goes through ranks without such a window: 1" in warnings
    assert not any("left out" in warning for warning in warnings)


def test_waits_that_hold_each_other_at_one_moment_end_the_walk() -> None:
    trace = build("""
        rank 0 | thread 1 | A: aten::A 0..100
        rank 0 | thread 1 | c2: cudaLaunchKernel 50..50 -> s2
        rank 0 | thread 2 | B: aten::B 0..100
        rank 0 | thread 2 | c1: cudaLaunchKernel2 50..50 -> s1
        rank 0 | stream 7 | s1: k 50..50 -SYNC-> A
        rank 0 | stream 8 | s2: k 50..50 -SYNC-> B
    """)
    assert critical_path(trace).length_ns == 100


def test_a_wait_that_is_explained_does_not_vouch_for_another() -> None:
    trace = build("""
        rank 0 | thread 1 | cudaLaunchKernel           0..10   -> a
        rank 0 | thread 1 | s: cudaStreamSynchronize  15..25
        rank 0 | stream 7 | a                         12..22   -SYNC-> s
        rank 0 | thread 1 | cudaDeviceSynchronize     30..90000
    """)
    assert any("not resolved" in warning for warning in critical_path(trace).trust.warnings)


def untimed(trace: Trace, *names: str) -> Trace:
    """The trace with operators of those names without times."""
    o = trace.operators
    texts = o.texts("name").to_pylist()
    those = np.isin(o["name"], [texts.index(name) for name in names])
    null = np.iinfo(np.int64).min
    return replace(
        trace,
        operators=o.replace({c: np.where(those, null, o[c]) for c in ("start_ns", "duration_ns")}),
    )


def test_operators_without_times_are_no_cause_and_hide_nothing() -> None:
    inside = build("""
        rank 0 | thread 1 | p   0..50
        rank 0 | thread 1 | a   5..20
        rank 0 | thread 1 | b  20..40
    """)
    assert [(n, ns) for n, _, ns, _ in path(untimed(inside, "p"))] == [("a", 15), ("b", 20)]
    launches = build("""
        rank 0 | thread 1 | cudaLaunchKernel  0..10  -> k1
        rank 0 | thread 1 | cudaLaunchKernel 70..80  -> k4
        rank 0 | stream 7 | k1               20..30
        rank 0 | stream 7 | k4               90000..95000
    """)
    result = critical_path(untimed(launches, "k1"))
    assert result.length_ns == result.window_ns


def test_a_member_without_times_may_have_been_the_last_to_come() -> None:
    trace = build("""
        rank 0 | stream 7 | all_reduce 4MB  10..50
        rank 1 | stream 7 | all_reduce 4MB  30..50
        rank 1 | stream 7 | x               60..70
    """)
    o = trace.operators
    null = np.iinfo(np.int64).min
    second = np.flatnonzero((o["rank"] == 1) & (o["collective"] >= 0))
    times = {c: o[c].copy() for c in ("start_ns", "duration_ns")}
    for column in times.values():
        column[second] = null
    result = critical_path(replace(trace, operators=o.replace(times)), rank=0)
    assert result.trust.unmatched_collectives == 1
    assert [c.detail for c in result.by_category] == ["waiting"]


def test_a_trace_without_lanes_or_times_is_told_so(collection_dir: Path) -> None:
    with pytest.raises(MissingData, match="no operators with measured times"):
        critical_path(read_once(collection_dir / "chakra" / "jsonData" / "small_chakra.0.json"))


def test_an_iteration_whose_thread_is_not_recorded_ends_with_what_it_did_last() -> None:
    trace = build("""
        rank 0 | thread 1 | iteration ProfilerStep#3  0..50
        rank 0 | thread 1 | aten::a                   0..20
        rank 0 | stream 7 | k                        10..45
        rank 1 | thread 1 | iteration ProfilerStep#3  0..60
        rank 1 | thread 1 | aten::a                   0..20
        rank 1 | stream 7 | k                        10..15
    """)
    unknown = replace(trace, iterations=trace.iterations.replace({"lane": np.full(2, -1, dtype=np.int32)}))
    result = critical_path(unknown, rank=0)
    assert set(result.segments["rank"].to_pylist()) == {0}
    assert result.length_ns == result.window_ns == 50


def test_whoever_asks_about_a_trace_shares_its_paths_while_somebody_holds_its_ground() -> None:
    trace = build("""
        rank 0 | thread 1 | iteration ProfilerStep#3  0..50
        rank 0 | thread 1 | aten::a                   0..20
    """)
    ground = ground_of(trace)
    assert critical_path(trace, iteration=0) is ground.path(None, [0], "annotation")
    assert critical_path(trace, rank=0) is not critical_path(trace)
    later = trace.with_times(trace.operators["start_ns"] + 5, trace.operators["duration_ns"], "later")
    assert critical_path(later).start_ns == critical_path(trace).start_ns + 5
    left = weakref.ref(ground)
    del ground
    gc.collect()
    assert left() is None
