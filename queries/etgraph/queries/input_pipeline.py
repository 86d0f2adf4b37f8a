"""The input pipeline: when a host prepares the next batch, by the names of scopes, operators and annotations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from etgraph.model import LaneKind, Trace
from etgraph.model.columns import Array
from etgraph.queries.intervals import union
from etgraph.queries.walk import GAP, Steps

FIRST_OPERATOR = "before the first operator of a step"
"""What a pause is called that lies between a step's beginning and its first operator."""
_INPUT = re.compile(r"(?i)data_?loader|data_?pipe")


@dataclass(frozen=True, slots=True)
class Labels:
    """A name for each step of a walk: `code` is a position in `names`, -1 in pauses; `input` says it of each name."""

    code: Array
    names: list[str]
    input: Array


def labels(trace: Trace, steps: Steps, rank: Array) -> Labels:
    """The operators' names; what belongs to the input pipeline is named after the scope or annotation that says so.

    A pause of a thread belongs to it where more than half of it lies in such an annotation, or between the beginning
    of a step and the first operator in it.
    """
    o = trace.operators
    names: list[str] = o.texts("name").to_pylist()
    texts: dict[str, int] = {}
    own = steps.operator >= 0
    code = np.where(own, o["name"][steps.operator], -1).astype(np.int64)
    scope = np.where(own, o["scope"][steps.operator], -1)
    scopes = o.texts("scope")
    for which in np.unique(scope[scope >= 0]).tolist():
        path = scopes[which].as_py()
        if part := _part(path):
            code[scope == which] = len(names) + texts.setdefault(part, len(texts))
    pauses = np.flatnonzero(steps.what == GAP)
    for one in np.unique(rank[pauses]).tolist():
        at = pauses[rank[pauses] == one]
        start, end = steps.start_ns[at], steps.end_ns[at]
        for text, first, last in _preparing(trace, one):
            mostly = (2 * union(first, last).within(start, end) > end - start) & (code[at] < 0)
            code[at[mostly]] = len(names) + texts.setdefault(text, len(texts))
    names += texts
    is_input = np.array([n >= len(names) - len(texts) or bool(_INPUT.search(name)) for n, name in enumerate(names)])
    return Labels(code, names, is_input)


def _part(path: str) -> str:
    """The innermost part of a scope that names the input pipeline; empty where none does."""
    return next((part for part in reversed(path.split("/")) if _INPUT.search(part)), "")


def _preparing(trace: Trace, rank: int) -> Iterator[tuple[str, Array, Array]]:
    """When the rank prepares batches: what says so, and the starts and ends."""
    a = trace.annotations
    if len(a):
        codes = np.flatnonzero(a.codes_where("name", _INPUT.search))
        rows = np.flatnonzero((a["rank"] == rank) & np.isin(a["name"], codes) & ~a.is_null("duration_ns"))
        for code in np.unique(a["name"][rows]).tolist():
            same = rows[a["name"][rows] == code]
            yield a.texts("name")[code].as_py(), a["start_ns"][same], a["start_ns"][same] + a["duration_ns"][same]
    i = trace.iterations
    steps = np.flatnonzero((i["rank"] == rank) & ~i.is_null("start_ns") & ~i.is_null("end_ns")) if len(i) else ()
    if len(steps):
        o, own = trace.operators, trace.rank_rows[rank]
        on_thread = (trace.lanes["kind"] == int(LaneKind.THREAD))[o["lane"][own]] & ~o.is_null("start_ns")[own]
        starts = np.sort(o["start_ns"][own][on_thread])
        first = np.append(starts, np.iinfo(np.int64).max)[np.searchsorted(starts, i["start_ns"][steps])]
        yield FIRST_OPERATOR, i["start_ns"][steps], np.minimum(first, i["end_ns"][steps])


__all__ = ["FIRST_OPERATOR", "Labels", "labels"]
