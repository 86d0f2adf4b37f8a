"""The engine's loop: deterministic, integer nanoseconds, one compiled function."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etgraph.model.cancelling import BETWEEN_LOOKS, NEVER, stopped
from etgraph.model.columns import Array
from etgraph.model.kernels import kernel
from etgraph.sim.engine.program import Program


@dataclass(frozen=True, slots=True)
class Timeline:
    """When every event happened, in ns; those that never did are not `happened`."""

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


def run(program: Program) -> Timeline:
    """Let every event happen as early as its edges and resources allow. O(edges + slots log slots).

    Events whose edges never arrive, because of a cycle, do not happen; `etgraph.sim.engine.stuck` names them.
    """
    p, s = program, program.slots
    missing = np.bincount(p.targets, minlength=p.events).astype(np.int32)
    place = np.full(p.events, -1, dtype=np.int32)
    place[p.waking] = np.arange(len(p.waking), dtype=np.int32)
    slot = np.full(p.events, -1, dtype=np.int32)
    slot[s.event] = np.arange(len(s.event), dtype=np.int32)
    lanes, lane = np.unique(s.lane, return_inverse=True)
    device_of = np.zeros(len(lanes), dtype=np.int64)
    device_of[lane] = s.device
    ns, happened = _run(
        p.offsets, p.targets, p.lag_ns, p.floor_ns, missing, place, p.after_ns,
        slot, lane, s.duration_ns, s.tail_ns, device_of,
    )  # fmt: skip
    return Timeline(p.operators, ns, happened)


@kernel
def _run(
    offsets: Array,
    targets: Array,
    lags: Array,
    floor: Array,
    missing: Array,
    place: Array,
    after: Array,
    slot: Array,
    slot_lane: Array,
    slot_duration: Array,
    slot_tail: Array,
    device_of: Array,
    stop: Array = NEVER,
) -> tuple[Array, Array]:
    events = len(floor)
    ns = floor.copy()
    happened = np.zeros(events, dtype=np.bool_)
    since = np.full(len(after), -(2**62))  # latest source of a plain edge, of events with wake-ups
    held = np.full(len(after), -(2**62))  # latest wake-up
    ready = np.empty(events, dtype=np.int32)  # a stack: times do not depend on the order
    height = 0
    for v in range(events):
        if missing[v] == 0:
            ready[height] = v
            height += 1

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

    asking_ns = np.empty(len(slot_lane), dtype=np.int64)  # a heap of starts that ask for a device
    asking = np.empty(len(slot_lane), dtype=np.int32)
    size = 0
    lanes = len(device_of)
    wide_from = np.full(lanes, 2**62)
    wide_until = np.full(lanes, -(2**62))
    step = 0
    while height > 0 or size > 0:
        if step % BETWEEN_LOOKS == 0 and stopped(stop):
            break
        step += 1
        if height > 0:
            height -= 1
            v = ready[height]
            w = place[v]
            if w >= 0 and held[w] > since[w] and held[w] + after[w] > ns[v]:
                ns[v] = held[w] + after[w]
            if slot[v] >= 0:
                push(asking_ns, asking, size, ns[v], v)
                size += 1
                continue
        else:
            v = asking[0]
            pop(asking_ns, asking, size)
            size -= 1
            s = slot[v]
            on = slot_lane[s]
            free = ns[v]
            for other in range(lanes):
                if other != on and device_of[other] == device_of[on] and wide_from[other] <= ns[v]:
                    free = max(free, wide_until[other])
            if free > ns[v]:
                ns[v] = free
                push(asking_ns, asking, size, free, v)
                size += 1
                continue
            if slot_tail[s] >= 0:
                wide_from[on] = free
                wide_until[on] = free + slot_duration[s] - slot_tail[s]
        happened[v] = True
        t = ns[v]
        for e in range(offsets[v], offsets[v + 1]):
            to = targets[e]
            lag = lags[e]
            w = place[to]
            if lag >= 0:
                if t + lag > ns[to]:
                    ns[to] = t + lag
                if w >= 0 and t > since[w]:
                    since[w] = t
            elif t - 1 - lag > held[w]:
                held[w] = t - 1 - lag
            missing[to] -= 1
            if missing[to] == 0:
                ready[height] = to
                height += 1
    return ns, happened
