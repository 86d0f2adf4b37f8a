"""Needless synchronisation: barriers, and calls by which a host waits for its device."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

import numpy as np

from etgraph.model import Category, CommType
from etgraph.model.columns import Array
from etgraph.model.readable import duration
from etgraph.queries.device_stalls import blocking_calls, enclosing
from etgraph.queries.findings.candidate import Candidate
from etgraph.queries.findings.measured import Measured
from etgraph.queries.findings.mending import unblocked, without
from etgraph.queries.findings.words import a_step

MOST = 4
"""Groups of blocking calls that are replayed, those with most blocked time."""
_COPIES = re.compile(r"Memcpy|Memset")
_ADVICE = (
    (re.compile(r"aten::(?:item|_local_scalar_dense|is_nonzero|equal)"),
     "Keep the value on the device: log it every n-th step, torch.where instead of if, detach() instead of item()."),
    (re.compile(r"aten::(?:nonzero|masked_select|unique|index|repeat_interleave)"),
     "Its result's shape depends on data: pass sizes (torch.nonzero_static, output_size=…), or use a mask with where."),
    (re.compile(r"(?:Device|Ctx)Synchronize"),
     "Take torch.cuda.synchronize() out of the step: streams order the work by themselves; time with events instead."),
)  # fmt: skip
_OTHERWISE = "Wait on the device instead of the host (stream.wait_event), or later: where the result is used."
BARRIERS = (
    "Take the barrier out: collectives order the ranks by themselves, and a barrier before or after one only adds a "
    "message; keep it for start-up and for checkpoints."
)


def synchronisation(measured: Measured) -> Iterator[Candidate]:
    """Barriers of all ranks, then blocking calls by name and by the operator that makes them."""
    yield from _barriers(measured)
    if not measured.device_bound:
        yield from _blocking(measured)


def barriers(measured: Measured) -> Array:
    """Rows of the members of the steps' barriers."""
    rows = measured.communication
    found: Array = rows[measured.trace.operators["comm_type"][rows] == int(CommType.BARRIER)]
    return found


def _barriers(measured: Measured) -> Iterator[Candidate]:
    o, rows = measured.trace.operators, barriers(measured)
    if not len(rows):
        return
    all_rows = measured.with_issues(rows)
    members = len(rows) / len(np.unique(o["rank"][rows])) / len(measured.steps)
    yield Candidate(
        "ranks meet in barriers",
        "barrier",
        partial(without, rows=all_rows),
        all_rows,
        f"{a_step(members, 'barrier')} on each rank, {duration(float(np.mean(o['duration_ns'][rows])))} each in "
        "the mean; a barrier hands over no data",
        BARRIERS,
    )


def _blocking(measured: Measured) -> Iterator[Candidate]:
    trace, o = measured.trace, measured.trace.operators
    calls, ready = blocking_calls(trace)
    waited = np.maximum(ready - o["start_ns"][calls], 0)
    copies = o.codes_where("name", _COPIES.search)[o["name"][calls]]
    chosen = measured.inside[calls] & ~copies & (waited > 0) & (o["category"][calls] < int(Category.KERNEL))
    calls, waited = calls[chosen], waited[chosen]
    by = enclosing(trace, calls)
    keys = np.stack([o["name"][calls], np.where(by >= 0, o["name"][by], -1)], axis=1)
    groups, of = np.unique(keys, axis=0, return_inverse=True)
    spent = np.bincount(of.ravel(), waited, len(groups))
    for group in np.argsort(-spent, kind="stable")[:MOST].tolist():
        own = of.ravel() == group
        yield _group(measured, calls[own], by[own][0], float(spent[group]))


def _group(measured: Measured, calls: Array, by: int, waited: float) -> Candidate:
    o, steps = measured.trace.operators, len(measured.steps)
    call = str(o.value("name", int(calls[0])))
    caller = None if by < 0 else str(o.value("name", int(by)))
    text = f"{caller} {call}"
    advice = next((advice for pattern, advice in _ADVICE if pattern.search(text)), _OTHERWISE)
    return Candidate(
        f"the host waits for its device in {caller or call}",
        f"{caller}/{call}" if caller else call,
        partial(unblocked, calls=calls),
        calls,
        f"{a_step(len(calls) / steps, call, call)} that waits for the device, {duration(waited / steps)} in all; "
        "the gain is that of calls that return at once",
        advice,
    )
