"""Changes of whole runs, made of edits: the same in every iteration, with times drawn from what was measured."""

from __future__ import annotations

import numpy as np

from etgraph.model import CommType, Trace
from etgraph.model.columns import Array
from etgraph.model.errors import MissingData, UsageError
from etgraph.sim import edits
from etgraph.sim.replay.additions import AT_ONCE, Issued
from etgraph.sim.replay.plan import Plan
from etgraph.sim.what_if.buckets import WORKERS, outermost
from etgraph.sim.what_if.observed import Draw


def first_of_each(trace: Trace, rows: Array) -> Array:
    """The first of those operators in each iteration of each rank; one a rank where there are no iterations."""
    return _one_of_each(trace, rows, last=False)


def last_of_each(trace: Trace, rows: Array) -> Array:
    """The last of those operators in each iteration of each rank; one a rank where there are no iterations."""
    return _one_of_each(trace, rows, last=True)


def _one_of_each(trace: Trace, rows: Array, *, last: bool) -> Array:
    if not len(rows):
        raise MissingData("no operator of the trace is where the change should be")
    o = trace.operators
    order = rows[np.lexsort((o["start_ns"][rows], o["rank"][rows], o["iteration"][rows]))]
    keys = np.stack([o["iteration"][order], o["rank"][order]], axis=1)
    fresh = np.ones(len(order), dtype=bool)
    fresh[1:] = (keys[1:] != keys[:-1]).any(axis=1)
    chosen: Array = order[np.append(fresh[1:], True)] if last else order[fresh]
    return outermost(trace, chosen)


def work_after(plan: Plan, places: Array, like: Array, count: int, draw: Draw) -> Plan:
    """After each of those operators so many more on its thread or stream, like those of rows `like`."""
    ns = np.array([int(draw.own_ns(like, count).sum()) for _ in places])
    return edits.insert(plan, places, ns)


def collectives_after(
    plan: Plan,
    places: Array,
    type: CommType,
    bytes: int,
    count: int,
    draw: Draw,
    awaited: Array | None = None,
    *,
    transfer_ns: int | None = None,
) -> Plan:
    """After those operators so many collectives of all ranks there: of those that are the k-th of their iteration.

    `bytes` is the size as nccl-tests counts it: of an all-gather what each rank has in the end. Each is awaited before
    the next one; with `awaited`, operators on the same ranks and in the same iterations, they are issued together, and
    those operators do not start before all of them have ended. `transfer_ns` is what one takes once all ranks are
    there, else drawn. Raises UsageError where ranks, or the two, do not agree.
    """
    waits = awaited is None
    by_iteration = _by_iteration(plan.trace, places)
    until = [None] * len(by_iteration) if awaited is None else _by_iteration(plan.trace, awaited)
    if len(until) != len(by_iteration):
        raise UsageError(f"found places in {len(by_iteration)} iterations, and what awaits them in {len(until)}")
    for at, before in ((at, before) for same, before in zip(by_iteration, until) for at in _turns(plan.trace, same)):
        ranks = len(at)
        if before is not None and _ranks(plan.trace, before) != _ranks(plan.trace, at):
            raise UsageError(f"found places on ranks {_ranks(plan.trace, at)} that {_ranks(plan.trace, before)} await")
        for number in range(count):
            # A thread that waits at once has nothing better to do than to issue: once that is handed over, it runs.
            issue = np.zeros(ranks, dtype=np.int64) if waits else draw.issue_ns(ranks)
            transfer = transfer_ns
            if transfer is None:
                transfer = int(draw.transfer_ns(int(type), bytes, ranks, 1, waits=waits)[0])
            new = Issued(
                at, issue, draw.handover_ns(ranks), np.full(ranks, transfer),
                np.full(ranks, AT_ONCE) if before is None else before, draw.waking_ns(ranks), number % WORKERS,
            )  # fmt: skip
            plan = edits.issue(plan, new)
    return plan


def _ranks(trace: Trace, rows: Array) -> list[int]:
    return [int(rank) for rank in trace.operators["rank"][rows]]


def _turns(trace: Trace, places: Array) -> list[Array]:
    """Places as meetings: the k-th of each rank. Raises UsageError where one rank has more of them than another."""
    rank = trace.operators["rank"][places]
    places = places[np.lexsort((trace.operators["start_ns"][places], rank))]
    _, count = np.unique(rank, return_counts=True)
    if count.min() != count.max():
        raise UsageError(f"a collective has one place on each rank; found {count.min()} to {count.max()} of them")
    return list(places.reshape(len(count), -1).T)


def _by_iteration(trace: Trace, places: Array) -> list[Array]:
    """Those places by the number of their iteration, each in order of the rank."""
    places = places[np.argsort(trace.operators["rank"][places], kind="stable")]
    iteration = trace.operators["iteration"][places]
    number = np.where(iteration >= 0, trace.iterations["index"][iteration], -1) if len(trace.iterations) else iteration
    return [places[number == one] for one in np.unique(number).tolist()]
