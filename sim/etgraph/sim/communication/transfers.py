"""Transfers: the collectives and messages of a trace, as cost models see them, and how long each was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from etgraph.model import CommType, NodeType, Trace
from etgraph.model.arrivals import NULL, arrivals
from etgraph.model.columns import Array
from etgraph.model.meetings import Meetings, meetings
from etgraph.sim.communication.algorithms import MESSAGE
from etgraph.sim.communication.libraries import library_of


@dataclass(frozen=True, slots=True)
class Transfers:
    """Collectives and messages, one entry each.

    `type` is a `CommType` or `MESSAGE`, `bytes` the size as nccl-tests counts it (`NULL`: not known), `group` a
    position in `groups`, the ranks of each group in order (of a message: sender and receiver); `libraries` names the
    library of each group as `LIBRARIES` does.
    """

    type: Array
    bytes: Array
    group: Array
    groups: tuple[tuple[int, ...], ...]
    libraries: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.type)

    @property
    def ranks(self) -> Array:
        """How many ranks take part in each."""
        sizes = np.array([len(group) for group in self.groups], dtype=np.int64)
        found: Array = sizes[self.group]
        return found

    def take(self, rows: Array) -> Transfers:
        """Some of them; the groups stay."""
        return replace(self, type=self.type[rows], bytes=self.bytes[rows], group=self.group[rows])


@dataclass(frozen=True, slots=True)
class Measured:
    """What a trace says of its transfers, one entry each.

    `transfer_ns` is the time from the last member's start to the last member's end, which is what a collective takes
    without anyone's waiting; `NULL` where that is not known. `operator` is the row of the first operator, `collective`
    the row of the collective (−1: a message, or peers that are not known). `resolution_ns` is the clocks' own.
    """

    transfers: Transfers
    transfer_ns: Array
    operator: Array
    collective: Array
    resolution_ns: int

    def __len__(self) -> int:
        return len(self.operator)

    def take(self, rows: Array) -> Measured:
        """Some of them."""
        return replace(
            self, transfers=self.transfers.take(rows), transfer_ns=self.transfer_ns[rows], operator=self.operator[rows],
            collective=self.collective[rows],
        )  # fmt: skip

    @property
    def usable(self) -> Array:
        """Rows that tell what a transfer costs: of several ranks, with known size and time."""
        known = (self.transfer_ns != NULL) & (self.transfers.bytes != NULL) & (self.transfers.ranks > 1)
        return np.flatnonzero(known)


def measured(trace: Trace) -> Measured:
    """The collectives and messages of a trace, and their times. O(operators log operators)."""
    met = meetings(trace, arrivals(trace))
    o, first = trace.operators, met.first
    kind = o["kind"][first]
    message = (kind == int(NodeType.COMM_SEND)) | (kind == int(NodeType.COMM_RECV))
    type = np.where(message, MESSAGE, o["comm_type"][first]).astype(np.int64)
    known = message | (o["comm_type"][first] >= 0)
    kept = np.flatnonzero(known)
    group, groups = _groups(trace, met, message)
    named, libraries = _libraries(trace, met)
    pairs, of = np.unique(np.stack([group[kept], named[kept]]), axis=1, return_inverse=True)
    transfers = Transfers(
        type[kept], np.where(type == CommType.BARRIER, 0, met.bytes)[kept], of.ravel(),
        tuple(groups[g] for g in pairs[0].tolist()), tuple(libraries[n] for n in pairs[1].tolist()),
    )  # fmt: skip
    return Measured(
        transfers, met.transfer_ns[kept], first[kept], o["collective"][first[kept]].astype(np.int64),
        clock_resolution_ns(trace, met.operator),
    )  # fmt: skip


def joined(parts: Sequence[Measured]) -> Measured:
    """The transfers of several traces as one; its operators and collectives are those of each one's own trace."""
    offsets = np.cumsum([0, *(len(part.transfers.groups) for part in parts)])[:-1]
    transfers = Transfers(
        np.concatenate([part.transfers.type for part in parts]),
        np.concatenate([part.transfers.bytes for part in parts]),
        np.concatenate([part.transfers.group + offset for part, offset in zip(parts, offsets.tolist())]),
        tuple(group for part in parts for group in part.transfers.groups),
        tuple(library for part in parts for library in part.transfers.libraries),
    )
    return Measured(
        transfers,
        transfer_ns=np.concatenate([part.transfer_ns for part in parts]),
        operator=np.concatenate([part.operator for part in parts]),
        collective=np.concatenate([part.collective for part in parts]),
        resolution_ns=max(part.resolution_ns for part in parts),
    )


def clock_resolution_ns(trace: Trace, rows: Array) -> int:
    """The step of the clocks that those operators were timed by: the greatest unit that all times are multiples of.

    Recordings in whole microseconds give 1,000. Times are counted from the trace's first; 1 where there are none.
    """
    rows = rows[trace.timed[rows]]
    start, duration = trace.operators["start_ns"][rows], trace.operators["duration_ns"][rows]
    unit = np.gcd(np.gcd.reduce(np.diff(start)), np.gcd.reduce(duration)) if len(rows) else 0
    return max(int(unit), 1)


def _groups(trace: Trace, met: Meetings, message: Array) -> tuple[Array, list[tuple[int, ...]]]:
    """The group of each meeting, and the ranks of each: the recorded ones, filled up where not all are recorded.

    A message whose other end is not recorded names it as its peer.
    """
    o = trace.operators
    rank = o["rank"][met.operator].astype(np.int64)
    # A sender comes before its receiver, whatever their ranks.
    sends = o["kind"][met.operator] == int(NodeType.COMM_SEND)
    order = np.lexsort((rank, ~sends, met.meeting))
    meeting, rank = met.meeting[order], rank[order]
    fresh = np.ones(len(meeting), dtype=bool)
    fresh[1:] = (meeting[1:] != meeting[:-1]) | (rank[1:] != rank[:-1])
    meeting, rank = meeting[fresh], rank[fresh]
    count = np.bincount(meeting, minlength=len(met.first))
    begin = np.cumsum(count) - count
    found = np.zeros(len(met.first), dtype=np.int64)
    groups: list[tuple[int, ...]] = []
    declared = o["group"][met.first]
    for size in np.unique(count).tolist():
        same = np.flatnonzero(count == size)
        members = rank[begin[same][:, None] + np.arange(size)[None, :]]
        whole = np.stack([np.where(message[same], 2, met.ranks[same]), declared[same]], axis=1)
        distinct, of = np.unique(np.concatenate([members, whole], axis=1), axis=0, return_inverse=True)
        found[same] = len(groups) + of.ravel()
        groups += [_filled(trace, tuple(row[:size]), row[size], row[size + 1]) for row in distinct.tolist()]
    alone = np.flatnonzero(message & (count == 1) & ~o.is_null("peer")[met.first])
    ends = np.stack([o["rank"], o["peer"]], axis=1)[met.first[alone]]
    sent = o["kind"][met.first[alone]] == int(NodeType.COMM_SEND)
    distinct, of = np.unique(np.where(sent[:, None], ends, ends[:, ::-1]), axis=0, return_inverse=True)
    found[alone] = len(groups) + of.ravel()
    return found, [*groups, *map(tuple, distinct.tolist())]


def _filled(trace: Trace, members: tuple[int, ...], expected: int, group: int) -> tuple[int, ...]:
    """All ranks of a group: as declared, else the recorded ones and the lowest others."""
    declared: Sequence[int] = trace.group_ranks[group] if group >= 0 else ()
    if len(members) >= expected:
        return members
    if len(declared) == expected:
        return tuple(declared)
    others = (rank for rank in range(expected + len(members)) if rank not in members)
    return tuple(sorted((*members, *(next(others) for _ in range(expected - len(members))))))


def _libraries(trace: Trace, met: Meetings) -> tuple[Array, list[str]]:
    """The library of each meeting: as its operator's name tells, else its group's backend."""
    o = trace.operators
    texts = [library_of(text).name for text in o.texts("name").to_pylist()]
    backends = [library_of(text).name for text in trace.process_groups.texts("backend").to_pylist()]
    names = sorted({*texts, *backends, "any"})
    code = {name: position for position, name in enumerate(names)}
    by_name = np.array([code[name] for name in texts] or [code["any"]])[o["name"][met.first]]
    group = o["group"][met.first]
    by_group = np.full(len(by_name), code["any"])
    if len(trace.process_groups):
        backend = trace.process_groups["backend"][group]
        known = (group >= 0) & (backend >= 0)
        by_group[known] = np.array([code[name] for name in backends])[backend[known]]
    return np.where(by_name == code["any"], by_group, by_name), names


__all__ = ["Measured", "Transfers", "clock_resolution_ns", "measured"]
