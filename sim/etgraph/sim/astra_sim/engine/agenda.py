"""What will happen, and in which order: earliest time first, and within one time as it was scheduled.

All events of a time are in one bucket; a heap holds the times. The timers of an NPU that are due at one time are one
event, a batch, which stands where its first timer was scheduled. A hash table finds the bucket of a time, and the
batch of an NPU at a time.
"""

from __future__ import annotations

from typing import Final

from etgraph.model.kernels import part
from etgraph.sim.astra_sim.engine.state import NONE, Machine

BATCH: Final = 0
ARRIVAL: Final = 1
LINK_FREE: Final = 2
LATE_RECEIVE: Final = 3
"""Kinds of events: timers of an NPU, a message at a device, a link that is free, a receive of what had arrived."""

NODE_ENDS: Final = 0
PACKET_READY: Final = 1
PACKET_REDUCES: Final = 2
MEMORY_FREE: Final = 3
PHASE_ENDS: Final = 4
"""Kinds of timers: a node's, the end of a packet's delay, the same with a reduction to follow, a memory's queue, and a
phase as a whole."""

AT_ZERO: Final = 1
"""Fault: something would happen at time 0, which has begun."""
EVERYBODY: Final = -1
"""Owner of the buckets among the keys."""


@part
def fail(machine: Machine, fault: int, node: int, peer: int, size: int) -> None:
    """Remember what makes the run end, unless something did before."""
    clock = machine.clock[0]
    if clock.fault == 0:
        clock.fault = fault
        clock.fault_node = node
        clock.fault_peer = peer
        clock.fault_bytes = size


@part
def key_home(time: int, owner: int) -> int:
    """Where the search for a key begins, of a large table. The numbers of a record may be narrow ones."""
    place = (int(time) & 0x7FFFFFFF) * 0x2545F491 + (int(owner) + 1) * 0x1B873593
    return place ^ (place >> 31)


@part
def look_up(machine: Machine, time: int, owner: int) -> int:
    """The place of a key among the keys, or the empty one where it belongs."""
    keys = machine.keys
    mask = len(keys) - 1
    place = key_home(time, owner) & mask
    while keys[place].ref != NONE and (keys[place].time != time or keys[place].owner != owner):
        place = (place + 1) & mask
    return place


@part
def remember(machine: Machine, place: int, time: int, owner: int, ref: int) -> None:
    """Fill an empty place."""
    key = machine.keys[place]
    key.time = time
    key.owner = owner
    key.ref = ref
    machine.clock[0].keys += 1


@part
def forget(machine: Machine, time: int, owner: int) -> None:
    """Take a key away; those behind it move up to where a search finds them."""
    keys = machine.keys
    mask = len(keys) - 1
    hole = look_up(machine, time, owner)
    machine.clock[0].keys -= 1
    place = hole
    while True:
        place = (place + 1) & mask
        key = keys[place]
        if key.ref == NONE:
            break
        if ((place - key_home(key.time, key.owner)) & mask) >= ((place - hole) & mask):
            keys[hole].time = key.time
            keys[hole].owner = key.owner
            keys[hole].ref = key.ref
            hole = place
    keys[hole].ref = NONE


@part
def push_time(machine: Machine, time: int, bucket: int) -> None:
    """Put a time into the heap."""
    heap = machine.heap
    clock = machine.clock[0]
    at = clock.heap
    clock.heap += 1
    while at > 0:
        above = (at - 1) >> 1
        if heap[above].time <= time:
            break
        heap[at].time = heap[above].time
        heap[at].ref = heap[above].ref
        at = above
    heap[at].time = time
    heap[at].ref = bucket


@part
def pop_time(machine: Machine) -> None:
    """Take the earliest time, all of whose events have happened, out of the agenda."""
    heap = machine.heap
    clock = machine.clock[0]
    time = heap[0].time
    bucket = heap[0].ref
    forget(machine, time, EVERYBODY)
    machine.buckets[bucket].first = clock.free_bucket
    clock.free_bucket = bucket
    clock.buckets += 1
    if clock.last_time == time:
        clock.last_time = NONE
    clock.heap -= 1
    size = clock.heap
    moved = heap[size].time
    moved_ref = heap[size].ref
    at = 0
    while True:
        below = 2 * at + 1
        if below >= size:
            break
        if below + 1 < size and heap[below + 1].time < heap[below].time:
            below += 1
        if moved <= heap[below].time:
            break
        heap[at].time = heap[below].time
        heap[at].ref = heap[below].ref
        at = below
    heap[at].time = moved
    heap[at].ref = moved_ref


@part
def new_event(machine: Machine, kind: int, ref: int) -> int:
    """A record for an event or a timer."""
    clock = machine.clock[0]
    at = clock.free_event
    event = machine.events[at]
    clock.free_event = event.next
    clock.events -= 1
    event.kind = kind
    event.ref = ref
    event.next = NONE
    return int(at)


@part
def free_event(machine: Machine, at: int) -> None:
    """Give a record back."""
    clock = machine.clock[0]
    machine.events[at].next = clock.free_event
    clock.free_event = at
    clock.events += 1


@part
def bucket_of(machine: Machine, time: int) -> int:
    """The bucket of a time, a new one where nothing was to happen then."""
    clock = machine.clock[0]
    if clock.last_time == time:
        return int(clock.last_bucket)
    place = look_up(machine, time, EVERYBODY)
    at = machine.keys[place].ref
    if at == NONE:
        if time == 0:
            fail(machine, AT_ZERO, clock.node, NONE, 0)
        at = clock.free_bucket
        bucket = machine.buckets[at]
        clock.free_bucket = bucket.first
        clock.buckets -= 1
        bucket.time = time
        bucket.first = NONE
        bucket.last = NONE
        remember(machine, place, time, EVERYBODY, at)
        push_time(machine, time, at)
    clock.last_time = time
    clock.last_bucket = at
    return int(at)


@part
def append(machine: Machine, time: int, at: int) -> None:
    """Let an event happen at a time, after all that is to happen then."""
    bucket = machine.buckets[bucket_of(machine, time)]
    if bucket.first == NONE:
        bucket.first = at
    else:
        machine.events[bucket.last].next = at
    bucket.last = at


@part
def schedule(machine: Machine, delay: int, kind: int, ref: int) -> None:
    """Let something happen after so many ns."""
    append(machine, machine.clock[0].now + delay, new_event(machine, kind, ref))


@part
def set_timer(machine: Machine, npu: int, delay: int, kind: int, ref: int) -> None:
    """Let a timer of an NPU run out after so many ns; it joins those of the NPU that are due then."""
    time = machine.clock[0].now + delay
    place = look_up(machine, time, npu)
    at = machine.keys[place].ref
    if at == NONE:
        at = new_event(machine, BATCH, npu)
        machine.events[at].first = NONE
        remember(machine, place, time, npu, at)
        append(machine, time, at)
    timer = new_event(machine, kind, ref)
    batch = machine.events[at]
    if batch.first == NONE:
        batch.first = timer
    else:
        machine.events[batch.last].next = timer
    batch.last = timer
