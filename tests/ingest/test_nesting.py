"""Nesting on threads: parents, siblings, what covers a moment; ties, zero lengths, children that stay longer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etgraph.ingest import read
from etgraph.ingest.nesting import _innermost, _nest, innermost
from etgraph.model import DependencyKind, Trace
from ingest.kineto_oracle import call, cpu, interval, note, write


def trace_of(folder: Path, *events: Any) -> Trace:
    """The trace of those events."""
    return read(write(folder / "trace.json", *events))


def parents(trace: Trace) -> dict[str, str | None]:
    """The parent of each operator, by names."""
    names = [trace.operators.value("name", row) for row in range(len(trace))]
    return {n: names[p] if p >= 0 else None for n, p in zip(names, trace.operators["parent"].tolist(), strict=True)}


def edges(trace: Trace, kind: DependencyKind) -> set[tuple[str, str]]:
    """The dependencies of one kind, by names."""
    d, value = trace.dependencies, trace.operators.value
    rows = np.flatnonzero(d["kind"] == int(kind)).tolist()
    return {(value("name", int(d["src"][row])), value("name", int(d["dst"][row]))) for row in rows}


def test_calls_and_siblings(tmp_path: Path) -> None:
    trace = trace_of(tmp_path, cpu("a", 0, 10), cpu("b", 1, 4), cpu("c", 4, 9), cpu("d", 5, 6), cpu("e", 10, 12))
    assert parents(trace) == {"a": None, "b": "a", "c": "a", "d": "c", "e": None}
    assert edges(trace, DependencyKind.CALL) == {("a", "b"), ("a", "c"), ("c", "d")}
    assert edges(trace, DependencyKind.THREAD) == {("b", "c"), ("a", "e")}


def test_a_child_that_outlives_its_parent_is_spawned_and_clipped(tmp_path: Path) -> None:
    """`gloo:send` may outlast the call that started it; what follows the call is not inside it."""
    trace = trace_of(
        tmp_path, cpu("c10d::send", 0, 10), cpu("gloo:send", 5, 30), cpu("inside", 6, 9), cpu("next", 12, 20)
    )
    assert parents(trace) == {"c10d::send": None, "gloo:send": "c10d::send", "inside": "gloo:send", "next": None}
    assert edges(trace, DependencyKind.SPAWN) == {("c10d::send", "gloo:send")}
    assert edges(trace, DependencyKind.CALL) == {("gloo:send", "inside")}
    assert edges(trace, DependencyKind.THREAD) == {("c10d::send", "next")}
    assert trace.metadata.report.counts["operatorsOutlivingParent"] == 1
    trace.validate()


def test_an_operator_that_ends_with_its_parent_is_called(tmp_path: Path) -> None:
    trace = trace_of(tmp_path, cpu("a", 0, 10), cpu("b", 4, 10), cpu("c", 10, 12))
    assert edges(trace, DependencyKind.CALL) == {("a", "b")}
    assert not edges(trace, DependencyKind.SPAWN)
    assert edges(trace, DependencyKind.THREAD) == {("a", "c")}


@pytest.mark.parametrize("order", ["Ev Idx", "Profiler Event Index", "External id", "external id"])
def test_operators_that_start_together_nest_in_the_recorded_order(tmp_path: Path, order: str) -> None:
    """Not by length: the later one is inside, were it the longer, and then it outlives its parent."""
    first, second = cpu("first", 5, 8, **{order: 1}), cpu("second", 5, 20, **{order: 2})
    assert parents(trace_of(tmp_path, second, first)) == {"first": None, "second": "first"}


def test_operators_that_start_together_nest_in_file_order_where_nothing_else_says(tmp_path: Path) -> None:
    assert parents(trace_of(tmp_path, cpu("a", 5, 8), cpu("b", 5, 20))) == {"a": None, "b": "a"}


def test_the_event_index_counts_before_the_external_id(tmp_path: Path) -> None:
    first = cpu("first", 5, 9, **{"Ev Idx": 1, "External id": 9})
    second = cpu("second", 5, 8, **{"Ev Idx": 2, "External id": 3})
    assert parents(trace_of(tmp_path, second, first)) == {"first": None, "second": "first"}


def test_a_call_is_inside_the_operator_that_starts_with_it(tmp_path: Path) -> None:
    """Their numbers are of different kinds: an operator's index, a call's correlation."""
    launch = call(5, 7)
    launch["args"] = {"External id": 1}
    assert parents(trace_of(tmp_path, launch, cpu("op", 5, 9, **{"Ev Idx": 400}))) == {
        "op": None,
        "cudaLaunchKernel": "op",
    }


def test_operators_without_duration(tmp_path: Path) -> None:
    """They have a place among their siblings and hold nothing."""
    trace = trace_of(
        tmp_path, cpu("a", 0, 10), cpu("zero", 4, 4), cpu("b", 4, 6), cpu("at end", 10, 10), cpu("c", 10, 11)
    )
    assert parents(trace) == {"a": None, "zero": "a", "b": "a", "at end": None, "c": None}
    assert edges(trace, DependencyKind.THREAD) == {("zero", "b"), ("a", "at end"), ("at end", "c")}
    trace.validate()


def test_threads_are_apart_and_their_ids_are_texts(tmp_path: Path) -> None:
    """`1` and `"1"` are one thread; watchdogs have negative ids; equal ids of two processes are two threads."""
    other = interval("cpu_op", "other process", 1, 2, 1, 999)
    trace = trace_of(tmp_path, cpu("a", 0, 10, 1), cpu("b", 1, 2, "1"), cpu("w", 1, 2, -549452224), other)
    assert parents(trace) == {"a": None, "b": "a", "w": None, "other process": None}
    assert trace.lanes.texts("id").to_pylist() == ["1", "-549452224"]
    assert len(trace.lanes) == 3


def test_what_is_no_operator_encloses_none(tmp_path: Path) -> None:
    spans = [note("step", 0, 20), interval("python_function", "f", 0, 20), interval("overhead", "buffers", 0, 20)]
    assert parents(trace_of(tmp_path, *spans, cpu("a", 1, 2))) == {"a": None}


def test_gloo_runs_on_its_thread_as_an_operator(tmp_path: Path) -> None:
    trace = trace_of(tmp_path, note("gloo:all_reduce", 0, 10), cpu("aten::add", 2, 3), note("nccl:all_reduce", 4, 5))
    assert parents(trace) == {"gloo:all_reduce": None, "aten::add": "gloo:all_reduce"}


# Against the definitions

INTERVALS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 20), st.integers(0, 12)), max_size=30)


def arrays(intervals: list[tuple[int, int, int]]) -> tuple[Any, Any, Any]:
    """Lane, start and end, sorted by lane and start as the kernels want them."""
    ordered = sorted(intervals, key=lambda i: i[:2])
    table = np.array(ordered, dtype=np.int64).reshape(-1, 3)
    return table[:, 0].astype(np.int32), table[:, 1].copy(), table[:, 1] + table[:, 2]


def nested(lane: Any, start: Any, end: Any) -> tuple[list[int], list[int]]:
    """A parent is the last that started and is open, and nothing stays open for longer than its parent."""
    parent: list[int] = []
    previous: list[int] = []
    until: list[int] = []
    for i in range(len(lane)):
        parent.append(max((j for j in range(i) if lane[j] == lane[i] and until[j] > start[i]), default=-1))
        until.append(min(end[i], until[parent[i]]) if parent[i] >= 0 else end[i])
        family = [j for j in range(i) if lane[j] == lane[i] and parent[j] == parent[i]]
        previous.append(max(family, default=-1))
    return parent, previous


@pytest.mark.parametrize("mode", [_nest.python, _nest.compiled], ids=["python", "compiled"])
@given(INTERVALS)
def test_nesting_is_as_defined(mode: Any, intervals: list[tuple[int, int, int]]) -> None:
    lane, start, end = arrays(intervals)
    parent, previous = mode(lane, start, end)
    assert (parent.tolist(), previous.tolist()) == nested(lane, start, end)
    assert all(end[j] <= start[i] for i, j in enumerate(previous.tolist()) if j >= 0), "siblings never overlap"


@pytest.mark.parametrize("mode", [_innermost.python, _innermost.compiled], ids=["python", "compiled"])
@given(INTERVALS, st.lists(st.tuples(st.integers(0, 2), st.integers(-1, 34)), max_size=12))
def test_the_innermost_is_the_last_to_start(
    mode: Any, intervals: list[tuple[int, int, int]], points: list[tuple[int, int]]
) -> None:
    lane, start, end = arrays(intervals)
    at = np.array(points, dtype=np.int64).reshape(-1, 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("etgraph.ingest.nesting._innermost", mode)
        found = innermost(lane, start, end, at[:, 0].astype(np.int32), at[:, 1].copy())
    for (point_lane, time), row in zip(points, found.tolist(), strict=True):
        covers = [i for i in range(len(lane)) if lane[i] == point_lane
                  and (start[i] <= time < end[i] or start[i] == time == end[i])]  # fmt: skip
        assert row == max(covers, key=lambda i: (start[i], i), default=-1)
