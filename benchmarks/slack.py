"""Slack on 1 M operators and 2.5 M dependencies, beside the same passes over graphs of rustworkx and networkx."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.clock import seconds
from benchmarks.path import NETWORKX_OPERATORS, OPERATORS, synthetic
from etgraph.model import Trace
from etgraph.model.graph import earliest_times, event_graph, latest_times, tight_path, topological_order
from etgraph.queries import slack


def main() -> None:
    """Print the table: seconds of each step, and how many times as long the peers take for the same slacks."""
    trace = synthetic(OPERATORS)
    slack(trace)
    e, n = trace.events, len(trace)
    weights = np.zeros(len(e.sources), dtype=np.int64)
    weights[:n] = trace.operators["duration_ns"]
    out = e.successors
    order, _ = topological_order(e.nodes, e.sources, e.targets, out)
    earliest = earliest_times(order, out, weights)
    length = int(earliest.max())
    last = int(order[np.argmax(earliest[order] == length)])
    parts = {
        "edges by node": seconds(lambda: e.successors),
        "order": seconds(lambda: topological_order(e.nodes, e.sources, e.targets, out)),
        "forward pass": seconds(lambda: earliest_times(order, out, weights)),
        "backward pass": seconds(lambda: latest_times(order, out, weights, length)),
        "path": seconds(lambda: tight_path(last, e.sources, e.targets, weights, earliest, 2 * n)),
    }
    result = slack(trace)
    print(f"{n:,} operators, {len(trace.dependencies):,} dependencies; path of {len(result.segments):,} segments")
    print("\n| step | s |\n|---|---:|")
    print(
        f"| event graph | {seconds(lambda: event_graph(trace.operators, trace.dependencies, trace.collectives)):.3f} |"
    )
    for name, taken in parts.items():
        print(f"| {name} | {taken:.3f} |")
    print(f"| these five | {sum(parts.values()):.3f} |")
    print(f"| the whole answer, tables and shares too | {seconds(lambda: slack(trace)):.3f} |")
    print("\n| slack of every operator, event graph included | s | times as long |\n|---|---:|---:|")
    print(f"| etgraph, {n:,} operators | {(base := seconds(lambda: _ours(trace), 1)):.2f} | 1 |")
    print(f"| rustworkx | {(other := seconds(lambda: _rustworkx(trace), 1)):.2f} | {other / base:.0f} |")
    small = synthetic(NETWORKX_OPERATORS)
    print(f"| etgraph, {len(small):,} operators | {(base := seconds(lambda: _ours(small), 1)):.3f} | 1 |")
    print(f"| networkx | {(other := seconds(lambda: _networkx(small), 1)):.2f} | {other / base:.0f} |")
    assert (_ours(small) == _networkx(small)).all(), "networkx disagrees"
    assert (_ours(small) == _rustworkx(small)).all(), "rustworkx disagrees"
    print("\nall three find the same slacks")


def _ours(trace: Trace) -> Any:
    e = event_graph(trace.operators, trace.dependencies, trace.collectives)
    weights = np.zeros(len(e.sources), dtype=np.int64)
    weights[: len(trace)] = trace.operators["duration_ns"]
    out = e.successors
    order, _ = topological_order(e.nodes, e.sources, e.targets, out)
    earliest = earliest_times(order, out, weights)
    latest = latest_times(order, out, weights, int(earliest.max()))
    return (latest - earliest)[: 2 * len(trace) : 2]


def _edges(trace: Trace) -> list[tuple[int, int, int]]:
    e = trace.events
    weights = np.zeros(len(e.sources), dtype=np.int64)
    weights[: len(trace)] = trace.operators["duration_ns"]
    return list(zip(e.sources.tolist(), e.targets.tolist(), weights.tolist(), strict=True))


def _passes(order: Any, graph: Any, weight: Any, operators: int) -> Any:
    """Both passes over a graph of a library whose edges are asked for node by node."""
    order = list(order)
    earliest = [0] * len(order)
    for v in order:
        for _, w, data in graph.out_edges(v) if weight is None else graph.out_edges(v, data=weight):
            earliest[w] = max(earliest[w], earliest[v] + data)
    latest = [max(earliest)] * len(order)
    for v in reversed(order):
        for _, w, data in graph.out_edges(v) if weight is None else graph.out_edges(v, data=weight):
            latest[v] = min(latest[v], latest[w] - data)
    return np.array(latest[: 2 * operators : 2]) - np.array(earliest[: 2 * operators : 2])


def _rustworkx(trace: Trace) -> Any:
    import rustworkx as rx

    graph: Any = rx.PyDiGraph()
    graph.add_nodes_from(range(trace.events.nodes))
    graph.add_edges_from(_edges(trace))
    return _passes(rx.topological_sort(graph), graph, None, len(trace))


def _networkx(trace: Trace) -> Any:
    import networkx as nx

    graph: Any = nx.MultiDiGraph()
    graph.add_nodes_from(range(trace.events.nodes))
    graph.add_weighted_edges_from(_edges(trace))
    return _passes(nx.topological_sort(graph), graph, "weight", len(trace))
