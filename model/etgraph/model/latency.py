"""Launch latency: how long after its call a device operator usually starts, as this very trace shows it."""

from __future__ import annotations

import numpy as np

from etgraph.model.columns import Array
from etgraph.model.schema import Category, DependencyKind
from etgraph.model.trace import Trace

ENOUGH = 3
"""Fewer observations than this say nothing about what is usual."""


def launch_latency(trace: Trace) -> Array:
    """Usual time from the end of the launching call to the start of the device operator, by operator (0: none).

    The median over operators of the same call and category that nothing else held up: their stream had been used
    before and was free when the call returned. Where fewer than `ENOUGH` of a kind are seen, the median of all; where
    fewer than that at all, the shortest delay of any launch, since one that was held up would be taken for usual.
    Copies that work inside their call start before its end and have no latency.
    """
    o, d = trace.operators, trace.dependencies
    latency = np.zeros(len(o), dtype=np.int64)
    timed = trace.timed[d["src"]] & trace.timed[d["dst"]]
    launches = np.flatnonzero((d["kind"] == int(DependencyKind.LAUNCH)) & timed)
    if not len(launches):
        return latency
    call, device = d["src"][launches], d["dst"][launches]
    never = np.iinfo(np.int64).max
    ready = np.full(len(o), never)
    stream = np.flatnonzero((d["kind"] == int(DependencyKind.STREAM)) & timed)
    stream = stream[np.argsort(trace.end_ns[d["src"][stream]], kind="stable")]  # of several before one, the last counts
    ready[d["dst"][stream]] = trace.end_ns[d["src"][stream]]
    delay = o["start_ns"][device] - trace.end_ns[call]
    key = o["name"][call].astype(np.int64) * len(Category) + o["category"][device]
    free = ready[device] <= trace.end_ns[call]
    enough = free.sum() >= ENOUGH
    usual = _median(delay[free]) if enough else int(min(delay[delay >= 0], default=0))
    for one in np.unique(key).tolist():
        same = key == one
        alone = delay[same & free]
        latency[device[same]] = _median(alone) if len(alone) >= ENOUGH else usual
    return latency


def _median(delays: Array) -> int:
    return max(0, int(np.median(delays))) if len(delays) else 0
