"""Input starvation: threads wait for, or themselves prepare, the next batch."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from etgraph.model.columns import Array
from etgraph.model.graph import nearest_above
from etgraph.model.intervals import union
from etgraph.model.readable import duration
from etgraph.queries.findings.candidate import Candidate
from etgraph.queries.findings.measured import Measured
from etgraph.queries.findings.mending import without_own_time
from etgraph.queries.input_pipeline import FIRST_OPERATOR, INPUT, preparing

ADVICE = (
    "Prepare batches in other processes, ahead of the step: DataLoader(num_workers=…, prefetch_factor=…, "
    "persistent_workers=True, pin_memory=True); move decoding and augmentation to the device, or store them prepared."
)


def input_starvation(measured: Measured) -> Iterator[Candidate]:
    """What the threads spend in the input pipeline, by the names of operators, scopes and annotations."""
    if measured.device_bound:
        return
    rows = _pipeline(measured)
    segments = _segments(measured, rows)
    if not segments.any():
        return
    t, o = measured.plan.threads, measured.trace.operators
    shown = np.unique(t.event[segments] // 2) if not len(rows) else rows
    shown = shown[measured.inside[shown]]
    rank = o["rank"][t.event // 2]
    ranks = np.unique(rank[segments]).tolist()
    spans = {one: union((t.ns - t.length_ns)[at], t.ns[at]) for one in ranks for at in [segments & (rank == one)]}
    spent = int(measured.plan.host_ns[segments].sum()) / len(measured.steps) / len(ranks)
    yield Candidate(
        "steps wait for their input",
        "",
        partial(without_own_time, segments=segments),
        shown,
        f"{duration(spent)} a step and rank pass in the input pipeline on the threads of the host",
        ADVICE,
        critical_ns=measured.on_usual_path_within(spans),
    )


def _pipeline(measured: Measured) -> Array:
    """Rows of the operators of the input pipeline, and all that they enclose."""
    o = measured.trace.operators
    named = o.codes_where("name", INPUT.search)[o["name"]]
    if len(o.texts("scope")):
        named = named | np.append(o.codes_where("scope", INPUT.search), False)[o["scope"]]
    return np.flatnonzero((nearest_above(o["parent"], named) >= 0) & measured.inside & ~measured.on_device)


def _segments(measured: Measured, rows: Array) -> Array:
    """Segments of threads that belong to the input pipeline: of its operators, or pauses mostly in its annotations."""
    t = measured.plan.threads
    own = np.zeros(len(measured.trace) + 1, dtype=bool)
    own[rows] = True
    found = own[t.owner] & ~t.first
    rank = measured.trace.operators["rank"][t.event // 2]
    begin = t.ns - t.length_ns
    for text, ranks, start, end in preparing(measured.trace):
        for one in np.unique(ranks).tolist() if text != FIRST_OPERATOR else ():
            mostly = (rank == one) & (t.owner < 0) & ~t.first
            spans = union(start[ranks == one], end[ranks == one])
            mostly[mostly] = 2 * spans.within(begin[mostly], t.ns[mostly]) > t.length_ns[mostly]
            found |= mostly
    inside = np.zeros(len(t.ns), dtype=bool)
    for window in measured.windows:
        inside |= (rank == window.rank) & (begin >= window.start_ns) & (t.ns <= window.end_ns)
    return np.asarray(found & inside)
