"""The loop over events: start the NPUs, then let happen what is due, until nothing is left."""

from __future__ import annotations

from typing import Final

from etgraph.model.cancelling import BETWEEN_LOOKS, NEVER, stopped
from etgraph.model.columns import Array
from etgraph.model.kernel_tables import bare
from etgraph.model.kernels import kernel, part
from etgraph.sim.astra_sim.engine.agenda import (
    ARRIVAL,
    BATCH,
    LINK_FREE,
    MEMORY_FREE,
    NODE_ENDS,
    PACKET_READY,
    PACKET_REDUCES,
    PHASE_ENDS,
    forget,
    free_event,
    pop_time,
    set_timer,
)
from etgraph.sim.astra_sim.engine.chunks import enqueue, leave_chunk, leave_phase, queue_of, start_waiting
from etgraph.sim.astra_sim.engine.messages import (
    NOBODY,
    NODE,
    PHASE,
    RECEIVE_DATA,
    SEND_DATA,
    free_message,
    start_receive,
    start_send,
)
from etgraph.sim.astra_sim.engine.network import free_link, next_hop
from etgraph.sim.astra_sim.engine.npus import complete, make_ready, memory_free, scan
from etgraph.sim.astra_sim.engine.phases import (
    DOUBLE_BINARY_TREE,
    HALVING_DOUBLING,
    create_packet,
    packet_ready,
    reduction_ns,
)
from etgraph.sim.astra_sim.engine.state import NONE, Machine
from etgraph.sim.astra_sim.engine.trees import tree_ready, tree_receives

DONE: Final = 0
MORE: Final = 1
FAILED: Final = 2
"""How the loop leaves off: nothing is left, a pool is too small to go on, a fault."""


@kernel
def run(machine: Machine, stop: Array = NEVER) -> int:
    """Go on until nothing is left. Everything is kept in the machine, so that the loop can be entered again."""
    tables = bare(machine)
    clock = tables.clock[0]
    while clock.looping < tables.setup[0].npus:
        if scarce(tables):
            return MORE
        start(tables, clock.looping)
        clock.looping += 1
        if clock.fault:
            return FAILED
    while clock.heap > 0:
        clock.now = tables.heap[0].time
        bucket = tables.buckets[tables.heap[0].ref]
        while bucket.first != NONE:
            clock.steps += 1
            if clock.steps % BETWEEN_LOOKS == 0 and stopped(stop):
                return DONE
            if scarce(tables):
                return MORE
            at = bucket.first
            event = tables.events[at]
            if event.kind == BATCH and event.first != NONE:
                timer = event.first
                event.first = tables.events[timer].next
                kind = tables.events[timer].kind
                ref = tables.events[timer].ref
                free_event(tables, timer)
                time_out(tables, kind, ref)
            else:
                bucket.first = event.next
                kind = event.kind
                ref = event.ref
                free_event(tables, at)
                happen(tables, kind, ref)
            if clock.fault:
                return FAILED
        pop_time(tables)
    return DONE


@part
def scarce(machine: Machine) -> bool:
    """Whether a pool has too few records for one more step."""
    clock = machine.clock[0]
    reserve = machine.setup[0].reserve
    return bool(
        clock.buckets < reserve
        or clock.events < reserve
        or clock.messages < reserve
        or clock.receives < reserve
        or 2 * (clock.keys + reserve) > len(machine.keys)
        or 2 * (clock.channels + reserve) > len(machine.channels)
    )


@part
def start(machine: Machine, npu: int) -> None:
    """Issue what an NPU can do at time 0."""
    first = machine.heaps[4 * npu].first
    last = machine.heaps[4 * npu + 4].first
    for row in range(first, last):
        if machine.nodes[row].waits == 0:
            make_ready(machine, row)
    scan(machine, npu)


@part
def happen(machine: Machine, kind: int, ref: int) -> None:
    """One event of the agenda; a batch comes here when all its timers have run out."""
    if kind == BATCH:
        forget(machine, machine.clock[0].now, ref)
    elif kind == ARRIVAL:
        message = machine.messages[ref]
        if machine.setup[0].aware and message.at != message.dst:
            next_hop(machine, ref)
        else:
            arrive(machine, ref)
    elif kind == LINK_FREE:
        free_link(machine, ref)
    else:
        tell(machine, machine.messages[ref].receiver)
        free_message(machine, ref)


@part
def arrive(machine: Machine, at: int) -> None:
    """A message is there: the sender hears of it, and the receiver if it waits already."""
    message = machine.messages[at]
    tell(machine, message.sender)
    if message.receiver == NOBODY:
        message.arrived = 1
    else:
        tell(machine, message.receiver)
        free_message(machine, at)


@part
def tell(machine: Machine, callback: int) -> None:
    """Let whoever waited for a message go on."""
    kind = callback % 8
    ref = callback // 8
    if kind == PHASE:
        phase = machine.phases[ref]
        machine.clock[0].node = machine.chunks[phase.chunk].node
        phase.received += 1
        if machine.steps[phase.step].algorithm == DOUBLE_BINARY_TREE:
            tree_receives(machine, ref)
        else:
            create_packet(machine, ref)
    elif kind == NODE:
        complete(machine, ref, 1)
    elif kind == SEND_DATA:
        start_send(machine, ref)
    elif kind == RECEIVE_DATA:
        start_receive(machine, ref)


@part
def time_out(machine: Machine, kind: int, ref: int) -> None:
    """A timer has run out."""
    if machine.setup[0].closed:
        watch_order(machine, kind, ref)
    if kind == NODE_ENDS:
        complete(machine, ref, 0)
        return
    if kind == MEMORY_FREE:
        memory_free(machine, ref)
        return
    if kind == PHASE_ENDS:
        end_phase(machine, ref)
        return
    phase = machine.phases[ref]
    step = machine.steps[phase.step]
    machine.clock[0].node = machine.chunks[phase.chunk].node
    if kind == PACKET_REDUCES:
        pause = step.reduction
        if step.algorithm == HALVING_DOUBLING:
            pause = reduction_ns(machine, phase.packet)
        set_timer(machine, phase.npu, pause, PACKET_READY, ref)
    elif step.algorithm == DOUBLE_BINARY_TREE:
        if tree_ready(machine, ref):
            end_phase(machine, ref)
    elif packet_ready(machine, ref):
        end_phase(machine, ref)


@part
def watch_order(machine: Machine, kind: int, ref: int) -> None:
    """Notice that in one nanosecond things end of which the closed form does not know which comes first.

    These are a node and a phase, or phases that are different steps.
    """
    clock = machine.clock[0]
    ended = NONE - 1 if kind == NODE_ENDS else machine.phases[ref].step
    if clock.ended_at == clock.now and clock.ended != ended:
        clock.ambiguous = 1
    clock.ended = ended
    clock.ended_at = clock.now


@part
def end_phase(machine: Machine, slot: int) -> None:
    """A chunk goes on to its next phase; after the last chunk's last one the collective ends."""
    at = machine.phases[slot].chunk
    chunk = machine.chunks[at]
    row = chunk.node
    node = machine.nodes[row]
    left = queue_of(machine, at)
    leave_phase(machine, slot)
    last = chunk.at + 1 == machine.plans[node.plan].steps
    entered = NONE
    if last:
        node.left -= 1
        if node.left == 0:
            complete(machine, row, 0)
        leave_chunk(machine, at)
    else:
        chunk.at += 1
        entered = enqueue(machine, at)
    machine.queues[left].running -= 1
    start_waiting(machine, left)
    if entered != NONE:
        start_waiting(machine, entered)
