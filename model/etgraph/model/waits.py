"""How long operators waited, in their own time, for the ends of others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etgraph.model.columns import Array
from etgraph.model.schema import Category, DependencyKind
from etgraph.model.trace import Trace


@dataclass(frozen=True, slots=True)
class Waits:
    """Waits of host operators that do other things besides: who waited for whom, and for how long in ns."""

    source: Array
    target: Array
    ns: Array


def waits_within(trace: Trace) -> Waits:
    """The SYNC dependencies of operators that are no calls of a device's runtime, which do nothing but wait.

    Such an operator waits from the end of what it encloses, or from its start, until what it waits for has ended.
    O(operators log operators).
    """
    o, d, end = trace.operators, trace.dependencies, trace.end_ns
    edges = np.flatnonzero(d["kind"] == int(DependencyKind.SYNC))
    src, dst = d["src"][edges].astype(np.int64), d["dst"][edges].astype(np.int64)
    call = np.isin(o["category"][dst], (int(Category.RUNTIME), int(Category.DRIVER)))
    kept = ~call & trace.timed[src] & trace.timed[dst] & (end[src] <= end[dst]) & (end[src] > o["start_ns"][dst])
    src, dst = src[kept], dst[kept]
    since = o["start_ns"][dst].copy()
    inner = np.flatnonzero((o["parent"] >= 0) & trace.timed)
    inner = inner[np.isin(o["parent"][inner], dst)]
    inner = inner[np.lexsort((end[inner], o["parent"][inner]))]
    parent, ends = o["parent"][inner], end[inner]
    first_inner, beyond_inner = np.searchsorted(parent, dst), np.searchsorted(parent, dst + 1)
    for place, (first, beyond, moment) in enumerate(
        zip(first_inner.tolist(), beyond_inner.tolist(), end[src].tolist())
    ):
        before = int(np.searchsorted(ends[first:beyond], moment, side="right"))
        # What outlives its caller on the same thread may be the very thing that is waited for.
        while before and inner[first + before - 1] == src[place]:
            before -= 1
        if before:
            since[place] = max(since[place], ends[first + before - 1])
    return Waits(src, dst, end[src] - since)
