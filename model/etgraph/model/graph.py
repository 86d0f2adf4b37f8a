"""Graphs over a trace: adjacency in compressed rows, the event graph of starts and ends, topological order.

Operators are intervals, and a dependency joins a certain end of one to a certain end of another (a blocking call
starts before the work it waits for). So the graph that must be acyclic has two nodes an operator, its start (2i) and
its end (2i + 1), and one more for each collective: the moment at which its last member has arrived.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etgraph.model.cancelling import BETWEEN_LOOKS, NEVER, stopped
from etgraph.model.columns import Array, Columns
from etgraph.model.kernels import kernel
from etgraph.model.schema import DEPENDENCIES, DependencyKind, Ends


@dataclass(frozen=True, slots=True)
class Adjacency:
    """Edges by node in compressed rows: those of node `v` are `offsets[v]` to `offsets[v + 1]`.

    `neighbours` holds the other node of each edge and `edges` its position in the list that the graph was made from.
    """

    offsets: Array
    neighbours: Array
    edges: Array

    def of(self, node: int) -> Array:
        """Neighbours of one node."""
        return self.neighbours[self.offsets[node] : self.offsets[node + 1]]


@dataclass(frozen=True, slots=True)
class EventGraph:
    """Edges between events. Node 2i is operator i's start, 2i + 1 its end, 2n + c the meeting of collective c.

    `dependency` holds for each edge the row of the dependency it stands for, -1 for an operator's own duration and
    for the edges of a collective.
    """

    nodes: int
    sources: Array
    targets: Array
    dependency: Array

    @property
    def successors(self) -> Adjacency:
        """Outgoing edges by node."""
        return adjacency(self.nodes, self.sources, self.targets)

    @property
    def predecessors(self) -> Adjacency:
        """Incoming edges by node."""
        return adjacency(self.nodes, self.targets, self.sources)


def adjacency(nodes: int, by: Array, other: Array) -> Adjacency:
    """Group edges by one of their nodes, keeping their order. O(nodes + edges)."""
    offsets, edges = _group(nodes, by)
    return Adjacency(offsets, other[edges], edges)


@kernel
def _group(nodes: int, by: Array, stop: Array = NEVER) -> tuple[Array, Array]:
    offsets = np.zeros(nodes + 1, dtype=np.int64)
    for begin in range(0, len(by), BETWEEN_LOOKS):
        if stopped(stop):
            break
        for e in range(begin, min(begin + BETWEEN_LOOKS, len(by))):
            offsets[by[e] + 1] += 1
    for v in range(nodes):
        offsets[v + 1] += offsets[v]
    place = offsets[:-1].copy()
    edges = np.empty(len(by), dtype=np.int64)
    for begin in range(0, len(by), BETWEEN_LOOKS):
        if stopped(stop):
            break
        for e in range(begin, min(begin + BETWEEN_LOOKS, len(by))):
            v = by[e]
            edges[place[v]] = e
            place[v] += 1
    return offsets, edges


def event_graph(operators: Columns, dependencies: Columns, collectives: Columns) -> EventGraph:
    """The graph whose acyclicity makes a trace executable: durations, ordering dependencies, collectives."""
    n = len(operators)
    rows = np.arange(n, dtype=np.int64)
    sources, targets, origin = [2 * rows], [2 * rows + 1], [np.full(n, -1, dtype=np.int64)]
    src, dst = dependencies["src"].astype(np.int64), dependencies["dst"].astype(np.int64)
    for kind, meaning in DEPENDENCIES.items():
        if not meaning.ordering or kind is DependencyKind.COLLECTIVE:
            continue
        chosen = np.flatnonzero(dependencies["kind"] == int(kind))
        for ends in meaning.ends:
            a, b = src[chosen], dst[chosen]
            if ends is Ends.BACK_END_END:
                sources.append(2 * b + 1)
                targets.append(2 * a + 1)
            else:
                sources.append(2 * a + (ends in (Ends.END_START, Ends.END_END)))
                targets.append(2 * b + (ends in (Ends.END_END, Ends.START_END)))
            origin.append(chosen)
    members = np.flatnonzero(~operators.is_null("collective")) if len(collectives) else rows[:0]
    meeting = 2 * n + operators["collective"][members].astype(np.int64) if len(members) else rows[:0]
    sources += [2 * members, meeting]
    targets += [meeting, 2 * members + 1]
    origin.append(np.full(2 * len(members), -1, dtype=np.int64))
    return EventGraph(
        2 * n + len(collectives), np.concatenate(sources), np.concatenate(targets), np.concatenate(origin)
    )


def nearest_above(parent: Array, wanted: Array) -> Array:
    """For each row the nearest of itself and the rows above it (`parent`, -1 at the top) that is wanted, or -1.

    The distance that is looked up doubles in each round: n·log(depth). Parents that form a circle lead nowhere.
    """
    rows = np.arange(len(parent), dtype=np.int64)
    jump = np.where(wanted, rows, parent)
    for _ in range(len(parent).bit_length() + 1):
        # A row that is wanted, or has nothing above it, stays where it is.
        further = np.where(jump >= 0, jump[jump], -1)
        if np.array_equal(further, jump):
            break
        jump = further
    return np.where((jump >= 0) & wanted[jump], jump, -1)


def strong_components(out: Adjacency) -> Array:
    """For each node the number of its strongly connected component; nodes on a common cycle share one.

    R. Tarjan, "Depth-first search and linear graph algorithms" (1972), without recursion. O(nodes + edges).
    """
    return _strong_components(out.offsets, out.neighbours)


@kernel
def _strong_components(offsets: Array, neighbours: Array, stop: Array = NEVER) -> Array:
    nodes = len(offsets) - 1
    found = np.zeros(nodes, dtype=np.int64)
    low = np.zeros(nodes, dtype=np.int64)
    component = np.full(nodes, -1, dtype=np.int64)
    following = offsets[:-1].copy()
    path = np.empty(nodes, dtype=np.int64)
    waiting = np.empty(nodes, dtype=np.int64)
    clock = 0
    count = 0
    held = 0
    step = 0
    for root in range(nodes):
        if found[root] != 0:
            continue
        depth = 1
        path[0] = root
        while depth > 0:
            if step % BETWEEN_LOOKS == 0 and stopped(stop):
                return component
            step += 1
            v = path[depth - 1]
            if found[v] == 0:
                clock += 1
                found[v] = clock
                low[v] = clock
                waiting[held] = v
                held += 1
            if following[v] < offsets[v + 1]:
                w = neighbours[following[v]]
                following[v] += 1
                if found[w] == 0:
                    path[depth] = w
                    depth += 1
                elif component[w] < 0 and found[w] < low[v]:
                    low[v] = found[w]
                continue
            depth -= 1
            if low[v] == found[v]:
                while True:
                    held -= 1
                    w = waiting[held]
                    component[w] = count
                    if w == v:
                        break
                count += 1
            if depth > 0 and low[v] < low[path[depth - 1]]:
                low[path[depth - 1]] = low[v]
    return component


def topological_order(nodes: int, sources: Array, targets: Array, out: Adjacency | None = None) -> tuple[Array, Array]:
    """Nodes in an order in which every edge points forward, and the members of one cycle (empty: there is none).

    With a cycle the order holds only the nodes that do not depend on one. Kahn's algorithm, first come first served.
    `out` are the outgoing edges, where the caller has them.
    """
    out = out or adjacency(nodes, sources, targets)
    order, waiting = _kahn(out.offsets, out.neighbours)
    if len(order) == nodes:
        return order, np.zeros(0, dtype=np.int64)
    into = adjacency(nodes, targets, sources)
    return order, _some_cycle(into.offsets, into.neighbours, waiting)


@kernel
def _kahn(offsets: Array, neighbours: Array, stop: Array = NEVER) -> tuple[Array, Array]:
    nodes = len(offsets) - 1
    waiting = np.zeros(nodes, dtype=np.int32)
    for begin in range(0, len(neighbours), BETWEEN_LOOKS):
        if stopped(stop):
            break
        for e in range(begin, min(begin + BETWEEN_LOOKS, len(neighbours))):
            waiting[neighbours[e]] += 1
    order = np.empty(nodes, dtype=np.int64)
    filled = 0
    for v in range(nodes):
        if waiting[v] == 0:
            order[filled] = v
            filled += 1
    done = 0
    while done < filled:
        if done % BETWEEN_LOOKS == 0 and stopped(stop):
            break
        v = order[done]
        done += 1
        for e in range(offsets[v], offsets[v + 1]):
            w = neighbours[e]
            waiting[w] -= 1
            if waiting[w] == 0:
                order[filled] = w
                filled += 1
    return order[:filled], waiting


@kernel
def _some_cycle(offsets: Array, neighbours: Array, waiting: Array, stop: Array = NEVER) -> Array:
    """Walk back along unfinished predecessors until a node repeats: from there on it is a cycle."""
    seen = np.full(len(offsets) - 1, -1, dtype=np.int64)
    path = np.empty(len(offsets) - 1, dtype=np.int64)
    v = 0
    while waiting[v] <= 0:
        v += 1
    length = 0
    while seen[v] < 0:
        if length % BETWEEN_LOOKS == 0 and stopped(stop):
            return path[:length]
        seen[v] = length
        path[length] = v
        length += 1
        for e in range(offsets[v], offsets[v + 1]):
            if waiting[neighbours[e]] > 0:
                v = neighbours[e]
                break
    return path[seen[v] : length][::-1].copy()


def longest_path(order: Array, sources: Array, targets: Array, weights: Array, nodes: int) -> Array:
    """Earliest time of every node when each edge takes its weight: the forward pass of the critical path method.

    `order` is topological; times start at 0. O(nodes + edges).
    """
    return earliest_times(order, adjacency(nodes, sources, targets), weights)


def earliest_times(order: Array, out: Adjacency, weights: Array) -> Array:
    """`longest_path` where the outgoing edges are at hand."""
    return _relax(order, out.offsets, out.neighbours, weights[out.edges])


@kernel
def _relax(order: Array, offsets: Array, neighbours: Array, weights: Array, stop: Array = NEVER) -> Array:
    earliest = np.zeros(len(offsets) - 1, dtype=np.int64)
    for begin in range(0, len(order), BETWEEN_LOOKS):
        if stopped(stop):
            break
        for v in order[begin : begin + BETWEEN_LOOKS]:
            for e in range(offsets[v], offsets[v + 1]):
                t = earliest[v] + weights[e]
                if t > earliest[neighbours[e]]:
                    earliest[neighbours[e]] = t
    return earliest


def latest_times(order: Array, out: Adjacency, weights: Array, length: int) -> Array:
    """Latest time of every node that still lets all end by `length`: the backward pass of the critical path method.

    `order` is topological, `out` holds the outgoing edges. A node that nothing follows may be as late as `length`.
    O(nodes + edges).
    """
    return _relax_back(order, out.offsets, out.neighbours, weights[out.edges], length)


@kernel
def _relax_back(
    order: Array, offsets: Array, neighbours: Array, weights: Array, length: int, stop: Array = NEVER
) -> Array:
    latest = np.full(len(offsets) - 1, length, dtype=np.int64)
    for end in range(len(order), 0, -BETWEEN_LOOKS):
        if stopped(stop):
            break
        for i in range(end - 1, max(end - 1 - BETWEEN_LOOKS, -1), -1):
            v = order[i]
            for e in range(offsets[v], offsets[v + 1]):
                t = latest[neighbours[e]] - weights[e]
                if t < latest[v]:
                    latest[v] = t
    return latest


def tight_path(
    last: int, sources: Array, targets: Array, weights: Array, earliest: Array, starts: int
) -> tuple[Array, Array]:
    """A longest path to node `last`: its nodes in order, and for each the edge that leads to it (-1 for the first).

    It goes back along edges without float, of several along the one that comes first in the list, to a node at time 0
    that is one of the first `starts` nodes and even: the start of an operator. O(nodes + edges).
    """
    nodes, edges = _back(last, sources, targets, weights, earliest, starts)
    return nodes[::-1].copy(), edges[::-1].copy()


@kernel
def _back(
    last: int, sources: Array, targets: Array, weights: Array, earliest: Array, starts: int, stop: Array = NEVER
) -> tuple[Array, Array]:
    by = np.full(len(earliest), -1, dtype=np.int64)
    for end in range(len(sources), 0, -BETWEEN_LOOKS):
        if stopped(stop):
            break
        for e in range(end - 1, max(end - 1 - BETWEEN_LOOKS, -1), -1):
            if earliest[sources[e]] + weights[e] == earliest[targets[e]]:
                by[targets[e]] = e
    nodes = np.empty(len(earliest), dtype=np.int64)
    used = np.empty(len(earliest), dtype=np.int64)
    count = 0
    v = last
    while True:
        if count % BETWEEN_LOOKS == 0 and stopped(stop):
            return nodes[:count], used[:count]
        begins = by[v] < 0 or (earliest[v] == 0 and v < starts and v % 2 == 0)
        nodes[count] = v
        used[count] = by[v]
        if begins:
            used[count] = -1
        count += 1
        if begins:
            return nodes[:count], used[:count]
        v = sources[by[v]]
