"""Who waits for whom between ranks: messages, collectives, and one order in which all ranks can run at once."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np

from etgraph.model import Columns, CommType, NodeType, Trace
from etgraph.model.columns import Array
from etgraph.model.graph import adjacency, topological_order
from etgraph.model.kernels import kernel

COLLECTIVE, SEND, RECEIVE = int(NodeType.COMM_COLL), int(NodeType.COMM_SEND), int(NodeType.COMM_RECV)
SHOWN: Final = 10
"""Nodes, ranks or members of a cycle that a message names; the others are counted."""


# Order


def scheduled(nodes: int, sources: Array, targets: Array, place: Array) -> Array:
    """Nodes in topological order; of those that are ready, the one with the lowest place comes first.

    `place` holds each of 0 to nodes - 1 once. Nodes on a cycle, or behind one, are left out.
    """
    out = adjacency(nodes, sources, targets)
    return _scheduled(out.offsets, out.neighbours, place)


@kernel
def _scheduled(offsets: Array, neighbours: Array, place: Array) -> Array:
    nodes = len(offsets) - 1
    waiting = np.zeros(nodes, dtype=np.int64)
    for e in range(len(neighbours)):
        waiting[neighbours[e]] += 1
    node_at = np.empty(nodes, dtype=np.int64)
    for v in range(nodes):
        node_at[place[v]] = v
    ready = [place[v] for v in node_at if waiting[v] == 0]
    order = np.empty(nodes, dtype=np.int64)
    filled = 0
    while len(ready) > 0:
        v = node_at[heapq.heappop(ready)]
        order[filled] = v
        filled += 1
        for e in range(offsets[v], offsets[v + 1]):
            w = neighbours[e]
            waiting[w] -= 1
            if waiting[w] == 0:
                heapq.heappush(ready, place[w])
    return order[:filled]


def ordered(nodes: int, edges: tuple[Array, Array], place: Array, before: Array, after: Array) -> Array:
    """For each pair of nodes whether the edges lead from the one to the other.

    Each edge leads to a higher `place`. Only nodes between the two of a pair are looked at, so that consecutive pairs
    of a chain cost O(nodes + edges) together.
    """
    into = adjacency(nodes, edges[1], edges[0])
    return _ordered(into.offsets, into.neighbours, place, before, after)


@kernel
def _ordered(offsets: Array, neighbours: Array, place: Array, before: Array, after: Array) -> Array:
    nodes = len(offsets) - 1
    seen = np.full(nodes, -1, dtype=np.int64)
    stack = np.empty(nodes + 1, dtype=np.int64)
    found = np.zeros(len(before), dtype=np.bool_)
    for i in range(len(before)):
        stack[0] = after[i]
        depth = 1
        while depth > 0 and not found[i]:
            depth -= 1
            v = stack[depth]
            for e in range(offsets[v], offsets[v + 1]):
                u = neighbours[e]
                if u == before[i]:
                    found[i] = True
                elif seen[u] != i and place[u] > place[before[i]]:
                    seen[u] = i
                    stack[depth] = u
                    depth += 1
    return found


def turns(o: Columns, kind: Array, tag: Array, place: Array) -> tuple[Array, Array]:
    """Pairs of nodes of which one has to be over before the other starts, in the order of `place`.

    An NPU does one collective or send at a time, so that one which comes too early keeps out the one that other ranks
    wait for. Receives of the same tag, peer and size would take each other's message.
    """
    rank = o["rank"]
    busy = np.flatnonzero(np.isin(kind, (COLLECTIVE, SEND)))
    busy = busy[np.lexsort((place[busy], rank[busy]))]
    same = rank[busy[1:]] == rank[busy[:-1]]
    takes = np.flatnonzero(kind == RECEIVE)
    key = codes(rank[takes], o["peer"][takes], tag[takes], o["comm_bytes"][takes])
    by_key = np.lexsort((place[takes], key))
    takes, key = takes[by_key], key[by_key]
    alike = key[1:] == key[:-1]
    return (
        np.concatenate([busy[:-1][same], takes[:-1][alike]]),
        np.concatenate([busy[1:][same], takes[1:][alike]]),
    )


def ordinals(key: Array) -> Array:
    """For each element the number of earlier ones with its key."""
    order = np.argsort(key, kind="stable")
    among = key[order]
    found = np.empty(len(key), dtype=np.int64)
    found[order] = np.arange(len(key)) - np.searchsorted(among, among, side="left")
    return found


def codes(*columns: Array) -> Array:
    """One number for each combination of values, equal where all columns are equal."""
    code = np.zeros(len(columns[0]), dtype=np.int64)
    for values in columns:
        _, inverse = np.unique(values, return_inverse=True)
        code = np.unique(code * (int(inverse.max(initial=0)) + 1) + inverse, return_inverse=True)[1]
    return code


# Messages


@dataclass(frozen=True, slots=True)
class Messages:
    """The send and the receive of each message, and the sends and receives without a partner, as rows."""

    sends: Array
    receives: Array
    alone: Array


def messages(o: Columns, rows: Array, kind: Array, tag: Array) -> Messages:
    """Pair the k-th send with the k-th receive of the same tag, ranks and size; `rows` are in order of issue."""
    sends = kind[rows] == SEND
    rank, peer = o["rank"][rows], o["peer"][rows]
    key = codes(tag[rows], np.where(sends, rank, peer), np.where(sends, peer, rank), o["comm_bytes"][rows])
    number = codes(key, ordinals(codes(key, sends)))
    both = np.bincount(number)[number] == 2 if len(rows) else sends
    by_number = np.argsort(number, kind="stable")
    paired, of_sends = by_number[both[by_number]], sends[by_number[both[by_number]]]
    return Messages(rows[paired[of_sends]], rows[paired[~of_sends]], rows[~both])


# Collectives


@dataclass(frozen=True, slots=True)
class Meetings:
    """Which collectives of several ranks are one: a number for each of `rows`, and where the ranks do not agree."""

    rows: Array
    number: Array
    count: int
    faults: tuple[str, ...]

    def by_operator(self, operators: int) -> Array:
        """The number for each operator, -1 for those that meet nobody."""
        found = np.full(operators, -1, dtype=np.int64)
        found[self.rows] = self.number
        return found


def meetings(
    rows: Array,
    communicator: Array,
    rank: Array,
    what: tuple[Array, Array],
    members: Mapping[int, Sequence[int]],
    names: Mapping[int, str],
) -> Meetings:
    """The k-th collective of a communicator on each of its ranks is one; type and size (`what`) must be equal.

    All arrays have one value for each of `rows`, which are in order of issue on each rank. Of each communicator the
    first fault is told: the later ones follow from it.
    """
    number = ordinals(codes(communicator, rank))
    meeting = codes(communicator, number)
    count = int(meeting.max(initial=-1)) + 1
    if not count:
        return Meetings(rows, meeting, 0, ())
    first = np.unique(meeting, return_index=True)[1]
    sizes = np.array([len(members[c]) for c in communicator[first].tolist()])
    wrong = np.bincount(meeting, minlength=count) != sizes
    for values in what:
        wrong |= np.bincount(meeting, weights=values != values[first][meeting], minlength=count) > 0
    faults = []
    bad = np.flatnonzero(wrong)
    leading = np.unique(communicator[first[bad]], return_index=True)[1]
    for one in bad[np.sort(leading)].tolist():
        faults.append(_disagreement(np.flatnonzero(meeting == one), communicator, number, rank, what, members, names))
    return Meetings(rows, meeting, count, tuple(faults))


def _disagreement(
    here: Array,
    communicator: Array,
    number: Array,
    rank: Array,
    what: tuple[Array, Array],
    members: Mapping[int, Sequence[int]],
    names: Mapping[int, str],
) -> str:
    """What each rank has as the collective that they do not agree on."""
    code = int(communicator[here[0]])
    found = dict.fromkeys(members[code], "none")
    for i in here.tolist():
        found[int(rank[i])] = f"{_type_name(int(what[0][i]))} of {what[1][i]} bytes"
    ranks: dict[str, list[int]] = {}
    for one, text in found.items():
        ranks.setdefault(text, []).append(one)
    told = "; ".join(f"{text} on {some_ranks(which)}" for text, which in ranks.items())
    return f"{names[code]}: its ranks do not agree on collective {number[here[0]]}: {told}"


def uneven(rank: Array, world: Array, weight: Array) -> tuple[int, dict[int, int]] | None:
    """Where ranks come to a collective of the whole world after different totals of `weight` in group collectives.

    They number its messages differently then, and it never ends. The arrays have one value for each collective, in
    order of issue on each rank. Returns the number of the first such collective and each rank's total, else None.
    """
    total = np.cumsum(np.where(world, 0, weight))
    starts = np.searchsorted(rank, rank, side="left")
    before = total - np.where(starts > 0, total[starts - 1], 0)
    number = ordinals(codes(rank, world))[world]
    before = before[world]
    least, most = np.full(len(number), np.iinfo(np.int64).max), np.full(len(number), -1)
    np.minimum.at(least, number, before)
    np.maximum.at(most, number, before)
    differ = np.flatnonzero(most > least)
    if not len(differ):
        return None
    at = number == differ[0]
    return int(differ[0]), dict(zip(rank[world][at].tolist(), before[at].tolist()))


def common_order(
    edges: tuple[Array, Array], meeting: Array, messages: Messages, when: Array
) -> tuple[Array, list[tuple[int, int]]]:
    """A place for every operator in an order in which all ranks can run at once, as near to `when` as possible.

    The operators of one meeting have one place. Returns also the members of a cycle in which ranks wait for each other
    for ever: pairs of operator and meeting, one of them -1; the places mean nothing then.
    """
    count, meets = len(meeting), meeting >= 0
    total = count + int(meeting.max(initial=-1)) + 1
    at = np.where(meets, count + meeting, np.arange(count))
    sources = np.concatenate([at[edges[0]], at[messages.sends]])
    targets = np.concatenate([at[edges[1]], at[messages.receives]])
    times = np.concatenate([when, np.full(total - count, np.iinfo(np.int64).min)])
    np.maximum.at(times, at[meets], when[meets])
    place = np.empty(total, dtype=np.int64)
    place[np.argsort(times, kind="stable")] = np.arange(total)
    order = scheduled(total, sources, targets, place)
    if len(order) < total:
        _, cycle = topological_order(total, sources, targets)
        return at, [(-1, v - count) if v >= count else (v, -1) for v in cycle.tolist()]
    place[order] = np.arange(total)
    return place[at], []


def circular_wait(o: Columns, members: Sequence[tuple[int, int]], meetings: Meetings) -> str:
    """A cycle in words, collectives by one of their operators; only what communicates is named."""
    of = dict(zip(meetings.number[::-1].tolist(), meetings.rows[::-1].tolist()))
    rows = [of[meeting] if row < 0 else row for row, meeting in members]
    named = [node(o, row) for row in rows if o["kind"][row] in (COLLECTIVE, SEND, RECEIVE)] or [
        node(o, r) for r in rows
    ]
    shown = " → ".join(named[:SHOWN]) + (" → …" if len(named) > SHOWN else "")
    return f"ranks wait for each other for ever: {shown}"


# Words


def node(o: Columns, row: int) -> str:
    """A node in words: rank, id (row where it has none) and name."""
    number = o.value("node_id", row)
    called = f"node {number}" if number is not None else f"row {row}"
    return f"rank {o['rank'][row]} {called} ({o.value('name', row)})"


def counted(count: int, word: str, plural: str = "") -> str:
    """A number with its noun."""
    return f"{count:,} {word if count == 1 else plural or word + 's'}"


def missing_ranks(trace: Trace, named: Iterable[int] = ()) -> tuple[int, list[int]]:
    """The number of ranks that there should be, and those of them without operators: the first `SHOWN` + 1."""
    held = frozenset(trace.ranks)
    known = (*held, *(s.rank for s in trace.metadata.sources), *named)
    size = max([trace.metadata.world_size or 0, len(held), *(rank + 1 for rank in known)])
    return size, list(islice((rank for rank in range(size) if rank not in held), SHOWN + 1))


def some_ranks(ranks: Sequence[int]) -> str:
    """Ranks in words, the first of them where there are many."""
    shown = ", ".join(map(str, ranks[:SHOWN]))
    return ("rank " if len(ranks) == 1 else "ranks ") + shown + (", …" if len(ranks) > SHOWN else "")


def _type_name(number: int) -> str:
    return CommType(number).name if number in CommType._value2member_map_ else str(number)
