"""One phase of a chunk on one NPU: packets that mature, are sent, and are created again for each message received."""

from __future__ import annotations

from typing import Final

from etgraph.model.kernels import part
from etgraph.sim.astra_sim.engine.agenda import PACKET_READY, PACKET_REDUCES, set_timer
from etgraph.sim.astra_sim.engine.messages import PHASE, receive, send
from etgraph.sim.astra_sim.engine.state import Machine

ALL_REDUCE: Final = 0
ALL_GATHER: Final = 1
REDUCE_SCATTER: Final = 2
ALL_TO_ALL: Final = 3
KINDS: Final = 4
"""Kinds of collectives, and of their phases."""

RING_ALGORITHM: Final = 0
DIRECT: Final = 1
HALVING_DOUBLING: Final = 2
DOUBLE_BINARY_TREE: Final = 3
"""Algorithms."""


@part
def member(machine: Machine, slot: int, position: int) -> int:
    """The NPU at a position among the members of a phase."""
    phase = machine.phases[slot]
    step = machine.steps[phase.step]
    if step.group >= 0:
        return int(machine.members[step.group + position])
    return int(phase.npu + (position - phase.me) * step.stride)


@part
def exchange(machine: Machine, slot: int, to: int, sender: int, size: int) -> None:
    """Send to one member and post a receive from another, of the same size."""
    phase = machine.phases[slot]
    tag = machine.chunks[phase.chunk].tag
    send(machine, tag, phase.npu, member(machine, slot, to), size, 0)
    await_from(machine, slot, sender, size)


@part
def await_from(machine: Machine, slot: int, sender: int, size: int) -> None:
    """Post a receive from a member."""
    phase = machine.phases[slot]
    tag = machine.chunks[phase.chunk].tag
    receive(machine, tag, member(machine, slot, sender), phase.npu, size, PHASE + 8 * slot)


@part
def reduction_ns(machine: Machine, size: int) -> int:
    """Three passes over memory."""
    bandwidth = machine.setup[0].bandwidth_of_reduction
    return 3 * int(size / bandwidth * 1e9)


@part
def delay(machine: Machine, slot: int, reduces: bool) -> None:
    """Let the endpoint's delay pass, and the time of a reduction after it."""
    phase = machine.phases[slot]
    kind = PACKET_REDUCES if reduces else PACKET_READY
    set_timer(machine, phase.npu, machine.steps[phase.step].delay, kind, slot)


@part
def begin_packets(machine: Machine, slot: int) -> None:
    """Start a phase of any algorithm but the tree."""
    phase = machine.phases[slot]
    step = machine.steps[phase.step]
    phase.place = 0
    phase.lap = 0
    phase.waiting = 0
    phase.credits = 0
    phase.received = 0
    phase.left = step.sends
    phase.to = (phase.me + phase.sense) % step.members
    phase.sender = (phase.me - phase.sense) % step.members
    if step.algorithm == HALVING_DOUBLING:
        gathers = step.kind == ALL_GATHER
        phase.growing = 0 if gathers else 1
        phase.distance = step.members // 2 if gathers else 1
        phase.next_packet = step.whole if gathers else step.whole // 2
    for _ in range(step.width):
        create_packet(machine, slot)


@part
def create_packet(machine: Machine, slot: int) -> None:
    """Create a packet: it is ready after the endpoint's delay, and a reduction in some places of some rounds."""
    phase = machine.phases[slot]
    step = machine.steps[phase.step]
    if phase.place == 0:
        phase.lap += 1
    odd = phase.lap % 2 == 1
    reduces = phase.place >= step.width and (step.kind == REDUCE_SCATTER or (step.kind == ALL_REDUCE and odd))
    phase.place = (phase.place + 1) % (step.width + step.others)
    phase.waiting += 1
    if step.algorithm == HALVING_DOUBLING:
        aim(machine, slot)
    delay(machine, slot, reduces)


@part
def aim(machine: Machine, slot: int) -> None:
    """Halving and doubling: the peer and the size of the packet that is created, and distance and size of the next."""
    phase = machine.phases[slot]
    step = machine.steps[phase.step]
    ahead = phase.distance == 0 or phase.me // phase.distance % 2 == 0
    phase.to = (phase.me + (phase.distance if ahead else -phase.distance)) % step.members
    phase.packet = phase.next_packet
    turn(machine, slot)
    if phase.growing and step.kind == ALL_REDUCE and phase.distance == step.members:
        phase.growing = 0
        turn(machine, slot)


@part
def turn(machine: Machine, slot: int) -> None:
    """Double the distance and halve the size, or the other way round."""
    phase = machine.phases[slot]
    if phase.growing:
        phase.distance *= 2
        phase.next_packet //= 2
    else:
        phase.distance //= 2
        phase.next_packet *= 2


@part
def packet_ready(machine: Machine, slot: int) -> bool:
    """A packet is ready: a credit to send one that waits. Whether the phase has ended."""
    phase = machine.phases[slot]
    step = machine.steps[phase.step]
    phase.credits += 1
    tries = 1
    if step.algorithm == DIRECT and step.kind == ALL_REDUCE and phase.left <= step.members - 1:
        if phase.received < step.members - 1:
            return False
        tries = step.width
    for _ in range(tries):
        if phase.waiting > 0 and phase.left > 0 and phase.credits > 0:
            send_packet(machine, slot)
    return bool(phase.left == 0 and phase.credits == step.width)


@part
def send_packet(machine: Machine, slot: int) -> None:
    """Send the oldest packet."""
    phase = machine.phases[slot]
    step = machine.steps[phase.step]
    phase.waiting -= 1
    phase.left -= 1
    phase.credits -= 1
    if step.algorithm == HALVING_DOUBLING:
        exchange(machine, slot, phase.to, phase.to, phase.packet)
        return
    exchange(machine, slot, phase.to, phase.sender, step.message)
    if step.algorithm == DIRECT:
        phase.to = other_member(phase.to, phase.sense, phase.me, step.members)
        phase.sender = other_member(phase.sender, -phase.sense, phase.me, step.members)


@part
def other_member(position: int, sense: int, me: int, size: int) -> int:
    """The next position in a direction that is not the own."""
    position = (position + sense) % size
    return (position + sense) % size if position == me else position
