"""A trace: its parts, joins and timelines against brute force, and its other forms."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etgraph.model import TABLES, Columns, DependencyKind, Metadata, Report, Source, Trace, process_group_tables
from etgraph.model.errors import EtgraphError, MissingData
from etgraph.model.trace import _MOST_ROWS
from model.tables import Row, edges, graph, operators, rows_of, through_file
from support.build import build

TWO_RANKS = """
    rank 0 | thread 1 | aten::mm           0..20
    rank 0 | thread 1 | cudaLaunchKernel   5..10  -> a
    rank 0 | stream 7 | a: gemm           15..60
    rank 0 | stream 7 | all_reduce 4MB    70..90
    rank 0 | thread 1 | aten::add         80..95
    rank 0 | thread 1 | iteration step0    0..75
    rank 0 | thread 1 | iteration step1   76..99
    rank 1 | thread 2 | aten::mm           2..30
    rank 1 | stream 7 | b: gemm           15..50  -EVENT-> c
    rank 1 | stream 9 | c: add            51..60
    rank 1 | stream 7 | all_reduce 4MB    55..90
    rank 1 | thread 2 | iteration step0    0..75
"""


@pytest.fixture(scope="module")
def trace() -> Trace:
    """Two ranks that meet in one collective; rank 0 has two iterations, rank 1 has one."""
    return build(TWO_RANKS)


@st.composite
def ranks(draw: st.DrawFn, numbers: tuple[int, ...] = (0, 1, 2)) -> list[Trace]:
    """A trace of each rank, with lanes, iterations, groups, parents and dependencies that go forward."""
    return [draw(one_rank(rank)) for rank in numbers]


@st.composite
def one_rank(draw: st.DrawFn, rank: int) -> Trace:
    count, lanes, steps = draw(st.integers(1, 6)), draw(st.integers(1, 3)), draw(st.integers(0, 2))
    pairs = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)).filter(lambda p: p[0] < p[1])
    found = [(*pair, DependencyKind.CTRL) for pair in (draw(st.lists(pairs, max_size=6)) if count > 1 else [])]
    group = draw(st.sampled_from(["world", f"own {rank}"]))
    groups, members = process_group_tables(
        [("world", None, "nccl", 3, [0, 1, 2]), (group, "second", None, None, [rank])]
    )

    def column(most: int) -> list[int]:
        return draw(st.lists(st.integers(-1, most - 1), min_size=count, max_size=count))

    return Trace(
        operators(
            count, rank=np.full(count, rank), lane=column(lanes), iteration=column(steps), group=column(2),
            parent=[draw(st.integers(-1, row - 1)) for row in range(count)], start_ns=np.arange(count) * 10,
            duration_ns=np.full(count, 5),
        ),
        edges(*found),
        Columns(
            TABLES["lanes"],
            {"rank": [rank] * lanes, "kind": [0] * lanes, "process": [0] * lanes, "id": range(lanes)},
            {"process": [str(rank)], "id": [f"{rank}.{lane}" for lane in range(lanes)]},
        ),
        iterations=Columns(
            TABLES["iterations"], {"index": range(steps), "rank": [rank] * steps, "name": range(steps)},
            {"name": [f"step {step}" for step in range(steps)]},
        ),
        process_groups=groups,
        group_members=members,
        metadata=Metadata(sources=(Source("a.json", "kineto", rank, 1, ""),), clock_offsets_ns={rank: rank}),
    )  # fmt: skip


def resolved(trace: Trace) -> dict[str, list[Row]]:
    """All tables as rows in which a reference is the row it points to, so that row numbers do not matter."""
    tables = {name: rows_of(columns) for name, columns in trace.tables.items()}
    members = trace.group_members
    for number, group in enumerate(tables["process_groups"]):
        group["members"] = members["rank"][members["group"] == number].tolist()

    def key(table: str, row: int) -> Any:
        target = tables[table][row]
        if table == "operators":
            return target["rank"], target["index"]
        return {k: v for k, v in target.items() if k not in ("group", "lane")}

    found = {}
    for name, rows in tables.items():
        columns = [c for c in TABLES[name].columns if c.type == "row" and c.refers != "attributes"]
        found[name] = [
            row | {c.name: key(c.refers, row[c.name]) for c in columns if row[c.name] is not None} for row in rows
        ]
    return found


# Facts


def test_ranks_and_iterations(trace: Trace) -> None:
    assert trace.ranks == (0, 1)
    assert trace.rank_rows == {0: slice(0, 5), 1: slice(5, 9)}
    assert trace.iteration_indices == (0, 1)
    assert (trace.extent_ns, trace.span_ns) == ((0, 99), 99)


def test_dependencies_are_counted_by_kind_and_a_collective_is_one(trace: Trace) -> None:
    counts = trace.dependency_counts
    assert counts["LAUNCH"] == counts["EVENT"] == counts["COLLECTIVE"] == 1
    assert sum(counts.values()) == len(trace.dependencies) + 1
    assert graph(2).dependency_counts == {}


def test_an_operator_without_start_or_duration_has_no_end() -> None:
    null = np.iinfo(np.int64).min
    trace = Trace(operators(3, start_ns=[null, 5, 7], duration_ns=[4, null, 2]))
    assert trace.end_ns.tolist() == [null, null, 9]
    assert trace.extent_ns == (7, 9)
    assert graph(3).end_ns.tolist() == [null] * 3
    assert graph(3).extent_ns == (0, 0)


def test_neighbours_are_those_of_the_dependencies(trace: Trace) -> None:
    src, dst = trace.dependencies["src"].tolist(), trace.dependencies["dst"].tolist()
    for row in range(len(trace)):
        assert trace.successors.of(row).tolist() == [b for a, b in zip(src, dst) if a == row]
        assert trace.predecessors.of(row).tolist() == [a for a, b in zip(src, dst) if b == row]


def test_an_operator_in_words(trace: Trace) -> None:
    assert trace.describe(2) == "rank 0 operator 2 (gemm on stream 7)"
    assert graph(1).describe(0) == "rank 0 operator 0 (op)"


def test_a_trace_can_be_a_key(trace: Trace) -> None:
    assert {trace: 1}[trace] == 1
    assert trace != replace(trace)


# Parts


@given(ranks(), st.sets(st.sampled_from([0, 1, 2])))
def test_selected_ranks_have_what_is_theirs(parts: list[Trace], wanted: set[int]) -> None:
    chosen = Trace.concat(parts).select_ranks(wanted)
    chosen.validate()
    assert chosen.ranks == tuple(sorted(wanted))
    if wanted:
        expected = resolved(Trace.concat([parts[rank] for rank in sorted(wanted)]))
        found = resolved(chosen)
        for name in set(TABLES) - {"process_groups", "group_members"}:
            assert found[name] == expected[name], name
    assert [s.rank for s in chosen.metadata.sources] == sorted(chosen.metadata.clock_offsets_ns) == sorted(wanted)


@given(ranks())
def test_joining_the_selections_gives_back_the_trace(parts: list[Trace]) -> None:
    whole = Trace.concat(parts)
    again = Trace.concat([whole.select_ranks([2]), whole.select_ranks([0, 1])])
    assert resolved(again) == resolved(whole)
    assert again.metadata.sources == whole.metadata.sources


@given(ranks(), st.data())
def test_selected_iterations_have_their_operators_and_inner_dependencies(
    parts: list[Trace], data: st.DataObject
) -> None:
    whole = Trace.concat(parts)
    wanted = data.draw(st.sets(st.sampled_from(whole.iteration_indices))) if whole.iteration_indices else set()
    chosen = whole.select_iterations(wanted)
    chosen.validate()
    index = [whole.iterations["index"][i] if i >= 0 else None for i in whole.operators["iteration"].tolist()]
    expect_part(whole, chosen, [row for row in range(len(whole)) if index[row] in wanted])
    assert chosen.iteration_indices == tuple(sorted(wanted))


@given(ranks(), st.sets(st.integers(0, 2)))
def test_selected_lanes_have_their_operators_and_inner_dependencies(parts: list[Trace], lanes: set[int]) -> None:
    whole = Trace.concat(parts)
    chosen = whole.select_lanes(lanes)
    chosen.validate()
    expect_part(whole, chosen, [row for row in range(len(whole)) if whole.operators["lane"][row] in lanes])
    assert chosen.lanes is whole.lanes


def expect_part(whole: Trace, part: Trace, rows: list[int]) -> None:
    """The part has these operators of the whole, with references to what is outside cut off."""
    before, after = resolved(whole), resolved(part)
    keys = [(before["operators"][row]["rank"], before["operators"][row]["index"]) for row in rows]
    cut = [row | {"parent": row["parent"] if row["parent"] in keys else None} for row in before["operators"]]
    assert after["operators"] == [cut[row] for row in rows]
    assert after["dependencies"] == [d for d in before["dependencies"] if d["src"] in keys and d["dst"] in keys]


def test_a_part_keeps_the_collectives_of_its_operators(trace: Trace) -> None:
    assert len(trace.select_ranks([1]).collectives) == 1
    assert len(trace.select_iterations([1]).collectives) == 0


@pytest.mark.parametrize(
    ("select", "words"),
    [
        (lambda trace: trace.select_ranks([0, 7]), r"no rank 7: the trace holds 0, 1$"),
        (lambda trace: trace.select_iterations([2]), r"no iteration 2: the trace holds 0, 1$"),
        (lambda trace: graph(1).select_iterations([0]), r"no iteration 0: the trace holds none$"),
    ],
)
def test_a_part_that_is_not_there_is_an_error(trace: Trace, select: Any, words: str) -> None:
    with pytest.raises(MissingData, match=words):
        select(trace)


# Joins


@given(ranks())
def test_a_join_has_the_rows_of_its_parts(parts: list[Trace]) -> None:
    joined = Trace.concat(parts)
    joined.validate()
    expected = [resolved(part) for part in parts]
    found = resolved(joined)
    for name in set(TABLES) - {"process_groups", "group_members"}:
        assert found[name] == [row for part in expected for row in part[name]], name
    groups = [group for part in expected for group in part["process_groups"]]
    assert found["process_groups"] == [group for i, group in enumerate(groups) if group not in groups[:i]]


def test_ranks_that_interleave_are_sorted() -> None:
    first = Trace(operators(4, rank=[0, 0, 2, 2], index=[0, 1, 0, 1], parent=[-1, 0, -1, 2]), edges((2, 3, 0)))
    second = Trace(operators(2, rank=[1, 1]), edges((0, 1, 0)))
    joined = Trace.concat([second, first])
    joined.validate()
    assert joined.operators["rank"].tolist() == [0, 0, 1, 1, 2, 2]
    assert joined.operators["parent"].tolist() == [-1, 0, -1, -1, -1, 4]
    assert sorted(zip(joined.dependencies["src"].tolist(), joined.dependencies["dst"].tolist())) == [(2, 3), (4, 5)]


def test_the_collectives_of_a_join_stay_apart(trace: Trace) -> None:
    joined = Trace.concat([trace.select_ranks([0]), trace.select_ranks([1])])
    assert (len(trace.collectives), len(joined.collectives)) == (1, 2)


def test_a_join_of_metadata() -> None:
    def part(rank: int, model: str | None, operators_found: int) -> Trace:
        report = Report(host_operators=operators_found, counts={"odd": 1}, warnings=("same", f"rank {rank}"))
        metadata = Metadata(device_model=model, world_size=2, clock_offsets_ns={rank: 10 * rank}, report=report)
        return Trace(operators(1, rank=[rank]), metadata=metadata)

    joined = Trace.concat([part(0, "H100", 3), part(1, "A100", 4), part(2, None, 0)]).metadata
    assert (joined.device_model, joined.world_size) == ("H100, A100", 2)
    assert joined.clock_offsets_ns == {0: 0, 1: 10, 2: 20}
    assert joined.report == Report(host_operators=7, counts={"odd": 3}, warnings=("same", "rank 0", "rank 1", "rank 2"))


def test_metadata_survives_json() -> None:
    source = Source("a.json", "kineto", 0, 5, "0" * 64, document={"big": 2**60})
    metadata = Metadata(sources=(source,), clock_offsets_ns={3: -7}, report=Report(counts={"odd": 1}, warnings=("w",)))
    assert Metadata.from_json(metadata.to_json()) == metadata


def test_a_rank_that_occurs_twice_is_an_error(trace: Trace) -> None:
    with pytest.raises(EtgraphError, match="rank 1 occurs in two"):
        Trace.concat([trace.select_ranks([1]), trace])


def test_nothing_to_join_is_an_error() -> None:
    with pytest.raises(ValueError, match="no traces"):
        Trace.concat([])


def test_more_rows_than_can_be_numbered_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    assert np.iinfo(np.int32).max == _MOST_ROWS
    monkeypatch.setattr("etgraph.model.trace._MOST_ROWS", 3)
    with pytest.raises(EtgraphError, match="4 rows of operators, the most is 3"):
        Trace.concat([graph(2), Trace(operators(2, rank=[1, 1]))])


def test_equal_groups_become_one_and_different_ones_do_not() -> None:
    groups = [("a", None, "nccl", 2, [0, 1]), ("a", None, "nccl", 2, [0, 2]), ("a", "d", None, None, [])]
    process_groups, members = process_group_tables([*groups, groups[0]])
    assert [row["description"] for row in rows_of(process_groups)] == [None, None, "d", None]
    assert members["rank"].tolist() == [0, 1, 0, 2, 0, 1]
    one, two = (
        Trace(operators(1, rank=[rank], group=[3]), process_groups=process_groups, group_members=members)
        for rank in (0, 1)
    )
    joined = Trace.concat([one, two])
    assert len(joined.process_groups) == 3
    assert joined.operators["group"].tolist() == [0, 0]


# Times


def test_another_timeline_shares_the_structure(trace: Trace) -> None:
    moved = trace.with_times(trace.operators["start_ns"] + 5, trace.operators["duration_ns"], "simulated")
    for name in set(TABLES) - {"operators", "iterations"}:
        assert getattr(moved, name) is getattr(trace, name)
    assert moved.attributes is trace.attributes
    assert np.shares_memory(moved.operators["lane"], trace.operators["lane"])
    assert (moved.metadata.timeline, trace.metadata.timeline) == ("simulated", "measured")
    assert moved.ranks == trace.ranks


def test_what_is_made_from_a_trace_has_an_id_of_its_own(trace: Trace) -> None:
    later = trace.operators["start_ns"] + 5
    made = [
        trace.select_ranks([0]),
        trace.select_ranks([1]),
        trace.with_times(later, trace.operators["duration_ns"], "a"),
        trace.with_times(later, trace.operators["duration_ns"], "b"),
    ]
    assert len({trace.trace_id, *(t.trace_id for t in made)}) == 5
    assert trace.select_ranks([0]).trace_id == made[0].trace_id
    assert trace.select_ranks(trace.ranks).trace_id == trace.trace_id


def test_the_windows_of_iterations_move_with_their_operators(trace: Trace) -> None:
    trace = replace(trace, iterations=trace.iterations.replace({"lane": np.full(len(trace.iterations), -1)}))
    late = trace.with_times(trace.operators["start_ns"] + 1000, trace.operators["duration_ns"] * 2, "late")
    rows = trace.operators["iteration"]
    for number in range(len(trace.iterations)):
        own = rows == number
        for name, old, new in (
            ("start_ns", trace.operators["start_ns"][own].min(), late.operators["start_ns"][own].min()),
            ("end_ns", trace.end_ns[own].max(), late.end_ns[own].max()),
        ):
            assert late.iterations[name][number] - trace.iterations[name][number] == new - old
    again = late.with_times(trace.operators["start_ns"], trace.operators["duration_ns"], "measured")
    assert again.iterations.equals(trace.iterations)


NULL64 = np.iinfo(np.int64).min
STEP = """
    rank 0 | thread 1 | iteration step           0..100
    rank 0 | thread 1 | aten::mm                10..20
    rank 0 | thread 1 | cudaLaunchKernel        60..90    -> gemm
    rank 0 | thread 2 | backward                30..40
    rank 0 | stream 7 | gemm                    95..300
"""
"""A step of which the host is done before the device; operators in this order: aten::mm, backward, the call, gemm."""


@pytest.mark.parametrize(
    ("lane", "start", "duration", "window"),
    [
        (0, [10, 30, 60, 95], [10, 10, 30, 500], (0, 100)),  # what ends after the annotation does not move its end
        (0, [12, 1, 60, 95], [10, 10, 35, 205], (2, 105)),  # nor does what starts on another thread move its start
        (0, [NULL64, 30, 65, 95], [NULL64, 10, 30, 205], (5, 105)),  # of its lane those with times count
        (0, [NULL64, 32, NULL64, 95], [NULL64, 10, NULL64, 206], (2, 101)),  # and all, where its lane has none
        (-1, [10, 30, 60, 95], [10, 10, 30, 500], (0, 395)),
        (1, [12, 31, 60, 95], [10, 10, 30, 205], (1, 101)),
    ],
)
def test_a_window_moves_with_the_operators_on_the_lane_of_its_annotation(
    lane: int, start: list[int], duration: list[int], window: tuple[int, int]
) -> None:
    trace = build(STEP)
    trace = replace(trace, iterations=trace.iterations.replace({"lane": np.array([lane])}))
    moved = trace.with_times(np.array(start), np.array(duration), "simulated")
    assert (moved.iterations["start_ns"][0], moved.iterations["end_ns"][0]) == window


def test_times_before_zero_move_a_window_too() -> None:
    trace = stepped([-50], [20], [-60], [-20])
    moved = trace.with_times(np.array([-40]), np.array([20]), "later")
    assert (moved.iterations["start_ns"].tolist(), moved.iterations["end_ns"].tolist()) == ([-50], [-10])


def test_a_window_that_is_unknown_or_without_times_stays() -> None:
    null = np.iinfo(np.int64).min
    unknown = stepped([10], [5], [null], [null]).with_times(np.array([20]), np.array([5]), "later")
    assert unknown.iterations["start_ns"].tolist() == unknown.iterations["end_ns"].tolist() == [null]
    lost = stepped([10], [5], [0], [20]).with_times(np.array([null]), np.array([null]), "none")
    assert (lost.iterations["start_ns"].tolist(), lost.iterations["end_ns"].tolist()) == ([0], [20])


def stepped(start: list[int], duration: list[int], window_start: list[int], window_end: list[int]) -> Trace:
    """One operator in one iteration."""
    data = {"index": [0], "rank": [0], "name": [0], "start_ns": window_start, "end_ns": window_end}
    return Trace(
        operators(1, iteration=[0], start_ns=start, duration_ns=duration),
        iterations=Columns(TABLES["iterations"], data, {"name": ["step"]}),
    )


def test_times_of_another_length_are_refused(trace: Trace) -> None:
    with pytest.raises(ValueError, match=r"expected 9 starts and durations, found 2, 9"):
        trace.with_times(np.zeros(2), np.zeros(9), "short")


# Other forms


def test_a_graph_for_networkx(trace: Trace) -> None:
    found = trace.to_networkx()
    assert found.graph["trace"] == trace.trace_id
    assert list(found.nodes) == [(0, i) for i in range(5)] + [(1, i) for i in range(4)]
    assert found.nodes[0, 2]["name"] == "gemm"
    assert "parent" not in found.nodes[0, 1]
    assert found.number_of_edges() == len(trace.dependencies)
    assert [(a, b) for a, b, kind in found.edges(data="kind") if kind == "LAUNCH"] == [((0, 1), (0, 2))]
    assert nx.is_directed_acyclic_graph(found)


def test_a_data_frame_of_operators(trace: Trace) -> None:
    frame = trace.to_pandas()
    assert frame["name"].tolist() == [row["name"] for row in trace]
    assert frame.loc[frame["name"] == "all_reduce", "comm_type"].tolist() == ["ALL_REDUCE"] * 2


def test_a_notebook_shows_the_facts_and_escapes_them(trace: Trace) -> None:
    html = replace(trace, metadata=Metadata(device_model="<GPU>"))._repr_html_()
    assert "LAUNCH 1" in html
    assert "&lt;GPU&gt;" in html
    assert "2 ranks, 9 operators" in repr(trace)
    assert "<Trace without id" in repr(graph(1))


def test_an_empty_trace_has_every_form() -> None:
    empty = Trace(Columns.empty(TABLES["operators"]))
    empty.validate()
    assert (len(empty), empty.ranks, empty.span_ns, empty.dependency_counts) == (0, (), 0, {})
    assert len(empty.to_networkx()) == len(empty.to_pandas()) == len(list(empty)) == 0
    assert "operators" in empty._repr_html_()


def test_times_and_order_are_found_on_mapped_arrays(trace: Trace, tmp_path: Path) -> None:
    mapped = {
        name: Columns.from_arrow(columns.table, through_file(columns, tmp_path / name), trusted=True)
        for name, columns in trace.tables.items()
    }
    found = Trace(**mapped, metadata=trace.metadata)  # type: ignore[arg-type]
    found.validate()
    assert resolved(found) == resolved(trace)
    assert resolved(found.select_ranks([1])) == resolved(trace.select_ranks([1]))
    assert found.with_times(found.operators["start_ns"], found.operators["duration_ns"], "same").extent_ns == (0, 99)
