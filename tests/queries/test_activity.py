"""What a rank is doing when: known answers, and threads compared with a moment-by-moment search."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etgraph.model import Columns, NodeType, Trace
from etgraph.model.arrivals import arrivals
from etgraph.queries.activity import Activity, _innermost, activities, stretches
from support.build import build


def at_work(trace: Trace, rank: int = 0) -> list[tuple[str, str, int, int]]:
    """Stretches as (operator, activity, start, end) in order of time."""
    found = stretches(trace, activities(trace, arrivals(trace)), trace.ranks)[rank]
    columns = (found.start_ns, found.end_ns, found.operator, found.activity)
    return [
        (trace.operators.value("name", row), Activity(activity).name.lower(), start, end)
        for start, end, row, activity in sorted(zip(*(column.tolist() for column in columns)))
    ]


def test_a_rank_with_a_device_works_on_the_device() -> None:
    trace = build("""
        rank 0 | thread 1 | aten::mm            0..20
        rank 0 | thread 1 | cudaLaunchKernel    5..10   -> gemm
        rank 0 | stream 7 | gemm               15..60
        rank 0 | stream 9 | all_reduce 4MB     50..70
        rank 0 | stream 9 | Memcpy             70..75
        rank 0 | stream 9 | Memset             75..76
        rank 0 | stream 9 | empty              80..80
    """)
    assert at_work(trace) == [
        ("gemm", "computation", 15, 60),
        ("all_reduce", "communication", 50, 70),
        ("Memcpy", "memory", 70, 75),
        ("Memset", "memory", 75, 76),
    ]


def test_communication_of_the_host_counts_beside_a_device() -> None:
    trace = build("""
        rank 0 | thread 1 | aten::mm          0..20
        rank 0 | thread 2 | gloo:all_reduce  10..30
        rank 0 | stream 7 | gemm             15..25
    """)
    assert at_work(trace) == [("gloo:all_reduce", "communication", 10, 30), ("gemm", "computation", 15, 25)]


def test_without_a_device_the_innermost_operator_of_a_thread_computes() -> None:
    trace = build("""
        rank 0 | thread 1 | autograd::engine       0..50
        rank 0 | thread 1 | aten::linear           5..40
        rank 0 | thread 1 | aten::addmm           10..30
        rank 0 | thread 1 | c10d::allreduce_      42..48
        rank 0 | thread 2 | gloo:all_reduce       44..90
    """)
    assert at_work(trace) == [
        ("aten::linear", "computation", 5, 10),
        ("aten::addmm", "computation", 10, 30),
        ("aten::linear", "computation", 30, 40),
        ("gloo:all_reduce", "communication", 44, 90),
    ]


def test_each_rank_is_looked_at_by_itself() -> None:
    trace = build("""
        rank 0 | stream 7 | gemm      0..10
        rank 0 | thread 1 | aten::mm  0..30
        rank 1 | thread 1 | aten::mm  0..20
    """)
    assert at_work(trace, 0) == [("gemm", "computation", 0, 10)]
    assert at_work(trace, 1) == [("aten::mm", "computation", 0, 20)]


def test_loads_and_stores_of_memory_are_memory() -> None:
    trace = build("rank 0 | stream 7 | load  0..10\nrank 0 | stream 7 | gemm  10..20")
    kinds = np.array([NodeType.MEM_LOAD, NodeType.COMP], dtype=np.int32)
    trace = replace(trace, operators=trace.operators.replace({"kind": kinds}))
    assert at_work(trace) == [("load", "memory", 0, 10), ("gemm", "computation", 10, 20)]


@pytest.mark.parametrize("column", ["start_ns", "duration_ns", "lane"])
def test_an_operator_without_times_or_lane_is_left_out(column: str) -> None:
    trace = build("rank 0 | thread 1 | a  0..10\nrank 0 | thread 1 | b  10..20")
    values = trace.operators[column].copy()
    values[0] = trace.operators.table.column(column).null
    operators: Columns = trace.operators.replace({column: values})
    assert at_work(replace(trace, operators=operators)) == [("b", "computation", 10, 20)]


OPERATORS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30), st.integers(0, 15)), min_size=1, max_size=14)


@pytest.mark.parametrize("run", [_innermost.python, _innermost.compiled])
@given(operators=OPERATORS)
def test_the_operator_opened_last_owns_the_time(run, operators) -> None:  # type: ignore[no-untyped-def]
    """Also where intervals overlap without one being inside the other."""
    lane, start, length = (np.array(column, dtype=np.int64) for column in zip(*sorted(operators)))
    end = start + length
    which, first, last = run(lane, start, end)
    found = {(lane[i], t): i for i, a, b in zip(which, first, last) for t in range(a, b)}
    assert sum(last - first) == len(found), "stretches of a lane overlap"
    for one in set(lane.tolist()):
        for t in range(50):
            open_then = [i for i in range(len(lane)) if lane[i] == one and start[i] <= t < end[i]]
            assert found.get((one, t)) == (max(open_then) if open_then else None)
