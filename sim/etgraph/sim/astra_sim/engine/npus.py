"""The workload of an NPU: which nodes are ready, which are issued, and what follows when one ends."""

from __future__ import annotations

from typing import Final

from etgraph.model.kernels import part
from etgraph.sim.astra_sim.engine.agenda import MEMORY_FREE, NODE_ENDS, fail, set_timer
from etgraph.sim.astra_sim.engine.chunks import create_chunk, enqueue, start_waiting
from etgraph.sim.astra_sim.engine.messages import NODE, receive, send
from etgraph.sim.astra_sim.engine.state import NONE, Machine

LAPSE: Final = 0
COLLECTIVE: Final = 1
SEND: Final = 2
RECEIVE: Final = 3
REMOTE_MEMORY: Final = 4
SKIP: Final = 5
FOREVER: Final = 6
FAULTY: Final = 7
"""What a node does: let its duration pass, communicate, access memory, end at once, never end, or end the run."""

PROCESSOR: Final = 0
COMPUTE: Final = 1
COMMUNICATION: Final = 2
NOTHING: Final = 3
"""Resources of an NPU that a node takes."""

FAULTY_NODE: Final = 5
"""Fault: a node that cannot be executed."""


@part
def make_ready(machine: Machine, row: int) -> None:
    """Put a node into the heap of those that wait for its resource."""
    node = machine.nodes[row]
    heap = machine.heaps[4 * node.npu + node.resource]
    ready = machine.ready
    at = heap.count
    heap.count += 1
    machine.npus[node.npu].ready += 1
    while at > 0 and ready[heap.first + ((at - 1) >> 1)] > row:
        ready[heap.first + at] = ready[heap.first + ((at - 1) >> 1)]
        at = (at - 1) >> 1
    ready[heap.first + at] = row


@part
def take_ready(machine: Machine, number: int) -> int:
    """Take the first node out of a heap."""
    heap = machine.heaps[number]
    ready = machine.ready
    first = heap.first
    row = ready[first]
    heap.count -= 1
    size = heap.count
    moved = ready[first + size]
    at = 0
    while True:
        below = 2 * at + 1
        if below >= size:
            break
        if below + 1 < size and ready[first + below + 1] < ready[first + below]:
            below += 1
        if moved <= ready[first + below]:
            break
        ready[first + at] = ready[first + below]
        at = below
    ready[first + at] = moved
    machine.npus[machine.nodes[row].npu].ready -= 1
    return int(row)


@part
def scan(machine: Machine, number: int) -> None:
    """Issue what is ready, by ascending id, as far as resources are free; the NPU finishes when nothing is left.

    What becomes ready meanwhile, because a node ends at once, waits for the next scan.
    """
    clock = machine.clock[0]
    npu = machine.npus[number]
    clock.waiting = NONE
    while clock.fault == 0:
        best = NONE
        for resource in range(4):
            heap = machine.heaps[4 * number + resource]
            if heap.count > 0 and (npu.busy >> resource) & 1 == 0:
                if best == NONE or machine.ready[heap.first] < machine.ready[machine.heaps[best].first]:
                    best = 4 * number + resource
        if best == NONE:
            break
        issue(machine, take_ready(machine, best))
    while clock.waiting != NONE:
        row = clock.waiting
        clock.waiting = machine.nodes[row].next
        make_ready(machine, row)
    if npu.ready == 0 and npu.running == 0:
        npu.finish = clock.now


@part
def issue(machine: Machine, row: int) -> None:
    """Start a node."""
    clock = machine.clock[0]
    clock.node = row
    node = machine.nodes[row]
    npu = machine.npus[node.npu]
    node.start = clock.now
    npu.running += 1
    if node.resource != NOTHING:
        npu.busy |= 1 << node.resource
    action = node.action
    if action == LAPSE:
        set_timer(machine, node.npu, node.duration, NODE_ENDS, row)
    elif action == COLLECTIVE:
        plan = machine.plans[node.plan]
        node.left = plan.chunks
        for _ in range(plan.chunks):
            start_waiting(machine, enqueue(machine, create_chunk(machine, row)))
    elif action == SEND:
        send(machine, node.tag, node.npu, node.peer, node.bytes, NODE + 8 * row)
    elif action == RECEIVE:
        receive(machine, node.tag, node.peer, node.npu, node.bytes, NODE + 8 * row)
    elif action == REMOTE_MEMORY:
        access(machine, row)
    elif action == SKIP:
        release(machine, row)
        for k in range(machine.first_child[row], machine.first_child[row + 1]):
            child = machine.children[k]
            machine.nodes[child].waits -= 1
            if machine.nodes[child].waits == 0:
                machine.nodes[child].next = clock.waiting
                clock.waiting = child
    elif action == FAULTY:
        fail(machine, FAULTY_NODE, row, NONE, 0)


@part
def release(machine: Machine, row: int) -> None:
    """Record a node's end and free its resource."""
    node = machine.nodes[row]
    npu = machine.npus[node.npu]
    node.end = machine.clock[0].now
    npu.running -= 1
    if node.resource != NOTHING:
        npu.busy &= ~(1 << node.resource)


@part
def complete(machine: Machine, row: int, by_message: int) -> None:
    """A node ends: what waited for it is ready, and the NPU looks for what it can issue."""
    machine.clock[0].handled += 1
    release(machine, row)
    for k in range(machine.first_child[row], machine.first_child[row + 1]):
        child = machine.children[k]
        machine.nodes[child].waits -= 1
        if machine.nodes[child].waits == 0:
            make_ready(machine, child)
    npu = machine.nodes[row].npu
    machine.npus[npu].by_message = by_message
    scan(machine, npu)


@part
def memory_of(machine: Machine, npu: int) -> int:
    """The queue of remote memory that an NPU uses."""
    return int(npu // machine.setup[0].npus_of_memory)


@part
def access(machine: Machine, row: int) -> None:
    """Access remote memory, or wait for those before."""
    node = machine.nodes[row]
    if machine.setup[0].memory_queued:
        memory = machine.memories[memory_of(machine, node.npu)]
        if memory.busy:
            node.next = NONE
            if memory.first == NONE:
                memory.first = row
            else:
                machine.nodes[memory.last].next = row
            memory.last = row
            return
        memory.busy = 1
    set_timer(machine, node.npu, node.duration, NODE_ENDS, row)
    if machine.setup[0].memory_queued:
        set_timer(machine, node.npu, node.duration, MEMORY_FREE, memory_of(machine, node.npu))


@part
def memory_free(machine: Machine, number: int) -> None:
    """A queue of remote memory has served a node: the next one's turn."""
    memory = machine.memories[number]
    memory.busy = 0
    if memory.first != NONE:
        row = memory.first
        memory.first = NONE if row == memory.last else machine.nodes[row].next
        access(machine, row)
