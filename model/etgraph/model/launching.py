"""Which call launched each device operator."""

from __future__ import annotations

import numpy as np

from etgraph.model.columns import Array
from etgraph.model.runtime_calls import GRAPH_LAUNCH
from etgraph.model.schema import Category, DependencyKind
from etgraph.model.trace import Trace


def launching_calls(trace: Trace) -> Array:
    """The host operator that launched each device operator; -1 where none is known, and for host operators.

    A graph is replayed by one call, of which only the first operator on each stream has a stored launch. Those that
    follow it on the stream, up to the next operator with a launch, are of the same replay.
    """
    o, d = trace.operators, trace.dependencies
    device = o["category"] >= int(Category.KERNEL)
    call = np.full(len(o), -1, dtype=np.int64)
    launches = np.flatnonzero(d["kind"] == int(DependencyKind.LAUNCH))
    launches = launches[device[d["dst"][launches]]]
    call[d["dst"][launches]] = d["src"][launches]
    replays = o.codes_where("name", GRAPH_LAUNCH.match)
    if not replays.any():
        return call
    rows = np.flatnonzero(device & (o["lane"] >= 0))
    rows = rows[np.lexsort((o["start_ns"][rows], o["lane"][rows]))]
    last = np.maximum.accumulate(np.where(call[rows] >= 0, np.arange(len(rows)), -1))
    before = rows[np.maximum(last, 0)]
    follows = (last >= 0) & (call[rows] < 0) & (o["lane"][before] == o["lane"][rows])
    follows &= replays[o["name"][call[before]]]
    call[rows[follows]] = call[before[follows]]
    return call
