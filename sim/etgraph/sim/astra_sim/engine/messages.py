"""Sends and receives: the first send of a key meets the first receive of it, the second the second.

A key is tag, sender, receiver and size. Halves that wait for their other half are in a channel, which a hash table
finds. In rendezvous a receive is announced first, by a message of its own that the sender waits for.
"""

from __future__ import annotations

from typing import Final

from etgraph.model.kernels import part
from etgraph.sim.astra_sim.engine.agenda import LATE_RECEIVE, fail, schedule
from etgraph.sim.astra_sim.engine.network import transmit
from etgraph.sim.astra_sim.engine.state import NONE, Machine

NOBODY: Final = 0
NODE: Final = 1
PHASE: Final = 2
SEND_DATA: Final = 3
RECEIVE_DATA: Final = 4
"""Who is told: none, a node that sends or receives, a phase of a collective, a send or receive in rendezvous."""

NO_BYTES: Final = 2
TO_ITSELF: Final = 3
TOO_LARGE: Final = 4
"""Faults: a message without bytes, one to its sender, one whose size a rendezvous cannot hold."""

_EMPTY, _SENDS, _RECEIVES = 0, 1, 2
_ANNOUNCEMENT: Final = 8192
_ANNOUNCED: Final = 1_000_000_000
"""Bytes of the message that announces a receive, and what is added to the tag for it."""


@part
def channel_home(tag: int, src: int, dst: int, size: int) -> int:
    """Where the search for a channel begins, of a large table. The numbers of a record may be narrow ones."""
    place = (int(tag) & 0x7FFFFFFF) * 0x2545F491 + (int(size) & 0x7FFFFFFF) * 0x165667B1
    place += (int(src) & 0xFFFFF) * 0x1B873593 + (int(dst) & 0xFFFFF) * 0x0E6546B3
    return place ^ (place >> 29)


@part
def channel_of(machine: Machine, tag: int, src: int, dst: int, size: int) -> int:
    """The place of a key's channel, or the empty one where it belongs."""
    channels = machine.channels
    mask = len(channels) - 1
    place = channel_home(tag, src, dst, size) & mask
    while True:
        channel = channels[place]
        if channel.kind == _EMPTY:
            return place
        if channel.tag == tag and channel.src == src and channel.dst == dst and channel.bytes == size:
            return place
        place = (place + 1) & mask


@part
def wait_in_channel(machine: Machine, place: int, kind: int, at: int, key: int) -> None:
    """Put a message or a receive at the end of its channel; the message at `key` has tag, ends and size."""
    channel = machine.channels[place]
    if channel.kind == _EMPTY:
        message = machine.messages[key]
        channel.kind = kind
        channel.tag = message.tag
        channel.src = message.src
        channel.dst = message.dst
        channel.bytes = message.bytes
        channel.first = at
        machine.clock[0].channels += 1
    elif kind == _SENDS:
        machine.messages[channel.last].next = at
    else:
        machine.receives[channel.last].next = at
    channel.last = at


@part
def first_in_channel(machine: Machine, place: int) -> int:
    """Take the first out of a channel; one that is empty then is taken away."""
    channel = machine.channels[place]
    at = channel.first
    if at != channel.last:
        channel.first = machine.messages[at].next if channel.kind == _SENDS else machine.receives[at].next
        return int(at)
    channels = machine.channels
    mask = len(channels) - 1
    machine.clock[0].channels -= 1
    hole = place
    while True:
        place = (place + 1) & mask
        channel = channels[place]
        if channel.kind == _EMPTY:
            break
        begin = channel_home(channel.tag, channel.src, channel.dst, channel.bytes) & mask
        if ((place - begin) & mask) >= ((place - hole) & mask):
            empty = channels[hole]
            empty.kind = channel.kind
            empty.tag = channel.tag
            empty.src = channel.src
            empty.dst = channel.dst
            empty.bytes = channel.bytes
            empty.first = channel.first
            empty.last = channel.last
            hole = place
    channels[hole].kind = _EMPTY
    return int(at)


@part
def new_message(machine: Machine, tag: int, src: int, dst: int, size: int, sender: int) -> int:
    """A record for a message."""
    clock = machine.clock[0]
    at = clock.free_message
    message = machine.messages[at]
    clock.free_message = message.next
    clock.messages -= 1
    message.tag = tag
    message.src = src
    message.dst = dst
    message.at = src
    message.bytes = size
    message.sender = sender
    message.receiver = NOBODY
    message.next = NONE
    message.behind = NONE
    message.arrived = 0
    return int(at)


@part
def free_message(machine: Machine, at: int) -> None:
    """Give a record back."""
    clock = machine.clock[0]
    machine.messages[at].next = clock.free_message
    clock.free_message = at
    clock.messages += 1


@part
def start_send(machine: Machine, at: int) -> None:
    """Send a message, whoever waits for it."""
    message = machine.messages[at]
    if message.bytes <= 0:
        fail(machine, NO_BYTES, machine.clock[0].node, message.dst, 0)
        return
    if message.src == message.dst:
        fail(machine, TO_ITSELF, machine.clock[0].node, message.dst, message.bytes)
        return
    place = channel_of(machine, message.tag, message.src, message.dst, message.bytes)
    if machine.channels[place].kind == _RECEIVES:
        receive = first_in_channel(machine, place)
        message.receiver = machine.receives[receive].callback
        clock = machine.clock[0]
        machine.receives[receive].next = clock.free_receive
        clock.free_receive = receive
        clock.receives += 1
    else:
        wait_in_channel(machine, place, _SENDS, at, at)
    transmit(machine, at)


@part
def start_receive(machine: Machine, at: int) -> None:
    """Wait for a message like the one at `at`, whose record is given back, and tell its receiver."""
    wanted = machine.messages[at]
    place = channel_of(machine, wanted.tag, wanted.src, wanted.dst, wanted.bytes)
    if machine.channels[place].kind == _SENDS:
        sent = first_in_channel(machine, place)
        message = machine.messages[sent]
        message.receiver = wanted.receiver
        if message.arrived:
            schedule(machine, 0, LATE_RECEIVE, sent)
    else:
        clock = machine.clock[0]
        receive = clock.free_receive
        record = machine.receives[receive]
        clock.free_receive = record.next
        clock.receives -= 1
        record.callback = wanted.receiver
        record.next = NONE
        wait_in_channel(machine, place, _RECEIVES, receive, at)
    free_message(machine, at)


@part
def send(machine: Machine, tag: int, src: int, dst: int, size: int, sender: int) -> None:
    """Send a message at once, or in rendezvous as soon as its receive is announced."""
    at = new_message(machine, tag, src, dst, size, sender)
    if not machine.setup[0].rendezvous:
        start_send(machine, at)
        return
    if size >= 1 << 31:
        fail(machine, TOO_LARGE, machine.clock[0].node, dst, size)
    announced = new_message(machine, tag + _ANNOUNCED, dst, src, _ANNOUNCEMENT, NOBODY)
    machine.messages[announced].receiver = SEND_DATA + 8 * at
    start_receive(machine, announced)


@part
def receive(machine: Machine, tag: int, src: int, dst: int, size: int, receiver: int) -> None:
    """Post a receive at once, or in rendezvous when its announcement has arrived."""
    at = new_message(machine, tag, src, dst, size, NOBODY)
    machine.messages[at].receiver = receiver
    if not machine.setup[0].rendezvous:
        start_receive(machine, at)
        return
    start_send(machine, new_message(machine, tag + _ANNOUNCED, dst, src, _ANNOUNCEMENT, RECEIVE_DATA + 8 * at))
