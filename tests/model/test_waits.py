"""Waits of operators that do other things besides: only the wait is no work."""

from __future__ import annotations

import numpy as np

from etgraph.ingest.writers.astra_sim.program import _on_threads
from etgraph.model import Category, Trace
from etgraph.model.waits import waits_within
from etgraph.queries import device_use, slack
from support.build import build

FUNCTION = """
    rank 0 | thread 1 | f: autograd::f        0..60
    rank 0 | thread 1 | c10d::allreduce_     40..45 -SPAWN-> g
    rank 0 | thread 2 | g: gloo:work         45..50 -SYNC-> f
"""


def row(trace: Trace, name: str) -> int:
    return next(r for r, o in enumerate(trace) if o["name"] == name)


def test_a_function_waits_from_what_it_did_last_until_the_work_is_done() -> None:
    found = waits_within(build(FUNCTION))
    assert found.ns.tolist() == [5]
    apart = waits_within(build(FUNCTION.replace("45..50", "45..58")))
    assert apart.ns.tolist() == [13]


def test_a_call_of_the_runtime_does_nothing_but_wait() -> None:
    trace = build("""
        rank 0 | thread 1 | cudaDeviceSynchronize 10..110
        rank 0 | stream 7 | a                     12..100  -SYNC-> cudaDeviceSynchronize
    """)
    assert len(waits_within(trace).ns) == 0


def test_the_model_keeps_the_work_before_the_wait() -> None:
    assert slack(build(FUNCTION), waiting="slack").length_ns >= 55


def test_own_times_of_a_workload_lose_the_wait_only() -> None:
    trace = build("""
        rank 0 | thread 1 | run                  0..10000
        rank 0 | thread 1 | aten::a            100..200
        rank 0 | thread 1 | c10d::allreduce_  9000..9010 -SPAWN-> g
        rank 0 | thread 2 | g: gloo:work      9005..9500 -SYNC-> run
    """)
    o = trace.operators
    thread = np.flatnonzero(o["category"] < int(Category.KERNEL))
    thread = thread[np.lexsort((o["start_ns"][thread], o["lane"][thread]))]
    own, _, _ = _on_threads(trace, thread, np.zeros(len(trace), dtype=bool))
    assert own[row(trace, "run")] == 10000 - 100 - 10 - 490


def test_a_wait_for_another_thread_stalls_no_device() -> None:
    trace = build("""
        rank 0 | thread 1 | f: autograd::f       0..100
        rank 0 | thread 1 | c10d::allreduce_    40..45 -SPAWN-> g
        rank 0 | thread 2 | g: gloo:work        45..90 -SYNC-> f
        rank 0 | thread 1 | cudaLaunchKernel   105..110 -> k
        rank 0 | stream 7 | k0: kern             0..20
        rank 0 | stream 7 | k: kern            112..140
    """)
    assert device_use(trace).stalls == ()
