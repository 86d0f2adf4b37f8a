"""What the host calls above a communication operator say of it: type, size, group, peer, number in its group.

NCCL's kernels run on a device and gloo's operators on threads of their own; the calls that issued them know more.
A kernel's calls are open when it is launched. gloo's operators are worked off in the order in which they were issued.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from etgraph.ingest.communication.names import (
    collective_type,
    communication_call,
    elements_bytes,
    message_bytes,
    node_type,
)
from etgraph.ingest.communication.sizes import recorded_bytes
from etgraph.ingest.draft import NULL, int64s
from etgraph.ingest.kineto.reader import Message, Recording
from etgraph.ingest.nesting import innermost
from etgraph.model import Category, CommType, NodeType
from etgraph.model.columns import Array

NULL32: Final = -(2**31)
_CLASSES: Final = ("record_param_comms", "nccl:", "c10d::")
"""The calls around one launch, the one that says most first."""
_HOST: Final = ("gloo:", "mpi:")
_SPANS: Final = 100


@dataclass(frozen=True, slots=True)
class KnownGroups:
    """Process groups of a file: the row of each message's, the ranks of each row, and the row of the only one or -1."""

    of_message: Array
    members: Sequence[Sequence[int]]
    only: int


Facts = tuple[int, int, int, int, int, int]
"""Node type, type of collective, bytes, row of the group, peer, tag."""


def communication(recording: Recording, sort: Array, rows: Array, kind: Array, groups: KnownGroups) -> dict[str, Array]:
    """The columns of communication for the operators at `rows` of the raw intervals, whose kinds are known by name.

    What an operator's own arguments say goes first, then the calls around it. The number in its group goes into the
    raw column `group_sequence`, and a number that gloo's operator shares with PyTorch's call into `issue`.
    """
    raw, count = recording.intervals, len(rows)
    raw["issue"] = np.full(len(raw["name"]), NULL)
    nulls = {"comm_type": NULL32, "comm_bytes": NULL, "group": -1, "peer": NULL32, "tag": NULL32}
    found = {"kind": kind.copy(), **{name: np.full(count, null) for name, null in nulls.items()}}
    which = np.flatnonzero((kind >= int(NodeType.COMM_SEND)) & (kind <= int(NodeType.COMM_COLL)))
    if not len(which):
        return found
    own = rows[which]
    sources = np.stack([own, *_calls_around(recording, sort, own)])
    codes = np.concatenate([np.where(sources >= 0, raw[c][sources], -1) for c in ("name", "message", "shapes")])
    distinct, inverse = np.unique(codes, axis=1, return_inverse=True)
    facts = [_facts(recording, column.reshape(3, -1).T.tolist(), groups) for column in distinct.T]
    for name, values in zip(found, zip(*facts, strict=True), strict=True):
        found[name][which] = int64s(values)[inverse.reshape(-1)]
    sequence = np.where(sources >= 0, raw["group_sequence"][sources], NULL)
    raw["group_sequence"][own] = sequence[np.argmax(sequence != NULL, axis=0), np.arange(len(own))]
    return found


def _facts(recording: Recording, sources: Sequence[Sequence[int]], groups: KnownGroups) -> Facts:
    """What the sources of one operator say together; each is (name, message, shapes) as codes, -1 where it has none."""
    names = [recording.names[name] if name >= 0 else "" for name, _, _ in sources]
    messages = [recording.messages[m] for _, m, _ in sources if m >= 0]
    texts = [m.collective for m in messages] + [n for n in names if not n.startswith("record_param_comms")]
    kind = next((node_type(text) for text in texts if _tells(text)), node_type(names[0]))
    type = next((t for text in texts if (t := collective_type(text)) is not None), None)
    type = type if kind is NodeType.COMM_COLL else None
    rows = groups.of_message
    group = next((int(rows[m]) for _, m, _ in sources if m >= 0 and rows[m] >= 0), groups.only)
    inside = groups.members[group] if group >= 0 else ()
    ranks = next((m.size for m in messages if m.size > 0), len(inside))
    size = next((b for m in messages if (b := _message_bytes(kind, type, m)) is not None), None)
    if size is None and (kind is not NodeType.COMM_COLL or type is not None):
        shaped = ((n, recording.shapes[s]) for n, (_, _, s) in zip(names, sources, strict=True) if s >= 0)
        size = next((b for n, (d, t) in shaped if (b := recorded_bytes(n, type, d, t, ranks)) is not None), None)
    peer, tag = NULL32, NULL32
    if kind is not NodeType.COMM_COLL:
        for message in (m for m in messages if 0 <= m.peer < -NULL32):
            named = not message.collective and message.peer < len(inside)
            peer = inside[message.peer] if named else message.peer
            break
        tag = next((m.tag for m in messages if m.tag >= 0), NULL32)
    return int(kind), NULL32 if type is None else int(type), NULL if size is None else size, group, peer, tag


def _tells(text: str) -> bool:
    """Whether a text says which kind of communication it is; `SendRecv` may be a send, a receive, or all-to-all."""
    plain = text.lower()
    return "sendrecv" not in plain and (collective_type(text) is not None or "send" in plain or "recv" in plain)


def _message_bytes(kind: NodeType, type: CommType | None, message: Message) -> int | None:
    if not message.collective:
        return None
    if kind is NodeType.COMM_COLL:
        return message_bytes(type, message.elements_in, message.elements_out, message.dtype)
    return elements_bytes(message.elements_in if kind is NodeType.COMM_SEND else message.elements_out, message.dtype)


def _calls_around(recording: Recording, sort: Array, own: Array) -> list[Array]:
    """For each communication operator the raw rows of the calls that issued it, one array a class; -1 for none."""
    raw = recording.intervals
    named = _flags(recording, communication_call)
    calls = np.flatnonzero(named[raw["name"]] & ((sort == int(Category.CPU_OP)) | (sort >= _SPANS)))
    calls = calls[np.argsort(raw["start"][calls], kind="stable")]
    end = raw["start"] + raw["duration"]
    at = _issued_at(recording, sort, own)
    around = []
    for prefix in _CLASSES:
        those = calls[_flags(recording, _begins(prefix))[raw["name"][calls]]]
        if not len(those):
            around.append(np.full(len(own), -1))
            continue
        lane, start = raw["lane"], raw["start"]
        inner = innermost(lane[those], start[those], end[those], lane[at], start[at])
        around.append(np.where((inner >= 0) & (at >= 0), those[inner], -1))
    around[2] = _in_turn(recording, calls, own, around[2])
    return around


def _issued_at(recording: Recording, sort: Array, own: Array) -> Array:
    """The raw row of the host call that launched each device operator, the operator itself on a thread, -1 for none."""
    raw = recording.intervals
    on_device = (sort[own] >= int(Category.KERNEL)) & (sort[own] < _SPANS)
    correlation = raw["correlation"][own]
    launched = on_device & (correlation > 0)
    calls = np.flatnonzero(np.isin(sort, (int(Category.RUNTIME), int(Category.DRIVER))))
    calls = calls[np.isin(raw["correlation"][calls], correlation[launched])]
    if not len(calls):
        return np.where(on_device, -1, own)
    calls = calls[np.lexsort((raw["start"][calls], raw["correlation"][calls]))]
    place = np.maximum(np.searchsorted(raw["correlation"][calls], correlation, side="right") - 1, 0)
    same = launched & (raw["correlation"][calls[place]] == correlation)
    return np.where(on_device, np.where(same, calls[place], -1), own)


def _in_turn(recording: Recording, calls: Array, own: Array, around: Array) -> Array:
    """The k-th call of PyTorch's for the k-th operator of gloo's of its type, where there are as many of both."""
    raw = recording.intervals
    types = [collective_type(name) for name in recording.names]
    type = np.array([-1 if t is None else int(t) for t in types] or [-1])[raw["name"]]
    waiting = own[_flags(recording, _begins(_HOST))[raw["name"][own]] & (around < 0)]
    issued = calls[_flags(recording, _begins("c10d::"))[raw["name"][calls]]]
    issued = issued[~np.isin(issued, around)]
    found = np.full(len(raw["name"]), -1)
    for one in np.unique(type[waiting]).tolist():
        done, asked = waiting[type[waiting] == one], issued[type[issued] == one]
        done = done[np.argsort(raw["start"][done], kind="stable")]
        if one >= 0 and len(done) == len(asked) and not (raw["start"][asked] > raw["start"][done]).any():
            found[done] = asked
    paired = np.flatnonzero(found >= 0)
    raw["issue"][paired] = raw["issue"][found[paired]] = np.arange(len(paired))
    return np.where(around >= 0, around, found[own])


def _flags(recording: Recording, test: Callable[[str], bool]) -> Array:
    return np.array([test(name) for name in recording.names] or [False])


def _begins(prefix: str | tuple[str, ...]) -> Callable[[str], bool]:
    return lambda name: name.startswith(prefix)
