"""ASTRA-sim's rules: what a trace must satisfy so that the simulator runs it to the end.

The simulator aborts on some inputs and ends without a word on others. The rules are those of its workload layer: a
node starts when all that it depends on has ended and its resource is free; of the nodes that are ready the one with
the lowest id is first; an NPU has one processor, one compute unit and one place for communication.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Final

import numpy as np

from etgraph.ingest.writers.astra_sim.groups import MOST
from etgraph.ingest.writers.astra_sim.order import (
    COLLECTIVE,
    RECEIVE,
    SEND,
    SHOWN,
    Meetings,
    Messages,
    circular_wait,
    codes,
    common_order,
    meetings,
    messages,
    missing_ranks,
    node,
    ordered,
    ordinals,
    scheduled,
    some_ranks,
    turns,
    uneven,
)
from etgraph.model import Category, Columns, CommType, DependencyKind, NodeType, Trace
from etgraph.model.columns import Array
from etgraph.model.graph import topological_order

COLLECTIVES: Final = (
    CommType.ALL_REDUCE, CommType.ALL_GATHER, CommType.REDUCE_SCATTER, CommType.ALL_TO_ALL, CommType.BROADCAST,
)  # fmt: skip
"""Types of collectives that the simulator knows. A broadcast meets nobody: each rank lets its duration pass."""

MICROSECOND: Final = 1000
TAGS: Final = 500_000_000
"""Tags of messages are told apart modulo this."""
_MEMORY: Final = (int(NodeType.MEM_LOAD), int(NodeType.MEM_STORE))
_KINDS: Final = (*_MEMORY, int(NodeType.COMP), SEND, RECEIVE, COLLECTIVE)


def violations(trace: Trace, groups: Mapping[int, Sequence[int]]) -> list[str]:
    """Every rule of ASTRA-sim that the trace breaks, each with rank, node and what is wrong; empty: it can run.

    `groups` is the file of communicators: a number above 0 and the global ranks in order. Of the nodes that break one
    rule the first ten are named and the others counted. O(operators + dependencies), sorting aside.
    """
    o, found = trace.operators, _Findings()
    ranks = _check_ranks(trace, groups, found)
    _check_nodes(o, found)
    edges, whole = _check_dependencies(trace, found)
    place = np.empty(len(o), dtype=np.int64)
    ids = np.where(o.is_null("node_id"), o["index"].astype(np.uint64), o["node_id"])
    place[np.lexsort((np.arange(len(o)), ids, o["rank"]))] = np.arange(len(o))
    order = scheduled(len(o), *edges, place)
    acyclic = len(order) == len(o)
    if not acyclic:
        _, cycle = topological_order(len(o), *edges)
        shown = " → ".join(node(o, row) for row in cycle[:SHOWN].tolist()) + (" → …" if len(cycle) > SHOWN else "")
        found.append(f"dependencies form a cycle of {len(cycle)} nodes: {shown}")
        whole = False
        order = np.argsort(place)
    order = order[np.argsort(o["rank"][order], kind="stable")]
    met = _check_collectives(trace, groups, ranks, order, found)
    sent = _check_messages(o, ranks, order, found)
    if acyclic:
        _check_turns(o, edges, order, found)
    _check_ends(o, edges, found)
    if whole and not met.faults:
        _, waiting = common_order(edges, met.by_operator(len(o)), sent, place)
        if waiting:
            found.append(circular_wait(o, waiting, met))
    return list(found)


class _Findings(list[str]):
    """Messages; of the nodes that break one rule the first are named."""

    def nodes(self, o: Columns, rows: Array, text: str) -> None:
        """One message a row; `{column}` in the text stands for the row's value."""
        for row in rows[:SHOWN].tolist():
            values = {name: getattr(v, "name", "null" if v is None else v) for name, v in o.row(row).items()}
            self.append(f"{node(o, row)}: {text.format(**values)}")
        if len(rows) > SHOWN:
            self.append(f"and {len(rows) - SHOWN:,} more nodes as the last one")


def _check_ranks(trace: Trace, groups: Mapping[int, Sequence[int]], found: _Findings) -> int:
    """The number of ranks that there should be; those without nodes are faults."""
    if trace.ranks and trace.ranks[0] < 0:
        found.append(f"rank {trace.ranks[0]}: ranks are counted from 0")
    size, missing = missing_ranks(trace, chain.from_iterable(groups.values()))
    if missing:
        found.append(f"{some_ranks(missing)} of 0 to {size - 1}: no nodes, and each rank needs one that is ready")
    elif not size:
        found.append("no rank holds a node")
    return size


def _check_nodes(o: Columns, found: _Findings) -> None:
    kind, cpu = o["kind"], o["category"] == int(Category.CPU_OP)
    found.nodes(o, np.flatnonzero(~np.isin(kind, _KINDS)), "kind {kind} cannot be executed")
    null = o.is_null("node_id")
    found.nodes(o, np.flatnonzero(null), "has no node id")
    given = np.flatnonzero(~null)
    twice = ordinals(codes(o["rank"][given], o["node_id"][given])) > 0
    found.nodes(o, given[twice], "its node id occurs twice")
    communicates = np.isin(kind, (COLLECTIVE, SEND, RECEIVE))
    found.nodes(o, np.flatnonzero(communicates & cpu), "a communication node is marked as a CPU operator")
    duration = np.where(o.is_null("duration_ns"), -1, o["duration_ns"])
    wrong = (duration < 0) | (duration % MICROSECOND != 0)
    found.nodes(o, np.flatnonzero(wrong), "duration_ns {duration_ns} is no whole number of microseconds")
    empty = o.is_null("bytes") | (o["bytes"] <= 0)
    found.nodes(o, np.flatnonzero(np.isin(kind, _MEMORY) & empty), "a memory node has bytes {bytes}")
    roofline = (kind == int(NodeType.COMP)) & ~cpu & (o["flops"] > 0)
    found.nodes(o, np.flatnonzero(roofline & empty), "has {flops} flops and bytes {bytes}, so that a roofline is 0")


def _check_dependencies(trace: Trace, found: _Findings) -> tuple[tuple[Array, Array], bool]:
    """Sources and targets of the dependencies that are sound, and whether all are."""
    d, o, count = trace.dependencies, trace.operators, len(trace)
    src, dst = d["src"].astype(np.int64), d["dst"].astype(np.int64)
    dangling = (src < 0) | (src >= count) | (dst < 0) | (dst >= count)
    across = np.zeros(len(d), dtype=bool)
    across[~dangling] = o["rank"][src[~dangling]] != o["rank"][dst[~dangling]]
    other = ~np.isin(d["kind"], (int(DependencyKind.CTRL), int(DependencyKind.DATA))) & ~dangling
    for rows, text in (
        (np.flatnonzero(dangling), "leads to a node that does not exist"),
        (np.flatnonzero(across), "leads from one rank to another"),
        (np.flatnonzero(other), "is neither CTRL nor DATA"),
    ):
        for row in rows[:SHOWN].tolist():
            ends = [node(o, e) if 0 <= e < count else f"row {e}" for e in (int(src[row]), int(dst[row]))]
            kind = d.value("kind", row)
            found.append(f"dependency {row} ({getattr(kind, 'name', kind)}) from {ends[0]} to {ends[1]} {text}")
        if len(rows) > SHOWN:
            found.append(f"and {len(rows) - SHOWN:,} more dependencies as the last one")
    good = ~dangling & ~across
    src, dst = src[good], dst[good]
    waits = np.zeros(count, dtype=bool)
    waits[dst] = True
    stuck = np.setdiff1d(o["rank"], o["rank"][~waits])
    if len(stuck):
        found.append(f"{some_ranks(stuck.tolist())}: no node is ready at the start")
    return (src, dst), bool(good.all())


def _check_collectives(
    trace: Trace, groups: Mapping[int, Sequence[int]], ranks: int, order: Array, found: _Findings
) -> Meetings:
    o = trace.operators
    rows = order[o["kind"][order] == COLLECTIVE]
    kind, size, rank = o["comm_type"], o["comm_bytes"], o["rank"]
    known = np.isin(kind[rows], [int(t) for t in COLLECTIVES])
    found.nodes(o, rows[~known], "comm_type {comm_type} is none that can be simulated")
    empty = o.is_null("comm_bytes")[rows] | (size[rows] <= 0)
    found.nodes(o, rows[empty], "comm_bytes is {comm_bytes}")
    numbers = _group_numbers(trace)
    group = np.where(o.is_null("group")[rows], 0, numbers[o["group"][rows]])
    found.extend(f"group {n}: groups are told apart up to number {MOST - 1}" for n in sorted(groups) if n >= MOST)
    members = {0: tuple(range(ranks)), **{n: tuple(m) for n, m in groups.items() if n > 0}}
    lists = np.isin(group, list(members))
    found.nodes(o, rows[~lists], "its group is not in the file of communicators")
    joins = np.zeros(len(rows), dtype=bool)
    counts = np.zeros(len(rows), dtype=np.int64)
    for number, inside in members.items():
        joins |= (group == number) & np.isin(rank[rows], inside)
        counts[group == number] = len(inside)
    found.nodes(o, rows[lists & ~joins], "its rank is not a member of its group")
    found.nodes(o, rows[lists & (counts < 2)], "its group has fewer than 2 members")
    gathers = lists & ~empty & (kind[rows] == int(CommType.ALL_GATHER))
    uneven_shards = gathers & (size[rows] % np.maximum(counts, 1) != 0)
    found.nodes(o, rows[uneven_shards], "an all-gather of {comm_bytes} bytes has no equal shards for its members")
    sound = known & joins & (kind[rows] != int(CommType.BROADCAST))
    rows, group = rows[sound], group[sound]
    names = {n: f"group {n}" if n else "all ranks" for n in members}
    met = meetings(rows, group, rank[rows], (kind[rows], size[rows]), members, names)
    found.extend(met.faults)
    before = uneven(rank[rows], group == 0, np.ones(len(rows), dtype=np.int64))
    if before is not None:
        told = ", ".join(f"{n} on rank {r}" for r, n in list(before[1].items())[:SHOWN])
        found.append(
            f"collective {before[0]} of all ranks comes after different numbers of collectives of groups ({told}): "
            f"the ranks number its messages differently, and it never ends"
        )
    return met


def _group_numbers(trace: Trace) -> Array:
    """The number that each process group is called by, -1 where its name is none; 0 and no name are all ranks."""
    p = trace.process_groups
    names = [p.value("name", row) for row in range(len(p))]
    given = [(int(n) if n.isdecimal() and len(n) < 10 else -1) if n else 0 for n in names]
    return np.array([*given, -1], dtype=np.int64)


def _check_messages(o: Columns, ranks: int, order: Array, found: _Findings) -> Messages:
    rows = order[np.isin(o["kind"][order], (SEND, RECEIVE))]
    peer, size = o["peer"][rows], o["comm_bytes"][rows]
    nowhere = (peer < 0) | (peer >= ranks)
    found.nodes(o, rows[nowhere], "peer is {peer}, none of the ranks")
    self = peer == o["rank"][rows]
    found.nodes(o, rows[self], "sends to itself or receives from itself")
    found.nodes(o, rows[o.is_null("tag")[rows]], "has no tag")
    empty = o.is_null("comm_bytes")[rows] | (size <= 0)
    found.nodes(o, rows[empty], "comm_bytes is {comm_bytes}")
    rows = rows[~nowhere & ~self & ~empty]
    _check_tags(o, rows, found)
    sent = messages(o, rows, o["kind"], o["tag"])
    found.nodes(o, sent.alone, "{kind} with peer {peer}, tag {tag}, {comm_bytes} bytes has no partner")
    return sent


def _check_tags(o: Columns, rows: Array, found: _Findings) -> None:
    """Messages of one size between the same two ranks are taken for each other if their tags are equal modulo TAGS."""
    rows = rows[(o["kind"][rows] == SEND) & ~o.is_null("tag")[rows]]
    tag = o["tag"][rows].astype(np.int64)
    key = codes(o["rank"][rows], o["peer"][rows], o["comm_bytes"][rows], tag % TAGS)
    first = np.unique(key, return_index=True)[1][key]
    other = tag != tag[first]
    found.nodes(o, rows[other], "its tag {tag} is that of another message to rank {peer}, modulo 5 × 10⁸")


def _check_turns(o: Columns, edges: tuple[Array, Array], order: Array, found: _Findings) -> None:
    """What keeps out or takes what another waits for must come in one order whatever time anything takes."""
    place = np.empty(len(o), dtype=np.int64)
    place[order] = np.arange(len(o))
    before, after = turns(o, o["kind"], o["tag"], place)
    apart = np.flatnonzero(~ordered(len(o), edges, place, before, after))
    for one, other in zip(before[apart[:SHOWN]].tolist(), after[apart[:SHOWN]].tolist()):
        found.append(f"{node(o, one)} and {node(o, other)}: neither depends on the other, so that their order is open")
    if len(apart) > SHOWN:
        found.append(f"and {len(apart) - SHOWN:,} more pairs as the last one")


def _check_ends(o: Columns, edges: tuple[Array, Array], found: _Findings) -> None:
    """The statistics of a rank with CPU or memory nodes abort when the last to complete is a send or a receive."""
    kind = o["kind"]
    last = np.isin(kind, (SEND, RECEIVE))
    last[edges[0]] = False
    special = o["rank"][(o["category"] == int(Category.CPU_OP)) | np.isin(kind, _MEMORY)]
    rows = np.flatnonzero(last & np.isin(o["rank"], special))
    found.nodes(o, rows, "may be the last to complete on a rank with CPU or memory nodes: no final COMP node follows")


__all__ = ["violations"]
