"""From a measured trace to a program: what was done keeps its time, what was waited for becomes an edge.

Nothing of a device operator's start, and nothing of how long a thread or a rank waited, goes into the program: only
durations, the host's own time between events of a thread, and constants that many operators share.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from etgraph.model import Trace
from etgraph.model.columns import Array
from etgraph.sim.engine import Program, ProgramBuilder
from etgraph.sim.replay.constants import Constants, Observations, fit, mean, median
from etgraph.sim.replay.device import Device, device_of, places_of
from etgraph.sim.replay.peers import Peers, peers_of
from etgraph.sim.replay.threads import Threads, threads_of
from etgraph.sim.replay.waits import Waits, waits_of

LATENCY_NS = 4_000
"""The usual latency of a launch, where a trace shows none: 1 to 4 µs on NVIDIA's devices, more on AMD's."""


@dataclass(frozen=True, slots=True)
class Structure:
    """What a trace says beyond constants: its threads and where they wait, its devices, and who meets whom."""

    threads: Threads
    waits: Waits
    device: Device
    peers: Peers


@dataclass(frozen=True, slots=True)
class Fitted:
    """The constants of a trace in ns.

    Times to wake up, by what was waited for; latencies of launches, counted from the call's end and from its start;
    pauses of streams, by pair of categories and by pair of names; delays after events of other streams.
    """

    wake_up: Constants
    from_end: Constants
    from_start: Constants
    pause: Constants
    exact_pause: Constants
    event: Constants


@dataclass(frozen=True, slots=True)
class Work:
    """The time that things take by themselves, in ns: what a prediction or an edit changes.

    `duration_ns` is that of operators, used of those whose end is in no thread's chain; `transfer_ns` what they take
    after their last peer has come; `host_ns` a thread's own time by segment. `latency_ns` stands in for the fitted
    latencies of launches where it is given.
    """

    duration_ns: Array
    transfer_ns: Array
    host_ns: Array
    latency_ns: int | None = None

    def scaled(self, operators: Array, segments: Array) -> Work:
        """Everything multiplied by factors, one an operator and one a segment."""

        def times(ns: Array, factor: Array) -> Array:
            found: Array = np.rint(ns * factor).astype(np.int64)
            return found

        return replace(
            self,
            duration_ns=times(self.duration_ns, operators),
            transfer_ns=times(self.transfer_ns, operators),
            host_ns=times(self.host_ns, segments),
        )


def structure_of(trace: Trace) -> Structure:
    """Look at a trace. O(operators log operators + dependencies)."""
    threads = threads_of(trace)
    return Structure(threads, waits_of(trace, threads), device_of(trace), peers_of(trace))


def fitted(s: Structure, chosen: Array | None = None) -> Fitted:
    """Fit the constants, on the chosen operators (a mask) or on all."""

    def seen(observations: Observations) -> Observations:
        return observations if chosen is None else observations.of(chosen)

    d = s.device
    return Fitted(
        wake_up=fit(seen(s.waits.seen), median),
        from_end=fit(seen(d.from_end), median, LATENCY_NS),
        from_start=fit(seen(d.from_start), median, LATENCY_NS),
        pause=fit(seen(d.pause), mean),
        exact_pause=fit(seen(d.exact_pause), mean),
        event=fit(seen(d.event), median),
    )


def constants_of(fitted: Fitted) -> int:
    """How many constants there are."""
    return sum(len(getattr(fitted, field.name).keys) + 1 for field in fields(fitted))


def measured_work(trace: Trace, s: Structure, c: Fitted) -> Work:
    """What was measured, without what was waited for.

    A segment that ends with communication has the transfer in place of its length, and one that waited for something
    else what waking up takes, since how long it would have worked is not known.
    """
    t, w, p = s.threads, s.waits, s.peers
    host = t.length_ns.copy()
    operator = t.event // 2
    ends = (t.event % 2 == 1) & (p.meets | p.receives)[operator]
    host[ends] = np.minimum(host[ends], p.transfer_ns[operator[ends]])
    host[w.segments] = np.minimum(host[w.segments], _waking(w, c)[w.segments])
    duration = np.where(trace.timed, trace.operators["duration_ns"], 0)
    return Work(duration, p.transfer_ns, host)


def program_of(trace: Trace, s: Structure, c: Fitted, work: Work) -> Program:
    """The program that replays a trace, with its work or with other."""
    n, o, p = len(trace), trace.operators, s.peers
    zero, _ = trace.extent_ns
    builder = ProgramBuilder(n, len(trace.collectives), zero)
    _add_threads(builder, s, c, work)
    _add_devices(builder, trace, s, c, work)
    rows = np.arange(n)
    alone = rows[s.threads.segment_of[1::2] < 0]
    builder.plain(2 * alone, 2 * alone + 1, np.where(p.meets, work.transfer_ns, work.duration_ns)[alone])
    members = rows[p.meets]
    meeting = 2 * n + o["collective"][members].astype(np.int64)
    builder.plain(2 * members, meeting)
    builder.plain(meeting, 2 * members + 1, work.transfer_ns[members])
    builder.plain(2 * p.sender, 2 * p.receiver + 1, work.transfer_ns[p.receiver])
    return builder.program()


def _waking(w: Waits, c: Fitted) -> Array:
    """Time to wake up by segment, where it waits or may wait; a turn between threads takes what it took."""
    after = np.where(w.key >= 0, c.wake_up.at(w.key), 0)
    turns = w.segments[w.turns]
    after[turns] = w.seen.ns[w.turns]
    return after


def _add_threads(builder: ProgramBuilder, s: Structure, c: Fitted, work: Work) -> None:
    t, w = s.threads, s.waits
    later = np.flatnonzero(~t.first)
    builder.plain(t.event[later - 1], t.event[later], work.host_ns[later])
    builder.wake_ups(w.source, t.event[w.segment])
    some = np.flatnonzero(w.may_wait)
    builder.after(t.event[some], _waking(w, c)[some])
    own = np.flatnonzero(t.first & ~w.may_wait)
    builder.floor_ns[t.event[own]] = t.ns[own]


def _add_devices(builder: ProgramBuilder, trace: Trace, s: Structure, c: Fitted, work: Work) -> None:
    d = s.device
    by_start = d.awaited | (c.from_start.spread_of(d.from_start.key) < c.from_end.spread_of(d.from_end.key))
    latency = np.where(by_start, c.from_start.at(d.from_start.key), c.from_end.at(d.from_end.key))
    if work.latency_ns is not None:
        by_start, latency = d.awaited, np.full(len(latency), work.latency_ns)
    builder.plain(2 * d.call + ~by_start, 2 * d.launched, latency)
    builder.plain(2 * d.before + 1, 2 * d.after, pauses(d, c))
    builder.plain(2 * d.source + 1, 2 * d.waiting, c.event.at(d.event.key))
    builder.floor_ns[2 * d.pinned] = trace.operators["start_ns"][d.pinned]
    builder.places = places_of(trace, d.rows, work.duration_ns)


def pauses(d: Device, c: Fitted) -> Array:
    """The usual pause before each operator that follows another on its stream: by their names, else by categories."""
    exact = np.isfinite(c.exact_pause.spread_of(d.exact_pause.key))
    return np.where(exact, c.exact_pause.at(d.exact_pause.key), c.pause.at(d.pause.key))
