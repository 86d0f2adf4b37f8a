"""Graphs: adjacency, order, longest paths and the event graph, against networkx and construction by hand."""

from __future__ import annotations

from collections import Counter

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etgraph.model import DEPENDENCIES, TABLES, Columns, CommType, DependencyKind, Trace
from etgraph.model import graph as graphs
from etgraph.model.columns import Array
from etgraph.model.graph import _strong_components, adjacency, longest_path, strong_components, topological_order
from etgraph.model.kernels import Kernel
from etgraph.model.schema import Ends
from model.tables import edges, graph, operators

Edges = tuple[int, list[tuple[int, int]]]


@st.composite
def directed(draw: st.DrawFn) -> Edges:
    """Number of nodes and edges between them, loops and repeats included."""
    nodes = draw(st.integers(1, 12))
    node = st.integers(0, nodes - 1)
    return nodes, draw(st.lists(st.tuples(node, node), max_size=25))


@st.composite
def acyclic(draw: st.DrawFn) -> Edges:
    """Edges that follow a random order of the nodes."""
    nodes, found = draw(directed())
    place = draw(st.permutations(range(nodes)))
    return nodes, [(a, b) if place[a] < place[b] else (b, a) for a, b in found if a != b]


def ends_of(found: list[tuple[int, int]]) -> tuple[Array, Array]:
    pairs = np.array(found, dtype=np.int64).reshape(-1, 2)
    return pairs[:, 0].copy(), pairs[:, 1].copy()


def oracle(case: Edges) -> nx.MultiDiGraph:
    found = nx.MultiDiGraph(case[1])
    found.add_nodes_from(range(case[0]))
    return found


@given(directed())
def test_adjacency_lists_neighbours_in_the_order_of_the_edges(case: Edges) -> None:
    nodes, found = case
    out = adjacency(nodes, *ends_of(found))
    for node in range(nodes):
        assert out.of(node).tolist() == [b for a, b in found if a == node]
        here = out.edges[out.offsets[node] : out.offsets[node + 1]].tolist()
        assert here == [e for e, (a, _) in enumerate(found) if a == node]


@given(acyclic())
def test_every_edge_points_forward_in_the_order(case: Edges) -> None:
    nodes, found = case
    order, cycle = topological_order(nodes, *ends_of(found))
    assert len(cycle) == 0
    assert sorted(order.tolist()) == list(range(nodes))
    place = {node: position for position, node in enumerate(order.tolist())}
    assert all(place[a] < place[b] for a, b in found)


@given(directed())
def test_a_cycle_is_found_where_there_is_one(case: Edges) -> None:
    nodes, found = case
    order, cycle = topological_order(nodes, *ends_of(found))
    assert (len(cycle) == 0) == nx.is_directed_acyclic_graph(oracle(case))
    members = cycle.tolist()
    assert len(set(members)) == len(members)
    assert all(pair in found for pair in zip(members, members[1:] + members[:1]))
    assert not set(members) & set(order.tolist())


@given(acyclic(), st.data())
def test_longest_path_is_networkx_longest_path(case: Edges, data: st.DataObject) -> None:
    nodes, found = case
    weights = data.draw(st.lists(st.integers(0, 2**40), min_size=len(found), max_size=len(found)))
    sources, targets = ends_of(found)
    order, _ = topological_order(nodes, sources, targets)
    earliest = longest_path(order, sources, targets, np.array(weights, dtype=np.int64), nodes)
    expected = dict.fromkeys(range(nodes), 0)
    weighted = nx.MultiDiGraph()
    weighted.add_nodes_from(range(nodes))
    weighted.add_weighted_edges_from((a, b, w) for (a, b), w in zip(found, weights))
    for node in nx.topological_sort(weighted):
        for _, after, weight in weighted.out_edges(node, data="weight"):
            expected[after] = max(expected[after], expected[node] + weight)
    assert earliest.tolist() == [expected[node] for node in range(nodes)]
    assert max(earliest, default=0) == nx.dag_longest_path_length(weighted)


# Both modes of the kernels


@given(directed())
def test_group_and_order_are_equal_in_both_modes(case: Edges) -> None:
    nodes, found = case
    sources, targets = ends_of(found)
    same(graphs._group, nodes, sources)
    out, into = adjacency(nodes, sources, targets), adjacency(nodes, targets, sources)
    order, waiting = graphs._kahn.python(out.offsets, out.neighbours)
    same(graphs._kahn, out.offsets, out.neighbours)
    if len(order) < nodes:
        same(graphs._some_cycle, into.offsets, into.neighbours, waiting)
    same(graphs._relax, order, out.offsets, out.neighbours, np.arange(len(found), dtype=np.int64))


def same(kernel: Kernel[..., object], *arguments: object) -> None:
    plain, compiled = kernel.python(*arguments), kernel.compiled(*arguments)
    pairs = zip(plain, compiled) if isinstance(plain, tuple) else [(plain, compiled)]
    assert all(np.array_equal(a, b) for a, b in pairs), kernel.__name__


# The event graph


def start(row: int) -> int:
    return 2 * row


def end(row: int) -> int:
    return 2 * row + 1


EVENTS = {
    Ends.END_START: lambda src, dst: (end(src), start(dst)),
    Ends.START_START: lambda src, dst: (start(src), start(dst)),
    Ends.START_END: lambda src, dst: (start(src), end(dst)),
    Ends.END_END: lambda src, dst: (end(src), end(dst)),
    Ends.BACK_END_END: lambda src, dst: (end(dst), end(src)),
}


def event_edges(trace: Trace) -> Counter[tuple[int, int, int]]:
    """Edges of the event graph without the operators' durations: (from, to, dependency)."""
    e = trace.events
    found = Counter(zip(e.sources.tolist(), e.targets.tolist(), e.dependency.tolist()))
    return found - Counter((start(row), end(row), -1) for row in range(len(trace)))


def with_collectives(trace: Trace, member_of: list[int]) -> Trace:
    count = max(member_of, default=-1) + 1
    collectives = Columns(TABLES["collectives"], {"type": [CommType.ALL_REDUCE] * count})
    operators = trace.operators.replace({"collective": member_of})
    return Trace(operators, trace.dependencies, collectives=collectives)


def test_each_kind_joins_the_ends_that_the_design_names() -> None:
    ends = {kind.name: [e.value for e in meaning.ends] for kind, meaning in DEPENDENCIES.items()}
    assert ends == {
        "CTRL": ["end → start"],
        "DATA": ["end → start"],
        "CALL": ["start → start", "target's end → source's end"],
        "THREAD": ["end → start"],
        "LAUNCH": ["start → start"],
        "STREAM": ["end → start"],
        "EVENT": ["end → start"],
        "SYNC": ["end → end"],
        "SPAWN": ["start → start"],
        "JOIN": ["end → start"],
        "OCCUPANCY": ["end → start"],
        "COMM": ["start → end"],
        "COLLECTIVE": ["start → end"],
    }
    assert [kind.name for kind, meaning in DEPENDENCIES.items() if not meaning.ordering] == ["OCCUPANCY"]


@pytest.mark.parametrize("kind", [k for k in DependencyKind if k is not DependencyKind.COLLECTIVE])
def test_a_dependency_makes_the_edges_of_its_kind(kind: DependencyKind) -> None:
    meaning = DEPENDENCIES[kind]
    expected = [(*EVENTS[ends](0, 1), 0) for ends in meaning.ends] if meaning.ordering else []
    assert event_edges(graph(2, (0, 1, kind))) == Counter(expected)


def test_a_collective_adds_two_edges_a_member() -> None:
    trace = with_collectives(graph(4), [0, -1, 0, 1])
    first, second = 8, 9
    assert trace.events.nodes == 10
    assert event_edges(trace) == Counter(
        [(start(0), first, -1), (first, end(0), -1), (start(2), first, -1), (first, end(2), -1),
         (start(3), second, -1), (second, end(3), -1)]
    )  # fmt: skip


@given(st.data())
def test_the_event_graph_follows_from_the_declaration(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 6))
    node = st.integers(0, count - 1)
    found = data.draw(st.lists(st.tuples(node, node, st.sampled_from(DependencyKind)), max_size=12))
    member_of = data.draw(st.lists(st.integers(-1, 2), min_size=count, max_size=count))
    trace = with_collectives(Trace(operators(count), edges(*found)), member_of)
    expected: Counter[tuple[int, int, int]] = Counter()
    for row, (src, dst, kind) in enumerate(found):
        if DEPENDENCIES[kind].ordering and kind is not DependencyKind.COLLECTIVE:
            expected.update((*EVENTS[ends](src, dst), row) for ends in DEPENDENCIES[kind].ends)
    for row, collective in enumerate(member_of):
        if collective >= 0:
            meeting = 2 * count + collective
            expected.update([(start(row), meeting, -1), (meeting, end(row), -1)])
    assert event_edges(trace) == expected
    successors, predecessors = trace.events.successors, trace.events.predecessors
    assert len(successors.edges) == len(predecessors.edges) == len(trace.events.sources)


@given(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=40))
def test_strong_components_are_those_of_networkx(edges: list[tuple[int, int]]) -> None:
    graph = nx.DiGraph(edges)
    graph.add_nodes_from(range(12))
    ends = np.array(edges, dtype=np.int64).reshape(-1, 2)
    out = adjacency(12, ends[:, 0], ends[:, 1])
    expected = {frozenset(c) for c in nx.strongly_connected_components(graph)}
    for kernel in (_strong_components.python, _strong_components.compiled):
        label = kernel(out.offsets, out.neighbours)
        assert {frozenset(np.flatnonzero(label == c).tolist()) for c in np.unique(label)} == expected
    assert strong_components(out).tolist() == label.tolist()


def test_a_long_chain_of_components_needs_no_recursion() -> None:
    count = 100_000
    rows = np.arange(count - 1)
    label = strong_components(adjacency(count, np.append(rows, count - 1), np.append(rows + 1, count - 2)))
    assert label[-1] == label[-2]
    assert len(np.unique(label)) == count - 1


@given(st.lists(st.tuples(st.integers(-1, 9), st.booleans()), max_size=10))
def test_the_nearest_above_by_climbing(rows: list[tuple[int, bool]]) -> None:
    """Circles of parents lead nowhere, unless what is wanted lies on the way."""
    count = len(rows)
    parent = [up if up < count else -1 for up, _ in rows]
    wanted = [want for _, want in rows]
    expected = []
    for row in range(count):
        seen, up = 0, row
        while up >= 0 and not wanted[up] and seen <= count:
            up, seen = parent[up], seen + 1
        expected.append(up if seen <= count else -1)
    found = graphs.nearest_above(np.array(parent, dtype=np.int32), np.array(wanted, dtype=bool))
    assert found.tolist() == expected
