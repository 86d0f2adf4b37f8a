"""What a trace says of how it ran: its threads and where they wait, its devices, who meets whom; and its constants."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from etgraph.model import Trace
from etgraph.model.columns import Array
from etgraph.sim.replay.constants import Constants, Observations, fit, mean, median
from etgraph.sim.replay.device import Device, device_of
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

    Times to wake up, by what was waited for; latencies of launches, counted from the call's end and from its start,
    and how much later than its call a copy ends;
    pauses of streams, by pair of categories and by pair of names; delays after events of other streams.
    """

    wake_up: Constants
    from_end: Constants
    from_start: Constants
    together: Constants
    pause: Constants
    exact_pause: Constants
    event: Constants


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
        together=fit(seen(d.together), median),
        pause=fit(seen(d.pause), mean),
        exact_pause=fit(seen(d.exact_pause), mean),
        event=fit(seen(d.event), median),
    )


def constants_of(fitted: Fitted) -> int:
    """How many constants there are."""
    return sum(len(getattr(fitted, field.name).keys) + 1 for field in fields(fitted))


def pauses(d: Device, c: Fitted) -> Array:
    """The usual pause before each operator that follows another on its stream: by their names, else by categories."""
    exact = np.isfinite(c.exact_pause.spread_of(d.exact_pause.key))
    return np.where(exact, c.exact_pause.at(d.exact_pause.key), c.pause.at(d.pause.key))


def waking(w: Waits, c: Fitted) -> Array:
    """Time to wake up by segment, where it waits or may wait; a turn between threads takes what it took."""
    after = np.where(w.key >= 0, c.wake_up.at(w.key), 0)
    turns = w.segments[w.turns]
    after[turns] = w.seen.ns[w.turns]
    return after


def latencies(trace: Trace, d: Device, c: Fitted) -> tuple[Array, Array]:
    """Of each launch whether its latency counts from the call's start, and the latency in ns.

    Which one, is what repeats better among launches of its kind; a call that waits for what it launches tells by its
    start alone. Some copies are the call's own work and end with it: where that repeats better still, they start as
    much before the call's end, and the usual delay, as they take.
    """
    from_start, from_end = c.from_start.spread_of(d.from_start.key), c.from_end.spread_of(d.from_end.key)
    by_start = d.awaited | (from_start < from_end)
    latency = np.where(by_start, c.from_start.at(d.from_start.key), c.from_end.at(d.from_end.key))
    took = trace.operators["duration_ns"]
    within = ~d.awaited & (c.together.spread_of(d.together.key) < np.minimum(from_start, from_end))
    lead = took[d.call] + np.rint(c.together.share(d.together.key)).astype(np.int64) - took[d.launched]
    return by_start | within, np.where(within, np.maximum(lead, 0), latency)
