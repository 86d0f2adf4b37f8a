"""Where threads wait: which segments of their time end when something else does, and how long waking up takes then."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from etgraph.model import Category, DependencyKind, Trace
from etgraph.model.arrivals import communicates
from etgraph.model.columns import Array
from etgraph.model.schema import LAUNCH_QUEUE_FULL
from etgraph.sim.replay.constants import Observations
from etgraph.sim.replay.threads import Threads

K = DependencyKind
_SLEEPLESS = -1
"""The key of a segment that does not sleep."""
LIKELY_NS = 100_000
"""A thread that goes on this soon after what it may have waited for has ended did wait for it."""


@dataclass(frozen=True, slots=True)
class Waits:
    """Wake-ups of threads: from event `source` to the end of segment `segment`, which waited for it or did not.

    By segment of the threads: whether it `may_wait`, and the `key` of its time to wake up. Of the segments that waited:
    `segments`, and in `seen` how long after the last of their sources they ended. `turns` are those of them in which a
    thread takes over from another one of its process: what passes then is the host's own time, measured between two
    events of the host, while after work of a device or a peer it is a constant of many.
    """

    source: Array
    segment: Array
    may_wait: Array
    key: Array
    segments: Array
    seen: Observations
    turns: Array


@dataclass(frozen=True, slots=True)
class _Releases:
    """Dependencies that may wake a thread up: from event `source`, at `ns`, the segment that it ends."""

    src: Array
    dst: Array
    kind: Array
    key: Array
    source: Array
    segment: Array
    ns: Array

    def __getitem__(self, chosen: Array) -> _Releases:
        return _Releases(*(getattr(self, field.name)[chosen] for field in fields(self)))


def waits_of(trace: Trace, threads: Threads) -> Waits:
    """The wake-ups that a trace's dependencies tell of. O((operators + dependencies) log operators)."""
    r = _releases(trace, threads)
    begin, finish = threads.ns[r.segment] - threads.length_ns[r.segment], threads.ns[r.segment]
    # Data that was there before is no reason to sleep, and says nothing of how long that would take.
    told = ~np.isin(r.kind, (int(K.CTRL), int(K.DATA), int(K.EVENT)))
    waited = (r.ns > begin) & (r.ns <= finish) | threads.first[r.segment]
    waited &= told | (finish - r.ns <= LIKELY_NS)

    may_wait, key = np.zeros(len(threads.event), dtype=bool), np.full(len(threads.event), _SLEEPLESS)
    may_wait[r.segment] = True
    might = _latest(r[told])
    key[might.segment] = might.key
    last = _latest(r[waited])
    key[last.segment] = last.key
    late = threads.ns[last.segment] - last.ns
    turns = np.isin(last.kind, (int(K.SPAWN), int(K.JOIN)))
    turns &= ~communicates(trace, last.src) & ~communicates(trace, last.dst)
    seen = Observations(last.key, late, last.dst, late >= 0)
    return Waits(r.source, r.segment, may_wait, key, last.segment, seen, turns)


def _releases(trace: Trace, threads: Threads) -> _Releases:
    """All dependencies that end a segment of a thread, waited for or not."""
    o, d, start, end = trace.operators, trace.dependencies, trace.operators["start_ns"], trace.end_ns
    full = np.flatnonzero(d.codes_where("method", LAUNCH_QUEUE_FULL.__eq__)[d["method"]]) if len(d) else d["src"][:0]
    src, dst, kind, method = (d[name].astype(np.int64) for name in ("src", "dst", "kind", "method"))
    if len(full):
        # Every launch waits for room, not just those that found none when this was measured.
        done, call = _queue(trace, src[full], dst[full])
        src, dst = np.concatenate([src, done]), np.concatenate([dst, call])
        kind = np.concatenate([kind, np.full(len(done), int(K.SYNC))])
        method = np.concatenate([method, np.full(len(done), method[full[0]])])
    usable = trace.timed[src] & (threads.segment_of[2 * dst] >= 0)
    # Within a thread its own order says it, but not when something ended that ran on as the thread went on.
    across = (o["lane"][src] != o["lane"][dst]) | threads.detached[src]
    ends = np.flatnonzero(usable & (kind == int(K.SYNC)))
    starts = np.flatnonzero(usable & across & np.isin(kind, [int(k) for k in (K.JOIN, K.CTRL, K.DATA, K.EVENT)]))
    spawns = np.flatnonzero(usable & across & (kind == int(K.SPAWN)))
    handed = end[src[spawns]] <= start[dst[spawns]]  # else while the one that hands over still runs
    ns = np.concatenate([end[src[ends]], end[src[starts]], np.where(handed, end[src[spawns]], start[src[spawns]])])
    # Calls of a device's runtime wake up by name, other threads by what released them.
    runtime = np.isin(o["category"][dst], (int(Category.RUNTIME), int(Category.DRIVER)))
    by = np.where(runtime, len(K) + o["name"][dst].astype(np.int64), kind)
    before = np.concatenate([starts, spawns])
    chosen = np.concatenate([ends, before])
    # What a call begins at the very moment at which that ends may be what launches it: the call waits later.
    until = ns[: len(ends)] + (end[dst[ends]] > ns[: len(ends)])
    found = _Releases(
        src[chosen], dst[chosen], kind[chosen], (by * len(d.texts("method")) + method)[chosen],
        np.concatenate([2 * src[ends] + 1, 2 * src[starts] + 1, 2 * src[spawns] + handed]),
        np.concatenate([threads.segments_at(dst[ends], until), threads.segment_of[2 * dst[before]]]),
        ns,
    )  # fmt: skip
    return found[found.segment >= 0]


def _queue(trace: Trace, done: Array, call: Array) -> tuple[Array, Array]:
    """Pairs (operator, call) of launches that cannot return before the operator ended: the queue holds no more.

    Its length is what lies between the given pairs, of which each is such a one, in the order of launches of a rank.
    """
    d, o = trace.dependencies, trace.operators
    launches = np.flatnonzero(d["kind"] == int(K.LAUNCH))
    caller, launched = in_order(trace, d["src"][launches].astype(np.int64), d["dst"][launches].astype(np.int64))
    place = np.full(len(trace), -1, dtype=np.int64)
    place[caller] = place[launched] = np.arange(len(caller))
    found_done, found_call = [], []
    for rank in np.unique(o["rank"][call]).tolist():
        own = (o["rank"][call] == rank) & (place[call] >= 0) & (place[done] >= 0)
        if not own.any():
            continue
        length = int(np.median(place[call[own]] - place[done[own]]))
        rows = np.flatnonzero(o["rank"][caller] == rank)
        waiting, room = caller[rows[length:]], launched[rows[:-length]]
        new = ~np.isin(waiting, call)
        found_done.append(room[new])
        found_call.append(waiting[new])
    nothing = np.zeros(0, dtype=np.int64)
    return np.concatenate([nothing, *found_done]), np.concatenate([nothing, *found_call])


def in_order(trace: Trace, caller: Array, launched: Array) -> tuple[Array, Array]:
    """Launches in the order in which the calls of each rank began, rank by rank; of a call the last thing it launched.

    That is the order in which a launch queue takes them in.
    """
    o = trace.operators
    order = np.lexsort((trace.end_ns[launched], o["start_ns"][caller], o["rank"][caller]))
    caller, launched = caller[order], launched[order]
    kept = _last_of(caller)
    return caller[kept], launched[kept]


def _latest(r: _Releases) -> _Releases:
    """The last one of each segment."""
    order = np.lexsort((r.ns, r.segment))
    return r[order[_last_of(r.segment[order])]]


def _last_of(groups: Array) -> Array:
    """Whether each entry is the last one of its group; groups are sorted."""
    return np.append(groups[1:] != groups[:-1], True)[: len(groups)]
