"""From a timeline to a `Simulation`: the table of operators, the ranks' sums, the error against what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from etgraph.model import Category, NodeType, Trace, Trust
from etgraph.model.columns import Array
from etgraph.model.intervals import union
from etgraph.sim.compute.protocol import Predictions
from etgraph.sim.simulation import RankTimes, Simulation

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

    The makespan runs from the first start to the last end, as does the measured one. What the predictions leave open
    about a duration, they leave open about the time between start and end.
    """
    ran = end_ns >= start_ns
    first, last = (int(start_ns[ran].min()), int(end_ns[ran].max())) if ran.any() else (0, 0)
    timed = trace.timed
    measured = None
    if timed.any():
        measured = int(trace.end_ns[timed].max() - trace.operators["start_ns"][timed].min())
    makespan = last - first
    return Simulation(
        simulator,
        profile,
        makespan,
        measured,
        (makespan - measured) / measured if measured else None,
        ranks_of(trace, start_ns, end_ns),
        _nodes(trace, start_ns, end_ns, ran, predictions),
        dict(parameters or {}),
        trust or Trust(warnings=tuple(trace.metadata.report.warnings)),
    )


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
