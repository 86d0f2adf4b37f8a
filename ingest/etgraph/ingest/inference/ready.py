"""When device operators could have started: launch and stream, with the usual latency and gap of this trace."""

from __future__ import annotations

import numpy as np

from etgraph.model import Category, DependencyKind, LaneKind, Trace
from etgraph.model.columns import Array
from etgraph.model.latency import ENOUGH, launch_latency

EARLY = -(2**62)
"""A time before every other."""
TOLERANCE_NS = 4_000
"""A start this much after its causes is explained by them; the jitter of launches and streams stays below it."""
SATURATED_NS = 20_000
"""An operator launched this long before its predecessor's end waited for nothing but its stream."""


def on_streams(trace: Trace) -> Array:
    """Rows of the device operators with times, by stream and start."""
    o = trace.operators
    lane = o["lane"]
    streams = trace.lanes["kind"] == int(LaneKind.STREAM)
    timed = (lane >= 0) & ~o.is_null("start_ns") & ~o.is_null("duration_ns")
    rows = np.flatnonzero(timed & streams[lane]) if len(streams) else np.zeros(0, dtype=np.int64)
    return rows[np.lexsort((o["start_ns"][rows], lane[rows]))]


def previous_on_stream(trace: Trace) -> Array:
    """For every operator the one that its stream did before it, of several the last to end; -1 for none."""
    d = trace.dependencies
    edges = np.flatnonzero(d["kind"] == int(DependencyKind.STREAM))
    edges = edges[np.argsort(trace.end_ns[d["src"][edges]], kind="stable")]
    previous = np.full(len(trace), -1, dtype=np.int64)
    previous[d["dst"][edges]] = d["src"][edges]
    return previous


def at_boundary(trace: Trace, device: Array, launcher: Array, previous: Array) -> Array:
    """Which of those device operators may have waited for what ran before the recording began: the first on a stream.

    One that was launched after the device had started something else that is recorded is not excused by that.
    """
    o = trace.operators
    first = np.full(max(trace.ranks, default=0) + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, o["rank"][device], o["start_ns"][device])
    call = launcher[device]
    excused = (call < 0) | (o["start_ns"][call] <= first[o["rank"][device]])
    return np.asarray((previous[device] < 0) & excused)


def ready_times(trace: Trace, device: Array, launcher: Array, previous: Array) -> Array:
    """When launch and stream let each device operator start (ns); `EARLY` where neither is known.

    That is the end of the launching call and the usual latency, and the end of the stream's previous operator and the
    usual gap. Operators that a graph launch did not launch first are ready from the call's start on.
    """
    start, end = trace.operators["start_ns"], trace.end_ns
    ready = np.full(len(start), EARLY)
    known = device[launcher[device] >= 0]
    ready[known] = start[launcher[known]]
    d = trace.dependencies
    first = d["dst"][d["kind"] == int(DependencyKind.LAUNCH)]
    first = first[launcher[first] >= 0]
    ready[first] = end[launcher[first]] + launch_latency(trace)[first]
    behind = device[previous[device] >= 0]
    gap = _stream_gaps(trace, behind, launcher, previous)
    ready[behind] = np.maximum(ready[behind], end[previous[behind]] + gap)
    return ready


def _stream_gaps(trace: Trace, behind: Array, launcher: Array, previous: Array) -> Array:
    """Usual pause between those operators and their stream's previous ones (ns).

    The arithmetic mean for each pair of categories, over operators launched so early that only the stream held them;
    a median would be off by a fifth of a percent of a saturated stream. The mean of all where few of a pair are seen.
    """
    start, end, category = trace.operators["start_ns"], trace.end_ns, trace.operators["category"]
    before, call = previous[behind], launcher[behind]
    pause = start[behind] - end[before]
    saturated = (call >= 0) & (end[call] + SATURATED_NS < end[before])
    usual = float(pause[saturated].mean()) if saturated.any() else 0.0
    pair = category[before] * len(Category) + category[behind]
    seen = np.bincount(pair[saturated], minlength=len(Category) ** 2)
    total = np.bincount(pair[saturated], weights=pause[saturated], minlength=len(Category) ** 2)
    mean = np.where(seen >= ENOUGH, total / np.maximum(seen, 1), usual)
    gap: Array = mean[pair].astype(np.int64)
    return gap
