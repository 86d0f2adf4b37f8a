"""What holds device operators: launch, stream, events of other streams, and kernels that fill the device."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from etgraph.model import Category, DependencyKind, LaneKind, Trace
from etgraph.model.arrivals import communicates
from etgraph.model.columns import Array
from etgraph.sim.engine import Places
from etgraph.sim.replay.constants import Observations

K = DependencyKind
SATURATED_NS = 20_000
"""An operator launched this long before its predecessor's end waited for nothing but its stream."""
EARLY = -(2**62)


@dataclass(frozen=True, slots=True)
class Device:
    """Device operators of a trace and their reasons; each reason with what was seen of its delay.

    `rows` are the operators on streams. Of launches: `call`, `launched`, whether the call
    `awaited` what it launched, and delays from the call's end and start; of copies
    also how much later than the call they end (`together`), since some are the call's own work.
    Of streams and events: source and target. `pinned` start when they did: what ran before them is not recorded.
    """

    rows: Array
    call: Array
    launched: Array
    awaited: Array
    from_end: Observations
    from_start: Observations
    together: Observations
    before: Array
    after: Array
    pause: Observations
    exact_pause: Observations
    source: Array
    waiting: Array
    event: Observations
    pinned: Array
    unlaunched: int


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
    _, held = edges(K.OCCUPANCY)

    ready = np.full((3, n), EARLY)  # by launch, stream and event
    ready[0, launched] = end[call]
    np.maximum.at(ready[1], after, end[before])
    np.maximum.at(ready[2], waiting, end[source])
    occupied = np.zeros(n, dtype=bool)
    occupied[held] = True

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
    pinned = np.zeros(n, dtype=bool)
    pinned[lone[boundary]] = True

    def free(rows: Array, own: int, at: Array) -> Array:
        """Whether nothing but the own reason held the operators."""
        rest = np.delete(ready, own, axis=0).max(axis=0)
        found: Array = (rest[rows] <= at) & ~occupied[rows] & ~pinned[rows]
        return found

    syncs = np.flatnonzero(kind == int(K.SYNC))
    awaited = np.isin(launched * n + call, src[syncs] * n + dst[syncs])
    # Of copies each direction is a kind of its own: some go on when their call has returned, others end within it.
    copies = o["category"][launched] == int(Category.MEMCPY)
    what = np.where(copies, len(Category) + o["name"][launched].astype(np.int64), o["category"][launched])
    key = (o["name"][call].astype(np.int64) * (len(Category) + len(o.texts("name"))) + what) * 2 + awaited
    from_end = Observations(key, start[launched] - end[call], launched, free(launched, 0, end[call]))
    from_start = Observations(key, start[launched] - start[call], launched, free(launched, 0, start[call]))
    later = end[launched] - end[call]
    together = Observations(key, later, launched, copies & ~awaited & (start[launched] < end[call]))
    pair = (o["category"][before].astype(np.int64) * len(Category) + o["category"][after]) * 2 + (
        ready[0, after] > EARLY
    )
    last = end[before] == ready[1, after]
    saturated = last & free(after, 1, end[before] - SATURATED_NS)
    pause = Observations(pair, start[after] - end[before], after, saturated)
    names = len(o.texts("name"))
    by_name = (o["name"][before].astype(np.int64) * names + o["name"][after]) * 2 + (ready[0, after] > EARLY)
    exact_pause = Observations(by_name, pause.ns, after, saturated)
    late = start[waiting] - end[source]
    alone = (end[source] == ready[2, waiting]) & free(waiting, 2, end[source] - SATURATED_NS)
    event = Observations(np.zeros(len(source), dtype=np.int64), late, waiting, alone & (late >= 0))

    return Device(
        rows, call, launched, awaited, from_end, from_start, together, before, after, pause, exact_pause,
        source, waiting, event, np.flatnonzero(pinned), int(np.count_nonzero(calls[rows] < 0)),
    )  # fmt: skip


FULL_WAVES = 1.05
"""A kernel of more blocks than fit at once fills the device."""
TAIL_WAVES, TAIL_SHARE = 1.5, 0.2
"""It leaves room this many rounds of its blocks before its end, but no earlier than in the last part of its time."""
COPY_WAVES = 160
"""A copy within the device runs as a kernel of many small blocks; its waves are not recorded."""
LONG_NS = 20_000
"""A copy shorter than this is over before its tail could be told from its end."""
_WITHIN_DEVICE = re.compile(r"DtoD|Device -> Device|DeviceToDevice")


@dataclass(frozen=True, slots=True)
class Occupants:
    """Operators that take room on a device: their row, device and lane, their waves, and whether they are copies."""

    row: Array
    device: Array
    lane: Array
    waves: Array
    copies: Array

    def places(self, duration_ns: Array) -> Places:
        """The starts that ask for a device which kernels of other streams may fill; durations of all operators."""
        length = duration_ns[self.row]
        waves = np.where(self.copies & (length < LONG_NS), 0, self.waves)
        wide = waves >= FULL_WAVES
        if not wide.any():
            return Places()
        tail = np.minimum(TAIL_WAVES / np.maximum(waves, FULL_WAVES), TAIL_SHARE) * length
        return Places(self.row, self.device, self.lane, length, np.where(wide, tail, -1).astype(np.int64))


def occupants_of(trace: Trace, rows: Array) -> Occupants:
    """Those of the device operators that take room on their device.

    Communication starts all the same, since its kernels are small, as do copies that have engines of their own.
    """
    o = trace.operators
    within = o.codes_where("name", _WITHIN_DEVICE.search)[o["name"][rows]]
    copies = o["category"][rows] == int(Category.MEMCPY)
    kept = ~communicates(trace, rows) & (~copies | within)
    rows, copies = rows[kept], copies[kept]
    waves = np.where(copies, COPY_WAVES, np.nan_to_num(o["waves"][rows]))
    lane = o["lane"][rows].astype(np.int64)
    _, device = np.unique(
        o["rank"][rows].astype(np.int64) * (1 << 32) + trace.lanes["device"][lane], return_inverse=True
    )
    return Occupants(rows, device, lane, waves, copies)
