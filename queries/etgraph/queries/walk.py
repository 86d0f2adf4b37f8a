"""The walk back along stored edges that makes the measured critical path, over one rank or all, in one kernel.

Threads are trees: an operator's children in order of start, with the thread itself as root, whose own time is the
thread's gaps. The walk stands in a node at a time t and goes back: to the child that ended last before t, or, where
there is none, over the node's own time to its start and from there along the edge that released it. In a collective
it goes to the rank that came last, in a receive to the sender.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from etgraph.model import DependencyKind, LaneKind, Trace
from etgraph.model.arrivals import NULL, Arrivals
from etgraph.model.cancelling import BETWEEN_LOOKS, NEVER, stopped
from etgraph.model.columns import Array
from etgraph.model.graph import Adjacency, adjacency
from etgraph.model.kernels import kernel
from etgraph.model.latency import launch_latency
from etgraph.queries.windows import Interval, on_lanes

TOLERANCE_NS = 4_000
"""A start this much after its cause is still explained by it; later than that, the rest has no recorded cause."""

OPERATOR, LATENCY, GAP, DEPENDENCY_LATENCY, UNEXPLAINED, BEFORE_RECORDING, LATE_ENTRY = range(7)
"""What a step of the walk is: an operator's own time, or a kind of pause."""

CALL, THREAD, LAUNCH, SYNC, SPAWN, OCCUPANCY, COMM, COLLECTIVE = (
    int(k)
    for k in (
        DependencyKind.CALL,
        DependencyKind.THREAD,
        DependencyKind.LAUNCH,
        DependencyKind.SYNC,
        DependencyKind.SPAWN,
        DependencyKind.OCCUPANCY,
        DependencyKind.COMM,
        DependencyKind.COLLECTIVE,
    )
)


@dataclass(frozen=True, slots=True)
class Steps:
    """The walk's steps in order of time. `operator` is -1 in pauses, `via` a `DependencyKind` or -1."""

    operator: Array
    lane: Array
    start_ns: Array
    end_ns: Array
    what: Array
    via: Array


@dataclass(frozen=True, slots=True)
class Terrain:
    """What the walk needs to know of a trace, whatever the window: the trees of calls, and what holds operators up.

    Nodes 0 … n - 1 are operators, n + l is the thread of lane l. `tree` gives an operator's node above it (-1 on
    devices), `children` the nodes' children by start and `position` an operator's place among them, `clipped` its end
    cut to that of the operators around it, `into` the dependencies by target and `latency` the usual launch latency.
    """

    tree: Array
    children: Adjacency
    position: Array
    clipped: Array
    into: Adjacency
    into_kind: Array
    latency: Array
    timed: Array


def survey(trace: Trace) -> Terrain:
    """Build the terrain of a trace. O(operators log operators + dependencies)."""
    o = trace.operators
    n = len(o)
    lane, start, end = o["lane"], o["start_ns"], trace.end_ns
    timed = trace.timed
    thread = trace.lanes["kind"] == int(LaneKind.THREAD)
    host = np.flatnonzero(timed & thread[lane]) if len(trace.lanes) else np.zeros(0, dtype=np.int64)
    host = host[np.argsort(start[host], kind="stable")]
    tree = np.full(n, -1, dtype=np.int64)
    above = trace.enclosing
    tree[host] = np.where(above[host] >= 0, above[host], n + lane[host])
    children = adjacency(n + len(trace.lanes), tree[host], host)
    position = np.full(n, -1, dtype=np.int64)
    position[children.neighbours] = np.arange(len(children.neighbours))
    into = trace.predecessors
    kinds = trace.dependencies["kind"][into.edges]
    return Terrain(
        tree, children, position, _clipped(host, tree, end), into, kinds, launch_latency(trace), timed
    )  # fmt: skip


def walk(
    trace: Trace, windows: Sequence[Interval], came: Arrivals | None = None, terrain: Terrain | None = None
) -> Steps:
    """Walk back from the latest end of the windows to their earliest start. The steps tile that stretch exactly.

    With the arrivals of the trace (`came`) the walk follows communication to other ranks; without, it stays where it
    begins. On a rank it goes back to the start of that rank's window; what is left before it is a late entry.
    """
    t = terrain or survey(trace)
    o, n = trace.operators, len(trace)
    at = max(windows, key=lambda window: window.end_ns)
    first = min(window.start_ns for window in windows)
    floor = on_lanes(trace, windows, [window.start_ns for window in windows], first)
    last, last_ns = (np.full(n, -1), np.full(n, NULL)) if came is None else (came.last, came.last_ns)
    found = _walk(
        first, floor, at.end_ns, at.operator if at.operator >= 0 else n + at.lane,
        t.tree, t.children.offsets, t.children.neighbours, t.position, t.clipped, o["start_ns"], trace.end_ns,
        o["lane"], t.into.offsets, t.into.neighbours, t.into_kind, t.latency, t.timed, last, last_ns,
    )  # fmt: skip
    operator, on, begin, finish, what, via = (column[::-1].copy() for column in found)
    if len(via) and operator[0] >= 0:
        via[0] = -1
    return Steps(operator, on, begin, finish, _only_if_recorded(trace, what), via)


def _only_if_recorded(trace: Trace, what: Array) -> Array:
    """A device operator without a launch began before the recording only where launches are recorded at all."""
    if (trace.dependencies["kind"] == int(DependencyKind.LAUNCH)).any():
        return what
    return np.where(what == BEFORE_RECORDING, UNEXPLAINED, what)


@kernel
def _clipped(order: Array, tree: Array, end: Array) -> Array:
    """Ends of the operators on threads, cut at the end of the operator around them; `order` is by start."""
    clipped = end.copy()
    n = len(end)
    for k in range(len(order)):
        i = order[k]
        p = tree[i]
        if p < n and clipped[p] < clipped[i]:
            clipped[i] = clipped[p]
    return clipped


@kernel
def _walk(
    first: int,
    floor: Array,
    end_of_all: int,
    at: int,
    tree: Array,
    child_offsets: Array,
    children: Array,
    position: Array,
    clipped: Array,
    start: Array,
    end: Array,
    lane: Array,
    into_offsets: Array,
    into: Array,
    into_kind: Array,
    latency: Array,
    timed: Array,
    last: Array,
    last_ns: Array,
    stop: Array = NEVER,
) -> tuple[Array, Array, Array, Array, Array, Array]:
    """Steps from the last to the first, as rows of operator, lane, start, end, what, via; see `walk`."""
    n = len(start)
    size = 1024
    count = 0
    operators, lanes = np.empty(size, dtype=np.int64), np.empty(size, dtype=np.int64)
    starts, ends = np.empty(size, dtype=np.int64), np.empty(size, dtype=np.int64)
    whats, vias = np.empty(size, dtype=np.int64), np.empty(size, dtype=np.int64)
    node, t = at, end_of_all
    cursor = -2  # position of the child to look at next; -2: find it by time
    waits = -1  # the operator whose start is to be explained, while the walk stands in the pause before it
    later = -1  # the step that the next edge leads to
    synced = np.full(n, first)  # until when each operator was followed to what it waited for
    turn = 0
    while t > first:
        if turn % BETWEEN_LOOKS == 0 and stopped(stop):
            break
        turn += 1
        on = node - n
        if node < n:
            on = lane[node]
        bottom = floor[on]
        begin, what, via = t, OPERATOR, -1  # the step to add: from `begin` to `t`, nothing where they are equal
        next_node, next_t, next_cursor, next_waits = node, t, -2, -1
        first_child = child_offsets[node]
        if cursor == -2:
            low, high = first_child, child_offsets[node + 1]
            while low < high:
                middle = (low + high) // 2
                if start[children[middle]] < t:
                    low = middle + 1
                else:
                    high = middle
            cursor = low - 1
        child, child_end = -1, bottom
        if cursor >= first_child:
            child = children[cursor]
            child_end = min(clipped[child], t)
        step = -1
        if t <= bottom:
            begin, what, next_t = first, LATE_ENTRY, first
        elif node < n and waits < 0:
            # In an operator: back to what released it, else to its last child, else to its start.
            step = node
            by = -1
            for e in range(into_offsets[node], into_offsets[node + 1]):
                s = into[e]
                if into_kind[e] == SYNC and timed[s] and start[node] < end[s] <= t:
                    if (child < 0 or end[s] >= child_end) and (by < 0 or end[s] > end[by]):
                        by = s
            arrived = last_ns[node]
            if (
                last[node] >= 0
                and timed[last[node]]
                and start[node] < arrived <= t
                and (child < 0 or arrived >= child_end)
                and (by < 0 or arrived > end[by])
            ):
                begin, via = arrived, COLLECTIVE
                next_node, next_t = last[node], arrived
                for e in range(into_offsets[node], into_offsets[node + 1]):
                    if into_kind[e] == COMM and into[e] == last[node]:
                        via = COMM
            elif by >= 0 and synced[node] != t:
                begin, via = end[by], SYNC
                synced[node] = begin
                next_node, next_t = by, begin
            elif child >= 0:
                begin, via = child_end, CALL
                if end[child] > end[node]:
                    via = SPAWN
                next_node, next_t = child, begin
            else:
                begin = min(start[node], t)
                next_t = begin
                up = tree[node]
                if up < 0 or up >= n:
                    next_waits = node
                    if up >= n:
                        next_node, next_cursor = up, position[node] - 1
                else:
                    next_node, next_cursor = up, position[node] - 1
                    via = CALL
                    if end[node] > end[up]:
                        via = SPAWN
                    if next_cursor >= child_offsets[up]:
                        before = children[next_cursor]
                        if clipped[before] == begin and end[before] <= begin:
                            next_node, next_cursor, via = before, -2, THREAD
        else:
            # In a pause: which edge released the operator after it last? None is after it at the window's end.
            cause, ready, base, kind = -1, bottom, bottom, -1
            if waits >= 0:
                for e in range(into_offsets[waits], into_offsets[waits + 1]):
                    s, k = into[e], into_kind[e]
                    if not timed[s] or k in (CALL, THREAD, SYNC, COMM, COLLECTIVE):
                        continue
                    left = end[s]
                    if k in (LAUNCH, SPAWN, OCCUPANCY):
                        left = min(left, start[waits])
                        if start[s] > start[waits] or (k == OCCUPANCY and start[s] == start[waits]):
                            continue
                    elif left > start[waits]:
                        continue
                    at_last = left
                    if k == LAUNCH:
                        at_last = min(left + latency[waits], start[waits])
                        if end[waits] <= end[s]:
                            at_last = start[s]  # the call waits for it, so its end does not say when it was ready
                    if cause < 0 or at_last > ready or (at_last == ready and left > base):
                        cause, ready, base, kind = s, at_last, left, k
            base = min(base, t)
            if child >= 0 and (cause < 0 or child_end >= base):
                begin, what = child_end, GAP
                next_node, next_t = child, child_end
                if waits >= 0 and end[child] <= start[waits]:
                    vias[later] = THREAD
            elif cause < 0:
                begin, what, next_t = bottom, GAP, bottom
                if node < n:
                    what = BEFORE_RECORDING
            else:
                explained = base + TOLERANCE_NS
                if kind == LAUNCH:
                    explained += latency[waits]
                if explained < t:
                    begin, what = explained, UNEXPLAINED
                    if tree[waits] >= n:
                        what = GAP  # a thread that was released and then did something of its own
                    next_t, next_cursor, next_waits = begin, cursor, waits
                else:
                    begin, what = base, DEPENDENCY_LATENCY
                    if kind == LAUNCH:
                        what = LATENCY
                    vias[later] = kind
                    next_node, next_t = cause, base
        if begin < bottom and what != LATE_ENTRY:
            begin, next_node, next_t, next_waits = bottom, node, bottom, -1
        if step >= 0 or begin < t:
            if count == size:
                operators, lanes = np.append(operators, operators), np.append(lanes, lanes)
                starts, ends = np.append(starts, starts), np.append(ends, ends)
                whats, vias = np.append(whats, whats), np.append(vias, vias)
                size *= 2
            operators[count], lanes[count], whats[count], vias[count] = step, on, what, via
            starts[count], ends[count] = begin, t
            if step >= 0:
                later = count
            count += 1
        node, t, cursor, waits = next_node, next_t, next_cursor, next_waits
    return operators[:count], lanes[:count], starts[:count], ends[:count], whats[:count], vias[:count]
