"""The engine's loop: deterministic, integer nanoseconds, one compiled function."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etgraph.model.cancelling import BETWEEN_LOOKS, NEVER, stopped
from etgraph.model.columns import Array
from etgraph.model.kernels import kernel
from etgraph.sim.bounds import check_length, check_together
from etgraph.sim.engine.program import Program


@dataclass(frozen=True, slots=True)
class Timeline:
    """When every event happened, in ns, and which did: those behind a cycle, or behind one on a server, never do."""

    operators: int
    ns: Array
    happened: Array

    @property
    def start_ns(self) -> Array:
        """Starts of the operators."""
        return self.ns[: 2 * self.operators : 2]

    @property
    def end_ns(self) -> Array:
        """Ends of the operators."""
        return self.ns[1 : 2 * self.operators : 2]


@dataclass(frozen=True, slots=True)
class _Special:
    """What is special of some events, a row each: wake-ups, what they ask for, and the server that they give back."""

    row: Array
    after_ns: Array
    lane: Array
    length_ns: Array
    tail_ns: Array
    server: Array
    frees: Array
    device: Array
    servers: int


def run(program: Program) -> Timeline:
    """Let every event happen as early as its edges and resources allow.

    O(edges + a log a + a · lanes of a device) for a starts that ask for something. Of starts that ask at one time the
    one with the lower number goes first. `etgraph.sim.engine.stuck` tells what keeps events from happening. Raises
    UsageError for a run longer than `bounds.MOST_NS`.
    """
    p = program
    check_together(p.floored_ns - p.zero_ns, p.lag_ns, p.after_ns, p.places.duration_ns)
    missing = np.bincount(p.targets, minlength=p.events).astype(np.int32)
    s = _special(p)
    ns = p.floor_ns
    happened = _run(
        p.offsets, p.targets, p.lag_ns, ns, missing, s.row, s.after_ns, s.lane, s.length_ns, s.tail_ns,
        s.server, s.frees, s.device, s.servers,
    )  # fmt: skip
    check_length(int(ns.max(initial=p.zero_ns)) - p.zero_ns)
    return Timeline(p.operators, ns, happened)


def _special(p: Program) -> _Special:
    placed, served = 2 * p.places.operator, 2 * p.services.operator
    special = np.zeros(p.events, dtype=bool)
    for events in (p.waking, placed, served, served + 1):
        special[events] = True
    events = np.flatnonzero(special)
    row = np.full(p.events, -1, dtype=np.int32)
    row[events] = np.arange(len(events), dtype=np.int32)
    lanes, lane = np.unique(p.places.lane, return_inverse=True)
    device = np.zeros(len(lanes), dtype=np.int64)
    device[lane] = p.places.device

    def column(of: Array, values: Array) -> Array:
        filled = np.full(len(events), -1, dtype=np.int64)
        filled[row[of]] = values
        return filled

    return _Special(
        row,
        column(p.waking, p.after_ns),
        column(placed, lane),
        column(placed, p.places.duration_ns),
        column(placed, p.places.tail_ns),
        column(served, p.services.server),
        column(served + 1, p.services.server),
        device,
        int(p.services.server.max(initial=-1)) + 1,
    )


@kernel
def _run(
    offsets: Array,
    targets: Array,
    lags: Array,
    ns: Array,
    missing: Array,
    special: Array,
    after: Array,
    lane: Array,
    length: Array,
    tail: Array,
    server: Array,
    frees: Array,
    device: Array,
    servers: int,
    stop: Array = NEVER,
) -> Array:
    """Whether events happened. `missing` counts the edges that have not arrived; `ns` are floors, and become times."""
    never = -(2**62)
    events, rows, lanes = len(ns), len(after), len(device)
    happened = np.zeros(events, dtype=np.bool_)
    since = np.full(rows, never)  # latest source of a plain edge, of events with wake-ups
    held = np.full(rows, never)  # latest wake-up
    # Events whose edges have all arrived, as a stack; below each one, `missing` holds the next. The order is free,
    # since times do not depend on it: what does depend on an order in time asks for something, and goes to the heap.
    top = -1
    for v in range(events):
        if missing[v] == 0:
            missing[v] = top
            top = v

    def push(heap_ns: Array, heap_event: Array, size: int, at: int, event: int) -> None:
        """Put an event into the heap, by time and then by number; `size` is how many are in it."""
        i = size
        while i > 0:
            up = (i - 1) // 2
            if heap_ns[up] < at or (heap_ns[up] == at and heap_event[up] < event):
                break
            heap_ns[i], heap_event[i] = heap_ns[up], heap_event[up]
            i = up
        heap_ns[i], heap_event[i] = at, event

    def pop(heap_ns: Array, heap_event: Array, size: int) -> None:
        """Take the first one out."""
        at, event = heap_ns[size - 1], heap_event[size - 1]
        i = 0
        while True:
            down = 2 * i + 1
            if down >= size - 1:
                break
            right = down + 1
            if right < size - 1 and (
                heap_ns[right] < heap_ns[down]
                or (heap_ns[right] == heap_ns[down] and heap_event[right] < heap_event[down])
            ):
                down = right
            if at < heap_ns[down] or (at == heap_ns[down] and event < heap_event[down]):
                break
            heap_ns[i], heap_event[i] = heap_ns[down], heap_event[down]
            i = down
        heap_ns[i], heap_event[i] = at, event

    asking_ns = np.empty(rows, dtype=np.int64)
    asking = np.empty(rows, dtype=np.int32)
    size = 0
    wide_until = np.full(lanes, never)  # of wide ones that have started: starts are granted in order of time
    granted = np.zeros(rows, dtype=np.bool_)
    behind = np.full(rows, -1, dtype=np.int32)  # the event that is served after this one
    first = np.full(servers, -1, dtype=np.int32)  # the event that is served, or waits for that, and the last one
    last = np.full(servers, -1, dtype=np.int32)
    free_at = np.full(servers, never)
    step = 0
    while top >= 0 or size > 0:
        if step % BETWEEN_LOOKS == 0 and stopped(stop):
            break
        step += 1
        if top >= 0:
            v = top
            top = missing[v]
            s = special[v]
            if s >= 0:
                if held[s] > since[s] and held[s] + after[s] > ns[v]:
                    ns[v] = held[s] + after[s]
                if lane[s] >= 0 or server[s] >= 0:
                    push(asking_ns, asking, size, ns[v], v)
                    size += 1
                    continue
        else:
            v = asking[0]
            pop(asking_ns, asking, size)
            size -= 1
            s = special[v]
            q = server[s]
            if q >= 0 and not granted[s]:
                if first[q] >= 0:
                    behind[special[last[q]]] = v
                    last[q] = v
                    continue
                first[q] = v
                last[q] = v
                granted[s] = True
                if free_at[q] > ns[v]:
                    ns[v] = free_at[q]
                    push(asking_ns, asking, size, ns[v], v)
                    size += 1
                    continue
            on = lane[s]
            if on >= 0:
                room = ns[v]
                for other in range(lanes):
                    if other != on and device[other] == device[on]:
                        room = max(room, wide_until[other])
                if room > ns[v]:
                    ns[v] = room
                    push(asking_ns, asking, size, room, v)
                    size += 1
                    continue
                if tail[s] >= 0:
                    wide_until[on] = ns[v] + length[s] - tail[s]
        happened[v] = True
        t = ns[v]
        if s >= 0 and frees[s] >= 0:
            q = frees[s]
            following = behind[special[first[q]]]
            first[q] = following
            free_at[q] = t
            if following >= 0:
                granted[special[following]] = True
                ns[following] = max(ns[following], t)
                push(asking_ns, asking, size, ns[following], following)
                size += 1
        for e in range(offsets[v], offsets[v + 1]):
            to = targets[e]
            lag = lags[e]
            w = special[to]
            if lag >= 0:
                if t + lag > ns[to]:
                    ns[to] = t + lag
                if w >= 0 and t > since[w]:
                    since[w] = t
            elif t - 1 - lag > held[w]:
                held[w] = t - 1 - lag
            missing[to] -= 1
            if missing[to] == 0:
                missing[to] = top
                top = to
    return happened
