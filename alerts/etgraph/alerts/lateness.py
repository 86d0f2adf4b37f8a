"""How late each rank comes to where ranks wait for each other, and which of them does so more than before."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from etgraph.alerts.runs import Run
from etgraph.model import DependencyKind, Trace
from etgraph.model.arrivals import arrivals
from etgraph.model.columns import Array
from etgraph.model.errors import MissingData
from etgraph.queries.windows import operators_of, windows_of


def later_ranks(runs: Sequence[Run], baseline: Sequence[Run], only: Sequence[int] = ()) -> dict[int, float]:
    """By how many ns a step each rank comes later to its meetings than in the baseline, the median of the runs."""
    sides = [[late_ns(run, only) for run in side] for side in (runs, baseline)]
    ranks = sorted({rank for side in sides for one in side for rank in one})
    after, before = (
        {rank: float(np.median([one.get(rank, 0.0) for one in side])) if side else 0.0 for rank in ranks}
        for side in sides
    )  # fmt: skip
    return {rank: after[rank] - before[rank] for rank in ranks}


def late_ns(run: Run, only: Sequence[int] = ()) -> dict[int, float]:
    """How long a step each rank kept all others waiting: of the last one to come to each meeting, from the last but one.

    A sender keeps a receiver that is there already. So much would be gained if it came with the others.
    """
    trace = run.trace
    try:
        inside = np.zeros(len(trace), dtype=bool)
        inside[operators_of(trace, windows_of(trace, None, run.some(only), "annotation", contiguous=False))] = True
    except MissingData:
        return {}
    rank, ns = (np.concatenate(parts) for parts in zip(_collectives(trace, inside), _messages(trace, inside)))
    total = np.bincount(rank, ns, minlength=1) / len(run.steps(only))
    return {one: float(total[one]) for one in np.unique(rank).tolist()}


def _collectives(trace: Trace, inside: Array) -> tuple[Array, Array]:
    o = trace.operators
    rows = np.flatnonzero(arrivals(trace).met & inside & (o["collective"] >= 0))
    rows = rows[np.lexsort((o["start_ns"][rows], o["collective"][rows]))]
    meeting, start = o["collective"][rows], o["start_ns"][rows]
    last = np.flatnonzero(np.append(meeting[1:] != meeting[:-1], True)) if len(rows) else rows
    last = last[(last > 0) & (meeting[last - 1] == meeting[last])]
    return o["rank"][rows[last]], start[last] - start[last - 1]


def _messages(trace: Trace, inside: Array) -> tuple[Array, Array]:
    o, d = trace.operators, trace.dependencies
    edges = np.flatnonzero(d["kind"] == int(DependencyKind.COMM))
    src, dst = d["src"][edges], d["dst"][edges]
    kept = inside[src] & inside[dst] & trace.timed[src] & trace.timed[dst]
    src, dst = src[kept], dst[kept]
    return o["rank"][src], np.maximum(o["start_ns"][src] - o["start_ns"][dst], 0)


__all__ = ["late_ns", "later_ranks"]
