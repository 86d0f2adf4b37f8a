"""The operators that meet operators of other ranks: one for each rank and collective, in order on each rank."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from etgraph.ingest.communication.names import communication_call
from etgraph.ingest.draft import NULL, Draft
from etgraph.model import Category, CommType, DependencyKind, NodeType, Trace
from etgraph.model.columns import Array

DEEPEST: Final = 256
"""How many enclosing operators are looked at; deeper nesting of communication within communication does not occur."""
AGREED: Final = tuple(
    int(t)
    for t in (CommType.ALL_REDUCE, CommType.ALL_GATHER, CommType.REDUCE_SCATTER, CommType.BROADCAST, CommType.REDUCE)
)
"""Types whose size is the same on all ranks; what a rank gives to an all-to-all, gather or scatter is its own."""


@dataclass(frozen=True, slots=True)
class Members:
    """Communicating operators in order (by rank, then start, then index), one value each.

    `rows` are rows of the operators, `group` rows of the process groups or -1, `sequence` numbers within the group or
    `NULL`. `start` and `end` are `NULL` where they are not measured. `calls` counts the host calls left out because
    they only issue communication that runs elsewhere and is not recorded.
    """

    rows: Array
    rank: Array
    kind: Array
    type: Array
    bytes: Array
    group: Array
    sequence: Array
    start: Array
    end: Array
    device: Array
    calls: int

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def timed(self) -> Array:
        """Which of them have start and end."""
        known: Array = (self.start != NULL) & (self.end != NULL)
        return known


def members(draft: Draft) -> Members:
    """The members of collectives and messages of a trace.

    A communication operator within another, or launched inside it, is the member and the outer one is not. A timed
    host call of NCCL returns long before its kernel runs, so it meets nobody, whether its kernel is recorded or not.
    """
    trace = draft.trace
    o = trace.operators
    kind = o["kind"]
    rows = np.flatnonzero((kind >= int(NodeType.COMM_SEND)) & (kind <= int(NodeType.COMM_COLL)))
    end = trace.end_ns
    timed = (o["start_ns"][rows] != NULL) & (end[rows] != NULL)
    issues = o.codes_where("name", communication_call)[o["name"][rows]] & ~_on_device(trace, rows)
    outer = np.isin(rows, outer_calls(trace, rows))
    calls = int((issues & timed & ~outer).sum())
    rows = rows[~outer & ~(issues & timed)]
    start = o["start_ns"][rows]
    rows = rows[np.lexsort((o["index"][rows], start, o["rank"][rows]))]
    columns = {
        field: o[name][rows].astype(np.int64)
        for field, name in (("rank", "rank"), ("kind", "kind"), ("type", "comm_type"), ("bytes", "comm_bytes"),
                            ("group", "group"), ("start", "start_ns"))
    }  # fmt: skip
    sequence = draft.id("comm_sequence")[rows]
    return Members(rows, **columns, sequence=sequence, end=end[rows], device=_on_device(trace, rows), calls=calls)


def outer_calls(trace: Trace, rows: Array) -> Array:
    """Rows of those communication operators that only issue another one: they enclose it, or it runs on a device.

    By nesting only PyTorch's and NCCL's calls do. In an execution trace operators that follow an asynchronous one of
    gloo's are written as its children.
    """
    o, d = trace.operators, trace.dependencies
    issues = o.codes_where("name", communication_call)
    communicates = np.zeros(len(o) + 1, dtype=bool)
    communicates[rows] = True
    device = np.zeros(len(o) + 1, dtype=bool)
    device[rows[_on_device(trace, rows)]] = True
    caller = np.full(len(o) + 1, -1, dtype=np.int64)
    launches = np.flatnonzero(d["kind"] == int(DependencyKind.LAUNCH))
    launches = launches[device[d["dst"][launches]]]
    caller[d["dst"][launches]] = d["src"][launches]
    outer = np.zeros(len(o) + 1, dtype=bool)
    recorded = np.flatnonzero(np.isin(d["kind"], (int(DependencyKind.CTRL), int(DependencyKind.DATA))))
    recorded = recorded[device[d["dst"][recorded]] & communicates[d["src"][recorded]]]
    joined = outer.copy()
    joined[d["src"][recorded[~device[d["src"][recorded]]]]] = True
    outer |= joined
    parent = o["parent"]
    around = np.where(caller[rows] >= 0, caller[rows], parent[rows])
    for _ in range(DEEPEST):
        around = np.unique(around[around >= 0])
        if not len(around):
            break
        outer[around] = True
        around = parent[around]
    return rows[outer[rows] & (issues[o["name"][rows]] | joined[rows])]


def _on_device(trace: Trace, rows: Array) -> Array:
    device: Array = trace.operators["category"][rows] >= int(Category.KERNEL)
    return device


def classes(m: Members, which: Array) -> Array:
    """A number for each of the members at `which`: equal for one type and, where ranks agree on it, one size.

    A type of which some operator's size is not known is not told apart by size.
    """
    type = m.type[which]
    unknown = np.unique(type[m.bytes[which] == NULL])
    size = np.where(np.isin(type, AGREED) & ~np.isin(type, unknown), m.bytes[which], NULL)
    return codes(type, size)


def codes(*columns: Array) -> Array:
    """A number from 0 for each distinct combination of values, in their order."""
    total = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        code, count = _dense(column)
        total, _ = _dense(total * max(count, 1) + code)
    return total


def _dense(values: Array) -> tuple[Array, int]:
    """The rank of each value among the distinct ones, and how many there are; without sorting where they are near."""
    if not len(values):
        return np.zeros(0, dtype=np.int64), 0
    low, high = int(values.min()), int(values.max())
    if high - low > 4 * len(values) + 1024:
        distinct, code = np.unique(values, return_inverse=True)
        return code.reshape(-1), len(distinct)
    offset = values.astype(np.int64) - low
    there = np.zeros(high - low + 1, dtype=np.int64)
    there[offset] = 1
    number = np.cumsum(there)
    return number[offset] - 1, int(number[-1])


def ordinals(key: Array) -> Array:
    """How many earlier elements have the same key."""
    order = np.argsort(key, kind="stable")
    new = np.diff(key[order], prepend=-1) != 0
    first = np.maximum.accumulate(np.where(new, np.arange(len(key)), 0))
    found = np.empty(len(key), dtype=np.int64)
    found[order] = np.arange(len(key)) - first
    return found
