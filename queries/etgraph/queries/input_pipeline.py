"""The input pipeline: when a host prepares the next batch, by the names of scopes, operators and annotations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from etgraph.model import LaneKind, Span, Trace
from etgraph.model.columns import Array
from etgraph.model.intervals import union
from etgraph.queries.walk import GAP, Steps

FIRST_OPERATOR = "before the first operator of a step"
"""What a pause is called that lies between a step's beginning and its first operator."""
INPUT = re.compile(r"(?i)data_?loader|data_?pipe")
"""Names of what belongs to the input pipeline."""


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
    zero, span = trace.extent_ns[0], trace.span_ns + 1

    def apart(ranks: Array, moment: Array) -> Array:
        """Moments of several ranks on one line, each rank on a stretch of its own."""
        found: Array = np.searchsorted(trace.ranks, ranks) * span + np.clip(moment - zero, 0, span - 1)
        return found

    start, end = (apart(rank[pauses], moment[pauses]) for moment in (steps.start_ns, steps.end_ns))
    for text, of, first, last in preparing(trace) if len(pauses) else ():
        mostly = 2 * union(apart(of, first), apart(of, last)).within(start, end) > end - start
        code[pauses[mostly & (code[pauses] < 0)]] = len(names) + texts.setdefault(text, len(texts))
    names += texts
    is_input = np.array([n >= len(names) - len(texts) or bool(INPUT.search(name)) for n, name in enumerate(names)])
    return Labels(code, names, is_input)


def _part(path: str) -> str:
    """The innermost part of a scope that names the input pipeline; empty where none does."""
    return next((part for part in reversed(path.split("/")) if INPUT.search(part)), "")


def preparing(trace: Trace) -> Iterator[tuple[str, Array, Array, Array]]:
    """When ranks prepare batches: what says so, the ranks, the starts and the ends."""
    a = trace.annotations
    if len(a):
        codes = np.flatnonzero(a.codes_where("name", INPUT.search))
        for code in codes.tolist():
            rows = np.flatnonzero((a["name"] == code) & (a["kind"] == int(Span.USER)))
            start = a["start_ns"][rows]
            yield a.texts("name")[code].as_py(), a["rank"][rows], start, start + a["duration_ns"][rows]
    i, o = trace.iterations, trace.operators
    steps = np.flatnonzero(~i.is_null("start_ns") & ~i.is_null("end_ns")) if len(i) else ()
    if len(steps):
        first = i["end_ns"][steps].copy()
        thread = np.append(trace.lanes["kind"] == int(LaneKind.THREAD), False)  # the place of -1 is the last one
        on_thread = thread[o["lane"]] & ~o.is_null("start_ns")
        for one in np.unique(i["rank"][steps]).tolist():
            own = trace.rank_rows.get(one, slice(0))
            starts = np.sort(o["start_ns"][own][on_thread[own]])
            at = np.flatnonzero(i["rank"][steps] == one)
            place = np.searchsorted(starts, i["start_ns"][steps[at]])
            first[at] = np.minimum(first[at], np.append(starts, np.iinfo(np.int64).max)[place])
        yield FIRST_OPERATOR, i["rank"][steps], i["start_ns"][steps], first


__all__ = ["FIRST_OPERATOR", "Labels", "labels"]
