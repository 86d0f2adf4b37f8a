"""What held each event last: the edge by which it came, after a run; and the way back along these."""

from __future__ import annotations

import numpy as np

from etgraph.model.cancelling import BETWEEN_LOOKS, NEVER, stopped
from etgraph.model.columns import Array
from etgraph.model.kernels import kernel
from etgraph.sim.engine.program import Program
from etgraph.sim.engine.run import Timeline


def held_by(program: Program, timeline: Timeline) -> Array:
    """For each event the edge (a position in `program.targets`) that arrived last, -1 where it has none.

    Of a wake-up its time to wake up is part. Where a resource held the event longer, it is still that edge. O(edges).
    """
    p, sources = program, program.sources
    after = np.zeros(p.events, dtype=np.int64)
    after[p.waking] = p.after_ns
    woken = p.lag_ns < 0
    at = timeline.ns[sources]
    arrival = np.where(woken, at - 1 - p.lag_ns + after[p.targets], at + p.lag_ns)
    since = np.full(p.events, np.iinfo(np.int64).min)
    np.maximum.at(since, p.targets[~woken], at[~woken])
    slept = ~woken | (at - 1 - p.lag_ns > since[p.targets])
    return _last(p.targets, arrival, slept, timeline.happened[sources], p.events)


@kernel
def _last(targets: Array, arrival: Array, counts: Array, happened: Array, events: int, stop: Array = NEVER) -> Array:
    found = np.full(events, -1, dtype=np.int64)
    for begin in range(0, len(targets), BETWEEN_LOOKS):
        if stopped(stop):
            break
        for e in range(begin, min(begin + BETWEEN_LOOKS, len(targets))):
            if counts[e] and happened[e]:
                v = targets[e]
                if found[v] < 0 or arrival[e] > arrival[found[v]]:
                    found[v] = e
    return found


def way_back(program: Program, held: Array, last: int) -> Array:
    """The events from one without a cause to `last`, each of which held the next; `held` is that of `held_by`."""
    return _way_back(program.sources, held, last)[::-1].copy()


@kernel
def _way_back(sources: Array, held: Array, last: int, stop: Array = NEVER) -> Array:
    way = np.empty(len(held), dtype=np.int64)
    count = 0
    v = last
    while True:
        if count % BETWEEN_LOOKS == 0 and stopped(stop):
            break
        way[count] = v
        count += 1
        if held[v] < 0:
            break
        v = sources[held[v]]
    return way[:count]
