"""What held each event last: the edge by which it came, after a run; and the way back along these."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etgraph.model.cancelling import BETWEEN_LOOKS, NEVER, stopped
from etgraph.model.columns import Array
from etgraph.model.kernels import kernel
from etgraph.sim.engine.program import Program
from etgraph.sim.engine.run import Timeline

_NEVER = np.iinfo(np.int64).min


def held_by(program: Program, timeline: Timeline) -> Array:
    """For each event the edge (a position in `program.targets`) that arrived last, -1 where it has none.

    Of a wake-up its time to wake up is part. Where a resource held the event longer, it is still that edge. O(edges).
    """
    arrival = _arrivals(program, timeline)
    return _last(program.targets, arrival, arrival > _NEVER, timeline.happened[program.sources], program.events)


def _arrivals(program: Program, timeline: Timeline) -> Array:
    """When each edge lets its target go, in ns: the source's time and the lag; never for a wake-up of who was awake."""
    p, at = program, timeline.ns[program.sources]
    after = np.zeros(p.events, dtype=np.int64)
    after[p.waking] = p.after_ns
    woken = p.lag_ns < 0
    since = np.full(p.events, _NEVER)
    np.maximum.at(since, p.targets[~woken], at[~woken])
    slept = at - 1 - p.lag_ns > since[p.targets]
    return np.where(woken, np.where(slept, at - 1 - p.lag_ns + after[p.targets], _NEVER), at + p.lag_ns)


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


@dataclass(frozen=True, slots=True)
class Causes:
    """What each event's time follows from; every event has one cause, or none (a floor, or nothing at all).

    `edge` is the edge that held it (a position in `program.targets`, -1: none), `occupant` the row of `program.places`
    of the wide operator whose room it waited for (-1: none), and `event` the source of the edge or the start of that
    operator (-1: none). `ties` says of which events another edge, or a floor, arrived at the same time.
    """

    edge: Array
    occupant: Array
    event: Array
    ties: Array


def causes_of(program: Program, timeline: Timeline) -> Causes:
    """What each event's time follows from, resources included. O(edges + places log places).

    Of several causes that come at the same time the first edge of the program counts, an edge before a floor.
    """
    arrival = _arrivals(program, timeline)
    counted = arrival > _NEVER
    edge = _last(program.targets, arrival, counted, timeline.happened[program.sources], program.events)
    came = np.where(edge >= 0, arrival[edge] if len(arrival) else _NEVER, _NEVER)
    floor = program.floor_ns
    ties = np.bincount(program.targets[counted & (arrival == came[program.targets])], minlength=program.events) > 1
    ties |= (edge >= 0) & (floor == came)
    edge[floor > came] = -1
    occupant = _occupants(program, timeline, np.maximum(came, floor))
    held = occupant >= 0
    edge[held] = -1
    event = np.where(edge >= 0, program.sources[edge] if len(program.targets) else -1, -1).astype(np.int64)
    event[held] = 2 * program.places.operator[occupant[held]]
    return Causes(edge, occupant, event, ties & ~held)


def _occupants(program: Program, timeline: Timeline, ready: Array) -> Array:
    """For each event the row of the wide operator on another lane of its device that left room just as it happened."""
    found, p = np.full(program.events, -1, dtype=np.int64), program.places
    wide = np.flatnonzero(p.tail_ns >= 0)
    late = np.flatnonzero(timeline.ns[2 * p.operator] > ready[2 * p.operator])
    if not len(wide) or not len(late):
        return found
    until = timeline.ns[2 * p.operator[wide]] + p.duration_ns[wide] - p.tail_ns[wide]
    at = timeline.ns[2 * p.operator[late]]
    zero = min(int(until.min()), int(at.min()))
    span = max(int(until.max()), int(at.max())) - zero + 1
    key, wanted = p.device[wide] * span + until - zero, p.device[late] * span + at - zero
    order = np.argsort(key, kind="stable")
    ascending = key[order]
    for place in (np.searchsorted(ascending, wanted), np.searchsorted(ascending, wanted, side="right") - 1):
        place = np.clip(place, 0, len(wide) - 1)
        row = wide[order[place]]
        fits = (ascending[place] == wanted) & (p.lane[row] != p.lane[late])
        found[2 * p.operator[late[fits]]] = row[fits]
    return found


def traced_back(event: Array, weight: Array) -> Array:
    """What weights given to events become when each event hands all of its own on to its cause. O(events).

    `event` is that of `Causes`; `weight` has an entry an event. The weight of an event is then by how much the weighted
    sum of times grows with its time: the backward pass of automatic differentiation over a graph of maxima.
    """
    return _traced_back(event, weight.astype(np.float64))


@kernel
def _traced_back(cause: Array, weight: Array, stop: Array = NEVER) -> Array:
    events = len(cause)
    effects = np.zeros(events, dtype=np.int32)  # those that have not handed on theirs yet
    for v in range(events):
        if cause[v] >= 0:
            effects[cause[v]] += 1
    ready = np.empty(events, dtype=np.int32)
    size = 0
    for v in range(events):
        if effects[v] == 0:
            ready[size] = v
            size += 1
    step = 0
    while size > 0:
        if step % BETWEEN_LOOKS == 0 and stopped(stop):
            break
        step += 1
        size -= 1
        to = cause[ready[size]]
        if to >= 0:
            weight[to] += weight[ready[size]]
            effects[to] -= 1
            if effects[to] == 0:
                ready[size] = to
                size += 1
    return weight
