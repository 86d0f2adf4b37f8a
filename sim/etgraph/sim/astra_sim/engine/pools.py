"""Pools that have become too small: the same machine with larger ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from etgraph.model.kernel_tables import bare
from etgraph.model.kernels import kernel
from etgraph.sim.astra_sim.engine.agenda import look_up, remember
from etgraph.sim.astra_sim.engine.messages import channel_of
from etgraph.sim.astra_sim.engine.state import CHANNEL, NONE, Machine, empty_keys, table


def grown(machine: Machine, compiled: bool) -> Machine:
    """The machine with twice the room in those pools of which little is left, and hash tables that fit."""
    clock, reserve = machine.clock[0], machine.setup[0].reserve
    changes: dict[str, Any] = {}
    for free, heads, names in (
        (("buckets", "events"), ("free_bucket", "free_event"), ("buckets", "events")),
        (("messages", "receives"), ("free_message", "free_receive"), ("messages", "receives")),
    ):
        for count, head, name in zip(free, heads, names):
            if clock[count] < reserve:
                records = getattr(machine, name)
                changes[name] = _doubled(records, "first" if name == "buckets" else "next", int(clock[head]))
                clock[head] = len(records)
                clock[count] += len(records)
    if "buckets" in changes:
        heap = machine.heap.copy()
        changes["heap"] = np.concatenate([heap, heap]).view(np.recarray)
    larger = machine._replace(**changes)
    if {"buckets", "events"} & changes.keys():
        clock["keys"] = 0
        larger = larger._replace(keys=empty_keys(room_for(larger.events, larger.buckets)))
        _enter_keys.run(compiled, larger, machine.keys)
    if {"messages", "receives"} & changes.keys():
        clock["channels"] = 0
        larger = larger._replace(channels=table(CHANNEL, room_for(larger.messages, larger.receives)))
        _enter_channels.run(compiled, larger, machine.channels)
    return larger


def room_for(*records: Any) -> int:
    """Places of a hash table that has an entry for each record of some pools at most: a power of two."""
    return 1 << int(2 * sum(map(len, records)) - 1).bit_length()


def _doubled(records: Any, link: str, head: int) -> Any:
    """The records, and as many free ones in front of those that are free."""
    count = len(records)
    larger = np.concatenate([records, np.zeros_like(records)]).view(np.recarray)
    larger[link][count:] = np.arange(count + 1, 2 * count + 1)
    larger[link][-1] = head
    return larger


@kernel
def _enter_keys(machine: Machine, keys: Any) -> None:
    """Fill a new table of keys."""
    tables = bare(machine)
    for k in range(len(keys)):
        key = keys[k]
        if key.ref != NONE:
            remember(tables, look_up(tables, key.time, key.owner), key.time, key.owner, key.ref)


@kernel
def _enter_channels(machine: Machine, channels: Any) -> None:
    """Fill a new table of channels."""
    tables = bare(machine)
    for k in range(len(channels)):
        old = channels[k]
        if old.kind != 0:
            new = tables.channels[channel_of(tables, old.tag, old.src, old.dst, old.bytes)]
            new.kind = old.kind
            new.tag = old.tag
            new.src = old.src
            new.dst = old.dst
            new.bytes = old.bytes
            new.first = old.first
            new.last = old.last
            tables.clock[0].channels += 1
