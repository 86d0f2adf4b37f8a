"""What the rules look at: device operators in the order of their streams, calls by what they do, usual latencies."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np

from etgraph.ingest.draft import Draft
from etgraph.ingest.inference.ready import EARLY, TOLERANCE_NS, on_streams, previous_on_stream, ready_times
from etgraph.ingest.launches import launchers
from etgraph.model import Category, NodeType, Trace
from etgraph.model.columns import Array


@dataclass(frozen=True, slots=True)
class Timeline:
    """One draft prepared for the rules; times in ns, operators by row, -1 for none.

    By operator: `start`, `end`, `launcher` (the call that launched it), `previous` (on its stream), `issued` (start of
    the launching call, never before that of the stream's earlier operators; `EARLY` before the recording), `ready`
    (when all causes known so far let it start, their usual latencies included).
    `device` holds the device operators by stream and start, `calls` the runtime and driver calls by start.
    """

    draft: Draft
    start: Array
    end: Array
    launcher: Array
    previous: Array
    issued: Array
    ready: Array
    device: Array
    calls: Array

    @property
    def trace(self) -> Trace:
        """The trace of the draft."""
        return self.draft.trace

    @property
    def lane(self) -> Array:
        """Lane of every operator."""
        return self.trace.operators["lane"]

    @property
    def communicates(self) -> Array:
        """Whether each operator is communication on a device."""
        kind = self.trace.operators["kind"]
        on_device = self.trace.operators["category"] >= int(Category.KERNEL)
        return on_device & (kind >= int(NodeType.COMM_SEND)) & (kind <= int(NodeType.COMM_COLL))

    def called(self, pattern: re.Pattern[str]) -> Array:
        """Rows of the calls with such a name, by start."""
        o = self.trace.operators
        return self.calls[o.codes_where("name", pattern.match)[o["name"][self.calls]]]

    def late(self) -> Array:
        """Device operators that started later than every known cause explains."""
        delay = self.start[self.device] - self.ready[self.device]
        return self.device[(delay > TOLERANCE_NS) & (self.ready[self.device] > EARLY)]

    def last_issued(self, lane: Array, before: Array) -> Array:
        """For each stream and moment the last operator issued to it before then; -1 for none."""
        return latest(self.device, self.lane, self.issued, lane, before)

    def first_issued(self, lane: Array, after: Array) -> Array:
        """For each stream and moment the first operator issued to it at or after then; -1 for none."""
        return earliest(self.device, self.lane, self.issued, lane, after)

    def stream_in_use(self, thread: Array, before: Array, but: Array) -> Array:
        """The stream that each thread launched to last before a moment, those rows not counted; -1 for none."""
        own, by_thread, called = self._by_thread(but)
        found = latest(own, by_thread, called, thread, before)
        return np.where(found >= 0, self.lane[found], -1)

    def next_launched(self, thread: Array, after: Array, but: Array) -> Array:
        """The operator that each thread launched next from a moment on, those rows not counted; -1 for none."""
        own, by_thread, called = self._by_thread(but)
        return earliest(own, by_thread, called, thread, after)

    def _by_thread(self, but: Array) -> tuple[Array, Array, Array]:
        """Launched operators by launching thread and time of the call; and both of these by operator."""
        own = self.device[(self.launcher[self.device] >= 0) & ~but[self.device]]
        call = self.launcher[own]
        by_thread, called = np.full(len(self.start), -1, dtype=np.int64), np.full(len(self.start), EARLY)
        by_thread[own], called[own] = self.lane[call], self.start[call]
        return own[np.lexsort((called[own], by_thread[own]))], by_thread, called

    def with_ready(self, rows: Array, times: Array) -> Timeline:
        """The same with causes that let those operators start no earlier than then."""
        ready = self.ready.copy()
        np.maximum.at(ready, rows, times)
        return replace(self, ready=ready)


def survey(draft: Draft) -> Timeline:
    """Prepare a draft that was nested and launched. O(operators log operators)."""
    trace = draft.trace
    o = trace.operators
    start, end, lane, category = o["start_ns"], trace.end_ns, o["lane"], o["category"]
    device = on_streams(trace)
    timed = ~o.is_null("start_ns") & ~o.is_null("duration_ns") & (lane >= 0)
    calls = np.flatnonzero(timed & ((category == int(Category.RUNTIME)) | (category == int(Category.DRIVER))))
    calls = calls[np.argsort(start[calls], kind="stable")]
    launcher = launchers(draft).launcher
    launcher = np.where((launcher >= 0) & (start < start[launcher]), -1, launcher)
    previous = previous_on_stream(trace)
    ready = ready_times(trace, device, launcher, previous)
    return Timeline(
        draft, start, end, launcher, previous, _issued(device, lane, start, launcher), ready, device, calls
    )  # fmt: skip


def _issued(device: Array, lane: Array, start: Array, launcher: Array) -> Array:
    """When each device operator was issued to its stream, made to ascend along the stream."""
    issued = np.full(len(start), EARLY)
    if not len(device):
        return issued
    at = np.where(launcher[device] >= 0, start[launcher[device]], EARLY)
    # Ranks within (lane, time) keep one running maximum from reaching into the next stream.
    new = np.concatenate([[True], np.diff(lane[device]) != 0])
    group = np.cumsum(new) - 1
    times, rank = np.unique(at, return_inverse=True)
    issued[device] = times[np.maximum.accumulate(group * len(times) + rank) - group * len(times)]
    return issued


MOST_CANDIDATES = 256
"""So many candidates of one operator are looked at, those next to it: a bound for traces where all happens at once."""


def ragged(first: Array, last: Array) -> tuple[Array, Array]:
    """All (row, place) with first[row] ≤ place < last[row], rows in order; of too many in a row those with the highest
    places."""
    first = np.maximum(first, last - MOST_CANDIDATES)
    length = np.maximum(last - first, 0)
    which = np.repeat(np.arange(len(first)), length)
    place = np.arange(int(length.sum())) - np.repeat(np.cumsum(length) - length, length) + first[which]
    return which, place


def latest(rows: Array, group: Array, time: Array, in_group: Array, before: Array) -> Array:
    """Of rows by (group, time): for each question the last in that group with a time before then; -1 for none."""
    return _search(rows, group, time, in_group, before, -1)


def earliest(rows: Array, group: Array, time: Array, in_group: Array, after: Array) -> Array:
    """Of rows by (group, time): for each question the first in that group with a time from then on; -1 for none."""
    return _search(rows, group, time, in_group, after, 0)


def _search(rows: Array, group: Array, time: Array, in_group: Array, at: Array, shift: int) -> Array:
    if not len(rows) or not len(in_group):
        return np.full(len(in_group), -1, dtype=np.int64)
    # Times are replaced by their ranks, so that group and time fit in one number whatever their range.
    times = np.unique(time[rows])
    key = group[rows].astype(np.int64) * (len(times) + 1) + np.searchsorted(times, time[rows])
    wanted = in_group.astype(np.int64) * (len(times) + 1) + np.searchsorted(times, at)
    place = np.searchsorted(key, wanted) + shift
    inside = (place >= 0) & (place < len(rows))
    found = rows[np.where(inside, place, 0)]
    return np.where(inside & (group[found] == in_group), found, -1)
