"""Simulations without a simulator: times that follow from the measured ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from etgraph.model import Trace
from etgraph.sim.rank_times import rank_times
from etgraph.sim.simulation import Simulation


def predicted(
    trace: Trace, factor: float = 2.0, *, simulator: str = "test", profile: str | None = None,
    never: Sequence[int] = (), **more: Any,
) -> Simulation:  # fmt: skip
    """Every time multiplied, with intervals of a tenth around durations; operators of the rows `never` do not run."""
    o = trace.operators
    runs = ~(o.is_null("start_ns") | o.is_null("duration_ns"))
    runs[list(never)] = False
    null = o.table.column("start_ns").null
    start, duration = (np.rint(np.where(runs, o[n], 0) * factor).astype(np.int64) for n in ("start_ns", "duration_ns"))
    moved = trace.with_times(np.where(runs, start, null), np.where(runs, duration, null), "test")
    makespan = moved.span_ns
    measured = trace.span_ns or None
    nodes = pa.table(
        {
            "rank": pa.array(o["rank"]),
            "index": pa.array(o["index"]),
            "node_id": pa.array(o["node_id"], mask=o.is_null("node_id")).cast(pa.string()),
            "start_ns": pa.array(start, mask=~runs),
            "duration_ns": pa.array(duration, mask=~runs),
            "duration_low_ns": pa.array(duration - duration // 10, mask=~runs),
            "duration_high_ns": pa.array(duration + duration // 10, mask=~runs),
            "source": pa.DictionaryArray.from_arrays(
                pa.array(np.arange(len(trace)) % 2, mask=~runs), ["measured", "model"]
            ),
            "extrapolated": pa.array(np.arange(len(trace)) % 3 == 0),
        }
    )
    return Simulation(
        simulator, profile, makespan, measured, makespan / measured - 1 if measured else None, rank_times(moved), nodes,
        parameters={"factor": factor, **more}, versions={"test": "1"},
    )  # fmt: skip
