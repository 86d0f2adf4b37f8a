"""A trace as a workload that ASTRA-sim executes: one node an operator, end-to-start dependencies, known collectives.

What the simulator cannot express is replayed by its duration or left out, and told in notes; what would make it abort
or end without a word is an error that names the cause.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from etgraph.ingest.chakra.normalise import FORMAT
from etgraph.ingest.writers.astra_sim.groups import Communicators, communicators
from etgraph.ingest.writers.astra_sim.order import (
    COLLECTIVE,
    RECEIVE,
    SEND,
    Messages,
    circular_wait,
    common_order,
    counted,
    meetings,
    messages,
    missing_ranks,
    ordered,
    scheduled,
    some_ranks,
    turns,
    uneven,
)
from etgraph.ingest.writers.astra_sim.program import Program, program, recorded
from etgraph.ingest.writers.astra_sim.rules import COLLECTIVES, MICROSECOND, violations
from etgraph.ingest.writers.output import ExportError
from etgraph.model import TABLES, Category, Columns, CommType, DependencyKind, NodeType, Trace
from etgraph.model.attributes import Attributes
from etgraph.model.columns import Array

BARRIER_BYTES: Final = 4
"""What a barrier costs: the smallest all-reduce."""

SIMULATOR_ATTRIBUTES: Final = ("involved_dim", "comm_priority")
"""Attributes of Chakra nodes that the simulator reads and no column holds: the dimensions of the network that a
collective uses, and its priority. A workload of a recorded Chakra trace keeps the attributes of its nodes for them."""

_COMP: Final = int(NodeType.COMP)
_MEMORY: Final = (int(NodeType.MEM_LOAD), int(NodeType.MEM_STORE))
_NAMES_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class Workload:
    """A trace that ASTRA-sim can run; see `lower`.

    `groups` is the simulator's file of communicators: the number of a group, above 0, and its global ranks in order.
    An operator's process group is named by that number, and all ranks are no group. `notes` tells what had to be
    changed, with counts.
    """

    trace: Trace
    groups: Mapping[int, tuple[int, ...]]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Traffic:
    """What the nodes become as far as they communicate, and which of them are one message."""

    kind: Array
    comm_type: Array
    comm_bytes: Array
    tag: Array
    messages: Messages
    notes: tuple[str, ...]


def lower(trace: Trace) -> Workload:
    """The trace as a workload for ASTRA-sim, which knows one kind of dependency: a node starts when others have ended.

    Operators on threads last their own time and form a chain for each thread; what waits for the end of one waits for
    the last one inside it. Collectives and sends of a rank form a chain too, in one order for all ranks, because an
    NPU does one at a time and two that do them in different order wait for ever. A trace that was read from Chakra
    keeps its dependencies and gets those that this order lacks, unless it has kinds of dependencies that Chakra lacks:
    then etgraph wrote it, and it is a trace like others. Collectives without a recorded group are those of all ranks
    if they can be, and replayed by their duration if not. Durations are whole microseconds whose sum on a lane stays
    within half a microsecond.

    Raises ExportError, with a hint, where ranks are missing, where they do not agree on their collectives, or where
    the result breaks a rule (`violations`); CycleError where the dependencies form a cycle.
    O(operators + dependencies), sorting aside.
    """
    ranks = _whole_world(trace)
    chakra = _is_recorded(trace)
    nodes = recorded(trace) if chakra else program(trace)
    empty = sorted(set(range(ranks)) - set(np.unique(nodes.operators["rank"]).tolist()))
    if empty:
        raise ExportError(
            f"{some_ranks(empty)}: no operator that can be executed, and ASTRA-sim needs one on each rank",
            hint="export a part of the trace in which each rank has operators",
        )
    groups = communicators(trace, nodes.operators, ranks)
    traffic, told = _communicate(nodes, groups, ranks), list[str]()
    try:
        order, src, dst, kind, number_all = _in_turn(nodes, traffic, groups, keep=chakra)
    except ExportError as error:
        if not groups.guessed[traffic.kind == COLLECTIVE].any():
            raise
        groups = groups.without_guesses()
        traffic = _communicate(nodes, groups, ranks)
        order, src, dst, kind, number_all = _in_turn(nodes, traffic, groups, keep=chakra)
        told.append(f"collectives without a recorded group cannot be those of all ranks: {error}")
    if ranks == 1:
        told.insert(0, "one rank: nobody communicates, and ASTRA-sim wants a network of at least 2")
    operators, changed = _operators(nodes, traffic, keep_memory=chakra)
    notes = [*told, *nodes.notes, *traffic.notes, *changed]
    added = len(src) - len(nodes.src)
    if chakra and added:
        many = counted(added, "dependency", "dependencies")
        notes.append(f"added, so that all ranks communicate in one order: {many}")
    numbers, tables, files = groups.numbered(np.flatnonzero(operators["kind"] == COLLECTIVE), number_all)
    if number_all:
        notes.append(
            "the group of all ranks has a number of its own: the ranks come to its collectives after different "
            "numbers of collectives of other groups"
        )
    operators = operators.replace({"group": numbers}).take(order)
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    operators = operators.replace({"duration_ns": _whole_microseconds(operators, nodes.duration[order])})
    operators, src, dst, kind = _with_ends(operators, place[src], place[dst], kind)
    if not chakra:
        notes += _shared_resources(trace, operators)
    lowered = Trace(
        _numbered(operators),
        _dependencies(src, dst, kind),
        trace.lanes,
        process_groups=tables[0],
        group_members=tables[1],
        iterations=trace.iterations,
        attributes=trace.attributes if chakra else Attributes.none(),
        metadata=replace(trace.metadata, world_size=ranks),
    )
    broken = violations(lowered, files)
    if broken:
        more = f"; and {len(broken) - 3} more" if len(broken) > 3 else ""
        raise ExportError(
            f"ASTRA-sim cannot run this trace: {'; '.join(broken[:3])}{more}",
            hint="look at what these operators record; a part of the trace may be free of them",
        )
    return Workload(lowered, files, tuple(notes))


def _is_recorded(trace: Trace) -> bool:
    """Whether all of the trace comes from Chakra as a simulator reads it, rather than from an export of another one."""
    sources = trace.metadata.sources
    kinds = (int(DependencyKind.CTRL), int(DependencyKind.DATA))
    chakra = bool(sources) and all(s.format.startswith(FORMAT) for s in sources)
    return chakra and bool(np.isin(trace.dependencies["kind"], kinds).all())


def _whole_world(trace: Trace) -> int:
    """The number of ranks; ExportError where one of them is not there."""
    if not len(trace):
        raise ExportError("the trace holds no operators", hint="ASTRA-sim needs at least one on each rank")
    size, missing = missing_ranks(trace)
    if missing or trace.ranks[0] < 0:
        found = f"no operators of {some_ranks(missing)}" if missing else f"a rank {trace.ranks[0]}"
        raise ExportError(
            f"found {found}, expected ranks 0 to {size - 1}: ASTRA-sim needs the whole world",
            hint="give the files of all ranks, in one folder",
        )
    return size


# Communication


def _communicate(nodes: Program, groups: Communicators, ranks: int) -> _Traffic:
    """Collectives and messages in the simulator's terms; what it cannot simulate becomes computation.

    Raises ExportError where a group has ranks that the trace lacks.
    """
    o = nodes.operators
    kind, what, size = (o[name].copy() for name in ("kind", "comm_type", "comm_bytes"))
    collective = kind == COLLECTIVE
    blocks = collective & (what == int(CommType.REDUCE_SCATTER_BLOCK))
    what[blocks] = int(CommType.REDUCE_SCATTER)
    barriers = collective & (what == int(CommType.BARRIER)) & (groups.size > 1)
    what[barriers] = int(CommType.ALL_REDUCE)
    size[barriers] = BARRIER_BYTES
    left, notes = collective.copy(), []
    if barriers.any():
        notes.append(f"an all-reduce of {BARRIER_BYTES} bytes instead: {counted(int(barriers.sum()), 'barrier')}")
    share = size % np.maximum(groups.size, 1)
    for wrong, why in (
        (~np.isin(what, [int(t) for t in COLLECTIVES]), "their type is not simulated"),
        (o.is_null("comm_bytes") & ~barriers | (size <= 0), "their size is not known"),
        (groups.size == 0, "the members of their group are not known"),
        (groups.size == 1, "their group has one member"),
        ((what == int(CommType.ALL_GATHER)) & (share != 0), "their size has no equal share for each rank"),
    ):
        rows = np.flatnonzero(left & wrong)
        if len(rows):
            many = counted(len(rows), "collective")
            notes.append(f"replayed by their duration, because {why}: {many} ({_names(o, rows)})")
        left[rows] = False
    groups.check(np.flatnonzero(left))
    sent, lonely = _messages(o, ranks)
    if len(lonely):
        many = counted(len(lonely), "send or receive", "sends and receives")
        notes.append(f"replayed by their duration, without a partner, peer or size: {many} ({_names(o, lonely)})")
    replayed = collective & ~left
    replayed[lonely] = True
    kind[replayed] = _COMP
    for values, name in ((what, "comm_type"), (size, "comm_bytes")):
        values[~np.isin(kind, (COLLECTIVE, SEND, RECEIVE))] = TABLES["operators"].column(name).null
    return _Traffic(kind, what, size, _tags(o), sent, tuple(notes))


def _tags(o: Columns) -> Array:
    message = np.isin(o["kind"], (SEND, RECEIVE))
    return np.where(message & o.is_null("tag"), 0, o["tag"])


def _messages(o: Columns, ranks: int) -> tuple[Messages, Array]:
    """The messages, and the sends and receives that belong to none."""
    rows = np.flatnonzero(np.isin(o["kind"], (SEND, RECEIVE)))
    peer = o["peer"][rows]
    good = (peer >= 0) & (peer < ranks) & (peer != o["rank"][rows]) & (o["comm_bytes"][rows] > 0)
    sent = messages(o, rows[good], o["kind"], _tags(o))
    return sent, np.concatenate([rows[~good], sent.alone])


def _names(o: Columns, rows: Array) -> str:
    names = np.bincount(o["name"][rows])
    texts = o.texts("name")
    counts = Counter({texts[code].as_py(): int(names[code]) for code in np.flatnonzero(names).tolist()})
    shown = ", ".join(name for name, _ in counts.most_common(_NAMES_SHOWN))
    return shown + (", …" if len(counts) > _NAMES_SHOWN else "")


# Order


def _in_turn(
    nodes: Program, traffic: _Traffic, groups: Communicators, *, keep: bool
) -> tuple[Array, Array, Array, Array, bool]:
    """The final order of the nodes, their dependencies, and whether the group of all ranks needs a number.

    Collectives and sends of a rank follow each other in an order that all ranks have in common; dependencies are added
    where those that are there leave it open. The nodes stay in their order if it is to be kept. Raises ExportError
    where the ranks do not agree on their collectives.
    """
    o = nodes.operators.replace({"kind": traffic.kind})
    edges, kind, order = (nodes.src, nodes.dst), nodes.kind, np.arange(len(o))
    issued = scheduled(len(o), *edges, order) if keep else order
    chosen = (traffic.kind == COLLECTIVE) & (traffic.comm_type != int(CommType.BROADCAST))
    rows = issued[chosen[issued]]
    what = traffic.comm_type[rows], traffic.comm_bytes[rows]
    met = meetings(rows, groups.code[rows], o["rank"][rows], what, groups.members, groups.names)
    if met.faults:
        raise ExportError(
            met.faults[0], hint="export iterations that all ranks recorded from beginning to end, of the same run"
        )
    place, waiting = common_order(edges, met.by_operator(len(o)), traffic.messages, nodes.when)
    if waiting:
        raise ExportError(
            circular_wait(o, waiting, met),
            hint="the order of the ranks' starts is not one in which they could have run",
        )
    before, after = turns(o.replace({"comm_bytes": traffic.comm_bytes}), traffic.kind, traffic.tag, place)
    apart = ~ordered(len(o), edges, place, before, after)
    edges = np.concatenate([edges[0], before[apart]]), np.concatenate([edges[1], after[apart]])
    kind = np.concatenate([kind, np.full(int(apart.sum()), int(DependencyKind.DATA), dtype=np.int8)])
    if not keep:
        order = scheduled(len(o), *edges, order)
    rows = rows[np.lexsort((place[rows], o["rank"][rows]))]
    world = np.isin(groups.code[rows], [code for code, m in groups.members.items() if len(m) == groups.world])
    weights = np.ones(len(rows), dtype=np.int64), traffic.comm_bytes[rows]
    number_all = any(uneven(o["rank"][rows], world, weight) is not None for weight in weights)
    return order, *edges, kind, number_all


# Nodes


def _operators(nodes: Program, traffic: _Traffic, *, keep_memory: bool) -> tuple[Columns, list[str]]:
    """The nodes' new columns, in the order of the program; and what was changed."""
    o, notes = nodes.operators, []
    kind, category = traffic.kind.copy(), o["category"].copy()
    memory = np.isin(kind, _MEMORY)
    if keep_memory:
        memory &= o.is_null("bytes") | (o["bytes"] <= 0)
    kind[memory] = _COMP
    remote = int(np.isin(kind, _MEMORY).sum())
    if remote:
        notes.append(
            f"accesses of remote memory, which the simulator has to be configured for: {counted(remote, 'node')}"
        )
    if memory.any():
        many = counted(int(memory.sum()), "copy", "copies")
        notes.append(f"computation of their duration, because MEM nodes are remote memory: {many}")
    communicated = np.isin(o["kind"], (COLLECTIVE, SEND, RECEIVE))
    category[nodes.host] = int(Category.CPU_OP)
    category[communicated] = int(Category.KERNEL)
    flops = o["flops"].copy()
    roofless = (kind == _COMP) & (category != int(Category.CPU_OP)) & (flops > 0) & ~(o["bytes"] > 0)
    if roofless.any():
        flops[roofless] = TABLES["operators"].column("flops").null
        many = counted(int(roofless.sum()), "node")
        notes.append(f"without their flops, because a roofline of unknown bytes has no duration: {many}")
    computes = kind == _COMP
    untimed = int((computes & o.is_null("duration_ns")).sum())
    if untimed:
        many = counted(int(computes.sum()), "operator")
        notes.append(f"without a recorded duration, counted as 0: {untimed:,} of {many} that compute")
    data = {"kind": kind, "category": category, "flops": flops, "tag": traffic.tag,
            "comm_type": traffic.comm_type, "comm_bytes": traffic.comm_bytes}  # fmt: skip
    return o.replace(data), notes


def _whole_microseconds(o: Columns, duration: Array) -> Array:
    """Durations as whole microseconds: on each lane, what has passed is the exact sum rounded."""
    lane = np.where(o["lane"] >= 0, o["lane"], -1 - o["rank"].astype(np.int64))
    by_lane = np.argsort(lane, kind="stable")
    lane, passed = lane[by_lane], np.cumsum(duration[by_lane])
    first = np.searchsorted(lane, lane, side="left")
    passed -= np.where(first > 0, passed[first - 1], 0)
    rounded = (passed + MICROSECOND // 2) // MICROSECOND * MICROSECOND
    rounded[1:] -= np.where(lane[1:] == lane[:-1], rounded[:-1], 0)
    whole = np.empty_like(duration)
    whole[by_lane] = rounded
    return whole


def _with_ends(o: Columns, src: Array, dst: Array, kind: Array) -> tuple[Columns, Array, Array, Array]:
    """A last node for ranks with CPU or memory nodes and messages: a message that completes last aborts the run."""
    rank = o["rank"]
    special = (o["category"] == int(Category.CPU_OP)) | np.isin(o["kind"], _MEMORY)
    ranks = np.intersect1d(rank[special], rank[np.isin(o["kind"], (SEND, RECEIVE))])
    if not len(ranks):
        return o, src, dst, kind
    last = np.ones(len(o), dtype=bool)
    last[src] = False
    sinks = np.flatnonzero(last & np.isin(rank, ranks))
    ends = len(o) + np.searchsorted(ranks, rank[sinks])
    none, count = np.zeros(len(ranks), dtype=np.int32), len(ranks)
    data: dict[str, Any] = {"rank": ranks, "index": none, "name": none, "duration_ns": none}
    data |= {"kind": np.full(count, _COMP), "category": np.full(count, int(Category.KERNEL))}
    joined = Columns.concat([o, Columns(TABLES["operators"], data, {"name": ["end"]})])
    order = np.argsort(joined["rank"], kind="stable")
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    kind = np.concatenate([kind, np.full(len(sinks), int(DependencyKind.DATA), dtype=np.int8)])
    return joined.take(order), place[np.concatenate([src, sinks])], place[np.concatenate([dst, ends])], kind


def _numbered(o: Columns) -> Columns:
    """The nodes numbered from 0 on each rank, in their order: the simulator issues them by ascending id."""
    index = np.arange(len(o)) - np.searchsorted(o["rank"], o["rank"], side="left")
    return o.replace({"index": index, "node_id": index.astype(np.uint64)})


def _dependencies(src: Array, dst: Array, kind: Array) -> Columns:
    order = np.lexsort((src, dst))
    count = len(src)
    return Columns(
        TABLES["dependencies"],
        {
            "src": src[order],
            "dst": dst[order],
            "kind": kind[order],
            "inferred": np.ones(count, dtype=bool),
            "method": np.zeros(count, dtype=np.int32),
            "confidence": np.ones(count, dtype=np.float32),
        },
        {"method": ["order for ASTRA-sim"]},
    )


def _shared_resources(trace: Trace, o: Columns) -> list[str]:
    """What ran at once and will not: an NPU has one processor and one compute unit."""
    notes = []
    busy = o["lane"] >= 0
    lanes = np.unique(o["lane"][busy & (o["kind"] == _COMP)])
    kinds, ranks = trace.lanes["kind"][lanes], trace.lanes["rank"][lanes]
    for kind, (what, one) in enumerate((("threads", "processor"), ("streams", "compute unit"))):
        several = int(np.count_nonzero(np.bincount(ranks[kinds == kind], minlength=1) > 1))
        if several:
            notes.append(f"several {what} share one {one}: on {counted(several, 'rank')}")
    return notes


__all__ = ["SIMULATOR_ATTRIBUTES", "Workload", "lower", "violations"]
