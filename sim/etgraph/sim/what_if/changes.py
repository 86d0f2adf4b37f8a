"""Changes of whole runs, made of edits: the same in every iteration, with times drawn from what was measured."""

from __future__ import annotations

import numpy as np

from etgraph.model import CommType, Trace, cancelling
from etgraph.model.columns import Array
from etgraph.model.errors import MissingData, UsageError
from etgraph.sim import edits
from etgraph.sim.bounds import check_events, whole_ns
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
    ns = []
    for _ in places:
        cancelling.check()
        ns.append(draw.own_ns(like, count).sum(dtype=np.float64))
    return edits.insert(plan, places, whole_ns(np.array(ns)))


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
    there, else drawn. Raises UsageError where ranks do not agree, or a rank has a place in an iteration in which it
    has nothing that awaits, and for more new events than `bounds.MOST_EVENTS`.
    """
    waits = awaited is None
    meetings = [at for same in _by_iteration(plan.trace, places) for at in _turns(plan.trace, same)]
    until = [np.full(len(at), AT_ONCE) for at in meetings]
    if awaited is not None:
        until = _awaiting(plan.trace, meetings, awaited)
    check_events(count * sum(5 * len(at) + 1 for at in meetings))
    new = []
    for at, before in zip(meetings, until):
        ranks = len(at)
        for number in range(count):
            cancelling.check()
            # A thread that waits at once has nothing better to do than to issue: once that is handed over, it runs.
            issue = np.zeros(ranks, dtype=np.int64) if waits else draw.issue_ns(ranks)
            transfer = transfer_ns
            if transfer is None:
                transfer = int(draw.transfer_ns(int(type), bytes, ranks, 1, waits=waits)[0])
            new.append(Issued(
                at, issue, draw.handover_ns(ranks), np.full(ranks, transfer), before, draw.waking_ns(ranks),
                number % WORKERS,
            ))  # fmt: skip
    return edits.issue(plan, *new)


def _awaiting(trace: Trace, meetings: list[Array], awaited: Array) -> list[Array]:
    """What awaits each place of those meetings: the operator of `awaited` of its rank in its iteration."""

    def where(rows: Array) -> list[tuple[int, int]]:
        return list(zip(trace.operators["rank"][rows].tolist(), _numbers(trace, rows).tolist()))

    there = dict(zip(where(awaited), awaited.tolist()))
    for rank, iteration in (each for at in meetings for each in where(at) if each not in there):
        on = f"rank {rank}" + (f" in iteration {iteration}" if iteration >= 0 else "")
        raise UsageError(f"found nothing that awaits the collective on {on}, expected an operator where it has a place")
    return [np.array([there[each] for each in where(at)], dtype=np.int64) for at in meetings]


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
    number = _numbers(trace, places)
    return [places[number == one] for one in np.unique(number).tolist()]


def _numbers(trace: Trace, rows: Array) -> Array:
    """The number of each operator's iteration, -1 for none."""
    iteration = trace.operators["iteration"][rows]
    return np.where(iteration >= 0, trace.iterations["index"][iteration], -1) if len(trace.iterations) else iteration
