"""SYNC of a full launch queue: a launch returns when the operator launched one queue's length before it has ended."""

from __future__ import annotations

import numpy as np

from etgraph.ingest.inference.findings import Finding, stored
from etgraph.ingest.inference.timeline import Timeline
from etgraph.model import Category, DependencyKind, Report
from etgraph.model.columns import Array
from etgraph.model.schema import LAUNCH_QUEUE_FULL

LONG_NS = 20_000
"""A launch that takes this long, and several times as long as usual, may have waited."""
SEVERAL = 5
QUICK = 10
"""The percentile of launches that surely did not wait, however full the queue mostly was."""
FEW = 10
"""Fewer long launches than this say nothing about a queue."""
AT_FULL_DEPTH = 0.8
"""So many of the long launches must find the queue as deep as it ever is, or something else made them long."""
NEAR_FULL = 2


def full_launch_queues(t: Timeline) -> Finding:
    """Launches that found the queue full, and the operator that made room.

    The queue's length is the largest number of launches under way, plus the one that waits; it is believed only if most
    launches that took long, copies aside, came when that many were under way. A graph launch counts once.
    """
    found, report = Finding(), Report()
    rank = t.trace.operators["rank"]
    launched = t.device[t.launcher[t.device] >= 0]
    for one in t.trace.ranks:
        own = launched[rank[launched] == one]
        call, done = _launches(t, own)
        depth = np.arange(len(call)) - np.searchsorted(np.sort(t.end[done]), t.end[call], side="right")
        queue = _length(t, call, done, depth)
        if not queue:
            continue
        waiting, released = call[queue:], done[:-queue]
        waited = t.end[released] > t.start[waiting]
        found += stored(t, DependencyKind.SYNC, released[waited], waiting[waited], LAUNCH_QUEUE_FULL, 0.9)
        report = report.with_count(f"launchQueueLength:{queue}", 1)  # ranks, since counts add up
    return found.with_report(report)


def _launches(t: Timeline, launched: Array) -> tuple[Array, Array]:
    """The calls that launched something, by start, and of what each launched the operator that ended last."""
    order = np.lexsort((t.end[launched], t.launcher[launched]))
    launched = launched[order]
    last = np.append(np.diff(t.launcher[launched]) != 0, True)[: len(launched)]
    done = launched[last]
    done = done[np.argsort(t.start[t.launcher[done]], kind="stable")]
    return t.launcher[done], done


def _length(t: Timeline, call: Array, done: Array, depth: Array) -> int:
    """Length of the launch queue, 0 where nothing shows that it was ever full."""
    if len(call) < FEW:
        return 0
    took = t.end[call] - t.start[call]
    copies = t.trace.operators["category"][done] == int(Category.MEMCPY)
    long = (took > max(LONG_NS, SEVERAL * int(np.percentile(took, QUICK)))) & ~copies
    queue = int(depth.max()) + 1
    full = long & (depth >= queue - NEAR_FULL)
    return queue if long.sum() >= FEW and full.sum() >= AT_FULL_DEPTH * long.sum() and queue < len(call) else 0
