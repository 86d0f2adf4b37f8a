"""A trace as a graph in which a node starts when others have ended: the one kind of dependency that ASTRA-sim has.

The event graph has starts and ends; here each operator is one node that lasts its own time. What one thread does is a
chain: each operator follows the one that was started before it, and one that encloses others comes before them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from etgraph.ingest.writers.astra_sim.order import counted, scheduled
from etgraph.model import Category, Columns, DependencyKind, LaneKind, NodeType, Trace
from etgraph.model.columns import Array
from etgraph.model.kernels import kernel
from etgraph.model.validation import check_acyclic
from etgraph.model.waits import waits_within

BYPASSED: Final = 16
"""What a node that is left out may depend on, so that what follows it depends on these; with more it is a node of no
duration. Without a bound, two nodes left out could stand for as many dependencies as the product of their numbers."""

_ENDS: Final = (DependencyKind.STREAM, DependencyKind.EVENT, DependencyKind.JOIN, DependencyKind.DATA,
                DependencyKind.CTRL, DependencyKind.THREAD)  # fmt: skip
_STARTS: Final = (DependencyKind.LAUNCH, DependencyKind.SPAWN, DependencyKind.CALL)
_DEVICE: Final = (Category.KERNEL, Category.MEMCPY, Category.MEMSET, Category.DEVICE)


@dataclass(frozen=True, slots=True)
class Program:
    """The nodes in the order in which they started, rank after rank, and who waits for whose end.

    `duration` is each node's own time in ns, `host` says which are not of a device, `when` is the start by which ranks
    are compared (a number in the rank's order where there are no times). `kind` is CTRL or DATA.
    """

    operators: Columns
    duration: Array
    host: Array
    when: Array
    src: Array
    dst: Array
    kind: Array
    notes: tuple[str, ...]


def recorded(trace: Trace) -> Program:
    """The nodes and dependencies of a Chakra trace as they are, in the order of their ids, without book-keeping."""
    o, d = trace.operators, trace.dependencies
    ids = np.where(o.is_null("node_id"), o["index"].astype(np.uint64), o["node_id"])
    rows = np.lexsort((np.arange(len(o)), ids, o["rank"]))
    place = _inverse(rows)
    used = np.isin(d["kind"], (int(DependencyKind.CTRL), int(DependencyKind.DATA)))
    src, dst = d["src"][used].astype(np.int64), d["dst"][used].astype(np.int64)
    order = scheduled(len(o), src, dst, place)
    if len(order) < len(o):
        check_acyclic(trace)
    host = o["category"] == int(Category.CPU_OP)
    edges = src, dst, d["kind"][used]
    return _without_bookkeeping(trace, order, place, edges, _durations(o), host, [], keep_attributes=True)


def program(trace: Trace) -> Program:
    """The nodes of a trace in which operators enclose and launch others.

    An operator on a thread lasts the time in which neither an operator inside it ran nor it waited for the device.
    What waits for the end of one that encloses others waits for the last of these; what follows a blocking call on its
    thread waits for the device. A dependency that points back in the order of starts is dropped and counted.
    Raises CycleError for a trace without times whose dependencies form a cycle.
    """
    o, d = trace.operators, trace.dependencies
    place = _by_start(trace)
    rows = np.argsort(place)
    lane = o["lane"]
    threads = trace.lanes["kind"] == int(LaneKind.THREAD)
    on_thread = (lane >= 0) & threads[lane] if len(threads) else np.zeros(len(o), dtype=bool)
    thread = rows[on_thread[rows]]
    thread = thread[np.argsort(lane[thread], kind="stable")]
    own, last, after = _on_threads(trace, thread, _removed(o))
    kind = d["kind"]
    src, dst = d["src"].astype(np.int64), d["dst"].astype(np.int64)
    nested = np.isin(kind, (int(DependencyKind.CALL), int(DependencyKind.THREAD)))
    apart = ~(nested & on_thread[src] & (lane[src] == lane[dst]))
    starts, ends = (np.isin(kind, [int(k) for k in kinds]) & apart for kinds in (_STARTS, _ENDS))
    waits = (kind == int(DependencyKind.SYNC)) & (after[dst] >= 0)
    follows = np.flatnonzero(lane[thread[1:]] == lane[thread[:-1]])
    sources = np.concatenate([thread[follows], src[starts], last[src[ends]], last[src[waits]]])
    targets = np.concatenate([thread[follows + 1], dst[starts], dst[ends], after[dst[waits]]])
    forward = (place[sources] < place[targets]) & (o["rank"][sources] == o["rank"][targets])
    dropped = int(np.count_nonzero(~forward & (sources != targets)))
    many = counted(dropped, "dependency", "dependencies")
    notes = [f"dropped, because they point back in the order of starts: {many}"] if dropped else []
    edges = sources[forward], targets[forward], np.full(int(forward.sum()), int(DependencyKind.DATA), dtype=np.int8)
    on_device = np.isin(o["category"], [int(c) for c in _DEVICE]) & ~on_thread
    return _without_bookkeeping(trace, rows, place, edges, own, ~on_device, notes)


def _durations(o: Columns) -> Array:
    return np.where(o.is_null("duration_ns"), 0, o["duration_ns"])


def _inverse(order: Array) -> Array:
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    return place


def _removed(o: Columns) -> Array:
    """Book-keeping: annotations, and kinds that nobody can execute."""
    executed = (NodeType.MEM_LOAD, NodeType.MEM_STORE, NodeType.COMP, NodeType.COMM_SEND, NodeType.COMM_RECV,
                NodeType.COMM_COLL)  # fmt: skip
    return ~np.isin(o["kind"], [int(k) for k in executed])


# Order and threads


def _by_start(trace: Trace) -> Array:
    """Each operator's place by rank and start; where a rank has no times, in an order that the event graph allows."""
    o, n = trace.operators, len(trace)
    key = _starts(o)
    if key is None:
        events, meetings = trace.events, len(trace.collectives)
        first = np.concatenate([np.arange(2 * n) + meetings, np.arange(meetings)])
        order = scheduled(events.nodes, events.sources, events.targets, first)
        if len(order) < events.nodes:
            check_acyclic(trace)
        key = _inverse(order)[: 2 * n : 2]
    return _inverse(np.lexsort((np.arange(n), key, o["rank"])))


def _starts(o: Columns) -> Array | None:
    """Starts of operators in order; one without times, as only a host's file records, starts with the one before it.

    None where a rank has no times at all.
    """
    rank, rows = o["rank"], np.arange(len(o))
    timed = rows[~o.is_null("start_ns")]
    if len(np.unique(rank[timed])) < len(np.unique(rank)):
        return None
    before = timed[np.maximum(np.searchsorted(timed, rows, side="right") - 1, 0)] if len(timed) else rows
    first = timed[np.searchsorted(rank[timed], rank)] if len(timed) else rows
    return o["start_ns"][np.where((before <= rows) & (rank[before] == rank), before, first)]


def _on_threads(trace: Trace, thread: Array, removed: Array) -> tuple[Array, Array, Array]:
    """For every operator its own time, the last one that it encloses (itself if none), and the next after these (-1).

    `thread` holds the operators of threads, lane after lane in order of start.
    """
    o, n = trace.operators, len(trace)
    timed = ~o.is_null("start_ns") & ~o.is_null("duration_ns")
    duration = _durations(o)
    start, end = np.where(timed, o["start_ns"], 0), np.where(timed, trace.end_ns, 0)
    position = np.full(n + 1, -1, dtype=np.int64)
    position[thread] = np.arange(len(thread))
    parent = position[o["parent"][thread]]
    same = (parent >= 0) & (o["lane"][thread[parent]] == o["lane"][thread]) if len(thread) else parent >= 0
    parent = np.where(same & (parent < np.arange(len(thread))), parent, -1)
    waits = trace.dependencies["kind"] == int(DependencyKind.SYNC)
    src, dst = trace.dependencies["src"][waits], trace.dependencies["dst"][waits]
    within = waits_within(trace)
    inside = timed[src] & timed[dst] & (end[src] <= end[dst]) & ~np.isin(dst, within.target)
    begins = start.copy()
    np.maximum.at(begins, dst[inside], end[src[inside]])
    spent, last, after = _walk(
        o["lane"][thread], parent, begins[thread], start[thread], end[thread], duration[thread], timed[thread],
        removed[thread],
    )  # fmt: skip
    own, lasts, afters = duration.copy(), np.arange(n), np.full(n, -1, dtype=np.int64)
    if len(thread):
        own[thread], lasts[thread] = spent, thread[last]
        np.subtract.at(own, within.target, within.ns)
        np.maximum(own, 0, out=own)
        afters[thread] = np.where(after >= 0, thread[after], -1)
    return own, lasts, afters


@kernel
def _walk(
    lane: Array, parent: Array, begins: Array, start: Array, end: Array, duration: Array, timed: Array, removed: Array
) -> tuple[Array, Array, Array]:
    """Own time, last enclosed operator and next one after it, as positions; parents come before their children.

    `begins` is where an operator's own time begins: at its start, or when what it waited for had ended.
    """
    count = len(lane)
    covered = np.zeros(count, dtype=np.int64)
    reached = begins.copy()
    around = np.full(count, -1, dtype=np.int64)
    last = np.empty(count, dtype=np.int64)
    after = np.full(count, -1, dtype=np.int64)
    stack = np.empty(count, dtype=np.int64)
    depth = 0
    for i in range(count):
        while depth > 0 and stack[depth - 1] != parent[i]:
            depth -= 1
            last[stack[depth]] = i - 1
            if lane[i] == lane[i - 1]:
                after[stack[depth]] = i
        stack[depth] = i
        depth += 1
        p = parent[i]
        while p >= 0 and removed[p]:
            p = around[p]
        around[i] = p
        if p < 0 or removed[i]:
            continue
        if timed[i] and timed[p]:
            begin, finish = max(start[i], reached[p]), min(end[i], end[p])
            if finish > begin:
                covered[p] += finish - begin
                reached[p] = finish
        else:
            covered[p] += duration[i]
    for k in range(depth):
        last[stack[k]] = count - 1
    own = np.zeros(count, dtype=np.int64)
    for i in range(count):
        whole = end[i] - begins[i] if timed[i] else duration[i]
        own[i] = max(whole - covered[i], 0)
    return own, last, after


# Book-keeping


def _without_bookkeeping(
    trace: Trace,
    order: Array,
    place: Array,
    edges: tuple[Array, Array, Array],
    duration: Array,
    host: Array,
    notes: list[str],
    *,
    keep_attributes: bool = False,
) -> Program:
    """Leave out what is not executed; what depended on it depends on what it depended on.

    All edges point forward in `order`, `place` says where the nodes stand in the end.
    """
    o, n = trace.operators, len(trace)
    removed = _removed(o)
    if removed.any():
        src, dst, via, joints = _bypass(_inverse(order), *edges[:2], removed)
    else:
        (src, dst), via, joints = edges[:2], np.arange(len(edges[0])), removed
    kept = ~removed | joints
    rows = np.flatnonzero(kept)
    rows = rows[np.argsort(place[rows])]
    to_new = np.full(n, -1, dtype=np.int64)
    to_new[rows] = np.arange(len(rows))
    src, dst, kind = to_new[src], to_new[dst], edges[2][via]
    once = np.unique((src * len(rows) + dst) * 2 + (kind == int(DependencyKind.DATA)), return_index=True)[1]
    left = n - len(rows)
    if left:
        notes = [f"left out, as annotations and book-keeping: {counted(left, 'node')}", *notes]
    if joints.any():
        many = counted(int(joints.sum()), "node")
        notes.append(f"without duration, because they execute nothing but join over {BYPASSED} dependencies: {many}")
        duration = np.where(joints, 0, duration)
    operators = o.take(rows)
    joint = joints[rows]
    none = np.full(len(rows), -1, dtype=np.int32)
    operators = operators.replace(
        {
            "kind": np.where(joint, int(NodeType.COMP), operators["kind"]),
            "category": np.where(joint, int(Category.KERNEL), operators["category"]),
            "parent": none,
            "collective": none,
            "attrs": np.where(joint, -1, operators["attrs"]) if keep_attributes else none,
        }
    )
    when = _starts(operators)
    if when is None:
        rank = operators["rank"]
        when = np.arange(len(rows)) - np.searchsorted(rank, rank, side="left")
    return Program(operators, duration[rows], host[rows] & ~joint, when, src[once], dst[once], kind[once], tuple(notes))


def _bypass(place: Array, src: Array, dst: Array, removed: Array) -> tuple[Array, Array, Array, Array]:
    """Edges between the nodes that stay, for each the edge whose target it has, and the removed that must stay.

    All edges lead to a higher `place`. Only edges at removed nodes, few in most traces, are walked.
    """
    touched = removed[src] | removed[dst]
    mine = np.flatnonzero(touched)
    mine = mine[np.argsort(place[dst[mine]], kind="stable")]
    new_src, new_via, joints = _walk_removed(src[mine], dst[mine], removed, BYPASSED)
    plain = np.flatnonzero(~touched)
    via = np.concatenate([plain, mine[new_via]])
    return np.concatenate([src[plain], new_src]), dst[via], via, joints


@kernel
def _walk_removed(src: Array, dst: Array, removed: Array, most: int) -> tuple[Array, Array, Array]:
    """Walk edges in the order of their targets, handing on what the removed nodes depend on.

    Returns sources of edges and the edges whose targets they have, and which removed nodes depend on more than `most`.
    """
    nodes = len(removed)
    joints = np.zeros(nodes, dtype=np.bool_)
    first = np.zeros(nodes, dtype=np.int64)
    count = np.zeros(nodes, dtype=np.int64)
    pool = [np.int64(0) for _ in range(0)]
    sources = [np.int64(0) for _ in range(0)]
    via = [np.int64(0) for _ in range(0)]
    e = 0
    while e < len(src):
        v = dst[e]
        begin = len(sources)
        while e < len(src) and dst[e] == v:
            u = src[e]
            if removed[u] and not joints[u]:
                for k in range(first[u], first[u] + count[u]):
                    sources.append(pool[k])
                    via.append(np.int64(e))
            else:
                sources.append(np.int64(u))
                via.append(np.int64(e))
            e += 1
        if not removed[v]:
            continue
        first[v] = len(pool)
        for k in range(begin, len(sources)):
            known = False
            for j in range(first[v], len(pool)):
                known = known or pool[j] == sources[k]
            if not known:
                pool.append(sources[k])
            if len(pool) - first[v] > most:
                break
        count[v] = len(pool) - first[v]
        joints[v] = count[v] > most
        while not joints[v] and len(sources) > begin:
            sources.pop()
            via.pop()
    return np.array(sources, dtype=np.int64), np.array(via, dtype=np.int64), joints
