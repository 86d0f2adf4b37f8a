"""A thread as a chain of events: starts and ends of its operators in order, and who owns the time between them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from etgraph.model import LaneKind, Trace
from etgraph.model.cancelling import BETWEEN_LOOKS, NEVER, stopped
from etgraph.model.columns import Array
from etgraph.model.kernels import kernel


@dataclass(frozen=True)
class Threads:
    """Events of all threads, thread by thread in order of time; segment k is the time between event k - 1 and event k.

    `event` are events of the engine (2i: start of operator i, 2i + 1: its end), `ns` when they were measured, `lane`
    their threads, and `owner` the innermost operator open in the segment before them (-1: none). `detached` are
    operators whose ends are in no chain: those that outlive what encloses them, or run on as their thread goes on.
    """

    event: Array
    ns: Array
    lane: Array
    owner: Array
    detached: Array

    @cached_property
    def first(self) -> Array:
        """Whether each event is the first one of its thread: no segment is before it."""
        return np.append(True, self.lane[1:] != self.lane[:-1])[: len(self.lane)]

    @cached_property
    def length_ns(self) -> Array:
        """Measured length of the segments; 0 before a thread's first event."""
        return np.where(self.first, 0, np.diff(self.ns, prepend=self.ns[:1]))

    @cached_property
    def segment_of(self) -> Array:
        """For each event of the engine the segment that ends with it, -1 for those of no chain."""
        found = np.full(2 * len(self.detached), -1, dtype=np.int64)
        found[self.event] = np.arange(len(self.event))
        return found

    @cached_property
    def _by_owner(self) -> Array:
        return np.lexsort((self.ns, self.owner))

    def segments_at(self, owner: Array, ns: Array) -> Array:
        """For each operator the first segment of its own time that ends at `ns` or later; -1 where there is none."""
        order = self._by_owner
        if not len(order):
            return np.full(len(owner), -1, dtype=np.int64)
        # One sorted key for both: a segment's owner, then its end.
        low, span = int(self.ns.min()), int(self.ns.max() - self.ns.min()) + 2
        keys = (self.owner[order] + 1).astype(np.int64) * span + (self.ns[order] - low)
        at = np.searchsorted(keys, (owner + 1).astype(np.int64) * span + np.clip(ns - low, 0, span - 1))
        found = order[np.minimum(at, len(order) - 1)]
        return np.where((at < len(order)) & (self.owner[found] == owner), found, -1)


def threads_of(trace: Trace) -> Threads:
    """The chains of a trace's threads. O(operators log operators)."""
    o, end = trace.operators, trace.end_ns
    threads = trace.lanes["kind"] == int(LaneKind.THREAD)
    rows = np.flatnonzero(trace.timed & threads[o["lane"]]) if len(threads) else np.zeros(0, dtype=np.int64)
    rows = rows[np.lexsort((rows, o["start_ns"][rows], o["lane"][rows]))]
    event, ns, owner, detached = _events(rows, o["lane"], trace.enclosing, o["start_ns"], end)
    return Threads(event, ns, o["lane"][event // 2], owner, detached)


@kernel
def _events(
    rows: Array, lane: Array, above: Array, start: Array, end: Array, stop: Array = NEVER
) -> tuple[Array, Array, Array, Array]:
    """Events, their times and owners, and which operators are detached; rows are by lane and start."""
    event = np.empty(2 * len(rows), dtype=np.int64)
    ns = np.empty(2 * len(rows), dtype=np.int64)
    owner = np.empty(2 * len(rows), dtype=np.int64)
    detached = np.zeros(len(lane), dtype=np.bool_)
    until = end.copy()  # ends, cut at those of the operators around
    open_ones = np.empty(len(rows) + 1, dtype=np.int64)
    height = 0
    count = 0
    for k in range(len(rows) + 1):
        if k % BETWEEN_LOOKS == 0 and stopped(stop):
            break
        i = -1
        if k < len(rows):
            i = rows[k]
        same = i >= 0 and height > 0 and lane[open_ones[height - 1]] == lane[i]
        while height > 0 and (not same or open_ones[height - 1] != above[i]):
            height -= 1
            done = open_ones[height]
            limit = end[done]
            if height > 0:
                limit = until[open_ones[height - 1]]
            if same and start[i] < limit:
                limit = start[i]
            if end[done] > limit:
                detached[done] = True
                continue
            event[count], ns[count], owner[count] = 2 * done + 1, end[done], done
            count += 1
        if i < 0:
            break
        around = -1
        if height > 0:
            around = open_ones[height - 1]
            until[i] = min(end[i], until[around])
        event[count], ns[count], owner[count] = 2 * i, start[i], around
        count += 1
        open_ones[height] = i
        height += 1
    return event[:count], ns[:count], owner[:count], detached
