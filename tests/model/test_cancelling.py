"""What is to stop, stops: kernels in both modes after a bounded number of steps, Python at its next check."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

from etgraph.model import graph as graphs
from etgraph.model.cancelling import BETWEEN_LOOKS, NEVER, Cancellation, check, current_flag, deadline, stopped
from etgraph.model.columns import Array
from etgraph.model.errors import Cancelled, DeadlineExceeded
from etgraph.model.graph import adjacency
from etgraph.model.kernels import Kernel, kernel
from support.stopping import looks_of, stops_midway


@kernel
def until_stopped(values: Any, stop: Array = NEVER) -> int:
    """Takes minutes where it is not stopped."""
    step = 0
    while step < 1 << 36:
        if step % BETWEEN_LOOKS == 0 and stopped(stop):
            return step
        step += 1 + values[step % len(values)]
    return step


# Kernels


@pytest.mark.parametrize("count", [1, 50_000], ids=["plain", "compiled"])
def test_a_deadline_stops_a_kernel_that_goes_on(count: int) -> None:
    begin = time.monotonic()
    with pytest.raises(DeadlineExceeded, match=r"not done within 0\.05 s") as caught, deadline(0.05):
        until_stopped(np.zeros(count, dtype=np.int64))
    assert caught.value.code == "TIMEOUT"
    assert 0.05 <= time.monotonic() - begin < 30


def test_another_thread_stops_a_compiled_kernel() -> None:
    with Cancellation() as work:
        threading.Timer(0.02, work.cancel, (Cancelled("enough"),)).start()
        with pytest.raises(Cancelled, match="enough"):
            until_stopped(np.zeros(50_000, dtype=np.int64))


def test_what_is_to_stop_does_not_begin() -> None:
    ran = []
    noted = kernel(lambda values: ran.append(len(values)))
    with Cancellation() as work:
        work.cancel()
        with pytest.raises(Cancelled):
            noted(np.zeros(3))
    assert ran == []


def test_a_flag_that_is_given_is_looked_at() -> None:
    raised = np.ones(1, dtype=np.int8)
    assert until_stopped(np.zeros(3, dtype=np.int64), raised) == 0
    assert until_stopped(values=np.zeros(3, dtype=np.int64), stop=raised) == 0


@cache
def chain(nodes: int) -> dict[Kernel[..., Any], tuple[Any, ...]]:
    """The kernels of graphs, and what they are given for one path through all nodes in a random order, or a ring."""
    order = np.random.default_rng(0).permutation(nodes)
    sources, targets, weights = order[:-1].copy(), order[1:].copy(), np.ones(nodes - 1, dtype=np.int64)
    out, ring = adjacency(nodes, sources, targets), adjacency(nodes, order, np.roll(order, -1))
    earliest = np.empty(nodes, dtype=np.int64)
    earliest[order] = np.arange(nodes)
    return {
        graphs._group: (nodes, sources),
        graphs._strong_components: (out.offsets, out.neighbours),
        graphs._kahn: (out.offsets, out.neighbours),
        graphs._some_cycle: (ring.offsets, ring.neighbours, np.ones(nodes, dtype=np.int32)),
        graphs._relax: (order, out.offsets, out.neighbours, weights),
        graphs._relax_back: (order, out.offsets, out.neighbours, weights, nodes),
        graphs._back: (order[-1], sources, targets, weights, earliest, 0),
    }


def test_every_kernel_of_graphs_can_be_stopped() -> None:
    kernels = {found for found in vars(graphs).values() if isinstance(found, Kernel)}
    assert kernels == chain(4).keys()


@pytest.mark.parametrize("of_graphs", chain(4), ids=lambda found: found.__name__)
def test_kernels_of_graphs_stop_within_bounded_steps(of_graphs: Kernel[..., Any]) -> None:
    assert looks_of(of_graphs, *chain(4 * BETWEEN_LOOKS)[of_graphs]) >= 4
    assert stops_midway(of_graphs, *chain(300_000)[of_graphs])


# Python


def test_work_that_nobody_stops() -> None:
    check()
    assert current_flag() is NEVER
    with deadline(60):
        check()
        assert current_flag()[0] == 0
    assert current_flag() is NEVER
    with pytest.raises(ValueError, match="read-only"):
        NEVER[0] = 1


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("-inf")])
def test_a_deadline_that_has_passed(seconds: float) -> None:
    with deadline(seconds), pytest.raises(DeadlineExceeded):
        check()
    check()


@pytest.mark.parametrize("seconds", [1e300, float("inf")])
def test_a_deadline_that_is_never(seconds: float) -> None:
    with deadline(seconds):
        check()


def test_a_deadline_that_was_kept_waits_for_nothing() -> None:
    before = set(threading.enumerate())
    with deadline(60):
        (timer,) = set(threading.enumerate()) - before
    timer.join(30)
    assert not timer.is_alive()


@pytest.mark.parametrize("before", [True, False])
def test_what_stops_the_outer_work_stops_the_inner(before: bool) -> None:
    with Cancellation() as outer:
        if before:
            outer.cancel(Cancelled("first"))
        with deadline(60) as inner:
            if not before:
                outer.cancel(Cancelled("first"))
            assert inner.flag[0] == current_flag()[0] == 1
            outer.cancel(Cancelled("second"))
            with pytest.raises(Cancelled, match="first"):
                check()


def test_what_stops_the_inner_work_leaves_the_outer() -> None:
    with Cancellation() as outer:
        with deadline(0), pytest.raises(DeadlineExceeded):
            check()
        check()
        assert outer.flag[0] == 0


def test_threads_are_stopped_one_by_one() -> None:
    found: list[bool] = []
    with Cancellation() as work:
        work.cancel()
        look: Callable[[], None] = lambda: found.append(bool(current_flag()[0]))  # noqa: E731
        for run in (look, contextvars.copy_context().copy().run):
            thread = threading.Thread(target=run, args=() if run is look else (look,))
            thread.start()
            thread.join()
    assert found == [False, True]
