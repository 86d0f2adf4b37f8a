"""The model's critical path: known answers, every path of small graphs, networkx, and every real trace."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from etgraph.model import DEPENDENCIES, TABLES, Columns, CommType, DependencyKind, Trace, graph
from etgraph.model.errors import CycleError, EtgraphError, MissingData, UsageError
from etgraph.model.graph import topological_order
from etgraph.queries import Slack, slack
from model.tables import edges, operators
from support.build import build
from support.collection import read_once
from support.random_traces import traces

# Known answers


def path(result: Slack) -> list[tuple[str, int, str | None]]:
    """Operators of the path as (name, ns, via)."""
    return [(s["name"], s["end_ns"] - s["start_ns"], s["via"]) for s in result.segments.to_pylist()]


def floats(result: Slack) -> dict[str, int]:
    """Slack by name, where ranks share a name by `rank:name`."""
    rows = result.operators.to_pylist()
    names = [row["name"] for row in rows]
    return {
        row["name"] if names.count(row["name"]) == 1 else f"{row['rank']}:{row['name']}": row["slack_ns"]
        for row in rows
    }


def lasting(trace: Trace, *duration_ns: int) -> Trace:
    """The same trace with other durations."""
    return trace.with_times(trace.operators["start_ns"], np.array(duration_ns), "edited")


TWO_STREAMS = """
    rank 0 | thread 1 | launch_a: cudaLaunchKernel  0..10   -> a
    rank 0 | thread 1 | launch_b: cudaLaunchKernel 10..20   -> b
    rank 0 | thread 1 | launch_c: cudaLaunchKernel 20..30   -> c
    rank 0 | stream 7 | a  15..55   -EVENT-> c
    rank 0 | stream 9 | b  25..35
    rank 0 | stream 9 | c  60..90
"""


def test_the_longest_chain_and_the_slack_beside_it() -> None:
    result = slack(build(TWO_STREAMS))
    assert path(result) == [("a", 40, None), ("c", 30, "EVENT")]
    assert (result.length_ns, result.measured_ns) == (70, 90)
    b = next(row for row in result.operators.to_pylist() if row["name"] == "b")
    assert b == {
        "rank": 0, "index": 4, "node_id": None, "name": "b", "earliest_start_ns": 10, "earliest_end_ns": 20,
        "latest_start_ns": 30, "latest_end_ns": 40, "slack_ns": 20,
    }  # fmt: skip
    assert [row["slack_ns"] for row in result.operators.to_pylist() if row["name"] == "cudaLaunchKernel"] == [0, 20, 20]
    assert result.critical_count == 3
    assert [(band.from_ns, band.to_ns, band.count) for band in result.by_slack] == [(0, 1, 3), (1, 1000, 3)]


def test_shares_of_the_path() -> None:
    result = slack(build(TWO_STREAMS))
    assert [(o.name, o.kind, o.count, o.ns, o.share) for o in result.by_operator] == [
        ("a", "COMP", 1, 40, 40 / 70), ("c", "COMP", 1, 30, 30 / 70),
    ]  # fmt: skip
    assert [(c.category, c.detail, c.ns, c.share) for c in result.by_category] == [("computation", "kernel", 70, 1.0)]
    assert [(r.rank, r.ns) for r in result.by_rank] == [(0, 70)]
    assert result.trust.explained_share is None


def test_two_equal_paths_have_no_slack() -> None:
    trace = build("""
        rank 0 | thread 1 | aten::a  0..10   -SPAWN-> b
        rank 0 | thread 1 | c: aten::c  10..20
        rank 0 | thread 2 | b: aten::b  0..20  -JOIN-> d
        rank 0 | thread 1 | d: aten::d  20..25
    """)
    result = slack(trace)
    assert floats(result) == {"aten::a": 0, "aten::c": 0, "aten::b": 0, "aten::d": 0}
    assert result.length_ns == sum(ns for _, ns, _ in path(result)) == 25


TWO_RANKS = """
    rank 0 | thread 1 | aten::short    0..10   -CTRL-> r0
    rank 1 | thread 1 | aten::long     0..30   -CTRL-> r1
    rank 0 | stream 7 | r0: all_reduce 4MB  10..50
    rank 1 | stream 7 | r1: all_reduce 4MB  30..50
"""


def test_a_collective_starts_to_end_when_its_last_rank_arrives() -> None:
    """Rank 0's collective is shorter than rank 1's work, and ends with the arrival of rank 1."""
    trace = build(TWO_RANKS)
    trace = lasting(trace, 10, 5, 30, 0)
    result = slack(trace)
    assert path(result) == [("aten::long", 30, None)]
    earliest = {(row["rank"], row["name"]): row["earliest_end_ns"] for row in result.operators.to_pylist()}
    assert earliest[0, "all_reduce"] == earliest[1, "all_reduce"] == 30
    assert floats(result) == {"aten::short": 15, "0:all_reduce": 15, "aten::long": 0, "1:all_reduce": 0}


def test_the_path_changes_ranks_at_a_collective() -> None:
    text = TWO_RANKS.replace("10..50", "10..50  -CTRL-> next")
    trace = build(text + "    rank 0 | thread 1 | next: aten::next  50..60")
    trace = lasting(trace, 10, 5, 10, 30, 0)
    result = slack(trace)
    assert path(result) == [
        ("aten::long", 30, None), ("all_reduce", 0, "CTRL"), ("all_reduce", 0, "COLLECTIVE"), ("aten::next", 10, "CTRL")
    ]  # fmt: skip
    assert [s["rank"] for s in result.segments.to_pylist()] == [1, 1, 0, 0]
    assert [(r.rank, r.ns) for r in result.by_rank] == [(0, 10), (1, 30)]


def test_waiting_for_a_rank_is_work_as_recorded_or_slack() -> None:
    trace = build(TWO_RANKS)
    recorded, without = slack(trace), slack(trace, waiting="slack")
    assert recorded.length_ns == without.length_ns == 50
    assert set(floats(recorded).values()) == {0}
    assert floats(without) == {"aten::short": 20, "0:all_reduce": 20, "aten::long": 0, "1:all_reduce": 0}
    rank_0 = slack(trace.select_ranks([0]))
    assert "waiting inside" not in str(rank_0.trust)
    start_with_rank_0 = lasting(trace, 10, 40, 29, 20)
    assert path(slack(start_with_rank_0)) == [("aten::short", 10, None), ("all_reduce", 40, "CTRL")]
    assert "40.0% of the path is waiting inside operators" in str(slack(start_with_rank_0).trust)
    assert "waiting inside" not in str(slack(start_with_rank_0, waiting="slack").trust)


SYNC = """
    rank 0 | thread 1 | aten::item              0..120
    rank 0 | thread 1 | cudaLaunchKernel        0..10   -> a
    rank 0 | thread 1 | cudaDeviceSynchronize  10..110
    rank 0 | stream 7 | a                      10..100  -SYNC-> cudaDeviceSynchronize
"""


def test_a_blocking_call_ends_after_the_device() -> None:
    trace = build(SYNC)
    result = slack(lasting(trace, 20, 10, 5, 90))
    assert path(result) == [("a", 90, None)]
    rows = {row["name"]: row for row in result.operators.to_pylist()}
    assert rows["cudaDeviceSynchronize"]["earliest_end_ns"] == rows["aten::item"]["earliest_end_ns"] == 90
    assert rows["cudaDeviceSynchronize"]["slack_ns"] == 75


def test_waiting_for_the_device_is_slack_of_the_call_and_of_what_encloses_it() -> None:
    without = slack(build(SYNC), waiting="slack")
    assert without.length_ns == 100
    assert path(without) == [("a", 90, None), ("cudaDeviceSynchronize", 10, "SYNC")]
    recorded = slack(build(SYNC))
    assert path(recorded) == [("aten::item", 120, None)]
    assert [(o.name, o.ns) for o in recorded.by_operator] == [
        ("cudaDeviceSynchronize", 100), ("aten::item", 10), ("cudaLaunchKernel", 10),
    ]  # fmt: skip
    assert "75.0% of the path is waiting inside operators" in str(recorded.trust)


def test_an_enclosing_operator_takes_its_duration_and_tells_it_of_its_children() -> None:
    trace = build("""
        rank 0 | thread 1 | aten::linear   0..100
        rank 0 | thread 1 | aten::t       10..20
        rank 0 | thread 1 | aten::addmm   30..90
        rank 0 | thread 1 | aten::mm      40..80
    """)
    result = slack(trace)
    assert path(result) == [("aten::linear", 100, None)]
    assert [(o.name, o.ns) for o in result.by_operator] == [
        ("aten::mm", 40), ("aten::linear", 30), ("aten::addmm", 20), ("aten::t", 10),
    ]  # fmt: skip
    assert floats(result) == {"aten::linear": 0, "aten::t": 30, "aten::addmm": 30, "aten::mm": 50}


def test_children_that_take_longer_push_the_end_of_what_encloses_them() -> None:
    trace = build("""
        rank 0 | thread 1 | aten::linear   0..100
        rank 0 | thread 1 | aten::t        0..20
        rank 0 | thread 1 | aten::addmm   20..100
        rank 0 | thread 1 | aten::relu   100..110
    """)
    longer = lasting(trace, 100, 20, 200, 10)
    result = slack(longer)
    assert path(result) == [
        ("aten::t", 20, None), ("aten::addmm", 200, "THREAD"), ("aten::linear", 0, "CALL"), ("aten::relu", 10, "THREAD")
    ]  # fmt: skip
    assert result.length_ns == 230


def test_a_simulated_timeline() -> None:
    trace = build(TWO_STREAMS)
    o = trace.operators
    simulated = slack(trace.with_times(o["start_ns"] * 3, o["duration_ns"] * 2, "simulated"))
    assert simulated.length_ns == 2 * slack(trace).length_ns
    assert simulated.measured_ns == 3 * 60 + 2 * 30


def test_a_cycle_is_told_with_its_members() -> None:
    trace = build("""
        rank 0 | thread 1 | a: aten::a   0..10  -DATA-> b
        rank 0 | thread 2 | b: aten::b  20..30  -DATA-> a
    """)
    with pytest.raises(CycleError, match="rank 0 operator 0 \\(aten::a on thread 1\\)") as caught:
        slack(trace)
    assert len(caught.value.members) == 4


def test_parts_of_a_trace() -> None:
    trace = build("""
        rank 0 | thread 1 | iteration ProfilerStep#3    0..100
        rank 0 | thread 1 | aten::a                     0..50
        rank 0 | thread 1 | iteration ProfilerStep#4  100..200
        rank 0 | thread 1 | aten::b                   110..120
        rank 3 | thread 1 | iteration ProfilerStep#3    0..100
        rank 3 | thread 1 | aten::a                     0..70
    """)
    assert slack(trace).length_ns == 70
    assert slack(trace, rank=0).length_ns == 60
    assert (slack(trace, iteration=1).length_ns, slack(trace, iteration=1).measured_ns) == (10, 100)
    assert "rank 0 alone, without another rank" in str(slack(trace, rank=0).trust)
    with pytest.raises(MissingData, match="no rank 5"):
        slack(trace, rank=5)
    with pytest.raises(MissingData, match="no iteration 7"):
        slack(trace, iteration=7)
    with pytest.raises(UsageError, match="choose work or slack"):
        slack(trace, waiting="nothing")  # type: ignore[arg-type]


def test_operators_without_duration_count_as_nothing_with_a_warning() -> None:
    null = TABLES["operators"].column("duration_ns").null
    some = Trace(
        operators(3, duration_ns=[5, null, 7]), edges((0, 1, DependencyKind.CTRL), (1, 2, DependencyKind.DATA))
    )
    result = slack(some)
    assert (result.length_ns, result.measured_ns) == (12, None)
    assert result.trust.warnings == ("1 of 3 operators have no duration and count as 0",)
    assert [(ns, via) for _, ns, via in path(result)] == [(5, None), (0, "CTRL"), (7, "DATA")]


def test_a_trace_without_durations() -> None:
    result = slack(Trace(operators(3), edges((0, 1, DependencyKind.CALL))))
    assert (result.length_ns, result.critical_count, path(result)) == (0, 3, [])
    assert (result.by_operator, result.by_category, result.by_rank) == ((), (), ())
    assert result.trust.warnings == ("no operator has a duration: the length is 0, and so is every slack",)


def test_a_trace_without_operators() -> None:
    result = slack(Trace(Columns.empty(TABLES["operators"])))
    assert (result.length_ns, result.critical_count, result.by_slack, result.trust.warnings) == (0, 0, (), ())
    assert len(result.segments) == len(result.operators) == 0


def test_ids_are_texts_and_weak_links_are_counted() -> None:
    trace = Trace(
        operators(2, duration_ns=[5, 7], node_id=np.array([2**64 - 1, 4], dtype=np.uint64)),
        edges((0, 1, DependencyKind.DATA)).replace({"confidence": [0.5]}),
    )
    result = slack(trace)
    assert result.operators.column("node_id").to_pylist() == ["18446744073709551615", "4"]
    assert result.trust.weak_links == 1
    assert result.to_pandas()["slack_ns"].tolist() == [0, 0]
    assert "12" not in str(result.trust)
    assert "0.000 ms" in result._repr_html_()


def test_kinds_of_a_newer_source_keep_their_number() -> None:
    result = slack(Trace(operators(1, duration_ns=[5], kind=[99])))
    assert result.by_operator[0].kind == result.segments.to_pylist()[0]["kind"] == "99"


# Against every path, and against networkx


def acyclic(trace: Trace) -> bool:
    events = trace.events
    return not len(topological_order(events.nodes, events.sources, events.targets)[1])


@st.composite
def recorded_graphs(draw: st.DrawFn) -> Trace:
    """Operators with or without a duration, no starts, any dependencies and collectives that make no cycle."""
    count = draw(st.integers(1, 6))
    place = draw(st.permutations(range(count)))
    node, kind = st.integers(0, count - 1), st.sampled_from(DependencyKind)
    found = draw(st.lists(st.tuples(node, node, kind), max_size=8))
    found = [(a, b, k) if place[a] < place[b] else (b, a, k) for a, b, k in found if a != b]
    found = [f for f in found if f[2] is not DependencyKind.COLLECTIVE]
    null = TABLES["operators"].column("duration_ns").null
    duration = draw(st.lists(st.sampled_from([null, 0, 1, 2, 5, 40]), min_size=count, max_size=count))
    member_of = draw(st.lists(st.sampled_from([-1, -1, 0, 1]), min_size=count, max_size=count))
    trace = Trace(
        operators(count, duration_ns=duration, collective=member_of),
        edges(*found),
        collectives=Columns(TABLES["collectives"], {"type": [CommType.ALL_REDUCE] * 2}),
    )
    assume(acyclic(trace))
    return trace


@st.composite
def execution_graphs(draw: st.DrawFn) -> Trace:
    """What an execution trace of PyTorch or Chakra holds: a tree of calls, siblings in order, data; no start times."""
    count = draw(st.integers(1, 7))
    parent = [-1, *(draw(st.integers(0, row - 1)) for row in range(1, count))]
    found = [(p, row, DependencyKind.CALL) for row, p in enumerate(parent) if p >= 0]
    for row in range(count):
        children = [child for child, p in enumerate(parent) if p == row]
        found += [(a, b, DependencyKind.THREAD) for a, b in pairwise(children)]
    leaves = sorted(set(range(count)) - set(parent))
    found += [(a, b, DependencyKind.DATA) for a in leaves for b in leaves if a < b and draw(st.booleans())]
    duration = draw(st.lists(st.integers(0, 30), min_size=count, max_size=count))
    trace = Trace(operators(count, duration_ns=duration, parent=parent), edges(*found))
    assume(acyclic(trace))
    return trace


measured = traces().filter(acyclic)
anything = st.one_of(recorded_graphs(), execution_graphs(), measured)


def weighted(trace: Trace) -> nx.DiGraph:
    """The event graph in networkx: an operator's duration on its own edge, nothing on the others."""
    e, n = trace.events, len(trace)
    duration = [trace.operators.value("duration_ns", row) or 0 for row in range(n)]
    found = nx.DiGraph()
    found.add_nodes_from(range(e.nodes))
    for number, (a, b) in enumerate(zip(e.sources.tolist(), e.targets.tolist())):
        weight = duration[number] if number < n else 0
        if not found.has_edge(a, b) or found[a][b]["weight"] < weight:
            found.add_edge(a, b, weight=weight)
    return found


def longest(graph: nx.DiGraph, node: int) -> int:
    """Weight of the heaviest of all paths from a node, each of them walked."""
    return max((graph[node][after]["weight"] + longest(graph, after) for after in graph[node]), default=0)


@settings(max_examples=150)
@given(st.one_of(recorded_graphs(), execution_graphs()))
def test_times_are_those_of_all_paths(trace: Trace) -> None:
    result = slack(trace)
    forward = weighted(trace)
    backward = forward.reverse()
    assert result.length_ns == max(longest(forward, node) for node in forward)
    for row, found in enumerate(result.operators.to_pylist()):
        assert found["earliest_start_ns"] == longest(backward, 2 * row)
        assert found["earliest_end_ns"] == longest(backward, 2 * row + 1)
        assert found["latest_start_ns"] == result.length_ns - longest(forward, 2 * row)
        assert found["latest_end_ns"] == result.length_ns - longest(forward, 2 * row + 1)
        assert found["slack_ns"] == found["latest_start_ns"] - found["earliest_start_ns"] >= 0


@settings(max_examples=150)
@given(anything)
def test_the_length_is_networkx_longest_path(trace: Trace) -> None:
    result = slack(trace)
    assert result.length_ns == nx.dag_longest_path_length(weighted(trace))
    check_chain(trace, result)


@settings(max_examples=60)
@given(anything)
def test_a_delay_up_to_the_slack_costs_nothing_and_the_next_nanosecond_one(trace: Trace) -> None:
    result = slack(trace)
    free = weighted(trace)
    for row, found in enumerate(result.operators.to_pylist()):
        for beyond in (0, 1):
            late = free.copy()
            late.add_edge("late", 2 * row, weight=found["earliest_start_ns"] + found["slack_ns"] + beyond)
            assert nx.dag_longest_path_length(late) == result.length_ns + beyond


@settings(max_examples=60)
@given(anything)
def test_the_earliest_times_are_a_timeline_of_that_length(trace: Trace) -> None:
    result = slack(trace)
    start, end = (result.operators.column(f"earliest_{name}_ns").to_numpy() for name in ("start", "end"))
    again = slack(trace.with_times(start, end - start, "model"))
    assert again.length_ns == result.length_ns
    assert (again.operators.column("earliest_start_ns").to_numpy() == start).all()


@settings(max_examples=150)
@given(measured, st.sampled_from(["work", "slack"]))
def test_no_longer_than_what_was_measured(trace: Trace, waiting: Any) -> None:
    result = slack(trace, waiting=waiting)
    assert result.measured_ns == trace.span_ns >= result.length_ns
    check_chain(trace, result)


@settings(max_examples=60)
@given(st.one_of(recorded_graphs(), execution_graphs()))
def test_without_start_times_no_waiting_is_known(trace: Trace) -> None:
    assert slack(trace, waiting="slack") == slack(trace)


@settings(max_examples=40)
@given(anything, st.sampled_from(["work", "slack"]))
def test_both_modes_of_the_kernels_agree(trace: Trace, waiting: Any) -> None:
    plain = slack(trace, waiting=waiting)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("etgraph.model.kernels.COMPILE_FROM", 0)
        assert slack(trace, waiting=waiting) == plain


@settings(max_examples=100)
@given(st.data())
def test_the_backward_pass_mirrors_the_forward_pass(data: st.DataObject) -> None:
    trace = data.draw(recorded_graphs())
    e = trace.events
    weights = np.array(data.draw(st.lists(st.integers(0, 9), min_size=len(e.sources), max_size=len(e.sources))))
    order, _ = topological_order(e.nodes, e.sources, e.targets)
    latest = graph.latest_times(order, e.successors, weights, 1000)
    assert (1000 - latest == graph.longest_path(order[::-1], e.targets, e.sources, weights, e.nodes)).all()


def check_chain(trace: Trace, result: Slack) -> None:
    """Segments follow each other along stored dependencies and add up to the length, and so do all the shares."""
    segments, d = result.segments.to_pylist(), trace.dependencies
    assert sum(s["end_ns"] - s["start_ns"] for s in segments) == result.length_ns
    for rows in (result.by_rank, result.by_operator, result.by_category):
        assert sum(row.ns for row in rows) == result.length_ns
    assert sum(band.count for band in result.by_slack) == len(trace)
    row_of = {
        key: row for row, key in enumerate(zip(trace.operators["rank"].tolist(), trace.operators["index"].tolist()))
    }
    rows = [row_of[s["rank"], s["index"]] for s in segments]
    stored = set(zip(d["kind"].tolist(), d["src"].tolist(), d["dst"].tolist()))
    assert not segments or (segments[0]["start_ns"], segments[0]["via"]) == (0, None)
    for (before, a), (after, b) in pairwise(zip(segments, rows)):
        assert before["end_ns"] == after["start_ns"]
        kind = DependencyKind[after["via"]]
        if kind is DependencyKind.COLLECTIVE:
            assert trace.operators["collective"][a] == trace.operators["collective"][b] >= 0
        else:
            assert DEPENDENCIES[kind].ordering
            back = kind is DependencyKind.CALL and (int(kind), b, a) in stored
            assert back or (int(kind), a, b) in stored, (trace.describe(a), trace.describe(b), kind)
    if not trace.operators.is_null("duration_ns").any() and DependencyKind.SYNC not in d["kind"]:
        duration = trace.operators["duration_ns"]
        assert all(s["end_ns"] - s["start_ns"] in (0, duration[row]) for s, row in zip(segments, rows))


# Real traces


def files(folder: Path) -> list[Path]:
    """Every file of the collection, without the near-copies of the repeated runs."""
    return [
        p for p in sorted(folder.rglob("*.json*"))
        if p.name != "manifest.json" and "whatif" not in str(p) and "series" not in str(p)
    ]  # fmt: skip


def test_real_traces(traces_dir: Path) -> None:
    checked = timed = 0
    for file in files(traces_dir):
        try:
            trace = read_once(file)
        except EtgraphError:
            continue
        for iteration in (None, *trace.iteration_indices[:2]):
            result = slack(trace, iteration=iteration)
            part = trace if iteration is None else trace.select_iterations([iteration])
            check_chain(part, result)
            assert result.critical_count >= (len(part) > 0), file
            assert (result.operators.column("slack_ns").to_numpy() >= 0).all(), file
            if result.measured_ns is not None:
                assert 0 < result.length_ns <= result.measured_ns, file
                timed += 1
            elif part.operators.is_null("duration_ns").all():
                assert result.length_ns == 0, file
            checked += 1
    assert checked >= 4
    assert timed >= 2
