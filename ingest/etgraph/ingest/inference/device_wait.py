"""How much device waiting the stored dependencies leave unexplained: whether a trace records enough to be trusted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etgraph.ingest.inference.ready import EARLY, TOLERANCE_NS, at_boundary, on_streams, previous_on_stream, ready_times
from etgraph.model import DependencyKind, Trace
from etgraph.model.columns import Array

ENOUGH_SHARE = 0.01
"""A trace that leaves no more of its window unexplained records enough for its critical path and for replay."""


@dataclass(frozen=True, slots=True)
class DeviceWait:
    """Waiting of streams, summed over streams and ranks, and how much of it has no stored cause.

    `window_ns` is the sum of the ranks' windows, each from the first start to the last end of its operators;
    `waiting_ns` the time between operators of a stream; `share` is `unexplained_ns` of the window, and may pass 1
    where several streams wait at once.
    """

    window_ns: int
    waiting_ns: int
    unexplained_ns: int
    share: float

    @property
    def enough_recorded(self) -> bool:
        """Whether the trace says why its device waited."""
        return self.share <= ENOUGH_SHARE


def unexplained_device_wait(trace: Trace) -> DeviceWait:
    """Device time in which a stream's next operator neither runs nor waits for anything that is stored.

    An operator may start when its launch (the call's end and the usual latency), its stream's previous operator (its
    end and the usual gap), and every EVENT let it, and may be held while an OCCUPANCY source runs. What remains until
    its start, beyond `TOLERANCE_NS`, is unexplained. What was launched before anything ran on the device, and starts
    first on its stream, waits for what is not recorded, and counts neither way.
    """
    start, end = trace.operators["start_ns"], trace.end_ns
    d = trace.dependencies
    device, previous = on_streams(trace), previous_on_stream(trace)
    launches = d["kind"] == int(DependencyKind.LAUNCH)
    launcher = np.full(len(trace), -1, dtype=np.int64)
    launcher[d["dst"][launches]] = d["src"][launches]
    ready = ready_times(trace, device, launcher, previous)
    for kind in (DependencyKind.EVENT, DependencyKind.DATA, DependencyKind.CTRL):
        edges = d["kind"] == int(kind)
        np.maximum.at(ready, d["dst"][edges], end[d["src"][edges]])
    held = start.copy()
    occupied = d["kind"] == int(DependencyKind.OCCUPANCY)
    np.minimum.at(held, d["dst"][occupied], start[d["src"][occupied]])
    counted = device[~at_boundary(trace, device, launcher, previous) & (ready[device] > EARLY)]
    left = np.maximum(held[counted] - ready[counted] - TOLERANCE_NS, 0)
    before = previous[counted]
    waiting = start[counted] - np.where(before >= 0, end[before], ready[counted])
    window = _window(trace)
    unexplained = int(left.sum())
    return DeviceWait(window, int(np.maximum(waiting, 0).sum()), unexplained, unexplained / window if window else 0.0)


def _window(trace: Trace) -> int:
    """The sum of the ranks' windows."""
    o = trace.operators
    timed: Array = ~o.is_null("start_ns") & ~o.is_null("duration_ns")
    total = 0
    for rows in trace.rank_rows.values():
        own = np.arange(rows.start, rows.stop)[timed[rows]]
        if len(own):
            total += int(trace.end_ns[own].max() - o["start_ns"][own].min())
    return total
