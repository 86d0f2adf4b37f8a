"""SPAWN and JOIN of gloo's operators: what issued them, and which pauses of a thread were waiting for one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from etgraph.ingest import read
from etgraph.model import DependencyKind, Trace
from ingest.kineto_oracle import cpu, interval, write

SPAWN, JOIN, SYNC = DependencyKind.SPAWN, DependencyKind.JOIN, DependencyKind.SYNC


def gloo(name: str, begin: int, end: int, thread: int = 3) -> Any:
    """One of gloo's operators on a thread of its own."""
    return interval("user_annotation", f"gloo:{name}", begin, end, thread)


def edges(trace: Trace, kind: DependencyKind) -> list[tuple[str, str]]:
    """Pairs of names, each with its start in µs."""
    o, d = trace.operators, trace.dependencies

    def shown(row: int) -> str:
        return f"{o.value('name', row)}@{int(o['start_ns'][row]) // 1000}"

    which = d["kind"] == int(kind)
    pairs = zip(d["src"][which].tolist(), d["dst"][which].tolist(), strict=True)
    return sorted((shown(src), shown(dst)) for src, dst in pairs)


def trace_of(folder: Path, *events: Any) -> Trace:
    return read(write(folder / "trace.json", *events))


def test_a_call_issues_its_operator_and_the_thread_goes_on_when_it_is_done(tmp_path: Path) -> None:
    trace = trace_of(
        tmp_path,
        cpu("c10d::allreduce_", 0, 10),
        cpu("aten::mm", 10, 100),
        gloo("all_reduce", 20, 900),
        cpu("aten::add_", 950, 960),
    )
    assert edges(trace, SPAWN) == [("c10d::allreduce_@0", "gloo:all_reduce@20")]
    assert edges(trace, JOIN) == [("gloo:all_reduce@20", "aten::add_@950")]


@pytest.mark.parametrize("second", [(20, 120), (20, 90), (20, 1000)])
def test_an_operator_that_ends_elsewhere_released_nothing(tmp_path: Path, second: tuple[int, int]) -> None:
    """Long before the pause's end, before the pause, and while the thread works on."""
    trace = trace_of(
        tmp_path,
        cpu("c10d::allreduce_", 0, 10),
        cpu("aten::mm", 10, 100),
        gloo("all_reduce", *second),
        cpu("aten::add_", 950, 1100),
    )
    assert edges(trace, SPAWN) == [("c10d::allreduce_@0", "gloo:all_reduce@20")]
    assert edges(trace, JOIN) == []


def test_the_last_of_several_ended_the_pause(tmp_path: Path) -> None:
    trace = trace_of(
        tmp_path,
        cpu("c10d::allreduce_", 0, 10),
        cpu("c10d::allreduce_", 10, 20),
        gloo("all_reduce", 20, 850, 3),
        gloo("all_reduce", 25, 900, 4),
        cpu("aten::add_", 950, 1100),
    )
    assert edges(trace, JOIN) == [("gloo:all_reduce@25", "aten::add_@950")]


def test_a_function_waits_within_its_own_time(tmp_path: Path) -> None:
    """For its end, or for what it does next; it cannot end before the work in either case."""
    at_the_end = trace_of(
        tmp_path,
        cpu("AllReduce", 0, 920),
        cpu("c10d::allreduce_", 5, 50),
        gloo("all_reduce", 20, 900),
        cpu("aten::mm", 930, 1000),
    )
    assert edges(at_the_end, SYNC) == [("gloo:all_reduce@20", "AllReduce@0")]
    assert edges(at_the_end, JOIN) == []
    in_between = trace_of(
        tmp_path,
        cpu("AllReduce", 0, 980),
        cpu("c10d::allreduce_", 5, 50),
        gloo("all_reduce", 20, 900),
        cpu("aten::div_", 920, 970),
    )
    assert edges(in_between, SYNC) == [("gloo:all_reduce@20", "AllReduce@0")]
    assert edges(in_between, JOIN) == [("gloo:all_reduce@20", "aten::div_@920")]


def test_a_function_that_works_meanwhile_waits_for_nothing(tmp_path: Path) -> None:
    trace = trace_of(
        tmp_path,
        cpu("AllReduce", 0, 980),
        cpu("c10d::allreduce_", 5, 50),
        gloo("all_reduce", 20, 900),
        cpu("aten::mm", 60, 970),
    )
    assert edges(trace, SYNC) == edges(trace, JOIN) == []


def test_a_receive_that_outlives_the_call_it_was_written_down_in(tmp_path: Path) -> None:
    trace = trace_of(
        tmp_path,
        cpu("c10d::recv_", 0, 20),
        gloo("recv", 10, 900, 1),
        cpu("aten::mm", 903, 1000),
    )
    assert edges(trace, SPAWN) == [("c10d::recv_@0", "gloo:recv@10")]
    assert edges(trace, JOIN) == [("gloo:recv@10", "aten::mm@903")]


def test_a_small_part_of_a_long_pause_is_no_accident(tmp_path: Path) -> None:
    """Other waits of the rank end 5 µs after gloo; here it is 150 µs, of ten milliseconds."""
    events = [cpu("c10d::allreduce_", 0, 10), gloo("all_reduce", 5, 10_000), cpu("aten::last", 10_150, 10_300)]
    for turn in range(3):
        at = 20_000 + turn * 1000
        events += [
            cpu("c10d::allreduce_", at, at + 10),
            gloo("all_reduce", at + 5, at + 500),
            cpu("aten::add_", at + 505, at + 900),
        ]
    assert ("gloo:all_reduce@5", "aten::last@10150") in edges(trace_of(tmp_path, *events), JOIN)


def late_return(folder: Path, delay: int, *, busy: int, length: int = 500) -> dict[str, float]:
    """Which pauses waited, and how sure that is: after three returns 20 µs after gloo one `delay` µs after it.

    The thread works on for `busy` µs after its call, and gloo for `length` µs since.
    """
    events = []
    for turn, late in enumerate((20, 20, 20, delay)):
        at = turn * 5000
        events += [
            cpu("c10d::allreduce_", at, at + 10),
            cpu("aten::mm", at + 10, at + 10 + busy),
            gloo("all_reduce", at + 5, at + length),
            cpu("aten::add_", at + length + late, at + 4900),
        ]
    trace = trace_of(folder, *events)
    o, d = trace.operators, trace.dependencies
    which = d["kind"] == int(JOIN)
    starts = (o["start_ns"][d["dst"][which]] // 1000).tolist()
    return {f"{start // 5000}": sure for start, sure in zip(starts, d["confidence"][which].tolist(), strict=True)}


def test_a_late_return_is_late_by_the_traces_own_measure(tmp_path: Path) -> None:
    """Where the thread had other work and goes on 200 µs after gloo, it may have had its own reason to pause."""
    assert late_return(tmp_path, 80, busy=100) == pytest.approx({"0": 0.8, "1": 0.8, "2": 0.8, "3": 0.8})
    assert late_return(tmp_path, 200, busy=100) == pytest.approx({"0": 0.8, "1": 0.8, "2": 0.8})


def test_a_thread_that_pauses_right_after_its_call_waits_for_it(tmp_path: Path) -> None:
    """However late it goes on, if gloo filled the first half of the pause at least."""
    assert late_return(tmp_path, 200, busy=5)["3"] == pytest.approx(0.7)
    assert late_return(tmp_path, 400, busy=5)["3"] == pytest.approx(0.7)
    assert "3" not in late_return(tmp_path, 600, busy=5)


def test_threads_of_gloo_take_no_turns(tmp_path: Path) -> None:
    """They alternate with whoever issues, whose last operator before the pause is the cause and not the effect."""
    events = []
    for turn in range(6):
        at = turn * 1000
        events += [
            cpu("aten::zeros", at, at + 100),
            cpu("c10d::allgather_", at + 100, at + 110),
            gloo("all_gather", at + 115, at + 960),
        ]
    trace = trace_of(tmp_path, *events)
    assert {src.split("@")[0] for src, _ in edges(trace, SPAWN)} == {"c10d::allgather_"}
    assert {dst.split("@")[0] for _, dst in edges(trace, JOIN)} == {"aten::zeros"}


def test_a_thread_of_the_librarys_own_has_no_pauses(tmp_path: Path) -> None:
    """One operator that outlives another on such a thread is not called by it, and nothing there waits."""
    trace = trace_of(tmp_path, cpu("aten::mm", 0, 10), gloo("all_reduce", 20, 900), gloo("all_gather", 30, 950))
    assert edges(trace, JOIN) == []
