"""Dependencies that can be: neither against the times, nor in a circle with the others."""

from __future__ import annotations

import numpy as np

from etgraph.ingest.draft import NULL, Draft
from etgraph.ingest.tree import nearest, visits
from etgraph.model import Columns, DependencyKind, Report
from etgraph.model.columns import Array
from etgraph.model.graph import event_graph, topological_order

_FROM_STARTS = (int(DependencyKind.LAUNCH), int(DependencyKind.SPAWN))


def with_possible(draft: Draft, waits: Columns, count: str) -> Draft:
    """Add dependencies from ends, but for those that times or the order of all others contradict.

    The waits are from an end to a start, SYNC to an end. How many are left out stands in the report as `count`.
    """
    o = draft.trace.operators
    src, dst = waits["src"], waits["dst"]
    start, duration = o["start_ns"], o["duration_ns"]
    end = np.where((start == NULL) | (duration == NULL), NULL, start + np.maximum(duration, 0))
    until = np.where(waits["kind"] == int(DependencyKind.SYNC), end[dst], start[dst])
    possible = (src != dst) & ((end[src] == NULL) | (until == NULL) | (end[src] <= until))
    kept = waits.take(np.flatnonzero(possible))
    if not _only_forward(draft, kept, end):
        kept = kept.take(np.flatnonzero(~_lead_back(draft, kept)))
    return draft.with_dependencies(kept).with_report(Report().with_count(count, len(waits) - len(kept)))


def _only_forward(draft: Draft, waits: Columns, end: Array) -> bool:
    """Whether times alone show that no circle is closed: everything that is waited for ended before, and no other
    dependency leads back in time, which a recorded one may.

    What has no times may then be nested, but neither wait nor be waited for.
    """
    o, d = draft.trace.operators, draft.trace.dependencies
    start, timed = o["start_ns"], end != NULL
    src, dst = waits["src"], waits["dst"]
    if not (timed[src] & timed[dst] & (end[src] < start[dst]) & (waits["kind"] != int(DependencyKind.SYNC))).all():
        return False
    src, dst, kind = d["src"], d["dst"], d["kind"]
    calls = kind == int(DependencyKind.CALL)
    begin = np.where(np.isin(kind, _FROM_STARTS), start[src], end[src])
    until = np.where(kind == int(DependencyKind.SYNC), end[dst], start[dst])
    return bool((calls | (timed[src] & timed[dst] & (begin <= until))).all()) and _nested(
        src[calls], dst[calls], start, end, timed
    )


def _nested(callers: Array, called: Array, start: Array, end: Array, timed: Array) -> bool:
    """Whether each operator that has times lies within the nearest one around it that has some."""
    parent = np.full(len(start), -1, dtype=np.int32)
    parent[called] = callers
    enter, _ = visits(parent)
    around = nearest(parent, enter, timed, itself=False)
    inner = np.flatnonzero(timed & (around >= 0))
    outer = around[inner]
    return bool(((start[outer] <= start[inner]) & (end[inner] <= end[outer])).all())


def _lead_back(draft: Draft, waits: Columns) -> Array:
    """Which of the waits to leave out for the graph to have no cycle.

    Only those among events that lie on cycles, or between two of them; of these the ones that lead back in an order
    which all other dependencies allow. What is left leads forward in it, so no cycle remains.
    """
    trace = draft.trace
    back = np.zeros(len(waits), dtype=bool)
    events = event_graph(trace.operators, draft.with_dependencies(waits).trace.dependencies, trace.collectives)
    order, circle = topological_order(events.nodes, events.sources, events.targets)
    if not len(circle):
        return back
    reverse, _ = topological_order(events.nodes, events.targets, events.sources)
    concerned = np.ones(events.nodes, dtype=bool)
    concerned[order] = concerned[reverse] = False
    others = event_graph(trace.operators, trace.dependencies, trace.collectives)
    place = np.empty(events.nodes, dtype=np.int64)
    place[topological_order(others.nodes, others.sources, others.targets)[0]] = np.arange(events.nodes)
    wait = events.dependency - len(trace.dependencies)
    chosen = (wait >= 0) & concerned[events.sources] & concerned[events.targets]
    chosen &= place[events.sources] > place[events.targets]
    back[wait[chosen]] = True
    return back
