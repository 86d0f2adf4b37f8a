"""SPAWN and JOIN: one thread hands work to another, pauses, and goes on when the other has done it."""

from __future__ import annotations

import re

import numpy as np

from etgraph.ingest.inference.findings import Finding, stored
from etgraph.ingest.inference.timeline import Timeline
from etgraph.model import Category, DependencyKind
from etgraph.model.columns import Array

PAUSE_NS = 50_000
"""A shorter pause is the host's own work between operators."""
MOST_THREADS = 8
"""Only the busiest threads of a rank are looked at: work is handed over by those that do it."""
FILLED = 0.8
"""The other thread's work takes this much of the pause, from its first start to its last end."""
ALTERNATES = 0.5
"""And this much of the other thread's own pause before it is the first thread's work."""
OFTEN = 3
"""Threads of which neither is known to work for the other must take turns this often."""
_LIBRARY = re.compile(r"^(gloo|mpi):")
_BACKWARD = re.compile(r"^autograd::|Backward\d*$|AccumulateGrad$|^torch::autograd::")


def handed_over(t: Timeline) -> Finding:
    """The two ends of a pause that another thread's work fills: the call of backward and the autograd thread, mostly.

    Both threads must take turns: the other one was idle when the pause began, idle again when it ended, and the first
    one worked during its pause before. Threads that poll, load data or watch the network work on through the pause.
    Functions of autograd that the calling thread itself runs meanwhile, those of the host, do not end its pause: each
    goes on when the autograd thread has done the one before. The threads of gloo and MPI are left out: they work off
    what `worked_off` knows one by one, and take turns with whoever issues it by chance only.
    """
    pairs: dict[str, list[Array]] = {"work handed to a thread": [], "work done by a thread": [], "work handed back": []}
    o = t.trace.operators
    top = np.flatnonzero((o["category"] < int(Category.KERNEL)) & (o["parent"] < 0) & (o["lane"] >= 0))
    top = top[~o.is_null("start_ns")[top] & ~o.is_null("duration_ns")[top]]
    top = top[np.lexsort((t.start[top], t.lane[top]))]
    top = _without_libraries(t, top)
    function = o.codes_where("name", _BACKWARD.search)[o["name"]] if len(top) else np.zeros(0, dtype=bool)
    for rank in t.trace.ranks:
        threads = _busiest(t, top[o["rank"][top] == rank])
        backward = [_share(t, rows, function) > 0.5 for rows in threads]
        for a, first in enumerate(threads):
            for b, other in enumerate(threads):
                if a == b or backward[a] or not (backward[b] or t.start[first[0]] <= t.start[other[0]]):
                    continue
                own = first[~function[first]] if backward[b] else first
                spawned, joined = _turns(t, own, other)
                if not backward[b] and len(spawned) < OFTEN:
                    continue
                pairs["work handed to a thread"].append(spawned)
                pairs["work done by a thread"].append(joined)
                pairs["work handed back"].append(_lent(t, first[function[first]], other, spawned[:, 0], joined[:, 1]))
    found = Finding()
    for method, parts in pairs.items():
        if parts:
            src, dst = np.concatenate(parts).T
            kind = DependencyKind.SPAWN if method == "work handed to a thread" else DependencyKind.JOIN
            found += stored(t, kind, src, dst, method, 0.5 if method == "work handed back" else 0.7)
    return found


def _without_libraries(t: Timeline, top: Array) -> Array:
    """Those outermost operators that are not on a thread of a communication library, most of whose ones are its own."""
    if not len(top):
        return top
    o = t.trace.operators
    library = o.codes_where("name", _LIBRARY.search)[o["name"][top]]
    share = np.bincount(t.lane[top], weights=np.where(library, 1, -1))
    kept: Array = top[share[t.lane[top]] <= 0]
    return kept


def _busiest(t: Timeline, top: Array) -> list[Array]:
    """Rows of the outermost operators of each of the threads with most of their time in operators."""
    lanes, at = np.unique(t.lane[top], return_index=True)
    busy = np.add.reduceat(t.end[top] - t.start[top], at) if len(top) else np.zeros(0, dtype=np.int64)
    parts = np.split(top, at[1:])
    return [parts[i] for i in np.sort(np.argsort(-busy, kind="stable")[:MOST_THREADS]).tolist()] if len(lanes) else []


def _share(t: Timeline, rows: Array, chosen: Array) -> float:
    """Share of the time of those rows that the chosen ones took."""
    took = t.end[rows] - t.start[rows]
    return float(took[chosen[rows]].sum() / max(int(took.sum()), 1))


def _turns(t: Timeline, first: Array, other: Array) -> tuple[Array, Array]:
    """Pairs of operators (last before a pause, first of the other thread), and (its last, first after the pause)."""
    nothing = np.zeros((0, 2), dtype=np.int64)
    if not len(first):
        return nothing, nothing
    pause = np.flatnonzero(t.start[first[1:]] - t.end[first[:-1]] >= PAUSE_NS)
    before, after = first[pause], first[pause + 1]
    begin, finish = t.end[before], t.start[after]
    starts, ends = t.start[other], t.end[other]
    head = np.searchsorted(starts, begin)
    tail = np.searchsorted(ends, finish, side="right") - 1
    works = (tail >= head) & (head < len(other))
    before, after, begin, finish = before[works], after[works], begin[works], finish[works]
    head, tail = head[works], tail[works]
    idle_since = np.where(head > 0, ends[np.maximum(head - 1, 0)], t.start[before])
    idle_until = np.append(starts, np.iinfo(np.int64).max)[tail + 1]
    resumed = t.start[first[np.minimum(np.searchsorted(t.start[first], idle_since), len(first) - 1)]]
    turns = (
        (idle_until >= t.end[after])
        & (ends[tail] - starts[head] >= FILLED * (finish - begin))
        & ((head == 0) | (starts[head] - idle_since >= PAUSE_NS))
        & ((head == 0) | (t.end[before] - resumed >= ALTERNATES * (starts[head] - idle_since)))
    )
    head, tail, before, after = head[turns], tail[turns], before[turns], after[turns]
    return np.stack([before, other[head]], axis=1), np.stack([other[tail], after], axis=1)


def _lent(t: Timeline, functions: Array, other: Array, before: Array, after: Array) -> Array:
    """Pairs (what the other thread did last, function that the first one runs for it between before and after)."""
    inside = np.searchsorted(t.start[before], t.start[functions]) - 1
    has = inside >= 0
    has[has] = t.end[functions[has]] <= t.start[after[inside[has]]]
    functions = functions[has]
    done = np.searchsorted(t.end[other], t.start[functions], side="right") - 1
    functions, done = functions[done >= 0], done[done >= 0]
    return np.stack([other[done], functions], axis=1)
