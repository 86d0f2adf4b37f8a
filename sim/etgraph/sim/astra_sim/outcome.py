"""What came of a run: the times of all operators and ranks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from etgraph.model import NodeType, Trust
from etgraph.model.columns import Array
from etgraph.sim.astra_sim.engine.state import Machine
from etgraph.sim.astra_sim.nodes import SOURCES, Workload
from etgraph.sim.simulation import RankTimes, Simulation

if TYPE_CHECKING:
    import pyarrow as pa

_COMMUNICATION: Final = (int(NodeType.COMM_SEND), int(NodeType.COMM_RECV), int(NodeType.COMM_COLL))


def outcome(work: Workload, machine: Machine, simulator: str, parameters: dict[str, Any]) -> Simulation:
    """The answer. A rank that did not finish ends with the last of its nodes that did."""
    start, end = machine.nodes.start, machine.nodes.end
    trace = work.trace
    measured = trace.span_ns if len(trace) and trace.timed.any() else None
    ranks = _ranks(work, start, end)
    makespan = max((rank.end_ns for rank in ranks), default=0)
    error = makespan / measured - 1 if measured else None
    return Simulation(
        simulator, None, makespan, measured, error, ranks, _table(work, start, end), parameters,
        Trust(warnings=work.warnings),
    )  # fmt: skip


def _table(work: Workload, start: Array, end: Array) -> pa.Table:
    """A row for each operator of the trace, in its order."""
    import pyarrow as pa

    o = work.trace.operators
    count = len(o)
    started, ended = np.full(count, -1), np.full(count, -1)
    started[work.rows], ended[work.rows] = start, end
    duration = pa.array(ended - started, mask=ended < 0)
    source = np.zeros(count, dtype=np.int8)
    source[work.rows] = work.source
    return pa.table(
        {
            "rank": o["rank"],
            "index": o["index"],
            "node_id": pa.array(o["node_id"], mask=o.is_null("node_id")).cast(pa.string()),
            "start_ns": pa.array(started, mask=started < 0),
            "duration_ns": duration,
            "duration_low_ns": duration,
            "duration_high_ns": duration,
            "source": pa.DictionaryArray.from_arrays(source, list(SOURCES)).cast(pa.string()),
            "extrapolated": np.zeros(count, dtype=bool),
        }
    )


def _ranks(work: Workload, start: Array, end: Array) -> tuple[RankTimes, ...]:
    communicates = np.isin(work.kind, _COMMUNICATION)
    computes = work.kind == int(NodeType.COMP)
    ranks, first = np.unique(work.rank, return_index=True)
    last = np.maximum.reduceat(end, first) if len(first) else first
    computation, communication = (
        _covered(work.rank[mask], start[mask], end[mask], len(ranks))
        for mask in (computes & (end >= 0), communicates & (end >= 0))
    )
    rows = zip(ranks.tolist(), np.maximum(last, 0).tolist(), computation.tolist(), communication.tolist())
    return tuple(RankTimes(*row) for row in rows)


def _covered(rank: Array, start: Array, end: Array, count: int) -> Array:
    """For each rank the time that intervals cover; what overlaps counts once."""
    if not len(rank):
        return np.zeros(count, dtype=np.int64)
    order = np.lexsort((start, rank))
    rank, start, end = rank[order], start[order], end[order]
    # The furthest end so far on the rank: ranks are told apart by adding to the times what no time reaches.
    apart = rank * (int(end.max()) + 1)
    reached = np.maximum.accumulate(end + apart) - apart
    before = np.concatenate([[0], reached[:-1]])
    before[1:][rank[1:] != rank[:-1]] = 0
    new = np.maximum(end - np.maximum(start, before), 0)
    return np.bincount(rank, weights=new, minlength=count).astype(np.int64)
