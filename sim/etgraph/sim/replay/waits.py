"""Where threads wait: which segments of their time end when something else does, and how long waking up takes then."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etgraph.model import Category, DependencyKind, NodeType, Trace
from etgraph.model.columns import Array
from etgraph.sim.replay.constants import Observations
from etgraph.sim.replay.threads import Threads

K = DependencyKind
LIKELY_NS = 100_000
"""A thread that goes on this soon after what it may have waited for has ended did wait for it."""


@dataclass(frozen=True, slots=True)
class Waits:
    """Wake-ups of threads: from event `source` to the end of segment `segment`, which `waited` for it or did not.

    Of the segments that waited: `segments`, and in `seen` how long after the last of their sources they ended. `turns`
    are those in which a thread takes over from another one of its process: what passes then is the host's own time,
    measured between two events of the host, while after work of a device or a peer it is a constant of many.
    """

    source: Array
    segment: Array
    segments: Array
    seen: Observations
    turns: Array


def waits_of(trace: Trace, threads: Threads) -> Waits:
    """The wake-ups that a trace's dependencies tell of. O(dependencies log operators)."""
    o, d = trace.operators, trace.dependencies
    start, end = o["start_ns"], trace.end_ns
    src, dst, kind = d["src"].astype(np.int64), d["dst"].astype(np.int64), d["kind"]
    on_thread = threads.segment_of[2 * np.arange(len(o))] >= 0
    timed = trace.timed[src] & on_thread[dst]
    across = o["lane"][src] != o["lane"][dst]
    inside = timed & (kind == int(K.SYNC))
    before = timed & across & np.isin(kind, [int(k) for k in (K.JOIN, K.CTRL, K.DATA, K.EVENT)])
    spawned = timed & across & (kind == int(K.SPAWN))

    ends, starts, spawns = (np.flatnonzero(chosen) for chosen in (inside, before, spawned))
    handed = end[src[spawns]] <= start[dst[spawns]]
    handed_ns = np.where(handed, end[src[spawns]], start[src[spawns]])
    released = np.concatenate([end[src[ends]], end[src[starts]], handed_ns])
    source = np.concatenate([2 * src[ends] + 1, 2 * src[starts] + 1, 2 * src[spawns] + handed])
    segment = np.concatenate(
        [
            threads.segments_at(dst[ends], released[: len(ends)]),
            threads.segment_of[2 * dst[starts]],
            threads.segment_of[2 * dst[spawns]],
        ]
    )
    dependency = np.concatenate([ends, starts, spawns])
    known = segment >= 0
    source, segment, released, dependency = source[known], segment[known], released[known], dependency[known]

    begin, finish = threads.ns[segment] - threads.length_ns[segment], threads.ns[segment]
    waited = (released > begin) & (released <= finish) | threads.first[segment]
    told = ~np.isin(kind[dependency], (int(K.CTRL), int(K.DATA), int(K.EVENT)))
    waited &= told | (finish - released <= LIKELY_NS)
    order = np.lexsort((released, segment))
    order = order[waited[order]]
    last = order[np.append(segment[order][1:] != segment[order][:-1], True)[: len(order)]]
    by = dependency[last]
    # Calls of a device's runtime wake up by name, other threads by what released them.
    runtime = np.isin(o["category"][dst[by]], (int(Category.RUNTIME), int(Category.DRIVER)))
    key = np.where(runtime, len(K) + o["name"][dst[by]].astype(np.int64), kind[by]) * 256 + d["method"][by] % 256
    late = finish[last] - released[last]
    seen = Observations(key, late, dst[by], late >= 0)
    communicates = (o["kind"] >= int(NodeType.COMM_SEND)) & (o["kind"] <= int(NodeType.COMM_COLL))
    turns = np.isin(kind[by], (int(K.SPAWN), int(K.JOIN))) & ~communicates[src[by]] & ~communicates[dst[by]]
    return Waits(source, segment, segment[last], seen, turns)
