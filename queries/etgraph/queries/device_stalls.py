"""Stalls: calls by which the host waits for a device, and how long the device then waits for the host."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from etgraph.model import Category, DependencyKind, Trace
from etgraph.model.columns import Array
from etgraph.model.runtime_calls import BLOCKING
from etgraph.model.schema import LAUNCH_QUEUE_FULL
from etgraph.queries.device_idle import Idle
from etgraph.queries.device_work import Work


@dataclass(frozen=True, slots=True)
class Stall:
    """Blocking calls of one name under one operator, scope and source line; times are sums in ns.

    `blocked_ns` is the time in the calls, `waited_ns` the part of it until the device had done what they wait for (all
    where that is not recorded). `stall_ns` is how long the device then had nothing to run, until its next operator was
    launched, and `gain_ns` the most of it that would not be there without the wait.
    """

    call: str
    operator: str | None
    scope: str | None
    source: str | None
    ranks: tuple[int, ...]
    count: int
    blocked_ns: int
    waited_ns: int
    stall_ns: int
    gain_ns: int


@dataclass(frozen=True, slots=True)
class Calls:
    """Blocking calls by row, with the times of `Stall` in ns."""

    row: Array
    blocked_ns: Array
    waited_ns: Array
    stall_ns: Array
    gain_ns: Array


def blocking_calls(trace: Trace) -> tuple[Array, Array]:
    """Rows of the calls by which a host waits for a device, by name or by what released them, and until when they wait.

    That is the end of the last device operator that each waits for, its own end where none is recorded. A launch that
    waits for room in the queue is none of them: the device has enough to do.
    """
    o, d = trace.operators, trace.dependencies
    timed = trace.timed
    full = d.codes_where("method", LAUNCH_QUEUE_FULL.__eq__)
    by_device = o["category"][d["src"]] >= int(Category.KERNEL)
    edges = np.flatnonzero((d["kind"] == int(DependencyKind.SYNC)) & by_device)
    if len(full):
        edges = edges[~full[d["method"][edges]]]
    released = np.zeros(len(o), dtype=bool)
    released[d["dst"][edges]] = True
    named = o.codes_where("name", BLOCKING.search)[o["name"]] & np.isin(
        o["category"], (int(Category.RUNTIME), int(Category.DRIVER))
    )
    ready = np.where(released, o["start_ns"], trace.end_ns)
    np.maximum.at(ready, d["dst"][edges], trace.end_ns[d["src"][edges]])
    rows = np.flatnonzero((named | released) & timed)
    return rows, np.minimum(ready[rows], trace.end_ns[rows])


def stalls_of(trace: Trace, work: Work, idle: Idle, calls: Array, ready: Array, start_ns: int, end_ns: int) -> Calls:
    """What the calls that return in the window did to the device; `calls` and `ready` are those of its rank.

    A call stalls the device if it waits and returns in a gap of it: from the later of the gap's start and the call's
    until what ends the gap is launched. Of several in one gap, such as a copy and the synchronisation after it, that is
    the one that waits longest. Without the wait the next launch would have come earlier by as much as the host waited,
    and no more than that is to be gained.
    """
    o = trace.operators
    inside = (trace.end_ns[calls] > start_ns) & (trace.end_ns[calls] <= end_ns)
    calls, ready = calls[inside], ready[inside]
    start, end = o["start_ns"][calls], trace.end_ns[calls]
    waited, stall = ready - start, np.zeros(len(calls), dtype=np.int64)
    gap = np.searchsorted(idle.start_ns, end, side="right") - 1
    stalls = np.flatnonzero((gap >= 0) & (waited > 0))
    stalls = stalls[end[stalls] < idle.end_ns[gap[stalls]]]
    stalls = stalls[np.lexsort((start[stalls], -waited[stalls], gap[stalls]))]
    stalls = stalls[np.unique(gap[stalls], return_index=True)[1]]
    stall[stalls] = idle.starved.within(start[stalls], idle.end_ns[gap[stalls]])
    return Calls(calls, end - start, waited, stall, np.minimum(waited, stall))


def grouped(trace: Trace, found: Sequence[Calls]) -> tuple[Stall, ...]:
    """The calls by name, operator, scope and source line, those first without which most is to be gained."""
    o = trace.operators
    if not found:
        return ()
    row = np.concatenate([calls.row for calls in found])
    columns = ("blocked_ns", "waited_ns", "stall_ns", "gain_ns")
    times = np.stack([np.concatenate([getattr(calls, name) for calls in found]) for name in columns], axis=1)
    operator = enclosing(trace, row)
    named = np.where(operator >= 0, o["name"][operator], -1)
    keys = np.stack([o["name"][row], named, o["scope"][row], o["source"][row]], axis=1)
    _, first, group = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    group = group.reshape(-1)
    sums = np.zeros((len(first), len(columns)), dtype=np.int64)
    np.add.at(sums, group, times)
    count = np.bincount(group, minlength=len(first)).tolist()
    stalls = []
    for place, one in enumerate(first.tolist()):
        ranks = np.unique(o["rank"][row[group == place]]).tolist()
        name = None if operator[one] < 0 else o.value("name", int(operator[one]))
        scope, source = (o.value(column, int(row[one])) for column in ("scope", "source"))
        call = o.value("name", int(row[one]))
        stalls.append(Stall(call, name, scope, source, tuple(ranks), count[place], *sums[place].tolist()))
    return tuple(sorted(stalls, key=lambda stall: (-stall.gain_ns, -stall.stall_ns, -stall.blocked_ns, str(stall))))


def enclosing(trace: Trace, rows: Array) -> Array:
    """The operator under which each call is made (-1: none): the outermost one of PyTorch's own that calls it.

    `aten::item` rather than `aten::_local_scalar_dense`, but not the module or the step that calls `aten::item`.
    """
    o = trace.operators
    own = o.codes_where("name", lambda name: name.startswith("aten::"))
    found = o["parent"][rows].astype(np.int64)
    while True:
        above = np.where(found >= 0, o["parent"][found], -1)
        climbs = (above >= 0) & own[o["name"][found]] & own[o["name"][above]]
        if not climbs.any():
            return found
        found = np.where(climbs, above, found)
