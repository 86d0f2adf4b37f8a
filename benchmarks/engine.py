"""The event engine on ranks that meet in collectives, beside list scheduling with networkx; memory and growth."""

from __future__ import annotations

import heapq
import tracemalloc
from typing import Any

import numpy as np

from benchmarks.clock import seconds
from benchmarks.path import synthetic_run
from etgraph.model import Trace
from etgraph.sim.engine import Program, run
from etgraph.sim.replay.plan import plan_of, program_of
from etgraph.sim.replay.structure import fitted, structure_of

RANKS, RANK_OPERATORS = 64, 20_000
GROWTH = ((16, 20_000), (64, 20_000), (64, 78_125), (128, 78_125))
PEER_OPERATORS = 40_000


def main() -> None:
    """Print the tables."""
    print(
        "operators, seconds for the look at the trace, for plan and program, for the engine; operators/s of the engine,"
    )
    print("and with plan and program\n\n| operators | look | plan | engine | engine alone | with plan |")
    print("|---:|---:|---:|---:|---:|---:|")
    run(_program(synthetic_run(2, 30_000)))  # compiles
    for ranks, operators in GROWTH:
        print(_row(synthetic_run(ranks, operators)), flush=True)
    trace = synthetic_run(RANKS, RANK_OPERATORS)
    program = _program(trace)
    print(f"\nmemory an operator ({RANKS} × {RANK_OPERATORS:,}, {len(program.targets) / len(trace):.2f} edges each):")
    held = sum(getattr(program, name).nbytes for name in ("offsets", "targets", "lag_ns")) / len(trace)
    tracemalloc.start()
    run(program)
    peak = tracemalloc.get_traced_memory()[1] / len(trace)
    tracemalloc.stop()
    print(f"program {held:.0f} B, run {peak:.0f} B, together {held + peak:.0f} B")
    small = synthetic_run(4, PEER_OPERATORS // 4)
    program = _program(small)
    timeline = run(program)
    ours = seconds(lambda: run(program), 3)
    peer = seconds(lambda: _list_scheduling(program), 1)
    assert np.array_equal(timeline.ns, _list_scheduling(program)), "the peer disagrees"
    print(
        f"\nlist scheduling over a networkx graph, {len(small):,} operators: {peer:.2f} s, {peer / ours:,.0f} × the "
        f"{ours * 1e3:.1f} ms of the engine; both find the same times"
    )


def _row(trace: Trace) -> str:
    """A line of the table."""
    looking = seconds(lambda: _structure(trace), 1)
    s, c = _structure(trace)
    planning = seconds(lambda: program_of(plan_of(trace, s, c)), 1)
    program = program_of(plan_of(trace, s, c))
    running = seconds(lambda: run(program), 3)
    n = len(trace)
    alone, together = n / running / 1e6, n / (planning + running) / 1e6
    return f"| {n:,} | {looking:.2f} | {planning:.2f} | {running:.3f} | {alone:.1f} M | {together:.1f} M |"


def _structure(trace: Trace) -> Any:
    s = structure_of(trace)
    return s, fitted(s)


def _program(trace: Trace) -> Program:
    return program_of(plan_of(trace, *_structure(trace)))


def _list_scheduling(program: Program) -> Any:
    """Every event in order of time from a heap, its edges looked up in a networkx graph."""
    import networkx as nx

    graph: Any = nx.MultiDiGraph()
    graph.add_nodes_from(range(program.events))
    graph.add_weighted_edges_from(
        zip(program.sources.tolist(), program.targets.tolist(), program.lag_ns.tolist()), weight="lag"
    )
    after = dict(zip(program.waking.tolist(), program.after_ns.tolist()))
    ns = program.floor_ns.tolist()
    missing = dict(graph.in_degree())
    since, held = dict.fromkeys(after, -(2**62)), dict.fromkeys(after, -(2**62))
    ready = [(ns[event], event) for event, count in missing.items() if not count]
    heapq.heapify(ready)
    while ready:
        time, event = heapq.heappop(ready)
        for _, to, lag in graph.out_edges(event, data="lag"):
            if lag >= 0:
                ns[to] = max(ns[to], time + lag)
                if to in since:
                    since[to] = max(since[to], time)
            else:
                held[to] = max(held[to], time - 1 - lag)
            missing[to] -= 1
            if not missing[to]:
                if to in after and held[to] > since[to]:
                    ns[to] = max(ns[to], held[to] + after[to])
                heapq.heappush(ready, (ns[to], to))
    return np.array(ns)
