"""What holds of every replay: the order of the graph, no absolute time, no order of rows, and no waiting taken over."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings

from etgraph.ingest import read
from etgraph.model import DEPENDENCIES, Trace
from etgraph.model.columns import Array
from etgraph.model.schema import Ends
from etgraph.sim.predict import predict
from etgraph.sim.replay import measured_plan, replay, run_plan
from etgraph.sim.simulation import Simulation
from support.build import build
from support.random_traces import crossing_traces, distributed_traces, executable


def violated(trace: Trace, found: Simulation) -> list[str]:
    """The ordering dependencies whose ends do not hold in a simulation."""
    start, end = _times(found)
    ends_of = {
        Ends.END_START: (end, start), Ends.START_START: (start, start), Ends.START_END: (start, end),
        Ends.END_END: (end, end),
    }  # fmt: skip
    wrong = []
    for kind, meaning in DEPENDENCIES.items():
        rows = np.flatnonzero(trace.dependencies["kind"] == int(kind))
        a, b = trace.dependencies["src"][rows], trace.dependencies["dst"][rows]
        timed = trace.timed[a] & trace.timed[b]
        a, b = a[timed], b[timed]
        for ends in meaning.ends if meaning.ordering else ():
            late = end[b] > end[a] if ends is Ends.BACK_END_END else ends_of[ends][0][a] > ends_of[ends][1][b]
            wrong += [f"{trace.describe(i)} {kind.name} {trace.describe(j)}" for i, j in zip(a[late], b[late])]
    o = trace.operators
    members = np.flatnonzero((o["collective"] >= 0) & trace.timed)
    last = np.full(len(trace.collectives), np.iinfo(np.int64).min)
    np.maximum.at(last, o["collective"][members], start[members])
    early = members[end[members] < last[o["collective"][members]]]
    return wrong + [f"{trace.describe(i)} leaves before the last has come" for i in early]


def _times(found: Simulation) -> tuple[Array, Array]:
    """Starts and ends; 0 where there are none."""
    start, length = (
        found.nodes.column(name).fill_null(0).to_numpy().astype(np.int64) for name in ("start_ns", "duration_ns")
    )
    assert (length >= 0).all()
    return start, start + length


@settings(max_examples=150)
@given(distributed_traces() | crossing_traces())
def test_what_the_graph_orders_stays_in_order(trace: Trace) -> None:
    assume(executable(trace))
    assert violated(trace, replay(trace)) == []
    assert violated(trace, predict(trace, "dgx-h100")) == []


@pytest.mark.parametrize("name", ["recorded/gpt_tp2_pp2", "recorded/dlrm_alltoall", "param/dlrm_kineto"])
def test_what_the_graph_of_a_recorded_run_orders_stays_in_order(name: str, collection_dir: Path) -> None:
    trace = read(collection_dir / name)
    assert violated(trace, replay(trace)) == []
    assert violated(trace, predict(trace, "dgx-h100")) == []


@settings(max_examples=40)
@given(distributed_traces())
def test_neither_absolute_time_nor_the_order_of_dependencies_matters(trace: Trace) -> None:
    assume(executable(trace))
    start, end = _times(replay(trace))
    by = 1_700_000_000_000_000_003
    later = trace.with_times(trace.operators["start_ns"] + by, trace.operators["duration_ns"], "later")
    assert [times.tolist() for times in _times(replay(later))] == [(start + by).tolist(), (end + by).tolist()]
    backwards = np.arange(len(trace.dependencies))[::-1]
    other = replace(trace, dependencies=trace.dependencies.take(backwards))
    assert [times.tolist() for times in _times(replay(other))] == [start.tolist(), end.tolist()]


def test_what_runs_on_as_its_thread_goes_on_is_waited_for_there() -> None:
    # The receive outlives the call that posts it, and the thread awaits it later.
    trace = build("""
        rank 0 | thread 1 | post      0..10
        rank 0 | thread 1 | receive   5..90  -JOIN-> use
        rank 0 | thread 1 | other    20..30
        rank 0 | thread 1 | use      91..95
    """)
    plan = measured_plan(trace)
    receive = int(np.flatnonzero(trace.operators["duration_ns"] == 85)[0])
    longer = plan.duration_ns.copy()
    longer[receive] += 1000
    late = run_plan(replace(plan, duration_ns=longer))
    assert int(late.operators["start_ns"][-1]) >= 1090


def test_a_thread_that_begins_as_another_goes_on_is_not_held_by_what_it_releases() -> None:
    trace = build("""
        rank 0 | thread 1 | first    0..0  -JOIN-> second
        rank 0 | thread 2 | second   0..0
        rank 0 | thread 2 | third    5..9
    """)
    assert run_plan(measured_plan(trace)).end_ns.tolist() == trace.end_ns.tolist()


def test_a_call_does_not_wait_for_work_before_it_launched_that() -> None:
    # By the clock the kernel ends as its launch begins, within the call that waits for it.
    trace = build("""
        rank 0 | thread 1 | wait: cudaDeviceSynchronize   0..50
        rank 0 | thread 1 | cudaLaunchKernel  10..20  -> k
        rank 0 | stream 7 | k  10..10  -SYNC-> wait
    """)
    assert int(run_plan(measured_plan(trace)).end_ns.max()) == 50


def test_operators_without_measured_times_are_no_part_of_a_measured_run() -> None:
    trace = build("""
        rank 0 | thread 1 | a      0..10
        rank 0 | thread 1 | b  100..110
        rank 0 | thread 1 | c  110..130
        rank 0 | thread 9 | cudaEventQuery  0..1
    """)
    start, duration = trace.operators["start_ns"].copy(), trace.operators["duration_ns"].copy()
    start[:1] = duration[:1] = trace.operators.table.column("start_ns").null
    partly = trace.with_times(start, duration, "partly")
    for found in (replay(partly), predict(partly, "h100-sxm")):
        assert (found.makespan_ns, found.measured_ns, found.error) == (30, 30, 0.0)
        assert found.nodes.column("start_ns").null_count == 1


@pytest.mark.parametrize(("name", "seen"), [
    ("hta/ns_resolution_trace", 0.05), ("hta/trace_diff/test", 0.05), ("tracelens/inference/vllm_decode_full", 0.1),
    ("hta/trace_diff/control", 0.005), ("param/dlrm_kineto", 0.002),
])  # fmt: skip
def test_waiting_without_a_reason_is_not_taken_over(name: str, seen: float, collection_dir: Path) -> None:
    # In a second recording of the same run devices idle at random, and all that depends on them comes later.
    trace = read(collection_dir / name)
    plan = measured_plan(trace)
    rng = np.random.default_rng(5)

    def idle(ns: Array) -> Array:
        return ns + np.where(rng.random(len(ns)) < 0.03, rng.integers(150_000, 300_000, len(ns)), 0)

    late = run_plan(
        replace(plan, latency_ns=idle(plan.latency_ns), pause_ns=idle(plan.pause_ns), delay_ns=idle(plan.delay_ns))
    )
    base, longer, again = (_length(t) for t in (run_plan(plan), late, run_plan(measured_plan(late))))
    assert longer - base > seen * base
    assert abs(again - base) < 0.02 * (longer - base)
    proof = replay(late).proof
    assert proof is not None
    assert not proof.replayable


def _length(trace: Trace) -> int:
    """The sum of the windows."""
    i = trace.iterations
    return int((i["end_ns"] - i["start_ns"]).sum()) if len(i) else trace.span_ns
