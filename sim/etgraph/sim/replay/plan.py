"""From a measured trace to a program: what was done keeps its time, what was waited for becomes an edge.

Nothing of a device operator's start, and nothing of how long a thread or a rank waited, goes into the program: only
durations, the host's own time between events of a thread, and constants that many operators share.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etgraph.model import DependencyKind, Trace
from etgraph.model.columns import Array
from etgraph.sim.engine import Program, ProgramBuilder
from etgraph.sim.replay.constants import Constants, fit, mean, median
from etgraph.sim.replay.device import Device, device_of, places_of
from etgraph.sim.replay.threads import Threads, threads_of
from etgraph.sim.replay.waits import Waits, waits_of

LATENCY_NS = 4_000


@dataclass(frozen=True, slots=True)
class Structure:
    """What a trace says beyond constants: threads, where they wait, devices, and who meets whom."""

    threads: Threads
    waits: Waits
    device: Device
    transfer_ns: Array
    meets: Array


@dataclass(frozen=True, slots=True)
class Fitted:
    """The constants of a trace, in ns."""

    wake_up: Constants
    from_end: Constants
    from_start: Constants
    gap: Constants
    exact_gap: Constants
    event: Constants


def structure_of(trace: Trace) -> Structure:
    """Look at a trace. O(operators log operators + dependencies)."""
    threads = threads_of(trace)
    transfer_ns, meets = _transfers(trace, threads)
    return Structure(threads, waits_of(trace, threads), device_of(trace), transfer_ns, meets)


def _transfers(trace: Trace, threads: Threads) -> tuple[Array, Array]:
    """What operators do after the last of their peers has come (ns), and which are members of whole collectives."""
    o, d, start, end = trace.operators, trace.dependencies, trace.operators["start_ns"], trace.end_ns
    members = np.flatnonzero((o["collective"] >= 0) & trace.timed)
    meeting = o["collective"][members]
    last = np.full(len(trace.collectives), -(2**62))
    np.maximum.at(last, meeting, start[members])
    arrived = start.copy()
    arrived[members] = np.maximum(arrived[members], last[meeting])
    messages = np.flatnonzero(d["kind"] == int(DependencyKind.COMM))
    messages = messages[trace.timed[d["src"][messages]] & trace.timed[d["dst"][messages]]]
    np.maximum.at(arrived, d["dst"][messages], start[d["src"][messages]])
    found = np.bincount(meeting, minlength=len(trace.collectives))
    whole = trace.collectives.is_null("size") | (found >= trace.collectives["size"])
    meets = np.zeros(len(trace), dtype=bool)
    meets[members] = whole[meeting]
    return np.maximum(end - np.minimum(arrived, end), 0), meets


def fitted(structure: Structure, chosen: Array | None = None) -> Fitted:
    """Fit the constants, on the chosen operators (a mask) or all."""
    s = structure

    def seen(observations):  # type: ignore[no-untyped-def]
        return observations if chosen is None else observations.of(chosen)

    d = s.device
    return Fitted(
        fit(seen(s.waits.seen), median),
        fit(seen(d.from_end), median, LATENCY_NS),
        fit(seen(d.from_start), median),
        fit(seen(d.gap), mean),
        fit(seen(d.exact_gap), mean),
        fit(seen(d.event), median),
    )


def program_of(trace: Trace, s: Structure, c: Fitted) -> Program:
    """The program that replays a trace."""
    n, o = len(trace), trace.operators
    zero, _ = trace.extent_ns
    builder = ProgramBuilder(n, len(trace.collectives), zero)
    duration = np.where(trace.timed, o["duration_ns"], 0)
    met = s.meets
    _threads(builder, trace, s, c)
    _devices(builder, trace, s, c)
    # Operators whose ends are in no chain of a thread.
    alone = np.flatnonzero(s.threads.segment_of[1::2] < 0)
    builder.plain(2 * alone, 2 * alone + 1, np.where(met, s.transfer_ns, duration)[alone])
    members = np.flatnonzero(met)
    meeting = 2 * n + o["collective"][members].astype(np.int64)
    builder.plain(2 * members, meeting)
    builder.plain(meeting, 2 * members + 1, s.transfer_ns[members])
    d = trace.dependencies
    messages = np.flatnonzero(d["kind"] == int(DependencyKind.COMM))
    src, dst = d["src"][messages].astype(np.int64), d["dst"][messages].astype(np.int64)
    builder.plain(2 * src, 2 * dst + 1, s.transfer_ns[dst])
    return builder.program()


def _threads(builder: ProgramBuilder, trace: Trace, s: Structure, c: Fitted) -> None:
    t, w = s.threads, s.waits
    lag = t.length_ns.copy()
    row = t.event // 2
    ends = (t.event % 2 == 1) & s.meets[row]
    received = np.zeros(len(trace), dtype=bool)
    d = trace.dependencies
    received[d["dst"][d["kind"] == int(DependencyKind.COMM)]] = True
    ends |= (t.event % 2 == 1) & received[row]
    lag[ends] = np.minimum(lag[ends], s.transfer_ns[row[ends]])
    waking = np.where(w.turns, w.seen.ns, c.wake_up.at(w.seen.key))
    lag[w.segments] = np.minimum(lag[w.segments], waking)
    later = np.flatnonzero(~t.first)
    builder.plain(t.event[later - 1], t.event[later], lag[later])
    builder.wake_ups(w.source, t.event[w.segment])
    after = np.full(len(t.event), -1)
    after[w.segments] = waking
    others = np.unique(w.segment[after[w.segment] < 0])
    after[others] = 0
    some = np.flatnonzero(after >= 0)
    builder.after(t.event[some], after[some])
    first = np.setdiff1d(np.flatnonzero(t.first), w.segment)
    builder.floor_ns[t.event[first]] = t.ns[first]


def _devices(builder: ProgramBuilder, trace: Trace, s: Structure, c: Fitted) -> None:
    d = s.device
    by_start = d.awaited | (c.from_start.spread_of(d.from_start.key) < c.from_end.spread_of(d.from_end.key))
    builder.plain(
        2 * d.call + ~by_start, 2 * d.launched,
        np.where(by_start, c.from_start.at(d.from_start.key), c.from_end.at(d.from_end.key)),
    )  # fmt: skip
    builder.plain(2 * d.before + 1, 2 * d.after, gaps(c, d))
    builder.plain(2 * d.source + 1, 2 * d.waiting, c.event.at(d.event.key))
    builder.floor_ns[2 * d.pinned] = trace.operators["start_ns"][d.pinned]
    builder.places = places_of(trace, d.rows, trace.operators["duration_ns"])


def gaps(c, d):
    k = d.exact_gap.key
    s = c.exact_gap.spread_of(k)
    return np.where(np.isfinite(s), c.exact_gap.at(k), c.gap.at(d.gap.key))
