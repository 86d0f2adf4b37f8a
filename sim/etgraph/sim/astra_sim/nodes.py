"""A trace as the nodes that ASTRA-sim executes: what each does, for how long, and what it takes for that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final

import numpy as np

from etgraph.model import Category, CommType, DependencyKind, NodeType, Trace
from etgraph.model.columns import Array
from etgraph.model.message_sizes import UNKNOWN_BYTES, recorded_bytes
from etgraph.sim.astra_sim.attributes import Kept, kept
from etgraph.sim.astra_sim.engine.npus import (
    COLLECTIVE,
    COMMUNICATION,
    COMPUTE,
    FAULTY,
    FOREVER,
    LAPSE,
    NOTHING,
    PROCESSOR,
    RECEIVE,
    REMOTE_MEMORY,
    SEND,
    SKIP,
)
from etgraph.sim.astra_sim.engine.phases import ALL_GATHER, ALL_REDUCE, ALL_TO_ALL, REDUCE_SCATTER
from etgraph.sim.astra_sim.errors import FaultyNode, NotAWorkload
from etgraph.sim.astra_sim.groups import NOT_A_NUMBER, UNKNOWN, Groups, memberships
from etgraph.sim.astra_sim.memory import RemoteMemory
from etgraph.sim.astra_sim.network import Network
from etgraph.sim.astra_sim.plans import CannotPlan, Plan, Planner
from etgraph.sim.astra_sim.system import System

TAGS: Final = 500_000_000
"""Tags of messages are told apart modulo this."""
MICROSECOND: Final = 1000
_COMM: Final = (int(NodeType.COMM_SEND), int(NodeType.COMM_RECV), int(NodeType.COMM_COLL))
_MEMORY: Final = (int(NodeType.MEM_LOAD), int(NodeType.MEM_STORE))
_ORDERS: Final = (int(DependencyKind.CTRL), int(DependencyKind.DATA))
_EXECUTED: Final = (int(NodeType.INVALID), *_MEMORY, int(NodeType.COMP), *_COMM)
_KINDS: Final = {
    int(CommType.ALL_REDUCE): ALL_REDUCE,
    int(CommType.ALL_GATHER): ALL_GATHER,
    int(CommType.REDUCE_SCATTER): REDUCE_SCATTER,
    int(CommType.ALL_TO_ALL): ALL_TO_ALL,
}
Words = str | Callable[[int], str]


@dataclass(slots=True)
class Workload:
    """The nodes of all NPUs, each NPU's by ascending id; `rows` are their operators.

    `plans` are those of collectives; `members` lists the ranks of the groups that they use. `reasons` says of
    nodes that never end why; `faults` what is wrong with those that cannot be executed.
    """

    trace: Trace
    rows: Array
    rank: Array
    ids: Array
    kind: Array
    cpu: Array
    action: Array
    resource: Array
    duration: Array
    size: Array
    peer: Array
    tag: Array
    position: Array
    membership: Array
    plan: Array
    src: Array
    dst: Array
    source: Array
    plans: list[Plan] = field(default_factory=list)
    members: list[int] = field(default_factory=list)
    streams: int = 0
    warnings: tuple[str, ...] = ()
    reasons: dict[int, str] = field(default_factory=dict)
    _fault: Array = field(default_factory=lambda: np.zeros(0, dtype=np.int32))
    _words: list[tuple[Words, str]] = field(default_factory=list)

    def mark(self, faulty: Array, found: Words, expected: str) -> None:
        """Nodes that cannot be executed (a mask or positions), unless something else is wrong with them already."""
        positions = np.flatnonzero(faulty) if faulty.dtype == bool else faulty
        positions = positions[self._fault[positions] == 0]
        if len(positions):
            self._words.append((found, expected))
            self._fault[positions] = len(self._words)
            self.action[positions] = FAULTY

    def fault(self, at: int) -> FaultyNode:
        """The error of a node that was marked."""
        found, expected = self._words[int(self._fault[at]) - 1]
        return self.error(at, found if isinstance(found, str) else found(at), expected)

    def error(self, at: int, found: str, expected: str, kind: type[FaultyNode] = FaultyNode) -> FaultyNode:
        """An error of a node."""
        name = self.trace.operators.value("name", int(self.rows[at]))
        error = kind(int(self.rank[at]), int(self.ids[at]), found=found, expected=expected)
        error.hint = f"the node is called {name!r}" if name else None
        return error


# What SOURCES numbers


SOURCES: Final = ("recorded duration", "roofline", "network", "remote memory", "nothing to do")
_RECORDED, _ROOFLINE, _NETWORK, _REMOTE, _IDLE = range(len(SOURCES))


def workload(
    trace: Trace, system: System, network: Network, memory: RemoteMemory, groups: Groups, planner: Planner
) -> Workload:
    """The nodes of the network's ranks. Raises NotAWorkload for a trace that is none.

    What ASTRA-sim refuses when it issues a node is marked: a node that is never issued does no harm there either.
    """
    warnings = _check(trace, network)
    nodes = _nodes(trace, network)
    nodes.warnings = warnings
    texts = kept(trace, nodes.rows, np.isin(nodes.kind, _COMM[:2]) | _unsized(nodes))
    _check_dependencies(nodes, texts)
    _durations(nodes, texts)
    if system.replay_only:
        return nodes
    compute = nodes.kind == int(NodeType.COMP)
    if system.roofline:
        _roofline(nodes, system, compute & ~nodes.cpu)
    nodes.action[nodes.kind == int(NodeType.INVALID)] = SKIP
    nodes.source[nodes.kind == int(NodeType.INVALID)] = _IDLE
    _remote_memory(nodes, memory, network)
    _messages(nodes, texts, network)
    _collectives(nodes, texts, groups, planner)
    return nodes


def _check(trace: Trace, network: Network) -> tuple[str, ...]:
    o, d = trace.operators, trace.dependencies
    hint = "`etgraph export --format chakra --for astra-sim` makes a workload of any trace"
    kinds = np.setdiff1d(d["kind"], (*_ORDERS, int(DependencyKind.COMM)))
    if len(kinds):
        found = ", ".join(DependencyKind(k).name for k in kinds.tolist())
        raise NotAWorkload(f"found dependencies of kind {found}, expected CTRL and DATA only", hint=hint)
    if o.is_null("node_id").any():
        row = int(np.flatnonzero(o.is_null("node_id"))[0])
        raise NotAWorkload(f"{trace.describe(row)}: found no node id, expected one", hint=hint)
    missing = sorted(set(range(network.npus)) - set(trace.ranks))
    if missing:
        shown = ", ".join(map(str, missing[:8])) + (", …" if len(missing) > 8 else "")
        raise NotAWorkload(
            f"{network.file}: found a network of {network.npus} NPUs, but no nodes of rank {shown}",
            hint="the network needs as many NPUs as the trace has ranks, counted from 0",
        )
    more = [rank for rank in trace.ranks if not 0 <= rank < network.npus]
    if not more:
        return ()
    return (f"the network has {network.npus} NPUs: {len(more)} ranks of the trace, from {more[0]} on, are left out",)


def _nodes(trace: Trace, network: Network) -> Workload:
    """The nodes in order, each taking its recorded time."""
    o, d = trace.operators, trace.dependencies
    rows = np.flatnonzero((o["rank"] >= 0) & (o["rank"] < network.npus))
    rows = rows[np.lexsort((o["node_id"][rows], o["rank"][rows]))]
    place = np.full(len(o), -1, dtype=np.int64)
    place[rows] = np.arange(len(rows))
    src, dst = place[d["src"]], place[d["dst"]]
    inside = (src >= 0) & (dst >= 0) & np.isin(d["kind"], _ORDERS)
    src, dst = src[inside], dst[inside]
    kind, cpu = o["kind"][rows], o["category"][rows] == int(Category.CPU_OP)
    none = np.full(len(rows), -1, dtype=np.int64)
    resource = np.where(kind == int(NodeType.COMP), COMPUTE, COMMUNICATION)
    resource = np.where(kind == int(NodeType.COMM_RECV), NOTHING, resource)
    nodes = Workload(
        trace, rows, o["rank"][rows].astype(np.int64), o["node_id"][rows], kind, cpu,
        action=np.full(len(rows), LAPSE, dtype=np.int8), resource=np.where(cpu, PROCESSOR, resource).astype(np.int8),
        duration=np.zeros(len(rows), dtype=np.int64), size=recorded_bytes(trace)[rows],
        peer=np.where(o.is_null("peer")[rows], -1, o["peer"][rows]).astype(np.int64), tag=none.copy(),
        position=none.copy(), membership=none.copy(), plan=none.copy(), src=src, dst=dst,
        source=np.zeros(len(rows), dtype=np.int8), _fault=np.zeros(len(rows), dtype=np.int32),
    )  # fmt: skip
    odd = np.flatnonzero(~np.isin(kind, _EXECUTED))
    if len(odd):
        nodes.mark(
            odd, lambda at: f"node type {_named(NodeType, kind[at])}", "a node that computes, communicates or copies"
        )
        raise nodes.fault(int(odd[0]))
    waits = np.bincount(dst, minlength=len(rows))
    stuck = np.setdiff1d(np.arange(network.npus), nodes.rank[waits == 0])
    if len(stuck):
        raise NotAWorkload(f"rank {stuck[0]}: found no node that is ready at the start, expected one")
    return nodes


def _unsized(nodes: Workload) -> Array:
    """Collectives whose size no column holds, such as gathers in groups whose members the trace does not know."""
    unsized: Array = (nodes.kind == int(NodeType.COMM_COLL)) & (nodes.size == UNKNOWN_BYTES)
    return unsized


def _named(values: type[IntEnum], number: int) -> str:
    """The name of a type, its number where it has none."""
    return values(number).name if number in values._value2member_map_ else str(number)


def _check_dependencies(nodes: Workload, texts: Kept) -> None:
    """Ids that no node has, which abort at once, and dependencies on cycles, which never resolve."""
    for at, document in texts.more.items():
        for why, expected in (("dangling", "ids of nodes"), ("cyclic", "dependencies without cycles")):
            for name, pairs in (document.get(why) or {}).items():
                ids = ", ".join(map(str, pairs[1::2][:4]))
                lost = "no node has" if why == "dangling" else "are on a cycle with it"
                raise nodes.error(at, f"{name} that {lost}: {ids}", expected)


def _durations(nodes: Workload, texts: Kept) -> None:
    """Recorded durations in whole microseconds, as Chakra's nodes have them; none is 1 ns."""
    o = nodes.trace.operators
    duration = np.where(o.is_null("duration_ns")[nodes.rows], 0, o["duration_ns"][nodes.rows])
    duration = duration // MICROSECOND * MICROSECOND
    for at, document in texts.more.items():
        if isinstance(micros := document.get("duration_micros"), int):
            duration[at] = min(micros * MICROSECOND, 1 << 62)
    nodes.duration[:] = np.where(duration == 0, 1, duration)


def _column(nodes: Workload, name: str) -> tuple[Array, Array]:
    """Values of a column, and where there are none."""
    o = nodes.trace.operators
    return o[name][nodes.rows], o.is_null(name)[nodes.rows]


def _roofline(nodes: Workload, system: System, which: Array) -> None:
    """Durations from operations and bytes: operational intensity times bandwidth, or the peak."""
    ops, no_ops = _column(nodes, "flops")
    size, no_size = _column(nodes, "bytes")
    expected = "a number, as roofline-enabled needs it"
    nodes.mark(which & no_ops, "no num_ops", expected)
    nodes.mark(which & no_size, "no tensor_size", expected)
    if system.peak is None or system.local_bandwidth is None:
        missing = "peak-perf" if system.peak is None else "local-mem-bw"
        nodes.mark(which, f"no {missing} in the system", "one, as roofline-enabled needs it")
        return
    which = which & ~no_ops & ~no_size
    nodes.source[which] = _ROOFLINE
    empty = which & (size == 0)
    nodes.action[empty], nodes.source[empty] = SKIP, _IDLE
    idle = which & ~empty & (ops == 0)
    nodes.action[idle] = FOREVER
    nodes.reasons |= dict.fromkeys(np.flatnonzero(idle).tolist(), "its num_ops is 0: the roofline has no duration")
    works = np.flatnonzero(which & ~empty & ~idle)
    operations, moved = ops[works].astype(np.float64), size[works].astype(np.float64)
    performance = np.minimum(system.local_bandwidth * 1e9 * (operations / moved), system.peak * 1e12)
    nodes.duration[works] = (operations / performance * 1e9).astype(np.int64)


def _remote_memory(nodes: Workload, memory: RemoteMemory, network: Network) -> None:
    which = np.isin(nodes.kind, _MEMORY)
    size, unknown = _column(nodes, "bytes")
    nodes.action[which] = REMOTE_MEMORY
    nodes.source[which] = _REMOTE
    if memory.kind == "NO_MEMORY_EXPANSION":
        nodes.mark(which, f"NO_MEMORY_EXPANSION in {memory.file}", "remote memory, as MEM nodes access it")
        return
    if memory.kind == "PER_NODE_MEMORY_EXPANSION":
        served = memory.nodes * memory.npus_per_node
        found = f"{memory.nodes} nodes of {memory.npus_per_node} NPUs in {memory.file}"
        nodes.mark(which & (nodes.rank >= served), found, f"at least {network.npus} NPUs")
    nodes.mark(which & unknown, "no tensor_size", "a number, as a MEM node needs it")
    taken = np.flatnonzero(which & ~unknown)
    passed = (size[taken].astype(np.float64) / memory.bandwidth).astype(np.int64)
    nodes.duration[taken] = memory.latency_ns + passed


def _messages(nodes: Workload, texts: Kept, network: Network) -> None:
    sends, receives = (nodes.kind == int(kind) for kind in (NodeType.COMM_SEND, NodeType.COMM_RECV))
    which = sends | receives
    tag, untagged = _column(nodes, "tag")
    nodes.tag[:] = np.where(untagged, 0, tag)
    size = nodes.size
    wrong_end = np.zeros(len(nodes.rows), dtype=bool)
    for at in np.flatnonzero(which).tolist():
        own = texts.value(at, "comm_src" if sends[at] else "comm_dst")
        wrong_end[at] = own is not None and own != nodes.rank[at]
        if untagged[at] and isinstance(value := texts.value(at, "comm_tag"), int):
            nodes.tag[at], untagged[at] = value, False
    nodes.tag[:] = nodes.tag % (1 << 32) % TAGS
    nodes.action[sends], nodes.action[receives] = SEND, RECEIVE
    nodes.source[which] = _NETWORK
    nodes.mark(which & nodes.cpu, "a message of a CPU operator", "is_cpu_op false")
    nodes.mark(sends & wrong_end, lambda at: f"comm_src {texts.value(at, 'comm_src')}", "its own rank")
    nodes.mark(receives & wrong_end, lambda at: f"comm_dst {texts.value(at, 'comm_dst')}", "its own rank")
    nowhere = (nodes.peer < 0) | (nodes.peer >= network.npus)
    ends = f"a rank below {network.npus}"
    nodes.mark(sends & nowhere, lambda at: f"comm_dst {_or_none(nodes.peer[at])}", ends)
    nodes.mark(receives & nowhere, lambda at: f"comm_src {_or_none(nodes.peer[at])}", ends)
    nodes.mark(which & (nodes.peer == nodes.rank), "a message to itself", "another rank")
    nodes.mark(which & untagged, "no comm_tag", "a number")
    nodes.mark(which & (size == UNKNOWN_BYTES), "no comm_size", "a number of bytes")
    nodes.mark(which & (size <= 0), "a message of 0 bytes", "at least 1")


def _or_none(number: int) -> str:
    return "is missing" if number < 0 else str(number)


def _collectives(nodes: Workload, texts: Kept, groups: Groups, planner: Planner) -> None:
    which = np.flatnonzero(nodes.kind == int(NodeType.COMM_COLL))
    o = nodes.trace.operators
    types, untyped = _column(nodes, "comm_type")
    nodes.mark(which[nodes.cpu[which]], "a collective of a CPU operator", "is_cpu_op false")
    joined = memberships(nodes.trace, groups, nodes.rows[which])
    names = f"a group that {'the groups list' if groups else 'a file of groups lists'}"

    def group(at: int) -> str:
        return f"pg_name {nodes.trace.process_groups.value('name', int(o['group'][nodes.rows[at]]))!r}"

    nodes.mark(which[joined.number == NOT_A_NUMBER], group, "a number, or none for all ranks")
    nodes.mark(which[joined.number == UNKNOWN], group, names)
    outside = np.array([n for n, m in groups.items() if max(m) >= planner.network.npus], dtype=np.int64)
    nodes.mark(which[np.isin(joined.number, outside)], group, f"a group of ranks below {planner.network.npus}")
    nodes.mark(which[untyped[which]], "no comm_type", "the type of a collective")
    size = nodes.size
    for at in which[size[which] == UNKNOWN_BYTES].tolist():
        if isinstance(value := texts.value(at, "comm_size"), int):
            size[at] = value
    nodes.mark(which[size[which] == UNKNOWN_BYTES], "no comm_size", "a number of bytes")
    replayed = types[which] == int(CommType.BROADCAST)
    known = np.isin(types[which], list(_KINDS))
    nodes.mark(which[~known & ~replayed], lambda at: f"comm_type {_named(CommType, types[at])}",
               "ALL_REDUCE, ALL_GATHER, REDUCE_SCATTER, ALL_TO_ALL or BROADCAST")  # fmt: skip
    alone = (joined.number > 0) & (joined.position < 0)
    nodes.mark(which[alone & ~replayed], lambda at: f"{group(at)}, of which its rank is no member", "a member's rank")
    left = (nodes._fault[which] == 0) & ~replayed
    which, number, position = which[left], joined.number[left], joined.position[left]
    nodes.action[which] = COLLECTIVE
    nodes.source[which] = _NETWORK
    nodes.position[which] = position
    in_group = number > 0
    pairs = nodes.rank[which] * (max(groups, default=0) + 1) + number
    used, index = np.unique(pairs[in_group], return_inverse=True)
    nodes.membership[which[in_group]] = index
    nodes.streams = len(used)
    _plan(nodes, texts, groups, planner, which, types[which], number)


def _plan(
    nodes: Workload, texts: Kept, groups: Groups, planner: Planner, which: Array, types: Array, number: Array
) -> None:
    """A plan for each collective; equal ones share it."""
    involved = np.zeros(len(which), dtype=np.int64)
    masks: dict[Any, int] = {None: 0}
    place = {at: k for k, at in enumerate(which.tolist())}
    for at in texts.values.keys() & place.keys():
        if "involved_dim" in texts.values[at]:
            mask = texts.value(at, "involved_dim")
            fits = isinstance(mask, list) and all(isinstance(value, bool) for value in mask)
            key = tuple(mask) if fits else "no list"
            involved[place[at]] = masks.setdefault(key, len(masks))
    firsts: dict[int, int] = {}
    for group in np.unique(number[number > 0]).tolist():
        firsts[group] = len(nodes.members)
        nodes.members += groups[group]
    listed = list(masks)
    keys = np.stack([types, nodes.size[which], involved, number], axis=1)
    unique, plan = np.unique(keys, axis=0, return_inverse=True)
    plan = plan.ravel()
    for at, (kind, size, mask, group) in enumerate(unique.tolist()):
        same = which[plan == at]
        try:
            if listed[mask] == "no list":
                raise CannotPlan("involved_dim of another type", "a list of booleans")
            members = len(groups[group]) if group else 0
            made = planner.plan(_KINDS[kind], size, listed[mask], group, members, firsts.get(group, -1))
        except CannotPlan as error:
            nodes.mark(same, error.found, error.expected)
            made = Plan(0, ())
        if not made.chunks and not made.steps and made.why:
            nodes.action[same] = FOREVER
            nodes.reasons |= dict.fromkeys(same.tolist(), made.why)
        nodes.plan[same] = len(nodes.plans)
        nodes.plans.append(made)
