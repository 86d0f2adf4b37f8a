"""What a replay's small error is worth: errors of windows and device starts, and what stays unexplained.

An error near 0 may be empty. Where nearly all of the path is the host's own time, or where the trace does not say why
its devices waited, it proves nothing; so these figures stand beside it, with a verdict.
"""

from __future__ import annotations

import numpy as np

from etgraph.model import DependencyKind, LaneKind, Trace
from etgraph.model.columns import Array
from etgraph.model.runtime_calls import BLOCKING
from etgraph.sim.engine import Program, Timeline
from etgraph.sim.engine.causes import held_by, way_back
from etgraph.sim.proof import Cause, Proof
from etgraph.sim.replay.structure import Fitted, Structure, constants_of, latencies, pauses
from etgraph.sim.simulation import WindowTimes

TOLERANCE_NS = 4_000
"""A device operator that starts this much after its reasons is explained by them."""
LONG_NS = 20_000
"""A blocking call shorter than this did not wait for anything."""
CAUSES = 5


def mean_error(windows: tuple[WindowTimes, ...]) -> float:
    """Mean absolute error."""
    return float(np.mean([abs(w.error) for w in windows])) if windows else 0.0


def proof_of(
    trace: Trace,
    s: Structure,
    c: Fitted,
    program: Program,
    timeline: Timeline,
    windows: tuple[WindowTimes, ...],
    crossed_error: float | None,
) -> Proof:
    """The proof of a replay, whose windows are given."""
    rows = s.device.rows
    late = timeline.start_ns[rows] - trace.operators["start_ns"][rows]
    held = held_by(program, timeline)
    worst = max(windows, key=lambda w: abs(w.error), default=None)
    way = way_back(program, held, _last_event(trace, s, timeline, worst))
    return Proof(
        mean_error(windows),
        max((w.error for w in windows), key=abs, default=0.0),
        crossed_error,
        _off_host(trace, program, timeline, way),
        unexplained_share(trace, s, c, windows),
        float(late.mean()) if len(rows) else None,
        float(np.median(np.abs(late))) if len(rows) else None,
        constants_of(c),
        int(np.count_nonzero(s.waits.turns)),
        len(s.device.pinned),
        _causes(trace, s, timeline, way, worst),
    )


def unexplained_share(trace: Trace, s: Structure, c: Fitted, windows: tuple[WindowTimes, ...]) -> float:
    """The part of those windows that is waiting which nothing recorded explains; over many lanes it may exceed 1."""
    total = sum(w.measured_ns for w in windows)
    return unexplained_ns(trace, s, c) / total if total else 0.0


def unexplained_ns(trace: Trace, s: Structure, c: Fitted) -> int:
    """How long devices, by the measured times, stood still without a reason, and threads in calls without a cause."""
    o, start, end = trace.operators, trace.operators["start_ns"], trace.end_ns
    d = s.device
    ready = np.full(len(trace), np.iinfo(np.int64).min)
    by_start, latency = latencies(trace, d, c)
    np.maximum.at(ready, d.launched, np.where(by_start, start[d.call], end[d.call]) + latency)
    np.maximum.at(ready, d.after, end[d.before] + pauses(s.device, c))
    np.maximum.at(ready, d.waiting, end[d.source] + c.event.at(d.event.key))
    counted = np.zeros(len(trace), dtype=bool)
    counted[d.rows] = ready[d.rows] > np.iinfo(np.int64).min
    counted[d.pinned] = False
    kinds, dependencies = trace.dependencies["kind"], trace.dependencies
    counted[dependencies["dst"][kinds == int(DependencyKind.OCCUPANCY)]] = False
    rows = np.flatnonzero(counted)
    device = int(np.maximum(start[rows] - ready[rows] - TOLERANCE_NS, 0).sum())
    caused = np.zeros(len(trace), dtype=bool)
    caused[dependencies["dst"][kinds == int(DependencyKind.SYNC)]] = True
    blocks = o.codes_where("name", BLOCKING.search)[o["name"]] & trace.timed & ~caused & (o["duration_ns"] > LONG_NS)
    return device + int(o["duration_ns"][blocks].sum())


def _iteration_of(trace: Trace, window: WindowTimes | None) -> int | None:
    """The row of a window's iteration; None where it is none."""
    if window is None or window.iteration is None:
        return None
    i = trace.iterations
    return int(np.flatnonzero((i["rank"] == window.rank) & (i["index"] == window.iteration))[0])


def _last_event(trace: Trace, s: Structure, timeline: Timeline, window: WindowTimes | None) -> int:
    """The last event of a window's thread; without a window the event that happens last."""
    if (row := _iteration_of(trace, window)) is not None:
        i = trace.iterations
        inside = (s.threads.lane == i["lane"][row]) & (s.threads.ns <= i["end_ns"][row])
        if inside.any():
            return int(s.threads.event[np.flatnonzero(inside)[-1]])
    return int(np.argmax(timeline.ns[: 2 * timeline.operators]))


def _off_host(trace: Trace, program: Program, timeline: Timeline, way: Array) -> float:
    """The part of the path that is spent on devices, in communication, or between lanes."""
    lane = trace.operators["lane"][np.minimum(way // 2, len(trace) - 1)]
    thread = (way < 2 * len(trace)) & (trace.lanes["kind"] == int(LaneKind.THREAD))[lane]
    on_host = thread[1:] & thread[:-1] & (lane[1:] == lane[:-1])
    spent = np.diff(timeline.ns[way])
    return float(1 - spent[on_host].sum() / spent.sum()) if spent.sum() else 0.0


def _causes(
    trace: Trace, s: Structure, timeline: Timeline, way: Array, window: WindowTimes | None
) -> tuple[Cause, ...]:
    """Where along the path of the worst window the error grew or shrank most."""
    o, n = trace.operators, len(trace)
    own = way[way < 2 * n]
    measured = np.where(own % 2 == 0, o["start_ns"][own // 2], trace.end_ns[own // 2])
    grown = np.diff(timeline.ns[own] - measured, prepend=0)
    if (row := _iteration_of(trace, window)) is not None:
        grown[measured < trace.iterations["start_ns"][row]] = 0
    order = np.argsort(-np.abs(grown), kind="stable")[:CAUSES]
    return tuple(
        Cause(int(o["rank"][e // 2]), int(o["index"][e // 2]), str(o.value("name", int(e // 2))), int(ns))
        for e, ns in zip(own[order].tolist(), grown[order].tolist())
        if ns
    )
