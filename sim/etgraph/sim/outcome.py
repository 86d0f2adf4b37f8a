"""From a timeline to a `Simulation`: the table of operators, the ranks' sums, the error against what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from etgraph.model import Trace, Trust
from etgraph.model.columns import Array
from etgraph.sim.compute.protocol import Predictions
from etgraph.sim.rank_times import rank_times, works
from etgraph.sim.simulation import Simulation, WindowTimes

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
    leave open about a duration, they leave open about the time between start and end. Of a measured trace, operators
    without measured times ran on none of its lanes: they have no times here either.
    """
    timed = trace.timed
    ran = (end_ns >= start_ns) & (timed | ~timed.any())
    makespan = makespan_ns(trace, start_ns, end_ns)
    moved = on_timeline(trace, start_ns, end_ns, simulator)
    measured = _span(trace.operators["start_ns"], trace.end_ns, timed & works(trace)) if timed.any() else None
    return Simulation(
        simulator,
        profile,
        makespan,
        measured,
        (makespan - measured) / measured if measured else None,
        rank_times(moved),
        _nodes(trace, start_ns, end_ns, ran, predictions),
        dict(parameters or {}),
        trust or Trust(warnings=tuple(trace.metadata.report.warnings)),
        window_times(trace, moved) if timed.any() else (),
    )


def makespan_ns(trace: Trace, start_ns: Array, end_ns: Array) -> int:
    """From the first start to the last end of what `works`."""
    ran = (end_ns >= start_ns) & (trace.timed | ~trace.timed.any())
    return _span(start_ns, end_ns, ran & works(trace))


def _span(start: Array, end: Array, counted: Array) -> int:
    """From the first start to the last end of those that count."""
    return int(end[counted].max() - start[counted].min()) if counted.any() else 0


def on_timeline(trace: Trace, start_ns: Array, end_ns: Array, timeline: str) -> Trace:
    """A trace on another timeline. What never ran has no times there, nor what was not measured in a measured trace."""
    null = trace.operators.table.column("start_ns").null
    has = (end_ns >= start_ns) & (trace.timed | ~trace.timed.any())
    start, duration = (np.where(has, ns, null) for ns in (start_ns, end_ns - start_ns))
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
