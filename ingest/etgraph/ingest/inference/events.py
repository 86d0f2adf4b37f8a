"""EVENT where waits say it: one stream waits for another, as recorded, or as a communication library always does."""

from __future__ import annotations

import numpy as np

from etgraph.ingest.draft import NULL
from etgraph.ingest.inference.findings import Finding, stored
from etgraph.ingest.inference.timeline import Timeline, latest
from etgraph.model import Category, DependencyKind, Report
from etgraph.model.columns import Array
from etgraph.model.kernels import kernel
from etgraph.model.runtime_calls import RECORD, WAIT


def recorded_waits(t: Timeline) -> Finding:
    """Waits that CUPTI recorded: from the last operator issued before the event, to the first one after the wait.

    Where only the event's stream is told and not the call that recorded it, that is the last such call of the thread,
    or, where none is recorded, one right before the wait. An event of which no more is told, or which was recorded
    before the recording began, orders nothing that is known; it is counted.
    """
    waits = t.called(WAIT)
    stream, source = t.draft.id("stream")[waits], t.draft.id("event_stream")[waits]
    waits, stream, source = waits[stream != NULL], stream[stream != NULL], source[stream != NULL]
    told = t.draft.id("event_record")[waits]
    exact = recording_calls(t, told)
    records = t.called(RECORD)
    records = records[np.lexsort((t.start[records], t.lane[records]))]
    nearest = latest(records, t.lane, t.start, t.lane[waits], t.start[waits])
    record = np.where(exact >= 0, exact, np.where(nearest >= 0, nearest, waits))
    known = (source != NULL) & ((exact >= 0) | (told == NULL))
    src = t.last_issued(source[known], t.start[record[known]])
    dst = t.first_issued(stream[known], t.start[waits[known]])
    both = (src >= 0) & (dst >= 0)
    both[both] = t.lane[src[both]] != t.lane[dst[both]]
    src, dst, certain = src[both], dst[both], exact[known][both] >= 0
    found = Finding(report=Report().with_count("eventWaitsWithoutSource", int((~known).sum())))
    for sure, method in ((True, "event wait as recorded"), (False, "event wait on a recorded stream")):
        part = certain == sure
        found += stored(
            t, DependencyKind.EVENT, src[part], dst[part], method, 1.0 if sure else 0.9, inferred=not sure
        )  # fmt: skip
    return found


def recording_calls(t: Timeline, correlation: Array) -> Array:
    """The call that recorded each event, by its correlation; -1 where it is not there."""
    calls = t.called(RECORD)
    own = t.draft.id("correlation")[calls]
    order = np.argsort(own, kind="stable")
    calls, own = calls[order], own[order]
    at = np.searchsorted(own, correlation)
    known = (np.append(own, NULL)[at] == correlation) & (correlation > 0)
    return np.where(known, np.append(calls, -1)[at], -1)


def communication_waits(t: Timeline) -> Finding:
    """Before its kernel a communication library makes its own stream wait for the one that the caller uses.

    The wait stands before the launch within one operator. Waits after the launch make the caller's stream wait, mostly
    much later, and are no evidence of anything here.
    """
    waits, kernels = t.called(WAIT), _communication(t)
    call = t.launcher[kernels]
    around_call, around_wait = enclosing_operator(t, call), enclosing_operator(t, waits)
    order = np.argsort(around_wait, kind="stable")
    waits, around_wait = waits[order], around_wait[order]
    first = np.searchsorted(around_wait, around_call)
    has = (around_call >= 0) & (np.append(around_wait, -1)[first] == around_call)
    kernels, call, wait = kernels[has], call[has], waits[first[has]]
    before = t.start[wait] < t.start[call]
    kernels, wait = kernels[before], wait[before]
    stream = t.stream_in_use(t.lane[wait], t.start[wait], t.communicates)
    src = t.last_issued(stream, t.start[wait])
    good = (src >= 0) & (stream != t.lane[kernels])
    return stored(t, DependencyKind.EVENT, src[good], kernels[good], "wait before communication", 0.95)


def awaited_communication(t: Timeline) -> Finding:
    """From communication to the next operator that a thread launches after it waited for it.

    Such a wait is an operator of the same name as that which starts communication, with a wait and no launch inside.
    It carries the sequence number of what it waits for where `Draft.ids` has them (`communication`); where not, it
    means the only communication that its thread has under way, and is left alone when there are several.
    """
    waits, kernels = t.called(WAIT), _communication(t)
    if not len(waits) or not len(kernels):
        return Finding()
    starter, around = enclosing_operator(t, t.launcher[kernels]), enclosing_operator(t, waits)
    kernels, starter = kernels[starter >= 0], starter[starter >= 0]
    last = np.full(len(t.start), -1, dtype=np.int64)
    last[starter] = kernels  # of several kernels of one operator the last on its stream
    starts, names = np.unique(starter), t.trace.operators["name"]
    waiting = (around >= 0) & np.isin(names[around], names[starts]) & ~np.isin(around, starts)
    waiters, at = np.unique(around[waiting], return_index=True)
    wait = waits[waiting][at]
    by_number = _same_number(t, starts, waiters)
    meant = np.where(by_number >= 0, by_number, _only_one_under_way(t, starts, waiters))
    sure = np.where(by_number >= 0, 1.0, 0.85)
    dst = t.next_launched(t.lane[wait], t.start[wait], t.communicates)
    src = np.where(meant >= 0, last[meant], -1)
    good = (src >= 0) & (dst >= 0)
    good[good] = t.lane[src[good]] != t.lane[dst[good]]
    return stored(t, DependencyKind.EVENT, src[good], dst[good], "wait for communication", sure[good])


def enclosing_operator(t: Timeline, calls: Array) -> Array:
    """The operator of the host that encloses each runtime call, calls within calls passed over; -1 for none."""
    o = t.trace.operators
    is_call = (o["category"] == int(Category.RUNTIME)) | (o["category"] == int(Category.DRIVER))
    around = o["parent"][calls].astype(np.int64)
    while (inner := (around >= 0) & is_call[around]).any():
        around = np.where(inner, o["parent"][around], around)
    return around


def _communication(t: Timeline) -> Array:
    """Communication kernels whose launch is known, by stream and start."""
    return t.device[t.communicates[t.device] & (t.launcher[t.device] >= 0)]


def _same_number(t: Timeline, starts: Array, waiters: Array) -> Array:
    """For each waiting operator the last earlier one that started communication of its number; -1 for none."""
    number = t.draft.id("communication")
    starts = starts[number[starts] != NULL]
    if not len(starts):
        return np.full(len(waiters), -1, dtype=np.int64)
    group = np.unique(number, return_inverse=True)[1]
    starts = starts[np.lexsort((t.start[starts], group[starts]))]
    wanted = np.where(number[waiters] == NULL, -1, group[waiters])
    return latest(starts, group, t.start, wanted, t.start[waiters])


def _only_one_under_way(t: Timeline, starts: Array, waiters: Array) -> Array:
    """For each waiting operator the one that started the only communication its thread had under way; -1 for none."""
    both = np.concatenate([starts, waiters])
    order = np.lexsort((t.start[both], t.lane[both]))
    found = np.full(len(both), -1, dtype=np.int64)
    found[order] = _only_one(t.lane[both][order], order < len(starts))
    place = found[len(starts) :]
    return np.where(place >= 0, both[order[place]], -1)


@kernel
def _only_one(lane: Array, begins: Array) -> Array:
    """For each end, in order by lane and time, the position of the only begin that is open there; -1 for none."""
    found = np.full(len(lane), -1, dtype=np.int64)
    open_ones = 0
    only = -1
    for i in range(len(lane)):
        if i == 0 or lane[i] != lane[i - 1]:
            open_ones = 0
        if begins[i]:
            open_ones += 1
            only = i if open_ones == 1 else -1
        elif open_ones > 0:
            found[i] = only
            open_ones -= 1
            only = -1
    return found
