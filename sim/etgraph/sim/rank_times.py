"""When each rank ends on a timeline, and how long it computes and communicates on it."""

from __future__ import annotations

import numpy as np

from etgraph.model import Category, DependencyKind, LaneKind, NodeType, Trace
from etgraph.model.arrivals import communicates
from etgraph.model.columns import Array
from etgraph.model.intervals import union
from etgraph.sim.simulation import RankTimes

_CALLS = (Category.RUNTIME, Category.DRIVER, Category.ANNOTATION)
"""What a host does beside computing: it calls its device, or marks what it does."""


def rank_times(trace: Trace) -> tuple[RankTimes, ...]:
    """The times of each rank that has operators with times, on the trace's own timeline; of lanes that work.

    A rank with a device computes while one of its streams does; one without computes while an operator is open that is
    no communication and no call of a runtime. Communication is that of any lane. What overlaps counts once.
    """
    o = trace.operators
    timed = ~(o.is_null("start_ns") | o.is_null("duration_ns")) & works(trace)
    meets = communicates(trace, np.arange(len(trace)))
    computes = (o["kind"] == NodeType.COMP) & ~np.isin(o["category"], _CALLS)
    on_stream = np.zeros(len(trace), dtype=bool)
    if len(trace.lanes):
        on_stream = (o["lane"] >= 0) & (trace.lanes["kind"][o["lane"]] == LaneKind.STREAM)
    found = []
    for rank, rows in trace.rank_rows.items():
        here = timed[rows]
        if not here.any():
            continue
        start, end = o["start_ns"][rows], trace.end_ns[rows]
        work = computes[rows] & here
        if (on_stream[rows] & here).any():
            work &= on_stream[rows]
        lengths = [union(start[which], end[which]).ns for which in (work, meets[rows] & here)]
        found.append(RankTimes(rank, int(end[here].max()), *lengths))
    return tuple(found)


def works(trace: Trace) -> Array:
    """Which operators are on a lane that works: threads that only call a runtime, and launch nothing, watch others.

    NCCL's watchdog asks every 100 ms whether work has ended, and goes on to ask when it long has.
    """
    o, d = trace.operators, trace.dependencies
    calls = np.isin(o["category"], (int(Category.RUNTIME), int(Category.DRIVER)))
    launches = np.zeros(len(o), dtype=bool)
    launches[d["src"][d["kind"] == int(DependencyKind.LAUNCH)]] = True
    busy = np.zeros(len(trace.lanes) + 1, dtype=bool)
    busy[o["lane"][~calls | launches]] = True
    busy[-1] = True  # operators that are on no lane
    found: Array = busy[o["lane"]]
    return found
