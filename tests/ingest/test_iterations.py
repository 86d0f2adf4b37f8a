"""Iterations: which annotations are steps, how they are numbered, and who belongs to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from etgraph.ingest import read
from etgraph.ingest.iterations import step_indices
from etgraph.model import Trace
from ingest.kineto_oracle import call, cpu, gpu, interval, note, write


def trace_of(folder: Path, *events: Any, **options: Any) -> Trace:
    """The trace of those events."""
    return read(write(folder / "trace.json", *events), **options)


def steps(trace: Trace) -> list[tuple[int, str]]:
    """Index and name of every iteration."""
    i = trace.iterations
    return [(i.value("index", row), i.value("name", row)) for row in range(len(i))]


def members(trace: Trace) -> dict[str, int | None]:
    """The iteration of each operator."""
    o = trace.operators
    return {o.value("name", row): o.value("iteration", row) for row in range(len(o))}


def test_operators_belong_to_the_step_in_which_they_start(tmp_path: Path) -> None:
    trace = trace_of(
        tmp_path,
        note("ProfilerStep#7", 10, 20), note("ProfilerStep#8", 20, 30),
        cpu("before", 5, 15), cpu("first", 10, 11), cpu("across", 19, 25), cpu("second", 20, 21, 2),
        cpu("after", 30, 31),
    )  # fmt: skip
    assert steps(trace) == [(0, "ProfilerStep#7"), (1, "ProfilerStep#8")]
    assert members(trace) == {"before": None, "first": 0, "across": 0, "second": 1, "after": None}
    assert trace.iterations["start_ns"].tolist() == [5_000, 15_000]
    assert trace.iterations["end_ns"].tolist() == [15_000, 25_000]


def test_device_operators_belong_by_launch(tmp_path: Path) -> None:
    trace = trace_of(tmp_path, note("ProfilerStep#1", 0, 10), note("ProfilerStep#2", 10, 20),
                     call(8, 9, 1), gpu("launched in 1", 15, 16, 1), gpu("not launched", 17, 18))  # fmt: skip
    assert members(trace) == {"cudaLaunchKernel": 0, "launched in 1": 0, "not launched": None}


def test_the_twin_on_the_device_is_no_step(tmp_path: Path) -> None:
    twin = interval("gpu_user_annotation", "ProfilerStep#1", 3, 18, 7, 0)
    on_stream = interval("user_annotation", "ProfilerStep#1", 3, 18, 7, 0)
    trace = trace_of(tmp_path, note("ProfilerStep#1", 0, 10), twin, on_stream, cpu("a", 1, 2), gpu("k", 4, 5))
    assert steps(trace) == [(0, "ProfilerStep#1")]
    assert trace.lanes.value("id", int(trace.iterations["lane"][0])) == "1"


def test_of_overlapping_steps_the_first_counts(tmp_path: Path) -> None:
    steps_of = [note(f"ProfilerStep#{n}", *times) for n, times in ((1, (0, 10)), (2, (9, 15)), (3, (10, 20)))]
    trace = trace_of(tmp_path, *steps_of, cpu("a", 9, 10), cpu("b", 11, 12))
    assert [name for _, name in steps(trace)] == ["ProfilerStep#1", "ProfilerStep#3"]
    assert members(trace) == {"a": 0, "b": 1}


def test_a_glob_chooses_other_annotations(tmp_path: Path) -> None:
    events = [note("ProfilerStep#1", 0, 30), note("execute_context_1(8)", 0, 10), note("execute_context_2(8)", 10, 20),
              cpu("a", 1, 2), cpu("execute_context_3", 21, 22)]  # fmt: skip
    assert [name for _, name in steps(trace_of(tmp_path, *events))] == ["ProfilerStep#1"]
    chosen = trace_of(tmp_path, *events, iteration="execute_context_*")
    assert steps(chosen) == [(0, "execute_context_1(8)"), (1, "execute_context_2(8)")]
    assert members(chosen) == {"a": 0, "execute_context_3": None}


def test_a_trace_without_steps_is_one_window(tmp_path: Path) -> None:
    trace = trace_of(tmp_path, cpu("a", 1, 2), note("forward", 0, 5))
    assert len(trace.iterations) == 0
    assert members(trace) == {"a": None}


def test_steps_without_operators_are_kept(tmp_path: Path) -> None:
    trace = trace_of(tmp_path, note("ProfilerStep#1", 0, 5))
    assert steps(trace) == [(0, "ProfilerStep#1")]
    assert any("holds no operators" in w for w in trace.metadata.report.warnings)


def test_one_index_is_one_step_on_all_ranks(tmp_path: Path) -> None:
    """A rank whose recording began a step later has index 1 first."""
    distributed = {"distributedInfo": {"rank": 0, "world_size": 2}}
    write(tmp_path / "a.json", *[note(f"ProfilerStep#{n}", n, n + 1) for n in (5, 6, 7)], cpu("x", 5, 6), **distributed)
    distributed["distributedInfo"]["rank"] = 1
    write(tmp_path / "b.json", *[note(f"ProfilerStep#{n}", n, n + 1) for n in (6, 7, 8)], cpu("y", 6, 7), **distributed)
    trace = read(tmp_path)
    numbered = zip(trace.iterations["rank"].tolist(), steps(trace), strict=True)
    assert [(rank, index, name[-1]) for rank, (index, name) in numbered] == [
        (0, 0, "5"), (0, 1, "6"), (0, 2, "7"), (1, 1, "6"), (1, 2, "7"), (1, 3, "8")
    ]  # fmt: skip
    assert [trace.iterations.value("name", row) for row in trace.operators["iteration"].tolist()] == [
        "ProfilerStep#5", "ProfilerStep#6"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("names", "ranks", "indices"),
    [
        (["s#5", "s#6", "s#9"], [0, 0, 0], [0, 1, 2]),
        (["s#5", "s#6", "s#6", "s#7"], [0, 0, 1, 1], [0, 1, 1, 2]),
        (["s#6", "s#5"], [0, 0], [1, 0]),
        (["s#99999999999999999999", "s#2"], [0, 0], [1, 0]),
        (["step", "step", "step"], [0, 0, 1], [0, 1, 0]),  # no numbers: by order
        (["1 of 3", "2 of 3"], [0, 0], [0, 1]),  # a number that does not tell them apart
        (["s#1", "s"], [0, 0], [0, 1]),  # only some are numbered
        ([], [], []),
    ],
)
def test_numbers_of_steps(names: list[str], ranks: list[int], indices: list[int]) -> None:
    assert step_indices(names, np.array(ranks, dtype=np.int32)).tolist() == indices
