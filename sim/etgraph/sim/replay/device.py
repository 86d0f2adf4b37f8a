"""What holds device operators: their launch, their stream, events of other streams, and kernels that fill the device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etgraph.model import Category, DependencyKind, LaneKind, NodeType, Trace
from etgraph.model.columns import Array
from etgraph.sim.engine import Slots
from etgraph.sim.replay.constants import Constants, Observations

K = DependencyKind
SATURATED_NS = 20_000
"""An operator launched this long before its predecessor's end waited for nothing but its stream."""
EARLY = -(2**62)


@dataclass(frozen=True, slots=True)
class Device:
    """Device operators of a trace and their reasons; each reason with what was seen of its delay.

    `rows` are the operators on streams. Of launches: `call`, `launched`, whether the call
    `awaited` what it launched, and delays from the call's end and start.
    Of streams and events: source and target. `pinned` start when they did: what ran before them is not recorded.
    `held` and `holder` are the pairs of which the second filled the device; `left` is the share of the holder's
    duration that was left when the first began.
    """

    rows: Array
    call: Array
    launched: Array
    awaited: Array
    from_end: Observations
    from_start: Observations
    before: Array
    after: Array
    gap: Observations
    source: Array
    waiting: Array
    event: Observations
    pinned: Array
    unlaunched: int
    holder: Array
    held: Array
    left: Observations


def device_of(trace: Trace) -> Device:
    """The device operators of a trace and what held them. O(operators + dependencies)."""
    o, d = trace.operators, trace.dependencies
    n, start, end = len(trace), o["start_ns"], trace.end_ns
    streams = trace.lanes["kind"] == int(LaneKind.STREAM)
    on_stream = trace.timed & streams[o["lane"]] if len(streams) else np.zeros(n, dtype=bool)
    src, dst, kind = d["src"].astype(np.int64), d["dst"].astype(np.int64), d["kind"]
    timed = trace.timed[src] & on_stream[dst]

    def edges(*kinds: DependencyKind) -> tuple[Array, Array]:
        chosen = np.flatnonzero(timed & np.isin(kind, [int(k) for k in kinds]))
        return src[chosen], dst[chosen]

    call, launched = edges(K.LAUNCH)
    before, after = edges(K.STREAM)
    source, waiting = edges(K.EVENT, K.DATA, K.CTRL, K.JOIN)
    other = ~on_stream[source] | (o["lane"][source] != o["lane"][waiting])
    source, waiting = source[other], waiting[other]
    holder, held = edges(K.OCCUPANCY)

    ready = np.full((3, n), EARLY)  # by launch, stream and event
    ready[0, launched] = end[call]
    np.maximum.at(ready[1], after, end[before])
    np.maximum.at(ready[2], waiting, end[source])
    occupied = np.zeros(n, dtype=bool)
    occupied[held] = True

    def free(rows: Array, own: int, at: Array) -> Array:
        """Whether nothing but the own reason held the operators."""
        rest = np.delete(ready, own, axis=0).max(axis=0)
        found: Array = (rest[rows] <= at) & ~occupied[rows]
        return found

    syncs = np.flatnonzero(kind == int(K.SYNC))
    awaited = np.isin(launched * n + call, src[syncs] * n + dst[syncs])
    key = (o["name"][call].astype(np.int64) * len(Category) + o["category"][launched]) * 2 + awaited
    from_end = Observations(key, start[launched] - end[call], launched, free(launched, 0, end[call]))
    from_start = Observations(key, start[launched] - start[call], launched, free(launched, 0, start[call]))
    pair = o["category"][before].astype(np.int64) * len(Category) + o["category"][after]
    last = end[before] == ready[1, after]
    saturated = last & (ready[0, after] > EARLY) & free(after, 1, end[before] - SATURATED_NS)
    gap = Observations(pair, start[after] - end[before], after, saturated)
    late = start[waiting] - end[source]
    alone = (end[source] == ready[2, waiting]) & free(waiting, 2, end[source] - SATURATED_NS)
    event = Observations(np.zeros(len(source), dtype=np.int64), late, waiting, alone & (late >= 0))

    rows = np.flatnonzero(on_stream)
    has = np.zeros(n, dtype=bool)
    has[after] = has[waiting] = True
    lone = rows[~has[rows]]
    by_rank = np.full(max(trace.ranks, default=0) + 1, np.iinfo(np.int64).max)
    np.minimum.at(by_rank, o["rank"][rows], start[rows])
    calls = np.full(n, -1, dtype=np.int64)
    calls[launched] = call
    boundary = (calls[lone] < 0) | (
        (start[calls[lone]] <= by_rank[o["rank"][lone]]) & (start[lone] > end[calls[lone]] + SATURATED_NS)
    )
    duration = np.maximum(end[holder] - start[holder], 1)
    share = np.clip((end[holder] - start[held]) / duration, 0, 1)
    left = Observations(o["name"][holder].astype(np.int64), share, held, np.ones(len(held), dtype=bool))
    return Device(
        rows, call, launched, awaited, from_end, from_start, before, after, gap, source, waiting, event,
        lone[boundary], int(np.count_nonzero(calls[rows] < 0)), holder, held, left,
    )  # fmt: skip


def slots_of(trace: Trace, device: Device, duration_ns: Array, left: Constants) -> Slots:
    """The starts that ask for a device that some kernel is known to fill; communication starts all the same."""
    if not len(device.holder):
        return Slots.none()
    o = trace.operators
    ordinal = trace.lanes["device"][o["lane"][device.rows]].astype(np.int64)
    of_rank = o["rank"][device.rows].astype(np.int64) * (1 << 32) + ordinal
    _, place = np.unique(of_rank, return_inverse=True)
    some = np.isin(place, place[np.isin(device.rows, device.holder)])
    kind = o["kind"][device.rows]
    some &= (kind < int(NodeType.COMM_SEND)) | (kind > int(NodeType.COMM_COLL))
    rows = device.rows[some]
    wide = np.isin(rows, device.holder)
    length = duration_ns[rows]
    tail = np.where(wide, (left.share(o["name"][rows].astype(np.int64)) * length).astype(np.int64), -1)
    return Slots(2 * rows, place[some], o["lane"][rows].astype(np.int64), length, tail)
