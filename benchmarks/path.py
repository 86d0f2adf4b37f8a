"""The path kernel on 1 M operators and 2.5 M dependencies, beside the longest path of rustworkx and networkx.

And the whole answer over 64 ranks that meet in collectives.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.clock import seconds
from etgraph.ingest.draft import Draft, dependencies
from etgraph.ingest.launches import launch
from etgraph.ingest.nesting import nest
from etgraph.model import TABLES, Category, Columns, DependencyKind, LaneKind, NodeType, Trace
from etgraph.model.graph import longest_path, topological_order
from etgraph.queries import critical_path
from etgraph.queries.walk import survey, walk
from etgraph.queries.windows import window_of

OPERATORS = 1_000_000
NETWORKX_OPERATORS = 100_000
RANKS, RANK_OPERATORS = 64, 20_000


def synthetic(operators: int) -> Trace:
    """Host operators in threes (a module, an operator, a launch), each launching a kernel on one of two streams."""
    groups = operators // 4
    random = np.random.default_rng(0)
    start = np.arange(groups, dtype=np.int64) * 1000
    length = random.integers(300, 1400, groups)
    free = np.maximum.accumulate(start + 450 - np.concatenate([[0], np.cumsum(length)[:-1]]))
    kernel = free + np.concatenate([[0], np.cumsum(length)[:-1]])
    begin = np.stack([start, start + 100, start + 200, kernel], axis=1).ravel()
    duration = np.stack([np.full(groups, 900), np.full(groups, 700), np.full(groups, 200), length], axis=1).ravel()
    order = np.argsort(begin, kind="stable")
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    kind = np.tile(
        np.array([Category.CPU_OP, Category.CPU_OP, Category.RUNTIME, Category.KERNEL], dtype=np.int32), groups
    )
    lane = np.tile(np.array([0, 0, 0, 1], dtype=np.int32), groups)
    count = len(order)
    data = {
        "rank": np.zeros(count), "index": np.arange(count), "name": np.tile([0, 1, 2, 3], groups)[order],
        "kind": np.full(count, 4), "category": kind[order], "lane": lane[order],
        "start_ns": begin[order], "duration_ns": duration[order],
    }  # fmt: skip
    lanes = {"rank": [0, 0], "kind": [int(LaneKind.THREAD), int(LaneKind.STREAM)], "process": [0, 0], "id": [0, 1]}
    trace = Trace(
        Columns(TABLES["operators"], data, {"name": ["module", "aten::mm", "cudaLaunchKernel", "gemm"]}),
        lanes=Columns(TABLES["lanes"], lanes, {"process": ["0"], "id": ["1", "7"]}),
    )
    call, device = place[2::4], place[3::4]
    draft = launch(nest(Draft(trace)))
    wanted = int(2.5 * operators) - len(draft.trace.dependencies) - len(call)
    pairs = np.sort(random.integers(0, count - 60, 3 * wanted))
    later = pairs + random.integers(1, 50, len(pairs))
    in_order = np.flatnonzero(trace.end_ns[pairs] <= trace.operators["start_ns"][later])[:wanted]
    draft = draft.with_dependencies(
        dependencies(DependencyKind.LAUNCH, call, device, "synthetic"),
        dependencies(DependencyKind.DATA, pairs[in_order], later[in_order], "synthetic"),
    )
    return draft.trace


def synthetic_run(ranks: int, operators: int) -> Trace:
    """As many copies of a synthetic rank, of whose kernels every fiftieth is a collective of all of them."""
    one = synthetic(operators)
    parts = [
        replace(one, operators=one.operators.replace({"rank": np.full(len(one), rank)}),
                lanes=one.lanes.replace({"rank": np.full(len(one.lanes), rank)}))
        for rank in range(ranks)
    ]  # fmt: skip
    trace = Trace.concat(parts)
    o, kernels = trace.operators, np.flatnonzero(one.operators["category"] == int(Category.KERNEL))[::50]
    late = np.random.default_rng(1).integers(0, 200, (ranks, len(kernels)))
    rows = np.arange(ranks)[:, None] * len(one) + kernels
    start, duration = o["start_ns"].copy(), o["duration_ns"].copy()
    start[rows], duration[rows] = start[rows] + late, np.maximum(duration[rows] - late, 201 - late)
    meeting, kind = np.full(len(o), -1), o["kind"].copy()
    meeting[rows], kind[rows] = np.arange(len(kernels)), int(NodeType.COMM_COLL)
    times = {"start_ns": start, "duration_ns": duration}
    count = len(kernels)
    return replace(
        trace,
        operators=o.replace({**times, "collective": meeting, "kind": kind}),
        collectives=Columns(
            TABLES["collectives"],
            {"type": np.zeros(count), "bytes": np.full(count, 1 << 20), "size": np.full(count, ranks)},
        ),
    )


def main() -> None:
    """Print the table: seconds, and how many times as long the peers take on the same graph."""
    trace = synthetic(OPERATORS)
    window = window_of(trace, 0, None, "annotation")
    walk(trace, (window,))
    terrain = survey(trace)
    steps = walk(trace, (window,), terrain=terrain)
    events = trace.events
    weights = np.zeros(len(events.sources), dtype=np.int64)
    weights[: len(trace)] = trace.operators["duration_ns"]
    topological_order(events.nodes, events.sources, events.targets)
    order, _ = topological_order(events.nodes, events.sources, events.targets)
    longest_path(order, events.sources, events.targets, weights, events.nodes)
    print(
        f"{len(trace):,} operators, {len(trace.dependencies):,} dependencies; path of {len(steps.operator):,} segments"
    )
    building = seconds(lambda: survey(trace))
    ours = seconds(lambda: walk(trace, (window,), terrain=terrain))
    sorting = seconds(lambda: topological_order(events.nodes, events.sources, events.targets))
    longest = seconds(lambda: longest_path(order, events.sources, events.targets, weights, events.nodes))
    print(f"measured path                            {ours:8.3f} s (after trees of calls, {building:.3f} s)")
    print(
        f"longest path of the event graph          {sorting + longest:8.3f} s (order {sorting:.3f}, pass {longest:.3f})"
    )
    run = synthetic_run(RANKS, RANK_OPERATORS)
    critical_path(run)
    whole = seconds(lambda: critical_path(run))
    print(f"the whole answer over {RANKS} ranks × {RANK_OPERATORS:,} operators {whole:8.3f} s")
    print("\nbuild, topological order and longest path of the same event graph:")
    build = seconds(lambda: longest_path(*_ours(trace)), 1)
    print(f"etgraph      {build:8.2f} s")
    print(f"rustworkx    {(r := seconds(lambda: _rustworkx(trace), 1)):8.2f} s   {r / build:6.1f}x")
    small = synthetic(NETWORKX_OPERATORS)
    base = seconds(lambda: longest_path(*_ours(small)), 1)
    n = seconds(lambda: _networkx(small), 1)
    print(f"networkx     {n:8.2f} s   {n / base:6.1f}x   (on {NETWORKX_OPERATORS:,} operators; etgraph {base:.3f} s)")
    exact = int(longest_path(*_ours(small)).max())
    assert exact == _networkx(small) == _rustworkx(small), "the peers disagree"
    print("all three find the same length")


def _ours(trace: Trace) -> tuple[Any, ...]:
    from etgraph.model.graph import event_graph

    events = event_graph(trace.operators, trace.dependencies, trace.collectives)
    weights = np.zeros(len(events.sources), dtype=np.int64)
    weights[: len(trace)] = trace.operators["duration_ns"]
    order, _ = topological_order(events.nodes, events.sources, events.targets)
    return order, events.sources, events.targets, weights, events.nodes


def _edges(trace: Trace) -> list[tuple[int, int, int]]:
    events = trace.events
    weights = np.zeros(len(events.sources), dtype=np.int64)
    weights[: len(trace)] = trace.operators["duration_ns"]
    return list(zip(events.sources.tolist(), events.targets.tolist(), weights.tolist(), strict=True))


def _rustworkx(trace: Trace) -> int:
    import rustworkx as rx

    graph: Any = rx.PyDiGraph()
    graph.add_nodes_from(range(trace.events.nodes))
    graph.add_edges_from(_edges(trace))
    return int(rx.dag_longest_path_length(graph, weight_fn=lambda _, __, weight: weight))


def _networkx(trace: Trace) -> int:
    import networkx as nx

    graph: Any = nx.DiGraph()
    graph.add_nodes_from(range(trace.events.nodes))
    for a, b, weight in _edges(trace):
        if not graph.has_edge(a, b) or graph[a][b]["weight"] < weight:
            graph.add_edge(a, b, weight=weight)
    return int(nx.dag_longest_path_length(graph))
