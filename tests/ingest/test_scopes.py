"""Scope and source: modules and annotations around an operator, and the line of the user's code that called it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from etgraph.ingest import read
from etgraph.ingest.scopes import source_of_frame, source_of_stack
from etgraph.model import Trace
from ingest.kineto_oracle import call, cpu, gpu, interval, note, write


def trace_of(folder: Path, *events: Any) -> Trace:
    """The trace of those events."""
    return read(write(folder / "trace.json", *events))


def column(trace: Trace, name: str) -> dict[str, str | None]:
    """A column of the operators by their names."""
    o = trace.operators
    return {o.value("name", row): o.value(name, row) for row in range(len(o))}


def python(name: str, start: float, end: float, tid: Any = 1, pid: Any = 100) -> Any:
    """A Python frame, or the call of a module."""
    return interval("python_function", name, start, end, tid, pid)


def test_a_scope_is_the_path_of_annotations_and_modules(tmp_path: Path) -> None:
    trace = trace_of(
        tmp_path,
        note("ProfilerStep#3", 0, 100), note("forward", 10, 50),
        python("nn.Module: ResNet_0", 12, 45), python("model.py(9): forward", 13, 44),
        python("nn.Module: Conv2d_1", 20, 30),
        cpu("before", 5, 6), cpu("inside", 25, 26), cpu("beside", 35, 36), cpu("elsewhere", 25, 26, 2),
    )  # fmt: skip
    assert column(trace, "scope") == {
        "before": None,
        "inside": "forward/ResNet_0/Conv2d_1",
        "beside": "forward/ResNet_0",
        "elsewhere": None,
    }


def test_of_spans_that_start_together_the_longer_is_around_the_other(tmp_path: Path) -> None:
    """Whichever the file writes first."""
    inner, outer = note("inner", 0, 10), note("outer", 0, 30)
    for events in ([inner, outer], [outer, inner]):
        trace = trace_of(tmp_path, *events, cpu("a", 5, 6), cpu("b", 20, 21))
        assert column(trace, "scope") == {"a": "outer/inner", "b": "outer"}


def test_of_frames_that_start_together_the_shorter_is_the_caller(tmp_path: Path) -> None:
    trace = trace_of(
        tmp_path, python("b.py(2): g", 0, 10), python("a.py(1): f", 0, 30), cpu("x", 5, 6), cpu("y", 20, 21)
    )
    assert column(trace, "source") == {"x": "b.py:2", "y": "a.py:1"}


def test_a_scope_that_the_file_records_stays(tmp_path: Path) -> None:
    recorded, empty = {"Module Hierarchy": "Net.Linear"}, {"Module Hierarchy": ""}
    trace = trace_of(
        tmp_path, note("forward", 0, 10), cpu("a", 1, 2, **recorded), cpu("b", 3, 4), cpu("c", 5, 6, **empty)
    )
    assert column(trace, "scope") == {"a": "Net.Linear", "b": "forward", "c": "forward"}


def test_the_innermost_line_of_the_users_code(tmp_path: Path) -> None:
    trace = trace_of(
        tmp_path,
        python("train.py(45): main", 0, 100), python("models/bert.py(12): forward", 10, 50),
        python("torch/nn/modules/module.py(1501): _call_impl", 11, 49), python("<built-in method add>", 12, 48),
        python("threading.py(973): run", 13, 47), cpu("inside", 20, 21), call(60, 61, 1), gpu("k", 70, 71, 1),
    )  # fmt: skip
    assert column(trace, "source") == {
        "inside": "models/bert.py:12",
        "cudaLaunchKernel": "train.py:45",
        "k": "train.py:45",
    }


def test_a_recorded_stack_stays(tmp_path: Path) -> None:
    stack = "/opt/lib/python3.7/site-packages/torch/optim/sgd.py(5): step;resnet.py(54): <module>"
    trace = trace_of(tmp_path, python("other.py(1): f", 0, 9), cpu("a", 1, 2, **{"Call stack": stack}), cpu("b", 3, 4))
    assert column(trace, "source") == {"a": "resnet.py:54", "b": "other.py:1"}


def test_python_frames_on_thread_zero_belong_to_the_busiest_thread(tmp_path: Path) -> None:
    """The profiler writes the frames that were open when it started under process 0 and thread 0."""
    trace = trace_of(
        tmp_path,
        python("train.py(3): main", 0, 100, 0, 0),
        cpu("a", 1, 2, 5), cpu("b", 3, 4, 5), cpu("c", 1, 2, 6),
    )  # fmt: skip
    assert column(trace, "source") == {"a": "train.py:3", "b": "train.py:3", "c": None}
    assert trace.lanes.value("id", int(trace.annotations["lane"][0])) == "5"


def test_python_frames_of_a_thread_with_anything_else_stay_there(tmp_path: Path) -> None:
    trace = trace_of(tmp_path, python("w.py(3): work", 0, 100, 8), note("load", 0, 10, 8), cpu("a", 1, 2, 5))
    assert column(trace, "source") == {"a": None}
    assert trace.lanes.value("id", int(trace.annotations["lane"][0])) == "8"


@pytest.mark.parametrize(
    ("frame", "source"),
    [
        ("train.py(45): main", "train.py:45"),
        ("/home/me/project/train.py(45): <module>", "/home/me/project/train.py:45"),
        ("vllm/worker/model_runner.py(1602): execute_model", "vllm/worker/model_runner.py:1602"),
        ("my_torch/layers.py(3): forward", "my_torch/layers.py:3"),
        ("torch/nn/functional.py(2054): linear", ""),
        ("/usr/lib/python3.10/site-packages/torch/cuda/graphs.py(80): replay", ""),
        ("/opt/venv/lib/python3.12/threading.py(1): run", ""),
        ("threading.py(973): run", ""),
        ("json/decoder.py(337): decode", ""),
        ("<built-in method linear of type object at 0x7f>", ""),
        ("<string>(1): <module>", ""),
        ("nn.Module: Linear_0", ""),
        ("", ""),
    ],
)
def test_frames(frame: str, source: str) -> None:
    assert source_of_frame(frame) == source


def test_stacks() -> None:
    assert source_of_stack("torch/a.py(1): f;mine.py(2): g;main.py(3): h") == "mine.py:2"
    assert source_of_stack("torch/a.py(1): f;") == ""
