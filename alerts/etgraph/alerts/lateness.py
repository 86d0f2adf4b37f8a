"""Where ranks wait for each other: which rank comes later than before, and which communication is more exposed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

from etgraph.alerts.runs import Run
from etgraph.model import DependencyKind, Trace
from etgraph.model.arrivals import arrivals, communicates
from etgraph.model.columns import Array
from etgraph.model.errors import MissingData
from etgraph.queries.hotspots import exposed_ns
from etgraph.queries.keys import types
from etgraph.queries.windows import Interval, operators_of, windows_of


def later_ranks(runs: Sequence[Run], baseline: Sequence[Run], only: Sequence[int] = ()) -> dict[int, float]:
    """By how many ns a step each rank comes later to its meetings than in the baseline, the median of the runs."""
    return _more([late_ns(run, only) for run in runs], [late_ns(run, only) for run in baseline])


def more_exposed(runs: Sequence[Run], baseline: Sequence[Run], only: Sequence[int] = ()) -> dict[str, float]:
    """By how many ns a step and rank communication of each type is less hidden by computation, the median of the runs.

    Types are in lower case, as `compare` has them.
    """
    return _more([exposed(run, only) for run in runs], [exposed(run, only) for run in baseline])


Key = TypeVar("Key")


def _more(after: Sequence[Mapping[Key, float]], before: Sequence[Mapping[Key, float]]) -> dict[Key, float]:
    """How much more there is of each key, side beside side."""
    keys = dict.fromkeys(key for one in (*after, *before) for key in one)
    medians = ([float(np.median([one.get(key, 0.0) for one in side])) for key in keys] for side in (after, before))
    return {key: now - then for key, now, then in zip(keys, *medians, strict=True)}


def late_ns(run: Run, only: Sequence[int] = ()) -> dict[int, float]:
    """How long a step each rank kept all others waiting: from when the last but one had come until it came itself.

    A sender keeps a receiver that is there already. Where others wait in several collectives at once, that time counts
    once. So much would be gained if it came with the others.
    """
    trace = run.trace
    inside = np.zeros(len(trace), dtype=bool)
    inside[operators_of(trace, _windows(run, only))] = True
    parts = zip(_collectives(trace, inside), _messages(trace, inside), strict=True)
    rank, start, end = (np.concatenate(part) for part in parts)
    steps = len(run.steps(only))
    return {
        one: _covered(start[rank == one], end[rank == one]) / steps for one in np.unique(rank).tolist()
    }  # fmt: skip


def _covered(start: Array, end: Array) -> int:
    """The time that intervals cover together."""
    order = np.argsort(start, kind="stable")
    start, end = start[order], end[order]
    before = np.maximum.accumulate(np.append(start[:1], end[:-1]))
    return int(np.maximum(end - np.maximum(start, before), 0).sum())


def exposed(run: Run, only: Sequence[int] = ()) -> dict[str, float]:
    """How long a step each rank, in the mean, spent in communication of each type without computing."""
    trace, windows = run.trace, _windows(run, only)
    rows = operators_of(trace, windows)
    rows = rows[communicates(trace, rows) & trace.timed[rows]]
    if not len(rows):
        return {}
    of_type = types(trace, rows)
    spent = np.bincount(of_type.code, exposed_ns(trace, rows, windows, arrivals(trace)), len(of_type.texts))
    each = len(run.steps(only)) * len(trace.ranks)
    return {text.lower(): float(ns) / each for text, ns in zip(of_type.texts, spent, strict=True) if ns}


def _windows(run: Run, only: Sequence[int]) -> tuple[Interval, ...]:
    """The windows of a run's steps; none where it has no such steps with times."""
    try:
        return windows_of(run.trace, None, run.some(only), "annotation", contiguous=False)
    except MissingData:
        return ()


def _collectives(trace: Trace, inside: Array) -> tuple[Array, Array, Array]:
    """Who came last to each collective, when the last but one had come, and when it came."""
    o = trace.operators
    rows = np.flatnonzero(arrivals(trace).met & inside & (o["collective"] >= 0))
    rows = rows[np.lexsort((o["start_ns"][rows], o["collective"][rows]))]
    meeting, start = o["collective"][rows], o["start_ns"][rows]
    last = np.flatnonzero(np.append(meeting[1:] != meeting[:-1], True)) if len(rows) else rows
    last = last[(last > 0) & (meeting[last - 1] == meeting[last])]
    return o["rank"][rows[last]], start[last - 1], start[last]


def _messages(trace: Trace, inside: Array) -> tuple[Array, Array, Array]:
    """The sender of each message, when its receiver began to wait, and when it was sent."""
    o, d = trace.operators, trace.dependencies
    edges = np.flatnonzero(d["kind"] == int(DependencyKind.COMM))
    src, dst = d["src"][edges], d["dst"][edges]
    kept = inside[src] & inside[dst] & trace.timed[src] & trace.timed[dst]
    src, dst = src[kept], dst[kept]
    return o["rank"][src], o["start_ns"][dst], np.maximum(o["start_ns"][src], o["start_ns"][dst])


__all__ = ["exposed", "late_ns", "later_ranks", "more_exposed"]
