"""Launches and streams: which call started a device operator, and what it followed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etgraph.ingest import read
from etgraph.ingest.launches import LOOK_BACK, _previous_on_stream
from etgraph.model import Category, DependencyKind, LaneKind, Trace
from ingest.kineto_oracle import call, cpu, gpu, interval, note, write


def trace_of(folder: Path, *events: Any) -> Trace:
    """The trace of those events."""
    trace = read(write(folder / "trace.json", *events))
    trace.validate()
    return trace


def edges(trace: Trace, kind: DependencyKind) -> set[tuple[str, str]]:
    """The dependencies of one kind, by names."""
    d, value = trace.dependencies, trace.operators.value
    rows = np.flatnonzero(d["kind"] == int(kind)).tolist()
    return {(value("name", int(d["src"][row])), value("name", int(d["dst"][row]))) for row in rows}


LAUNCH, STREAM = DependencyKind.LAUNCH, DependencyKind.STREAM


def test_a_correlation_joins_a_call_and_its_kernel(tmp_path: Path) -> None:
    trace = trace_of(
        tmp_path, call(0, 5, 1, "launch 1"), call(6, 8, 2, "launch 2"), gpu("b", 20, 30, 2), gpu("a", 7, 12, 1)
    )
    assert edges(trace, LAUNCH) == {("launch 1", "a"), ("launch 2", "b")}
    assert edges(trace, STREAM) == {("a", "b")}
    assert trace.metadata.report.launched_device_operators == 2


def test_a_kernel_may_start_before_its_call_returns(tmp_path: Path) -> None:
    assert edges(trace_of(tmp_path, call(0, 50, 1), gpu("k", 3, 60, 1)), LAUNCH) == {("cudaLaunchKernel", "k")}


@pytest.mark.parametrize("category", ["cuda_runtime", "Runtime", "cuda_driver", "mtia_runtime"])
def test_calls_of_every_layer_launch(tmp_path: Path, category: str) -> None:
    launch = interval(category, "launch", 0, 2, correlation=5)
    assert edges(trace_of(tmp_path, launch, gpu("k", 3, 4, 5)), LAUNCH) == {("launch", "k")}


def test_an_operator_with_the_same_number_is_no_call(tmp_path: Path) -> None:
    """Only calls launch; what shares its correlation with none of them was launched before the recording."""
    trace = trace_of(tmp_path, cpu("aten::add", 0, 5, correlation=1), gpu("k", 7, 9, 1))
    assert not edges(trace, LAUNCH)
    assert trace.metadata.report.device_operators == 1
    assert trace.metadata.report.launched_device_operators == 0


def test_a_missing_correlation_joins_nothing(tmp_path: Path) -> None:
    trace = trace_of(tmp_path, call(0, 5), gpu("k", 7, 9))
    assert not edges(trace, LAUNCH)
    assert trace.metadata.report.counts == {"operatorsOfNoRecordedLaunch": 1}


def test_a_graph_launch_starts_the_first_kernel_on_each_stream(tmp_path: Path) -> None:
    trace = trace_of(
        tmp_path,
        call(0, 5, 1, "cudaGraphLaunch"),
        gpu("a", 10, 20, 1), gpu("b", 20, 30, 1), gpu("c", 31, 40, 1), gpu("x", 12, 14, 1, 20), gpu("y", 15, 16, 1, 20),
    )  # fmt: skip
    assert edges(trace, LAUNCH) == {("cudaGraphLaunch", "a"), ("cudaGraphLaunch", "x")}
    assert edges(trace, STREAM) == {("a", "b"), ("b", "c"), ("x", "y")}
    assert trace.metadata.report.launched_device_operators == 5


def test_a_correlation_of_several_calls_says_nothing(tmp_path: Path) -> None:
    trace = trace_of(
        tmp_path, call(0, 1, 1), call(2, 3, 1), gpu("k", 5, 6, 1), call(3, 4, 2, "good"), gpu("l", 6, 7, 2)
    )
    assert edges(trace, LAUNCH) == {("good", "l")}
    assert trace.metadata.report.counts["ambiguousCorrelations"] == 1


def test_of_calls_within_each_other_the_innermost_launches(tmp_path: Path) -> None:
    trace = trace_of(tmp_path, call(0, 10, 1, "outer"), call(2, 8, 1, "inner"), gpu("k", 12, 20, 1))
    assert edges(trace, LAUNCH) == {("inner", "k")}


def test_a_correlation_of_zero_is_none(tmp_path: Path) -> None:
    assert not edges(trace_of(tmp_path, call(0, 1, 0), gpu("k", 5, 6, 0)), LAUNCH)


def test_a_thread_and_a_stream_of_the_same_numbers_are_two_lanes(tmp_path: Path) -> None:
    trace = trace_of(
        tmp_path,
        interval("cpu_op", "aten::mm", 0, 9, 7, 7), interval("cuda_runtime", "launch", 2, 5, 7, 7, correlation=1),
        interval("kernel", "k", 6, 8, 7, 7, correlation=1),
    )  # fmt: skip
    assert sorted(trace.lanes["kind"].tolist()) == [LaneKind.THREAD, LaneKind.STREAM]
    assert edges(trace, DependencyKind.CALL) == {("aten::mm", "launch")}
    assert edges(trace, LAUNCH) == {("launch", "k")}
    assert not edges(trace, STREAM)


def test_a_kernel_cannot_start_before_its_call(tmp_path: Path) -> None:
    trace = trace_of(
        tmp_path, call(10, 12, 1, "late"), gpu("k", 9, 20, 1), call(20, 22, 2, "same moment"), gpu("l", 20, 25, 2)
    )
    assert edges(trace, LAUNCH) == {("same moment", "l")}
    assert trace.metadata.report.counts["launchesAgainstTime"] == 1


def test_a_stream_has_one_name_in_both_dialects(tmp_path: Path) -> None:
    """`7`, `"7"` and `stream 7` are one stream; on another device it is another."""
    trace = trace_of(
        tmp_path,
        gpu("a", 0, 1), gpu("b", 1, 2, stream="7"), gpu("c", 2, 3, stream="stream 7"),
        interval("kernel", "other device", 4, 5, 7, 1, device=1),
    )  # fmt: skip
    assert edges(trace, STREAM) == {("a", "b"), ("b", "c")}
    assert trace.lanes["kind"].tolist() == [LaneKind.STREAM] * 2
    assert trace.lanes["device"].tolist() == [0, 1]


def test_overlapping_kernels_have_no_order(tmp_path: Path) -> None:
    """In a graph replay operators of one stream may overlap: each follows the last that had ended."""
    trace = trace_of(tmp_path, gpu("a", 0, 10), gpu("b", 10, 30), gpu("c", 12, 20), gpu("d", 25, 40), gpu("e", 45, 50))
    assert edges(trace, STREAM) == {("a", "b"), ("a", "c"), ("c", "d"), ("d", "e")}


def test_the_last_to_end_need_not_be_the_last_to_start(tmp_path: Path) -> None:
    assert edges(trace_of(tmp_path, gpu("long", 0, 20), gpu("short", 5, 10), gpu("next", 30, 40)), STREAM) == {
        ("long", "next")
    }


def test_copies_sets_and_kernels_share_a_stream(tmp_path: Path) -> None:
    copy = interval("gpu_memcpy", "Memcpy HtoD (Pageable -> Device)", 0, 5, 7, 0, device=0)
    fill = interval("gpu_memset", "Memset (Device)", 5, 6, 7, 0, device=0)
    trace = trace_of(tmp_path, copy, fill, gpu("k", 6, 7))
    assert edges(trace, STREAM) == {(copy["name"], fill["name"]), (fill["name"], "k")}
    assert trace.operators["category"].tolist() == [Category.MEMCPY, Category.MEMSET, Category.KERNEL]


def test_a_synchronisation_record_is_no_operator_of_its_stream(tmp_path: Path) -> None:
    wait = interval("cuda_sync", "Stream Wait Event", 2, 3, 7, 0, stream=7)
    trace = trace_of(tmp_path, gpu("a", 0, 1), wait, gpu("b", 4, 5))
    assert edges(trace, STREAM) == {("a", "b")}
    assert len(trace.annotations) == 1


def test_what_is_launched_belongs_where_its_call_stands(tmp_path: Path) -> None:
    """Scope and iteration come with the launch, wherever the kernel runs."""
    trace = trace_of(
        tmp_path,
        note("ProfilerStep#1", 0, 10), note("ProfilerStep#2", 10, 20), note("forward", 2, 8),
        call(5, 6, 1), gpu("k", 14, 18, 1), gpu("not launched", 19, 20),
    )  # fmt: skip
    o = trace.operators
    assert [(o.value("name", r), o.value("iteration", r), o.value("scope", r)) for r in range(3)] == [
        ("cudaLaunchKernel", 0, "forward"), ("k", 0, "forward"), ("not launched", None, None)
    ]  # fmt: skip


@pytest.mark.parametrize("mode", [_previous_on_stream.python, _previous_on_stream.compiled], ids=["python", "compiled"])
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30), st.integers(0, 15)), max_size=40),
    st.integers(0, 2 * LOOK_BACK),
)
def test_order_on_streams_is_as_defined(mode: Any, intervals: list[tuple[int, int, int]], crowd: int) -> None:
    """Of the operators that ended by then, the last to end; of these the last to start; not from too far back."""
    ordered = sorted([*intervals, *[(1, 3, 100)] * crowd], key=lambda i: i[:2])
    table = np.array(ordered, dtype=np.int64).reshape(-1, 3)
    lane, start, end = table[:, 0].astype(np.int32), table[:, 1].copy(), table[:, 1] + table[:, 2]
    expected = [
        max(
            (j for j in range(max(0, i - LOOK_BACK), i) if lane[j] == lane[i] and end[j] <= start[i]),
            key=lambda j: (end[j], j),
            default=-1,
        )
        for i in range(len(lane))
    ]
    assert mode(lane, start, end).tolist() == expected
