"""Calls: own times, trees and launches, on small traces and beside brute force."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from etgraph.model import Trace
from etgraph.queries.calls import call_trees, own_times
from support.build import build
from support.random_traces import chain, crossing_traces, traces


def test_what_outlives_an_operator_counts_up_to_its_end() -> None:
    trace = build("""
        rank 0 | thread 1 | c10d::send   0..50
        rank 0 | thread 1 | gloo:send   10..80
        rank 0 | thread 1 | after       60..90
    """)
    assert own_times(trace).tolist() == [10, 40, 30]


def test_times_that_contradict_the_nesting_are_no_own_time() -> None:
    """On an edited timeline an operator may lie behind the one that encloses it."""
    trace = build("""
        rank 0 | thread 1 | a   0..10
        rank 0 | thread 1 | b   1..9
        rank 0 | thread 1 | c   2..5
        rank 0 | thread 1 | d  10..50
        rank 0 | thread 1 | e  20..30
    """)
    moved = trace.with_times(np.array([0, 20, 22, 10, 12]), trace.operators["duration_ns"], "edited")
    assert own_times(moved).tolist() == [10, 0, 0, 30, 10]


@settings(max_examples=100)
@given(st.one_of(traces(), crossing_traces()))
def test_own_time_is_that_of_the_innermost_open_operator_moment_by_moment(trace: Trace) -> None:
    o = trace.operators
    around = [chain(trace, row) for row in range(len(trace))]
    end = [min(int(trace.end_ns[up]) for up in each) for each in around]
    expected = [0] * len(trace)
    for moment in range(int(o["start_ns"].min()), int(trace.end_ns.max())):
        open_now = [row for row in range(len(trace)) if o["start_ns"][row] <= moment < end[row]]
        for row in open_now:
            if not any(row in around[other][1:] for other in open_now):
                expected[row] += 1
    assert own_times(trace).tolist() == expected


@settings(max_examples=100)
@given(st.lists(st.integers(-1, 7), min_size=1, max_size=8))
def test_parents_of_any_kind_make_an_order(parents: list[int]) -> None:
    """Trees stand in one piece, what is on a circle alone."""
    count = len(parents)
    trace = build("\n".join(f"rank 0 | thread {n} | a {n}..{n + 5}" for n in range(count)))
    parents = [p if p < count else -1 for p in parents]
    trace = replace(trace, operators=trace.operators.replace({"parent": parents}))
    trees = call_trees(trace)
    assert sorted(trees.place) == list(range(count))
    for row in range(count):
        path: list[int] = []
        up = row
        while up >= 0 and up not in path:
            path.append(up)
            up = parents[up]
        if up < 0:
            assert all(trees.place[a] <= trees.place[row] < trees.after[a] for a in path)
        else:
            assert trees.after[row] == trees.place[row] + 1
