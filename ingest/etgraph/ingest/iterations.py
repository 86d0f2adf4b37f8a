"""Iterations: the steps that annotations mark, and the operators that belong to them."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from etgraph.ingest.draft import Draft
from etgraph.model import TABLES, Columns, LaneKind, Report, Span, Trace
from etgraph.model.columns import Array

STEP = "ProfilerStep#*"
"""Name of the annotation that the PyTorch profiler puts around a step."""
_NUMBER = re.compile(r"(\d+)\s*$")


def mark_iterations(draft: Draft, annotation: str = STEP) -> Draft:
    """Add the iterations of each rank and, for the operators on threads, the iteration in which they start.

    `annotation` is a glob over names of annotations. Only those on threads count, never their twins on a device;
    of overlapping ones of a rank the first counts. Device operators get theirs with their launch.
    """
    trace = draft.trace
    steps = _steps(trace, annotation)
    if not len(steps):
        missing = f"no annotation matches {annotation!r}: no iterations are marked"
        return draft if annotation == STEP else draft.with_report(Report(warnings=(missing,)))
    a, texts = trace.annotations, trace.annotations.texts("name")
    rank, start = a["rank"][steps], a["start_ns"][steps]
    end = start + a["duration_ns"][steps]
    iterations = Columns(
        TABLES["iterations"],
        {
            "index": step_indices([texts[c].as_py() for c in a["name"][steps].tolist()], rank),
            "rank": rank,
            "name": a["name"][steps],
            "lane": a["lane"][steps],
            "start_ns": start,
            "end_ns": end,
        },
        {"name": a.texts("name")},
    )
    o = trace.operators
    belongs = np.full(len(o), -1, dtype=np.int32)
    thread = trace.lanes["kind"][o["lane"]] == int(LaneKind.THREAD)
    for row_rank in trace.ranks:
        rows, own = trace.rank_rows[row_rank], np.flatnonzero(rank == row_rank)
        if len(own):
            at = np.searchsorted(start[own], o["start_ns"][rows], side="right") - 1
            inside = (at >= 0) & (o["start_ns"][rows] < end[own][at]) & thread[rows]
            belongs[rows] = np.where(inside, own[at], -1)
    marked = draft.with_operators({"iteration": belongs})
    return replace(marked, trace=replace(marked.trace, iterations=iterations))


def _steps(trace: Trace, annotation: str) -> Array:
    """Rows of the annotations that are steps, by rank and start, without overlaps within a rank."""
    a = trace.annotations
    if not len(a):
        return np.zeros(0, dtype=np.int64)
    matches = a.codes_where("name", re.compile(fnmatch.translate(annotation)).match)
    on_thread = trace.lanes["kind"][a["lane"]] == int(LaneKind.THREAD)
    rows = np.flatnonzero(matches[a["name"]] & (a["kind"] == int(Span.USER)) & on_thread)
    rows = rows[np.lexsort((a["start_ns"][rows], a["rank"][rows]))]
    kept: list[int] = []
    for row in rows.tolist():
        before = kept[-1] if kept else -1
        if before >= 0 and a["rank"][before] == a["rank"][row]:
            if a["start_ns"][row] < a["start_ns"][before] + a["duration_ns"][before]:
                continue
        kept.append(row)
    return np.array(kept, dtype=np.int64)


def step_indices(names: Sequence[str], rank: Array) -> Array:
    """Indices from 0 of steps sorted by rank: by the number in their names, so that ranks agree; else by order."""
    numbers = [int(found[1]) for name in names if (found := _NUMBER.search(name))]
    if len(set(zip(rank.tolist(), numbers))) == len(names):
        distinct = {number: index for index, number in enumerate(sorted(set(numbers)))}
        return np.array([distinct[number] for number in numbers], dtype=np.int32)
    first = np.flatnonzero(np.diff(rank, prepend=-1))
    index: Array = np.arange(len(rank)) - np.repeat(first, np.diff(first, append=len(rank)))
    return index.astype(np.int32)
