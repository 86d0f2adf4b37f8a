"""From a timeline to a `Simulation`: the table of operators, the ranks' sums, the error against what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from etgraph.model import Category, DependencyKind, NodeType, Trace, Trust
from etgraph.model.columns import Array
from etgraph.model.intervals import union
from etgraph.sim.compute.protocol import Predictions
from etgraph.sim.simulation import RankTimes, Simulation, WindowTimes

if TYPE_CHECKING:
    import pyarrow as pa


def simulation_of(
    trace: Trace,
    start_ns: Array,
    end_ns: Array,
    predictions: Predictions,
    *,
    simulator: str,
    profile: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    trust: Trust | None = None,
) -> Simulation:
    """The simulation of a trace whose operators start and end at those times (ns); `predictions` has a row for each.

    The makespan runs from the first start to the last end of what `works`, as does the measured one. What predictions
    leave open about a duration, they leave open about the time between start and end.
    """
    makespan = makespan_ns(trace, start_ns, end_ns)
    timed = trace.timed
    measured = _span(trace.operators["start_ns"], trace.end_ns, timed & works(trace)) if timed.any() else None
    return Simulation(
        simulator,
        profile,
        makespan,
        measured,
        (makespan - measured) / measured if measured else None,
        ranks_of(trace, start_ns, end_ns),
        _nodes(trace, start_ns, end_ns, end_ns >= start_ns, predictions),
        dict(parameters or {}),
        trust or Trust(warnings=tuple(trace.metadata.report.warnings)),
        window_times(trace, on_timeline(trace, start_ns, end_ns, simulator)) if timed.any() else (),
    )


def makespan_ns(trace: Trace, start_ns: Array, end_ns: Array) -> int:
    """From the first start to the last end of what `works`."""
    return _span(start_ns, end_ns, (end_ns >= start_ns) & works(trace))


def _span(start: Array, end: Array, counted: Array) -> int:
    """From the first start to the last end of those that count."""
    return int(end[counted].max() - start[counted].min()) if counted.any() else 0


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


def on_timeline(trace: Trace, start_ns: Array, end_ns: Array, timeline: str) -> Trace:
    """A measured trace on another timeline; operators without measured times have none there either."""
    null = trace.operators.table.column("start_ns").null
    start, duration = (np.where(trace.timed, ns, null) for ns in (start_ns, end_ns - start_ns))
    return trace.with_times(start, duration, timeline)


def window_times(trace: Trace, other: Trace) -> tuple[WindowTimes, ...]:
    """The windows of a trace on both timelines: each rank's iterations, or the whole where there are none."""
    i, j = trace.iterations, other.iterations
    found = []
    for row in range(len(i)):
        start, end = i.value("start_ns", row), i.value("end_ns", row)
        if start is not None and end is not None and end > start:
            length = j.value("end_ns", row) - j.value("start_ns", row)
            found.append(_window(i.value("rank", row), i.value("index", row), end - start, length))
    if not found and trace.span_ns:
        spans = (_span(t.operators["start_ns"], t.end_ns, t.timed & works(trace)) for t in (trace, other))
        found.append(_window(None, None, *spans))
    return tuple(found)


def _window(rank: int | None, iteration: int | None, measured: int, simulated: int) -> WindowTimes:
    return WindowTimes(rank, iteration, measured, simulated, (simulated - measured) / measured if measured else 0.0)


def ranks_of(trace: Trace, start_ns: Array, end_ns: Array) -> tuple[RankTimes, ...]:
    """Each rank's end, and how long its devices, or its threads where it has none, computed and communicated."""
    o = trace.operators
    communicates = (o["kind"] >= int(NodeType.COMM_SEND)) & (o["kind"] <= int(NodeType.COMM_COLL))
    on_device = o["category"] >= int(Category.KERNEL)
    found = []
    for rank, rows in trace.rank_rows.items():
        start, end, there = start_ns[rows], end_ns[rows], end_ns[rows] >= start_ns[rows]
        device = on_device[rows]
        computes = ~communicates[rows] & (device if device.any() else o["kind"][rows] == int(NodeType.COMP)) & there
        meets = communicates[rows] & there
        found.append(
            RankTimes(
                rank,
                int(end[there].max(initial=0)),
                union(start[computes], end[computes]).ns,
                union(start[meets], end[meets]).ns,
            )
        )
    return tuple(found)


def _nodes(trace: Trace, start_ns: Array, end_ns: Array, ran: Array, p: Predictions) -> pa.Table:
    import pyarrow as pa

    o = trace.operators
    length = end_ns - start_ns
    # A predicted duration that a resource or a peer stretched keeps its interval around what came of it.
    low, high = length + (p.low_ns - p.duration_ns), length + (p.high_ns - p.duration_ns)
    source = pa.DictionaryArray.from_arrays(pa.array(p.source.astype(np.int32)), pa.array(p.sources, pa.string()))
    return pa.table(
        {
            "rank": pa.array(o["rank"]),
            "index": pa.array(o["index"]),
            "node_id": pa.array(o["node_id"], mask=o.is_null("node_id")).cast(pa.string()),
            "start_ns": pa.array(start_ns, mask=~ran),
            "duration_ns": pa.array(length, mask=~ran),
            "duration_low_ns": pa.array(np.maximum(low, 0), mask=~ran),
            "duration_high_ns": pa.array(np.maximum(high, 0), mask=~ran),
            "source": source,
            "extrapolated": pa.array(p.extrapolated),
        }
    )
