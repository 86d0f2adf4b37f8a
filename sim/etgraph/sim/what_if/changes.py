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
    plan: Plan, places: Array, type: CommType, bytes: int, count: int, draw: Draw, awaited: Array | None = None
) -> Plan:
    """After those operators, one a rank and iteration, so many collectives of all ranks there.

    `bytes` is the size as nccl-tests counts it: of an all-gather what each rank has in the end. Each is awaited before
    the next one; with `awaited`, operators on the same ranks and in the same iterations, they are issued together, and
    those operators do not start before all of them have ended. Raises UsageError where the two do not agree.
    """
    waits = awaited is None
    until = [None] * len(places) if awaited is None else _by_iteration(plan.trace, awaited)
    for at, before in zip(_by_iteration(plan.trace, places), until):
        ranks = len(at)
        if before is not None and _ranks(plan.trace, before) != _ranks(plan.trace, at):
            raise UsageError(f"found places on ranks {_ranks(plan.trace, at)} that {_ranks(plan.trace, before)} await")
        for number in range(count):
            # A thread that waits at once has nothing better to do than to issue: once that is handed over, it runs.
            issue = np.zeros(ranks, dtype=np.int64) if waits else draw.issue_ns(ranks)
            transfer = draw.transfer_ns(int(type), bytes, ranks, 1, waits=waits)
            new = Issued(
                at, issue, draw.handover_ns(ranks), np.repeat(transfer, ranks),
                np.full(ranks, AT_ONCE) if before is None else before, draw.waking_ns(ranks), number % WORKERS,
            )  # fmt: skip
            plan = edits.issue(plan, new)
    return plan


def _ranks(trace: Trace, rows: Array) -> list[int]:
    return [int(rank) for rank in trace.operators["rank"][rows]]


def _by_iteration(trace: Trace, places: Array) -> list[Array]:
    """Those places by the number of their iteration, each in order of the rank."""
    places = places[np.argsort(trace.operators["rank"][places], kind="stable")]
    iteration = trace.operators["iteration"][places]
    number = np.where(iteration >= 0, trace.iterations["index"][iteration], -1) if len(trace.iterations) else iteration
    return [places[number == one] for one in np.unique(number).tolist()]
