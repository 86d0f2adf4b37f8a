"""Memory copies: those that block the host, and those that nothing runs beside."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

import numpy as np

from etgraph.model import Category, DependencyKind
from etgraph.model.columns import Array
from etgraph.model.readable import duration
from etgraph.queries.device_stalls import blocking_calls
from etgraph.queries.findings.candidate import Candidate, Edit
from etgraph.queries.findings.measured import Measured
from etgraph.queries.findings.mending import unblocked, with_durations
from etgraph.queries.findings.words import a_step
from etgraph.sim import edits
from etgraph.sim.replay.plan import Plan

PAGEABLE = (
    "Copy from and to pinned memory without blocking: DataLoader(pin_memory=True), tensor.to(device, "
    "non_blocking=True), and results into a pinned buffer that is read a step later."
)
WITHIN = (
    "Avoid them: views and in-place operators instead of clone() and contiguous(), one memory_format throughout, "
    "results written where they are needed (out=), torch.compile to fuse a copy into what reads it."
)
EXPOSED = "Copy on a stream of its own while something else computes (prefetch the next batch), or copy less often."


_WITHIN = re.compile(r"DtoD|Device -> Device|DeviceToDevice")


def memory_copies(measured: Measured) -> Iterator[Candidate]:
    """The copies of the steps by direction: without blocking, and out of the way of other work on their streams."""
    trace, o, d = measured.trace, measured.trace.operators, measured.trace.dependencies
    copies = np.flatnonzero(measured.inside & (o["category"] == int(Category.MEMCPY)))
    launch = d["kind"] == int(DependencyKind.LAUNCH)
    call = np.full(len(trace), -1, dtype=np.int64)
    call[d["dst"][launch]] = d["src"][launch]
    calls, ready = blocking_calls(trace)
    waits = np.zeros(len(trace) + 1, dtype=np.int64)  # the place of -1 is the last one
    waits[calls] = np.maximum(ready - o["start_ns"][calls], 0)
    for name in np.unique(o["name"][copies]).tolist():
        rows = copies[o["name"][copies] == name]
        blocking = rows[waits[call[rows]] > 0]
        if len(blocking) and measured.device_bound:
            continue
        yield _direction(measured, rows, call[blocking], waits)


def _direction(measured: Measured, rows: Array, calls: Array, waits: Array) -> Candidate:
    o, steps = measured.trace.operators, len(measured.steps)
    direction = str(o.value("name", int(rows[0])))
    spent = duration(int(o["duration_ns"][rows].sum()) / steps)
    took = f"{a_step(len(rows) / steps, 'copy', 'copies')}, {spent} on the device"
    if len(calls):
        took += f"; the host waits in {len(calls) / len(rows):.0%} of them, {duration(int(waits[calls].sum()) / steps)}"

    if _WITHIN.search(direction):
        none = np.zeros(len(rows), dtype=np.int64)
        edit: Edit = partial(with_durations, rows=rows, ns=none)
        return Candidate(
            f"{direction} takes device time", direction, edit, rows, f"{took}; the gain is that of none", WITHIN
        )

    def mended(plan: Plan) -> Plan:
        return edits.overlap(unblocked(plan, calls) if len(calls) else plan, rows)

    return Candidate(
        f"{direction} blocks the host" if len(calls) else f"{direction} holds up its stream",
        direction,
        mended,
        np.union1d(rows, calls),
        took,
        PAGEABLE if len(calls) else EXPOSED,
    )
