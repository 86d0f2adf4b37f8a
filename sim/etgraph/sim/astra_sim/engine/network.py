"""What a message pays: latency and bandwidth alone, or also waiting for links that others use."""

from __future__ import annotations

from typing import Final

from etgraph.model.kernels import part
from etgraph.sim.astra_sim.engine.agenda import ARRIVAL, LINK_FREE, schedule
from etgraph.sim.astra_sim.engine.state import Machine

RING: Final = 0
FULLY_CONNECTED: Final = 1
SWITCH: Final = 2
"""Topologies of a dimension."""


@part
def transmit(machine: Machine, at: int) -> None:
    """Send a message on its way."""
    machine.clock[0].sent += 1
    if machine.setup[0].aware:
        next_hop(machine, at)
        return
    message = machine.messages[at]
    for d in range(len(machine.dims)):
        dim = machine.dims[d]
        own = message.src // dim.stride % dim.npus
        other = message.dst // dim.stride % dim.npus
        if own != other:
            hops = 1
            if dim.topology == SWITCH:
                hops = 2
            elif dim.topology == RING:
                clockwise = (other - own) % dim.npus
                hops = min(clockwise, dim.npus - clockwise)
            schedule(machine, int(hops * dim.latency + message.bytes / dim.bandwidth), ARRIVAL, at)
            return


@part
def next_hop(machine: Machine, at: int) -> None:
    """Let a message, which is at a device, take the next link of its way or wait for it."""
    message = machine.messages[at]
    size = machine.setup[0].npus
    topology = machine.setup[0].topology
    own = message.at
    if topology == RING:
        clockwise = (message.dst - own) % size
        if clockwise <= size - clockwise:
            number = 2 * own
            there = (own + 1) % size
        else:
            number = 2 * own + 1
            there = (own - 1) % size
    elif topology == SWITCH:
        if own == size:
            number = 2 * message.dst + 1
            there = message.dst
        else:
            number = 2 * own
            there = size
    else:
        number = own * size + message.dst
        there = message.dst
    message.at = there
    link = machine.links[number]
    if link.busy == 0:
        take_link(machine, number, at)
    elif link.first == 0:
        link.first = at + 1
        link.last = at + 1
    else:
        machine.messages[link.last - 1].behind = at
        link.last = at + 1


@part
def take_link(machine: Machine, number: int, at: int) -> None:
    """Use a free link: the message arrives after the latency, the link is free when all bytes are on it."""
    dim = machine.dims[0]
    machine.links[number].busy = 1
    onto = machine.messages[at].bytes / dim.bandwidth
    schedule(machine, int(dim.latency + onto), ARRIVAL, at)
    schedule(machine, int(onto), LINK_FREE, number)


@part
def free_link(machine: Machine, number: int) -> None:
    """A link is free: who waits longest takes it at once."""
    link = machine.links[number]
    link.busy = 0
    if link.first != 0:
        at = link.first - 1
        link.first = 0 if link.first == link.last else machine.messages[at].behind + 1
        take_link(machine, number, at)
