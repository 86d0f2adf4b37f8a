"""SYNC: a call of the host returns when the device has done something; from that operator's end to the call's end."""

from __future__ import annotations

import re

import numpy as np

from etgraph.ingest.draft import NULL
from etgraph.ingest.inference.events import recording_calls
from etgraph.ingest.inference.findings import Finding, stored
from etgraph.ingest.inference.occupancy import WITHIN_DEVICE
from etgraph.ingest.inference.timeline import Timeline, earliest, latest
from etgraph.model import Category, DependencyKind
from etgraph.model.columns import Array
from etgraph.model.runtime_calls import COPY_SYNC, DEVICE_SYNC, EVENT_SYNC, STREAM_SYNC

RETURN_NS = 20_000
"""A call that an event released returns within this after the event."""
_WITH_STREAM = re.compile(r"^hipMemcpyWithStream$")
_TO_PAGEABLE = re.compile(r"DtoH.*Pageable")
FROM_PAGEABLE = re.compile(r"HtoD.*Pageable")
_SYNC = DependencyKind.SYNC


def synchronised_streams(t: Timeline) -> Finding:
    """A call that waits for a stream: for the last operator that was issued to it before.

    The stream as recorded; else the one that its thread launched to last, since the call's argument is not recorded.
    """
    calls = t.called(STREAM_SYNC)
    recorded = t.draft.id("stream")[calls]
    nothing = np.zeros(len(t.start), dtype=bool)
    stream = np.where(recorded != NULL, recorded, t.stream_in_use(t.lane[calls], t.start[calls], nothing))
    src = t.last_issued(stream, t.start[calls])
    has = src >= 0
    sure = np.where(recorded != NULL, 1.0, 0.95)[has]
    return stored(t, _SYNC, src[has], calls[has], "stream synchronisation", sure)


def synchronised_devices(t: Timeline) -> Finding:
    """A call that waits for the device: for the last operator that was issued to each stream before.

    What had ended when an earlier such call returned has its edge already. Of several calls that wait at a time, on
    several threads or after one that waited for another device, each waits for what ends within it.
    """
    rank = t.trace.operators["rank"]
    calls = t.called(DEVICE_SYNC)
    calls = calls[np.lexsort((t.start[calls], rank[calls]))]
    rows = t.device
    place = np.full(len(t.start), -1, dtype=np.int64)
    place[calls] = np.arange(len(calls))
    follows = np.full(len(rows), np.iinfo(np.int64).max)
    same = t.lane[rows[1:]] == t.lane[rows[:-1]]
    follows[:-1][same] = t.issued[rows[1:]][same]
    call = earliest(calls, rank, t.start, rank[rows], t.issued[rows])
    rows, call, follows = rows[call >= 0], call[call >= 0], follows[call >= 0]
    first = call
    src, dst = [], []
    while len(rows):
        waited_for = follows > t.start[call]
        waited_for &= (call == first) | (t.end[rows] > t.start[call])
        rows, call, first, follows = rows[waited_for], call[waited_for], first[waited_for], follows[waited_for]
        ends = (call == first) | (t.end[rows] <= t.end[call])
        src.append(rows[ends])
        dst.append(call[ends])
        after = place[call] + 1
        more = after < len(calls)
        more[more] = rank[calls[after[more]]] == rank[rows[more]]
        rows, call, first, follows = rows[more], calls[after[more]], first[more], follows[more]
    if not src:
        return Finding()
    return stored(t, _SYNC, np.concatenate(src), np.concatenate(dst), "device synchronisation", 0.95)


def blocking_copies(t: Timeline) -> Finding:
    """A copy that its caller waits for: to memory of the host that is not pinned, and by a call that never returns
    before.

    Not every asynchronous copy: those from and to pinned memory return at once, as do copies within the device by any
    call but `hipMemcpyWithStream`.
    """
    copies, names = copies_of_calls(t)
    call = t.launcher[copies]
    o = t.trace.operators
    waits = (
        o.codes_where("name", COPY_SYNC.match)[o["name"][call]] & ~o.codes_where("name", WITHIN_DEVICE.search)[names]
    )
    waits |= o.codes_where("name", _WITH_STREAM.match)[o["name"][call]]
    waits |= o.codes_where("name", _TO_PAGEABLE.search)[names]
    return stored(t, _SYNC, copies[waits], call[waits], "copy that blocks", 0.95)


def staged_copies(t: Timeline) -> Finding:
    """A copy from memory that is not pinned: its caller waits until the stream is free, if that is within the call."""
    copies, names = copies_of_calls(t)
    o = t.trace.operators
    copies = copies[o.codes_where("name", FROM_PAGEABLE.search)[names] & (t.previous[copies] >= 0)]
    before, call = t.previous[copies], t.launcher[copies]
    inside = (t.end[before] > t.start[call]) & (t.end[before] <= t.end[call])
    return stored(t, _SYNC, before[inside], call[inside], "copy from pageable memory", 0.6)


def synchronised_events(t: Timeline) -> Finding:
    """A call that waits for an event: for the last operator issued to its stream before it was recorded.

    Where the event is not recorded: for the operator that ended last within the call, if it returned soon after.
    """
    calls = t.called(EVENT_SYNC)
    source, record = t.draft.id("event_stream")[calls], recording_calls(t, t.draft.id("event_record")[calls])
    known = (source != NULL) & (record >= 0)
    exact = t.last_issued(source[known], t.start[record[known]])
    recorded = stored(
        t, _SYNC, exact[exact >= 0], calls[known][exact >= 0], "event synchronisation as recorded", 1.0, inferred=False
    )
    calls = calls[~known]
    rank = t.trace.operators["rank"]
    ends = t.device[np.lexsort((t.end[t.device], rank[t.device]))]
    src = latest(ends, rank, t.end, rank[calls], t.end[calls] + 1)
    good = src >= 0
    good &= (t.end[src] > t.start[calls]) & (t.end[src] > t.end[calls] - RETURN_NS) & (t.issued[src] < t.start[calls])
    return recorded + stored(t, _SYNC, src[good], calls[good], "event synchronisation by times", 0.6)


def copies_of_calls(t: Timeline) -> tuple[Array, Array]:
    """Copies on a device whose call is known, and the codes of their names."""
    o = t.trace.operators
    copies = t.device[(o["category"][t.device] == int(Category.MEMCPY)) & (t.launcher[t.device] >= 0)]
    return copies, o["name"][copies]
