"""Declared changes as an edit of a plan: which operators each names, and what new work and communication costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from etgraph.model import CommType, Trace
from etgraph.model.columns import Array
from etgraph.model.errors import UsageError
from etgraph.sim import edits
from etgraph.sim.bounds import whole_ns
from etgraph.sim.replay.plan import Plan
from etgraph.sim.what_if.buckets import gradients_of, outermost, ready_by_gradients, rebucket
from etgraph.sim.what_if.changes import collectives_after, first_of_each, last_of_each, work_after
from etgraph.sim.what_if.declared import (
    COLLECTIVES,
    NAMES,
    Buckets,
    Change,
    Collective,
    LaunchLatency,
    Merge,
    Overlap,
    Place,
    QueueDepth,
    Remove,
    Scale,
    Split,
    Work,
)
from etgraph.sim.what_if.distribution import Edit
from etgraph.sim.what_if.observed import Draw
from etgraph.sim.what_if.reading import check


def edit_of(trace: Trace, changes: Sequence[Change]) -> Edit:
    """All those changes, one after another, as one edit of the trace's plan.

    Raises UsageError for a pattern that names no operator, with the names that come nearest, and for a number that the
    change's declaration does not allow.
    """
    steps = [_edit(trace, change) for change in changes]

    def edit(plan: Plan, draw: Draw) -> Plan:
        for step in steps:
            plan = step(plan, draw)
        return plan

    return edit


def _edit(trace: Trace, change: Change) -> Edit:
    check(change)

    def named(pattern: str) -> Array:
        try:
            return edits.named(trace, pattern)
        except UsageError as error:
            raise UsageError(f"{NAMES[type(change)]}: {error.message}", hint=error.hint) from None

    match change:
        case LaunchLatency(ns, factor):
            return lambda plan, _: edits.launch_latency(plan, ns=ns, factor=factor)
        case QueueDepth(depth):
            return lambda plan, _: edits.queue_depth(plan, depth)
        case Buckets(size):
            gradients = gradients_of(trace)
            return lambda plan, draw: rebucket(plan, size, draw, gradients)
        case Work():
            return _work(trace, change, named)
        case Collective():
            return _collective(trace, change, named)
    rows = named(change.pattern)
    match change:
        case Scale(_, factor):
            return lambda plan, _: edits.scale(plan, rows, factor)
        case Remove():
            return lambda plan, _: edits.remove(plan, rows)
        case Overlap():
            return lambda plan, _: edits.overlap(plan, rows)
        case Merge():
            return lambda plan, draw: edits.merge(plan, rows, _like_measured(plan, draw))
        case Split(_, parts):
            return lambda plan, draw: _split(plan, rows, parts, draw)


def _work(trace: Trace, change: Work, named: Callable[[str], Array]) -> Edit:
    places = _places(trace, named(change.after), change.place)
    if change.time_ns is not None:
        ns, count = change.time_ns, change.count
        return lambda plan, _: edits.insert(plan, places, ns, times=count)
    like = named(change.like)
    return lambda plan, draw: work_after(plan, places, like, change.count, draw)


def _collective(trace: Trace, change: Collective, named: Callable[[str], Array]) -> Edit:
    places = _places(trace, named(change.after), change.place)
    awaited = first_of_each(trace, named(change.awaited)) if change.awaited else None
    kind, size, count, ns = CommType(COLLECTIVES[change.type]), change.size_bytes, change.count, change.time_ns
    return lambda plan, draw: collectives_after(plan, places, kind, size, count, draw, awaited, transfer_ns=ns)


def _places(trace: Trace, rows: Array, place: Place) -> Array:
    if place == "each":
        return np.unique(outermost(trace, rows))
    return last_of_each(trace, rows) if place == "last" else first_of_each(trace, rows)


def _split(plan: Plan, rows: Array, parts: int, draw: Draw) -> Plan:
    on_device = np.isin(edits.with_peers(plan, rows), plan.device).any()
    return edits.split(
        plan, rows, parts, _like_measured(plan, draw), issue_ns=0 if on_device else int(draw.issue_ns(1)[0]),
        handover_ns=int(draw.handover_ns(1)[0]), ready=ready_by_gradients(plan),
    )  # fmt: skip


def _like_measured(plan: Plan, draw: Draw) -> edits.Cost:
    """What a collective takes with other bytes: what it took, by the ratio that its library's algorithm gives."""
    o, c = plan.trace.operators, plan.trace.collectives
    ranks = np.bincount(o["collective"][plan.meets], minlength=len(c))

    def cost(rows: Array, size: Array) -> Array:
        one = o["collective"][rows]
        keys = np.stack([c["type"][one], ranks[one], c["bytes"][one], size])
        distinct, of = np.unique(keys, axis=1, return_inverse=True)
        ratio = np.array([
            draw.usual_ns(kind, new, members) / max(draw.usual_ns(kind, old, members), 1.0)
            for kind, members, old, new in distinct.T.tolist()
        ])  # fmt: skip
        return whole_ns(plan.transfer_ns[rows] * ratio[of.ravel()])

    return cost


__all__ = ["edit_of"]
