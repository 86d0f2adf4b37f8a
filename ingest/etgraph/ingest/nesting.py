"""Nesting on threads: which operator calls which (CALL), and which follows which (THREAD)."""

from __future__ import annotations

import numpy as np

from etgraph.ingest.draft import Draft, dependencies
from etgraph.model import DependencyKind, LaneKind, Report
from etgraph.model.columns import Array
from etgraph.model.kernels import kernel


def nest(draft: Draft) -> Draft:
    """Add `parent`, CALL and THREAD dependencies of the operators on threads, from their times.

    An operator that outlives the one that encloses its start is asynchronous: its parent starts it but does not wait
    for it, so the dependency is SPAWN and not CALL, and it is counted. THREAD joins siblings: whatever starts while an
    operator is open is its child, so the first of two siblings has ended when the next starts.
    """
    o = draft.trace.operators
    lane = o["lane"]
    threads = draft.trace.lanes["kind"] == int(LaneKind.THREAD)
    timed = ~o.is_null("start_ns") & ~o.is_null("duration_ns")
    host = np.flatnonzero((lane >= 0) & threads[lane] & timed) if len(threads) else np.zeros(0, dtype=np.int64)
    host = host[np.argsort(lane[host], kind="stable")]
    start, end = o["start_ns"][host], draft.trace.end_ns[host]
    parent, previous = _nest(lane[host], start, end)
    has_parent = np.flatnonzero(parent >= 0)
    outlives = end[has_parent] > end[parent[has_parent]]
    has_previous = np.flatnonzero(previous >= 0)
    calls, spawned = has_parent[~outlives], has_parent[outlives]
    parents = np.full(len(o), -1, dtype=np.int32)
    parents[host[has_parent]] = host[parent[has_parent]]
    report = Report().with_count("operatorsOutlivingParent", len(spawned))
    return (
        draft.with_operators({"parent": parents})
        .with_dependencies(
            dependencies(DependencyKind.CALL, host[parent[calls]], host[calls], "nesting"),
            dependencies(DependencyKind.SPAWN, host[parent[spawned]], host[spawned], "nesting, outlives its call"),
            dependencies(DependencyKind.THREAD, host[previous[has_previous]], host[has_previous], "thread order"),
        )
        .with_report(report)
    )


@kernel
def _nest(lane: Array, start: Array, end: Array) -> tuple[Array, Array]:
    """Parent and previous sibling of intervals sorted by lane and start, as positions; -1 for none.

    An interval that outlives its parent is clipped to it, so that what follows the parent is not taken for its child.
    """
    count = len(lane)
    parent = np.full(count, -1, dtype=np.int64)
    previous = np.full(count, -1, dtype=np.int64)
    clipped = np.empty(count, dtype=np.int64)
    last_child = np.full(count, -1, dtype=np.int64)
    stack = np.empty(count, dtype=np.int64)
    depth = 0
    last_top = -1
    for i in range(count):
        if i == 0 or lane[i] != lane[i - 1]:
            depth = 0
            last_top = -1
        while depth > 0 and clipped[stack[depth - 1]] <= start[i]:
            depth -= 1
        clipped[i] = end[i]
        if depth > 0:
            p = stack[depth - 1]
            parent[i] = p
            previous[i] = last_child[p]
            last_child[p] = i
            clipped[i] = min(clipped[i], clipped[p])
        else:
            previous[i] = last_top
            last_top = i
        stack[depth] = i
        depth += 1
    return parent, previous


def innermost(lane: Array, start: Array, end: Array, at_lane: Array, at_time: Array) -> Array:
    """For each point (lane, time) the innermost interval that covers it, as a position in the intervals; -1 for none.

    An interval covers its start and not its end, except that one without duration covers its start. Innermost is the
    one that starts last; of those that start together, the last in the order given.
    """
    count, points = len(lane), len(at_lane)
    lanes = np.concatenate([lane, at_lane])
    starts = np.concatenate([start, at_time])
    is_point = np.concatenate([np.zeros(count, dtype=bool), np.ones(points, dtype=bool)])
    order = np.lexsort((np.arange(count + points), is_point, starts, lanes))
    ends = np.concatenate([end, at_time])
    return _innermost(order, lanes, starts, ends, is_point)[count:]


@kernel
def _innermost(order: Array, lane: Array, start: Array, end: Array, is_point: Array) -> Array:
    found = np.full(len(order), -1, dtype=np.int64)
    stack = np.empty(len(order), dtype=np.int64)
    depth = 0
    for k in range(len(order)):
        i = order[k]
        if k == 0 or lane[i] != lane[order[k - 1]]:
            depth = 0
        while (
            depth > 0
            and end[stack[depth - 1]] <= start[i]
            and not (is_point[i] and end[stack[depth - 1]] == start[i] and start[stack[depth - 1]] == start[i])
        ):
            depth -= 1
        if depth > 0:
            found[i] = stack[depth - 1]
        if not is_point[i]:
            stack[depth] = i
            depth += 1
    return found
