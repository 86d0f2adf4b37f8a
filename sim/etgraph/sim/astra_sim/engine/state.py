"""All that a run knows at one moment, as tables of records: what is fixed, what changes, and pools that grow.

A machine is a tuple of tables, so that compiled code sees plain memory. Records that come and go are taken from pools
and given back; `Clock` holds the heads of their lists of free records. A reference to no record is -1.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from etgraph.model.columns import Array

I1, I4, I8, F8 = np.int8, np.int32, np.int64, np.float64
NONE: Final = -1

CLOCK: Final = np.dtype(
    [
        ("now", I8), ("looping", I8), ("heap", I8), ("steps", I8), ("sent", I8), ("handled", I8),
        ("last_time", I8), ("last_bucket", I8), ("ended", I8), ("ended_at", I8), ("ambiguous", I8),
        ("node", I8), ("fault", I8), ("fault_node", I8), ("fault_bytes", I8), ("fault_peer", I8), ("waiting", I8),
        ("free_bucket", I8), ("buckets", I8), ("free_event", I8), ("events", I8), ("free_message", I8),
        ("messages", I8), ("free_receive", I8), ("receives", I8), ("keys", I8), ("channels", I8),
        ("free_chunk", I8), ("free_phase", I8),
    ],
    align=True,
)  # fmt: skip
"""One record: the time, and what belongs to no table. `looping` is 0 while the NPUs start; of pools the number of free
records, of hash tables the number of those in use."""

SETUP: Final = np.dtype(
    [
        ("aware", I8), ("topology", I8), ("npus", I8), ("dims", I8), ("queues", I8), ("places", I8), ("most_steps", I8),
        ("rendezvous", I8), ("memory_latency", I8), ("memory_bandwidth", I8), ("memory_queued", I8),
        ("npus_of_memory", I8), ("bandwidth_of_reduction", F8), ("reserve", I8),
        ("closed", I8),
    ],
    align=True,
)  # fmt: skip
"""One record: the choices of the run. `reserve` is how many records of a pool one step may take; `closed` says that one
NPU stands for all, whose phases take a time as a whole."""

DIM: Final = np.dtype(
    [("topology", I8), ("npus", I8), ("stride", I8), ("bandwidth", F8), ("latency", F8)], align=True
)  # fmt: skip
"""A dimension of the network: bandwidth in bytes a ns, latency in ns."""

NODE: Final = np.dtype(
    [
        ("npu", I4), ("action", I1), ("resource", I1), ("message", I1), ("unused", I1), ("waits", I4), ("left", I4),
        ("plan", I4), ("member", I4), ("membership", I4), ("peer", I4), ("next", I4), ("tag", I8), ("bytes", I8),
        ("duration", I8), ("start", I8), ("end", I8),
    ],
    align=True,
)  # fmt: skip
"""An operator. `waits` counts parents that have not ended, `left` chunks; start and end are -1 until they come."""

NPU: Final = np.dtype(
    [("streams", I8), ("finish", I8), ("busy", I4), ("running", I4), ("ready", I4), ("by_message", I4)], align=True
)
"""`busy` has a bit for each resource in use; `by_message` says whether the last completion came with a message."""

READY: Final = np.dtype([("first", I8), ("count", I8)], align=True)
"""Where the heap of ready nodes of one NPU and one resource lies in `Machine.ready`."""

PLAN: Final = np.dtype([("first", I4), ("steps", I4), ("chunks", I4), ("group", I8)], align=True)
"""How a collective is done: its steps, how many chunks go through them, and the number of its group (0: all)."""

STEP: Final = np.dtype(
    [
        ("kind", I1), ("algorithm", I1), ("lane", I1), ("tree", I1), ("dim", I4), ("members", I4), ("stride", I4),
        ("group", I4), ("sends", I4), ("width", I4), ("others", I4), ("whole", I8), ("message", I8), ("delay", I8),
        ("reduction", I8), ("closed", I8),
    ],
    align=True,
)  # fmt: skip
"""One phase of a chunk; `others` packets of a round come after `width` plain ones. `closed` is its time as a whole."""

CHUNK: Final = np.dtype([("tag", I8), ("node", I4), ("at", I4), ("next", I4)], align=True)
"""A chunk of a collective on one NPU, and which step of its plan it is at."""

QUEUE: Final = np.dtype([("first", I4), ("last", I4), ("running", I4)], align=True)
"""The chunks that wait for a place, and how many have one."""

PHASE: Final = np.dtype(
    [
        ("step", I4), ("chunk", I4), ("npu", I4), ("me", I4), ("sense", I4), ("place", I4), ("lap", I4),
        ("waiting", I4), ("credits", I4), ("left", I4), ("received", I4), ("to", I4), ("sender", I4),
        ("distance", I4), ("growing", I1), ("stage", I1), ("next", I4), ("packet", I8), ("next_packet", I8),
    ],
    align=True,
)  # fmt: skip
"""A phase that a chunk is in. `to` and `sender` are positions among the members, `me` is the NPU's own."""

BUCKET: Final = np.dtype([("time", I8), ("first", I4), ("last", I4)], align=True)
"""All events of one time, in their order. Free ones are linked by `first`."""

EVENT: Final = np.dtype([("kind", I4), ("ref", I4), ("next", I4), ("first", I4), ("last", I4)], align=True)
"""Something that will happen. A batch has an NPU's timers, from `first` to `last`."""

KEY: Final = np.dtype([("time", I8), ("owner", I4), ("ref", I4)], align=True)
"""Where a time's bucket is, or an NPU's batch at a time. Empty where `ref` is -1."""

MESSAGE: Final = np.dtype(
    [
        ("tag", I8), ("bytes", I8), ("sender", I8), ("receiver", I8), ("src", I4), ("dst", I4), ("at", I4),
        ("next", I4), ("behind", I4), ("arrived", I4),
    ],
    align=True,
)  # fmt: skip
"""`next` is the next message of its channel, `behind` that of the link it waits for. `sender` and `receiver` are
callbacks: 8 times the record that is told, plus what it is."""

RECEIVE: Final = np.dtype([("callback", I8), ("next", I4)], align=True)

CHANNEL: Final = np.dtype(
    [("tag", I8), ("bytes", I8), ("src", I4), ("dst", I4), ("first", I4), ("last", I4), ("kind", I4)], align=True
)
"""Messages or receives of one key that wait for their other half. Empty where `kind` is 0."""

LINK: Final = np.dtype([("busy", I4), ("first", I4), ("last", I4)], align=True)
"""References are one more than elsewhere here, so that a table of nothing but zeros is one of idle links."""

MEMORY: Final = np.dtype([("busy", I4), ("first", I4), ("last", I4)], align=True)
"""A queue of remote memory: nodes that wait."""


class Machine(NamedTuple):
    """The tables. Arrays of plain numbers: `children` and `members` are lists by ranges, `ready` holds heaps of nodes,
    `turns` and `trees` round-robin counters by NPU, `streams` counters of groups, `routes` the choices of chunks."""

    clock: Any
    setup: Any
    dims: Any
    nodes: Any
    first_child: Array
    children: Array
    npus: Any
    heaps: Any
    ready: Array
    plans: Any
    steps: Any
    members: Array
    chunks: Any
    routes: Array
    queues: Any
    turns: Array
    trees: Array
    streams: Array
    phases: Any
    heap: Any
    buckets: Any
    events: Any
    keys: Any
    messages: Any
    receives: Any
    channels: Any
    links: Any
    memories: Any


def table(dtype: np.dtype[Any], count: int) -> Any:
    """A table of records, all zero, whose fields are attributes."""
    return np.zeros(count, dtype=dtype).view(np.recarray)


def pool(dtype: np.dtype[Any], count: int, link: str = "next") -> Any:
    """A table of free records, each linked to the one after it."""
    records = table(dtype, count)
    records[link] = np.arange(1, count + 1)
    records[link][-1:] = NONE
    return records


def empty_keys(count: int) -> Any:
    """A hash table of times without entries."""
    keys = table(KEY, count)
    keys["ref"] = NONE
    return keys
