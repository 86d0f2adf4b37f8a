"""Workloads for ASTRA-sim: what operators become, what is refused, and whether all of it runs to the end."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etgraph.ingest import read, samples
from etgraph.ingest.writers.astra_sim import Workload, lower, violations
from etgraph.ingest.writers.astra_sim.groups import MOST
from etgraph.ingest.writers.astra_sim.lowering import SIMULATOR_ATTRIBUTES
from etgraph.ingest.writers.astra_sim.order import _ordered, _scheduled
from etgraph.ingest.writers.astra_sim.program import BYPASSED, _walk, _walk_removed
from etgraph.ingest.writers.chakra import write_chakra
from etgraph.ingest.writers.output import ExportError
from etgraph.model import (
    TABLES,
    Category,
    Columns,
    CommType,
    DependencyKind,
    NodeType,
    Source,
    Trace,
    process_group_tables,
)
from etgraph.model.attributes import Attributes
from etgraph.model.errors import CycleError
from support.astra_workload import execute
from support.build import build
from support.random_traces import traces

_NULL = object()


def row_of(trace: Trace, name: str, rank: int = 0) -> int:
    """The only operator of a name on a rank."""
    o = trace.operators
    rows = np.flatnonzero((o["name"] == o.code("name", name)) & (o["rank"] == rank))
    assert len(rows) == 1, f"{len(rows)} operators {name!r} on rank {rank}"
    return int(rows[0])


def edit(trace: Trace, rows: int | Sequence[int], **values: Any) -> Trace:
    """The trace with other values in some rows; `_NULL` stands for null."""
    data, masks = {}, {}
    for name, value in values.items():
        column = trace.operators.table.column(name)
        array = trace.operators[name].copy()
        array[rows] = (0 if column.null is None else column.null) if value is _NULL else value
        data[name] = array
        if column.null is None:
            masks[name] = ~trace.operators.is_null(name)
            masks[name][rows] = value is not _NULL
    return replace(trace, operators=trace.operators.replace(data, masks=masks))


def with_groups(trace: Trace, groups: Mapping[str, Sequence[int]], of: Mapping[str, str]) -> Trace:
    """The trace with process groups, and for operators by name the group that they use."""
    tables = process_group_tables([(name, None, None, len(m), m) for name, m in groups.items()])
    trace = replace(trace, process_groups=tables[0], group_members=tables[1])
    for name, group in of.items():
        rows = np.flatnonzero(trace.operators["name"] == trace.operators.code("name", name))
        trace = edit(trace, rows, group=list(groups).index(group))
    return trace


def edges(workload: Workload, rank: int = 0) -> set[tuple[str, str]]:
    """The dependencies of a rank by name."""
    o, d = workload.trace.operators, workload.trace.dependencies
    pairs = zip(d["src"].tolist(), d["dst"].tolist())
    return {(o.value("name", a), o.value("name", b)) for a, b in pairs if o["rank"][a] == rank}


def durations(workload: Workload, rank: int = 0) -> dict[str, int]:
    """What the operators of a rank last, in microseconds, in order."""
    o = workload.trace.operators
    rows = range(*workload.trace.rank_rows[rank].indices(len(o)))
    return {o.value("name", row): o["duration_ns"][row] // 1000 for row in rows}


def runs(workload: Workload) -> bool:
    """Whether every node ends, and the trace is one."""
    workload.trace.validate()
    return not execute(workload.trace, workload.groups).stuck


# Host and device


def test_an_operator_lasts_its_own_time_and_comes_before_what_it_encloses() -> None:
    workload = lower(
        build("""
        rank 0 | thread 1 | outer    0..10000
        rank 0 | thread 1 | first    1000..4000
        rank 0 | thread 1 | inner    2000..3000
        rank 0 | thread 1 | second   6000..8000
        rank 0 | thread 1 | next     12000..13000
    """)
    )
    assert durations(workload) == {"outer": 5, "first": 2, "inner": 1, "second": 2, "next": 1}
    assert edges(workload) == {("outer", "first"), ("first", "inner"), ("inner", "second"), ("second", "next")}
    assert execute(workload.trace, workload.groups).makespan(0) == 11000
    o = workload.trace.operators
    assert o["node_id"].tolist() == o["index"].tolist() == [0, 1, 2, 3, 4]
    assert set(o["category"]) == {Category.CPU_OP}


def test_a_child_that_outlives_its_parent_covers_only_its_part() -> None:
    workload = lower(
        build("""
        rank 0 | thread 1 | outer    0..10000
        rank 0 | thread 1 | late     8000..15000
    """)
    )
    assert durations(workload) == {"outer": 8, "late": 7}


def test_device_operators_follow_their_call_and_their_stream() -> None:
    workload = lower(
        build("""
        rank 0 | thread 1 | cudaLaunchKernel  0..5000       -> gemm
        rank 0 | stream 7 | gemm              3000..20000   -EVENT-> other
        rank 0 | thread 1 | cudaMemcpyAsync   6000..8000    -> copy
        rank 0 | stream 9 | other             21000..22000  -OCCUPANCY-> copy
        rank 0 | stream 7 | copy: Memcpy      23000..30000
    """)
    )
    launch, copy = ("cudaLaunchKernel", "cudaMemcpyAsync"), "Memcpy"
    assert edges(workload) == {launch, (launch[0], "gemm"), (launch[1], copy), ("gemm", copy), ("gemm", "other")}
    o = workload.trace.operators
    assert [o.value("category", row) for row in range(5)] == [
        Category.CPU_OP, Category.KERNEL, Category.CPU_OP, Category.KERNEL, Category.MEMCPY,
    ]  # fmt: skip
    assert set(o["kind"]) == {NodeType.COMP}


def test_a_blocking_call_does_not_work_while_it_waits_and_what_follows_it_waits() -> None:
    workload = lower(
        build("""
        rank 0 | thread 1 | item              0..50000
        rank 0 | thread 1 | sync: cudaStreamSynchronize  5000..47000
        rank 0 | thread 1 | inner             6000..7000
        rank 0 | thread 1 | next              51000..52000
        rank 0 | stream 7 | gemm              2000..45000   -SYNC-> sync
    """)
    )
    assert durations(workload) == {"item": 8, "gemm": 43, "cudaStreamSynchronize": 2, "inner": 1, "next": 1}
    assert edges(workload) == {
        ("item", "cudaStreamSynchronize"), ("cudaStreamSynchronize", "inner"), ("inner", "next"), ("gemm", "next"),
    }  # fmt: skip


def test_what_waits_for_the_end_of_an_operator_waits_for_the_last_one_inside() -> None:
    workload = lower(
        build("""
        rank 0 | thread 1 | forward    0..10000    -JOIN-> after  -SPAWN-> backward
        rank 0 | thread 1 | inside     2000..8000
        rank 0 | thread 2 | backward   3000..5000
        rank 0 | thread 3 | after      11000..12000
    """)
    )
    assert edges(workload) == {("forward", "inside"), ("forward", "backward"), ("inside", "after")}


def test_an_edge_against_the_order_of_starts_is_dropped_and_told() -> None:
    workload = lower(
        build("""
        rank 0 | thread 1 | a   5000..6000   -DATA-> b
        rank 0 | thread 2 | b   1000..2000
    """)
    )
    assert edges(workload) == set()
    assert "dropped, because they point back in the order of starts: 1 dependency" in workload.notes


# Book-keeping


def test_dependencies_bypass_what_is_not_executed() -> None:
    trace = build("""
        rank 0 | thread 1 | before   0..1000
        rank 0 | thread 1 | step     1000..9000    -SPAWN-> other
        rank 0 | thread 1 | inside   2000..5000
        rank 0 | thread 2 | other    3000..4000    -JOIN-> unknown
        rank 0 | thread 1 | unknown  6000..7000
        rank 0 | thread 1 | last     8000..9000
    """)
    trace = edit(trace, row_of(trace, "step"), kind=int(NodeType.METADATA))
    workload = lower(edit(trace, row_of(trace, "unknown"), kind=99))
    assert edges(workload) == {("before", "inside"), ("before", "other"), ("inside", "last"), ("other", "last")}
    assert durations(workload) == {"before": 1, "inside": 3, "other": 1, "last": 1}
    assert "left out, as annotations and book-keeping: 2 nodes" in workload.notes


def test_an_operator_covers_what_an_annotation_inside_it_encloses() -> None:
    trace = build("""
        rank 0 | thread 1 | outer    0..10000
        rank 0 | thread 1 | mark     1000..9000
        rank 0 | thread 1 | inside   2000..5000
    """)
    workload = lower(edit(trace, row_of(trace, "mark"), kind=int(NodeType.INVALID)))
    assert durations(workload) == {"outer": 7, "inside": 3}


def test_book_keeping_that_joins_many_stays_as_a_node_of_no_duration() -> None:
    many = BYPASSED + 1
    lines = [f"rank 0 | stream {i} | k{i}  0..1000  -DATA-> mark" for i in range(many)]
    lines += ["rank 0 | stream 50 | mark  2000..9000"]
    lines += [f"rank 0 | stream {100 + i} | l{i}  9000..9500" for i in range(many)]
    for i in range(many):
        lines[many] += f" -DATA-> l{i}"
    trace = build("\n".join(lines))
    workload = lower(edit(trace, row_of(trace, "mark"), kind=int(NodeType.METADATA)))
    assert len(workload.trace.dependencies) == 2 * many
    assert durations(workload)["mark"] == 0
    assert runs(workload)


def test_a_rank_with_nothing_to_execute_is_refused() -> None:
    trace = build("rank 0 | thread 1 | a  0..1")
    with pytest.raises(ExportError, match="rank 0: no operator that can be executed") as error:
        lower(edit(trace, 0, kind=int(NodeType.METADATA)))
    assert error.value.hint


# Durations


def test_rounding_does_not_drift() -> None:
    lines = [f"rank 0 | thread 1 | op{i}  {i * 1400}..{i * 1400 + 1400}" for i in range(10)]
    times = list(durations(lower(build("\n".join(lines)))).values())
    assert times == [1, 2, 1, 2, 1, 1, 2, 1, 2, 1]
    assert sum(times) == 14


def test_an_unknown_duration_is_none() -> None:
    trace = build("rank 0 | thread 1 | a  0..5000")
    workload = lower(edit(trace, 0, duration_ns=_NULL))
    assert durations(workload) == {"a": 0}
    assert "without a recorded duration, counted as 0: 1 of 1 operator that compute" in workload.notes


# Collectives

DDP = """
    rank 0 | thread 1 | cudaLaunchKernel  0..5000       -> gemm
    rank 0 | stream 7 | gemm              3000..20000   -EVENT-> sum
    rank 0 | stream 9 | sum: all_reduce 4MB  20000..90000
    rank 1 | thread 1 | cudaLaunchKernel  0..5000       -> gemm1
    rank 1 | stream 7 | gemm1: gemm       3000..70000   -EVENT-> sum1
    rank 1 | stream 9 | sum1: all_reduce 4MB  70000..90000
"""


def test_ranks_meet_in_a_collective_of_all_ranks() -> None:
    workload = lower(build(DDP))
    o = workload.trace.operators
    row = row_of(workload.trace, "all_reduce")
    assert (o.value("kind", row), o.value("category", row)) == (NodeType.COMM_COLL, Category.KERNEL)
    assert (o.value("group", row), o.value("comm_bytes", row), workload.groups) == (None, 4 << 20, {})
    assert workload.notes == ()
    run = execute(workload.trace, workload.groups)
    assert (run.makespan(0), run.makespan(1)) == (73000, 73000)


@pytest.mark.parametrize(
    ("recorded", "size", "becomes", "simulated"),
    [
        (CommType.REDUCE_SCATTER_BLOCK, 64, CommType.REDUCE_SCATTER, 64),
        (CommType.BARRIER, None, CommType.ALL_REDUCE, 4),
        (CommType.ALL_GATHER, 64, CommType.ALL_GATHER, 64),
        (CommType.ALL_TO_ALL, 64, CommType.ALL_TO_ALL, 64),
        (CommType.BROADCAST, 64, CommType.BROADCAST, 64),
    ],
)
def test_what_collectives_become(recorded: CommType, size: int | None, becomes: CommType, simulated: int) -> None:
    trace = build(DDP)
    rows = [row_of(trace, "all_reduce", rank) for rank in (0, 1)]
    workload = lower(edit(trace, rows, comm_type=int(recorded), comm_bytes=_NULL if size is None else size))
    o, row = workload.trace.operators, row_of(workload.trace, "all_reduce")
    assert (o.value("comm_type", row), o.value("comm_bytes", row)) == (becomes, simulated)
    assert runs(workload)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"comm_type": int(CommType.GATHER)}, "their type is not simulated"),
        ({"comm_type": _NULL}, "their type is not simulated"),
        ({"comm_bytes": _NULL}, "their size is not known"),
        ({"comm_bytes": 0}, "their size is not known"),
        ({"comm_type": int(CommType.ALL_GATHER), "comm_bytes": 63}, "their size has no equal share for each rank"),
        ({"group": 0}, "the members of their group are not known"),
        ({"group": 1}, "their group has one member"),
    ],
)
def test_what_cannot_be_simulated_is_replayed_and_told(changes: dict[str, Any], why: str) -> None:
    tables = process_group_tables([("5", None, None, 7, []), ("6", None, None, 1, [0])])
    trace = replace(build(DDP), process_groups=tables[0], group_members=tables[1])
    workload = lower(edit(trace, [row_of(trace, "all_reduce", rank) for rank in (0, 1)], **changes))
    o, row = workload.trace.operators, row_of(workload.trace, "all_reduce")
    assert (o.value("kind", row), o.value("category", row)) == (NodeType.COMP, Category.KERNEL)
    assert (o["duration_ns"][row], o.value("comm_bytes", row)) == (70000, None)
    assert f"replayed by their duration, because {why}: 2 collectives (all_reduce)" in workload.notes


def test_gloo_stays_in_the_chain_of_its_thread() -> None:
    line = "rank {0} | thread 1 | a 0..1000\nrank {0} | thread 1 | gloo:all_reduce 8B 1000..5000\n"
    workload = lower(build((line + "rank {0} | thread 1 | b 6000..7000\n").format(0) + line.format(1)))
    assert edges(workload) == {("a", "gloo:all_reduce"), ("gloo:all_reduce", "b")}
    o, row = workload.trace.operators, row_of(workload.trace, "gloo:all_reduce")
    assert (o.value("kind", row), o.value("category", row)) == (NodeType.COMM_COLL, Category.KERNEL)


def test_ranks_that_do_not_agree_on_their_collectives_are_refused() -> None:
    text = """
        rank 0 | stream 9 | all_reduce 4B  0..10
        rank 0 | stream 9 | all_gather 8B  10..20
        rank 1 | stream 9 | all_reduce 4B  0..10
    """
    with pytest.raises(ExportError) as error:
        lower(build(text + "rank 1 | stream 9 | all_reduce 12B  10..20"))
    assert error.value.message == (
        "the group of all ranks: its ranks do not agree on collective 1: ALL_GATHER of 8 bytes on rank 0; "
        "ALL_REDUCE of 12 bytes on rank 1"
    )
    assert error.value.hint
    with pytest.raises(ExportError, match="collective 1: ALL_GATHER of 8 bytes on rank 0; none on rank 1"):
        lower(build(text))


def test_a_broadcast_meets_nobody() -> None:
    workload = lower(
        build("""
        rank 0 | stream 9 | broadcast 4B  0..10000
        rank 1 | stream 9 | gemm  0..10000
    """)
    )
    assert runs(workload)


# Groups

PAIRS = """
    rank 0 | stream 9 | all_gather 8B      0..1000
    rank 0 | stream 9 | all_reduce 8B      2000..3000
    rank 1 | stream 9 | all_gather 8B      0..1000
    rank 1 | stream 9 | all_reduce 8B      2000..3000
    rank 2 | stream 9 | reduce_scatter 8B  0..1000
    rank 2 | stream 9 | all_reduce 8B      2000..3000
    rank 3 | stream 9 | reduce_scatter 8B  0..1000
    rank 3 | stream 9 | all_reduce 8B      2000..3000
"""
NAMES = {"all_gather": "a", "reduce_scatter": "7", "all_reduce": "0"}


def test_groups_are_numbered_and_all_ranks_are_none() -> None:
    trace = with_groups(build(PAIRS), {"0": [3, 2, 1, 0], "7": [3, 2], "a": [0, 1], "b": [1, 2]}, NAMES)
    workload = lower(trace)
    assert workload.groups == {1: (0, 1), 7: (3, 2)}
    t = workload.trace
    assert t.process_groups.to_pandas()["name"].tolist() == ["1", "7"]
    assert t.group_members["rank"].tolist() == [0, 1, 3, 2]
    assert [t.operators.value("group", row) for row in range(8)] == [0, None, 0, None, 1, None, 1, None]
    assert runs(workload)


def test_a_number_that_two_groups_have_is_kept_by_none() -> None:
    trace = with_groups(build(PAIRS), {"0": [0, 1, 2, 3], "7": [2, 3], "07": [0, 1]}, NAMES | {"all_gather": "07"})
    assert lower(trace).groups == {1: (2, 3), 2: (0, 1)}


def test_more_groups_than_there_are_numbers_are_refused() -> None:
    names = [f"g{i}" for i in range(MOST)]
    lines = [f"rank {rank} | stream {i} | c{i}: all_reduce_{name} 8B  {i}..{i}" for rank in (0, 1)
             for i, name in enumerate(names)]  # fmt: skip
    lines = [line.replace(": ", f"r{line[5]}: ") for line in lines]
    trace = build("\n".join([*lines, "rank 2 | stream 7 | gemm 0..1000"]))
    of = {f"all_reduce_{name}": name for name in names}
    trace = with_groups(trace, {name: [0, 1] for name in names}, of)
    with pytest.raises(ExportError, match=r"group 'g499' of ranks 0, 1: no number is left for it"):
        lower(trace)


def test_a_group_of_unknown_members_is_all_ranks_if_it_has_their_number() -> None:
    tables = process_group_tables([("x", None, None, 2, [])])
    trace = replace(build(DDP), process_groups=tables[0], group_members=tables[1])
    workload = lower(edit(trace, [row_of(trace, "all_reduce", rank) for rank in (0, 1)], group=0))
    row = row_of(workload.trace, "all_reduce")
    assert workload.trace.operators.value("kind", row) is NodeType.COMM_COLL
    assert workload.trace.operators.value("group", row) is None


def test_a_group_with_a_rank_that_is_missing_is_refused() -> None:
    trace = with_groups(build(DDP), {"4": [0, 1, 2]}, {"all_reduce": "4"})
    with pytest.raises(ExportError, match=r"group '4' of ranks 0, 1, 2: rank 2 of it not in the trace, which has 2"):
        lower(trace)


@pytest.mark.parametrize(
    ("text", "world", "missing"),
    [
        ("rank 0 | stream 7 | a 0..1", 3, "no operators of ranks 1, 2, expected ranks 0 to 2"),
        ("rank 1 | stream 7 | a 0..1", None, "no operators of rank 0, expected ranks 0 to 1"),
    ],
)
def test_the_whole_world_is_needed(text: str, world: int | None, missing: str) -> None:
    with pytest.raises(ExportError, match=missing) as error:
        lower(build(text, world_size=world))
    assert error.value.hint


def test_a_trace_without_operators_is_refused() -> None:
    with pytest.raises(ExportError, match="the trace holds no operators"):
        lower(Trace(Columns.empty(TABLES["operators"])))


def test_one_rank_is_told() -> None:
    workload = lower(build("rank 0 | stream 7 | all_reduce 4B 0..1000"))
    assert workload.notes[0].startswith("one rank: nobody communicates")
    assert "replayed by their duration, because their group has one member: 1 collective (all_reduce)" in workload.notes


UNEVEN = """
    rank 0 | stream 9 | all_gather 8B   0..1000
    rank 0 | stream 9 | all_reduce 8B   2000..3000
    rank 1 | stream 9 | all_gather 8B   0..1000
    rank 1 | stream 9 | all_reduce 8B   2000..3000
    rank 2 | stream 9 | all_reduce 8B   2000..3000
"""


def test_all_ranks_have_a_number_where_they_come_after_different_numbers_of_collectives() -> None:
    trace = with_groups(build(UNEVEN), {"1": [0, 1], "0": [0, 1, 2]}, {"all_gather": "1", "all_reduce": "0"})
    workload = lower(trace)
    assert workload.groups == {1: (0, 1), 2: (0, 1, 2)}
    assert runs(workload)
    world = np.flatnonzero(workload.trace.operators["group"] == 1)
    unnumbered = edit(workload.trace, world, group=-1)
    assert any("comes after different numbers" in text for text in violations(unnumbered, workload.groups))
    assert execute(unnumbered, workload.groups).stuck


CROSSED = """
    rank 0 | stream 8 | all_gather 8B   0..5000
    rank 0 | stream 9 | all_reduce 8B   1000..5000
    rank 1 | stream 9 | all_reduce 8B   0..5000
    rank 1 | stream 8 | all_gather 8B   1000..5000
"""


def test_ranks_that_start_collectives_in_different_order_take_one_order() -> None:
    trace = with_groups(build(CROSSED), {"1": [0, 1], "2": [0, 1]}, {"all_gather": "1", "all_reduce": "2"})
    workload = lower(trace)
    assert edges(workload, 0) == edges(workload, 1)
    assert runs(workload)


def test_collectives_that_depend_on_each_other_in_different_order_are_refused() -> None:
    text = CROSSED.replace("0..5000", "0..900").replace("all_gather 8B   0..900", "all_gather 8B  0..900 -EVENT-> r")
    text = text.replace("9 | all_reduce 8B   1000", "9 | r: all_reduce 8B   1000")
    text = text.replace("9 | all_reduce 8B   0..900", "9 | all_reduce 8B 0..900 -EVENT-> g")
    text = text.replace("8 | all_gather 8B   1000", "8 | g: all_gather 8B   1000")
    trace = with_groups(build(text), {"1": [0, 1], "2": [0, 1]}, {"all_gather": "1", "all_reduce": "2"})
    with pytest.raises(ExportError, match="ranks wait for each other for ever: rank 0") as error:
        lower(trace)
    assert error.value.hint


def test_collectives_without_a_group_are_replayed_where_all_ranks_cannot_meet() -> None:
    trace = with_groups(build(PAIRS), {"1": [0, 1], "2": [2, 3]}, {})
    workload = lower(trace)
    assert workload.groups == {}
    assert workload.notes[0].startswith("collectives without a recorded group cannot be those of all ranks: the group")
    assert not np.any(workload.trace.operators["kind"] == NodeType.COMM_COLL)


# Messages

PIPE = """
    rank 0 | thread 1 | forward       0..1000
    rank 0 | thread 1 | out: give     1000..2000
    rank 0 | thread 1 | back: take    3000..9000
    rank 1 | thread 1 | in: take      0..4000
    rank 1 | thread 1 | forward       4000..5000
    rank 1 | thread 1 | return: give  5000..6000
"""


def pipe(**changes: Any) -> Trace:
    """Two ranks that send to each other."""
    trace = build(PIPE)
    for rank in (0, 1):
        for name, kind in (("give", NodeType.COMM_SEND), ("take", NodeType.COMM_RECV)):
            values = {"kind": int(kind), "peer": 1 - rank, "comm_bytes": 64} | changes
            trace = edit(trace, row_of(trace, name, rank), **values)
    return trace


def test_messages_are_kept_and_a_last_node_follows_them() -> None:
    workload = lower(pipe())
    o = workload.trace.operators
    assert edges(workload, 0) == {("forward", "give"), ("give", "take"), ("take", "end")}
    assert edges(workload, 1) == {("take", "forward"), ("forward", "give"), ("give", "end")}
    rows = [row_of(workload.trace, name, 1) for name in ("take", "give", "end")]
    assert [o.value("kind", row) for row in rows] == [NodeType.COMM_RECV, NodeType.COMM_SEND, NodeType.COMP]
    assert [o.value("category", row) for row in rows] == [Category.KERNEL] * 3
    assert [o.value("tag", row) for row in rows] == [0, 0, None]
    run = execute(workload.trace, workload.groups)
    assert not run.stuck
    assert run.makespan(0) == 1000 + 1000 + 1000 + 1000 + 1  # forward, message, forward of rank 1, message, end


@pytest.mark.parametrize("changes", [{"peer": _NULL}, {"comm_bytes": _NULL}, {"peer": 0}, {"peer": 5}])
def test_messages_without_peer_or_size_are_replayed(changes: dict[str, Any]) -> None:
    workload = lower(pipe(**changes))
    told = "replayed by their duration, without a partner, peer or size: 4 sends and receives (give, take)"
    assert told in workload.notes
    assert set(workload.trace.operators["kind"]) == {NodeType.COMP}
    assert runs(workload)


def test_a_receive_without_its_send_is_replayed() -> None:
    trace = pipe()
    workload = lower(edit(trace, row_of(trace, "give", 1), comm_bytes=32))
    kinds = [workload.trace.operators.value("kind", row_of(workload.trace, "take", rank)) for rank in (0, 1)]
    assert kinds == [NodeType.COMP, NodeType.COMM_RECV]
    assert runs(workload)


def test_a_send_that_a_collective_waits_for_elsewhere_goes_first() -> None:
    trace = build("""
        rank 0 | stream 9 | all_reduce 8B   0..9000
        rank 0 | stream 8 | give            5000..6000
        rank 1 | stream 8 | take            0..7000     -EVENT-> sum
        rank 1 | stream 9 | sum: all_reduce 8B   7000..9000
    """)
    trace = edit(trace, row_of(trace, "give"), kind=int(NodeType.COMM_SEND), peer=1, comm_bytes=4)
    trace = edit(trace, row_of(trace, "take", 1), kind=int(NodeType.COMM_RECV), peer=0, comm_bytes=4)
    workload = lower(trace)
    assert edges(workload, 0) == {("give", "all_reduce")}
    assert runs(workload)


# Chakra


def chakra(trace: Trace) -> Trace:
    """The trace as if it had been read from Chakra: no lanes, no nesting."""
    sources = tuple(Source("x.et", "chakra-protobuf", rank, 1, "") for rank in trace.ranks)
    operators = trace.operators.replace(
        {name: np.full(len(trace), -1, dtype=np.int32) for name in ("lane", "parent", "collective")}
    )
    operators = operators.replace({"node_id": 10 * operators["index"].astype(np.uint64)})
    d = trace.dependencies
    kept = d.take(np.isin(d["kind"], (int(DependencyKind.CTRL), int(DependencyKind.DATA))))
    metadata = replace(trace.metadata, sources=sources)
    return replace(
        trace, operators=operators, dependencies=kept, collectives=Columns.empty(TABLES["collectives"]),
        metadata=metadata,
    )  # fmt: skip


def test_a_chakra_trace_keeps_dependencies_durations_and_remote_memory() -> None:
    trace = chakra(
        build("""
        rank 0 | stream 7 | a      0..5000      -CTRL-> c  -DATA-> b
        rank 0 | stream 7 | root   5000..7000   -CTRL-> c
        rank 0 | stream 7 | b      7000..9000   -DATA-> root  -DATA-> c
        rank 0 | stream 7 | c      9000..11000
    """)
    )
    trace = edit(trace, row_of(trace, "b"), kind=int(NodeType.MEM_LOAD), bytes=64)
    trace = edit(trace, row_of(trace, "c"), kind=int(NodeType.MEM_STORE))
    workload = lower(edit(trace, row_of(trace, "root"), kind=int(NodeType.METADATA)))
    o, d = workload.trace.operators, workload.trace.dependencies
    names = [o.value("name", row) for row in range(len(o))]
    kinds = {(names[r["src"]], names[r["dst"]], r["kind"].name) for r in map(d.row, range(len(d)))}
    assert kinds == {("a", "b", "DATA"), ("a", "c", "CTRL"), ("b", "c", "DATA"), ("b", "c", "CTRL")}
    assert [o.value("kind", row) for row in range(3)] == [NodeType.COMP, NodeType.MEM_LOAD, NodeType.COMP]
    assert o["duration_ns"].tolist() == [5000, 2000, 2000]
    assert "accesses of remote memory, which the simulator has to be configured for: 1 node" in workload.notes
    assert o["node_id"].tolist() == [0, 1, 2]


def test_collectives_of_a_chakra_trace_come_in_the_order_of_their_dependencies() -> None:
    trace = chakra(
        build("""
        rank 0 | stream 7 | all_reduce 8B         0..1000
        rank 0 | stream 7 | all_gather 8B         1000..2000
        rank 1 | stream 7 | all_reduce 8B         0..1000    -CTRL-> g
        rank 1 | stream 7 | g: all_gather 8B      1000..2000
    """)
    )
    trace = edit(trace, row_of(trace, "all_reduce", 1), node_id=50)
    trace = edit(trace, row_of(trace, "all_gather", 1), node_id=7)
    workload = lower(trace)
    assert list(durations(workload, 1)) == ["all_gather", "all_reduce"]
    assert runs(workload)


TIMED = """
    rank 0 | thread 1 | processor        0..{0}  -CTRL-> s
    rank 0 | stream 7 | device           0..{1}  -CTRL-> g
    rank 0 | stream 8 | s: all_reduce 8B      200000..201000
    rank 0 | stream 9 | g: reduce_scatter 8B  202000..203000
    rank 1 | thread 1 | processor        0..{1}  -CTRL-> s1
    rank 1 | stream 7 | device           0..{0}  -CTRL-> g1
    rank 1 | stream 8 | s1: all_reduce 8B      200000..201000
    rank 1 | stream 9 | g1: reduce_scatter 8B  202000..203000
"""


@pytest.mark.parametrize("groups", [{}, {"all_reduce": "1", "reduce_scatter": "2"}])
def test_independent_collectives_of_a_chakra_trace_come_in_one_order(groups: Mapping[str, str]) -> None:
    trace = with_groups(chakra(build(TIMED.format(1000, 100000))), {"1": [0, 1], "2": [0, 1]}, groups)
    workload = lower(trace)
    for rank in (0, 1):
        assert edges(workload, rank) == {
            ("processor", "all_reduce"), ("device", "reduce_scatter"), ("all_reduce", "reduce_scatter"),
        }  # fmt: skip
    assert "added, so that all ranks communicate in one order: 2 dependencies" in workload.notes
    assert runs(workload)
    d = workload.trace.dependencies
    added = replace(workload.trace, dependencies=d.take(d["kind"] == int(DependencyKind.CTRL)))
    assert execute(added, workload.groups).stuck
    assert (
        "rank 0 node 2 (all_reduce) and rank 0 node 3 (reduce_scatter): neither depends on the other, so that their "
        "order is open"
    ) in violations(added, workload.groups)


def test_a_send_of_a_chakra_trace_that_a_collective_waits_for_elsewhere_goes_first() -> None:
    trace = chakra(
        build("""
        rank 0 | stream 9 | all_reduce 8B   0..9000
        rank 0 | stream 8 | give            5000..6000
        rank 1 | stream 8 | take            0..7000     -DATA-> sum
        rank 1 | stream 9 | sum: all_reduce 8B   7000..9000
    """)
    )
    trace = edit(trace, row_of(trace, "give"), kind=int(NodeType.COMM_SEND), peer=1, comm_bytes=4)
    trace = edit(trace, row_of(trace, "take", 1), kind=int(NodeType.COMM_RECV), peer=0, comm_bytes=4)
    workload = lower(trace)
    assert [workload.trace.operators.value("name", row) for row in (0, 1)] == ["all_reduce", "give"]
    assert edges(workload, 0) == {("give", "all_reduce")}
    assert edges(workload, 1) == {("take", "all_reduce")}
    assert runs(workload)


def test_a_chakra_trace_whose_communication_is_ordered_stays_as_it_is() -> None:
    trace = chakra(
        build("""
        rank 0 | stream 7 | all_reduce 8B      0..1000     -DATA-> gemm
        rank 0 | stream 7 | gemm               1000..2000  -CTRL-> reduce_scatter
        rank 0 | stream 7 | reduce_scatter 8B  2000..3000
        rank 1 | stream 7 | all_reduce 8B      0..1000     -DATA-> h
        rank 1 | stream 7 | h: gemm            1000..2000  -CTRL-> s
        rank 1 | stream 7 | s: reduce_scatter 8B  2000..3000
    """)
    )
    workload = lower(trace)
    assert edges(workload) == edges(workload, 1) == {("all_reduce", "gemm"), ("gemm", "reduce_scatter")}
    assert workload.notes == ()


def test_receives_that_could_take_each_others_message_come_in_one_order() -> None:
    trace = chakra(
        build("""
        rank 0 | stream 8 | give_a         0..1000
        rank 0 | stream 9 | all_reduce 8B  4000..5000
        rank 0 | stream 8 | give_b         6000..7000
        rank 1 | thread 1 | late           0..3000     -CTRL-> a
        rank 1 | stream 8 | a: take_a      3000..3500  -CTRL-> sum
        rank 1 | stream 9 | sum: all_reduce 8B  4000..5000
        rank 1 | stream 7 | take_b         6000..7000
    """)
    )
    for name, rank in (("give_a", 0), ("give_b", 0), ("take_a", 1), ("take_b", 1)):
        kind = NodeType.COMM_SEND if rank == 0 else NodeType.COMM_RECV
        trace = edit(trace, row_of(trace, name, rank), kind=int(kind), peer=1 - rank, comm_bytes=4)
    workload = lower(trace)
    assert ("take_a", "take_b") in edges(workload, 1)
    assert runs(workload)


def test_what_etgraph_wrote_as_chakra_becomes_the_same_workload(tmp_path: Path) -> None:
    for file in samples.path("gpt_ddp_5steps").glob("kineto_rank*"):
        shutil.copy(file, tmp_path)
    trace = read(tmp_path)
    write_chakra(trace, tmp_path / "chakra")
    direct, back = lower(trace), lower(read(tmp_path / "chakra"))
    assert (direct.groups, direct.notes) == (back.groups, back.notes)
    for table, without in (("operators", {"node_id", "attrs"}), ("dependencies", set())):
        a, b = getattr(direct.trace, table), getattr(back.trace, table)
        assert len(a) == len(b)
        for column in a.table.columns:
            if column.name not in without:
                values = [[t.value(column.name, row) for row in range(len(t))] for t in (a, b)]
                assert values[0] == values[1], column.name


def test_nodes_of_a_chakra_trace_keep_their_attributes() -> None:
    kept = [{"attr": [{"name": name}]} for name in SIMULATOR_ATTRIBUTES]
    text = "rank 0 | stream 7 | a 0..1000\nrank 0 | stream 7 | b 1000..2000"
    trace = replace(build(text), attributes=Attributes.none().edited({}, [json.dumps(k).encode() for k in kept]))
    trace = edit(trace, [0, 1], attrs=[1, 0])
    lowered = lower(chakra(trace)).trace
    assert [lowered.operator_attributes(row) for row in (0, 1)] == [kept[1], kept[0]]
    assert [lower(trace).trace.operator_attributes(row) for row in (0, 1)] == [{}, {}]


def test_a_cycle_in_a_chakra_trace_is_named() -> None:
    trace = build("""
        rank 0 | stream 7 | a  0..5  -DATA-> b
        rank 0 | stream 8 | b  6..9  -DATA-> a
    """)
    with pytest.raises(CycleError):
        lower(chakra(trace))


# Rules


def good() -> tuple[Trace, dict[int, tuple[int, ...]]]:
    """A workload with everything in it."""
    text = PIPE
    for rank in (0, 1):
        text += f"""
            rank {rank} | stream 9 | all_reduce 8B  20000..21000
            rank {rank} | stream 9 | all_gather 8B  22000..23000
            rank {rank} | stream 9 | gemm           24000..25000
            rank {rank} | stream 9 | load           26000..27000
        """
    trace = build(text)
    source = pipe()
    for rank in (0, 1):
        for name in ("give", "take"):
            row = source.operators.row(row_of(source, name, rank))
            values = {k: int(row[k]) for k in ("kind", "peer", "comm_bytes")}
            trace = edit(trace, row_of(trace, name, rank), **values)
    workload = lower(with_groups(trace, {"2": [0, 1]}, {}))
    tables = process_group_tables([("1", None, None, 2, [0, 1])])
    trace = replace(workload.trace, process_groups=tables[0], group_members=tables[1])
    for rank in (0, 1):
        trace = edit(trace, row_of(trace, "all_gather", rank), group=0)
        trace = edit(trace, row_of(trace, "load", rank), kind=int(NodeType.MEM_LOAD), bytes=8)
    groups = {1: (0, 1)}
    assert violations(trace, groups) == []
    assert not execute(trace, groups).stuck
    return trace, groups


def both(name: str, **values: Any) -> Callable[[Trace], Trace]:
    """Change an operator on both ranks."""
    return lambda trace: edit(edit(trace, row_of(trace, name, 0), **values), row_of(trace, name, 1), **values)


def one(name: str, **values: Any) -> Callable[[Trace], Trace]:
    """Change an operator on rank 0."""
    return lambda trace: edit(trace, row_of(trace, name), **values)


def dependency(column: str, value: int) -> Callable[[Trace], Trace]:
    """Change the first dependency, which is one of rank 0."""

    def change(trace: Trace) -> Trace:
        array = trace.dependencies[column].copy()
        array[0] = value
        return replace(trace, dependencies=trace.dependencies.replace({column: array}))

    return change


def without_ends(trace: Trace) -> Trace:
    """Rank 0 without the dependencies of its last node."""
    end = row_of(trace, "end")
    return replace(trace, dependencies=trace.dependencies.take(trace.dependencies["dst"] != end))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (one("gemm", kind=int(NodeType.METADATA)), "rank 0 node 5 (gemm): kind METADATA cannot be executed"),
        (one("gemm", kind=int(NodeType.INVALID)), "rank 0 node 5 (gemm): kind INVALID cannot be executed"),
        (one("gemm", kind=77), "rank 0 node 5 (gemm): kind 77 cannot be executed"),
        (one("gemm", node_id=_NULL), "rank 0 row 5 (gemm): has no node id"),
        (one("gemm", node_id=0), "rank 0 node 0 (gemm): its node id occurs twice"),
        (dependency("dst", 9999), "from rank 0 node 0 (forward) to row 9999 leads to a node that does not exist"),
        (dependency("src", 12), "leads from one rank to another"),
        (
            dependency("kind", int(DependencyKind.CALL)),
            "(CALL) from rank 0 node 0 (forward) to rank 0 node 1 (give) is",
        ),
        (dependency("src", 2), "dependencies form a cycle of 2 nodes: rank 0 node"),
        (one("give", category=int(Category.CPU_OP)), "node 1 (give): a communication node is marked as a CPU operator"),
        (one("all_reduce", comm_type=_NULL), "(all_reduce): comm_type null is none that can be simulated"),
        (both("all_reduce", comm_type=int(CommType.GATHER)), "comm_type GATHER is none that can be simulated"),
        (both("all_reduce", comm_bytes=0), "rank 1 node 3 (all_reduce): comm_bytes is 0"),
        (both("all_reduce", comm_bytes=_NULL), "comm_bytes is null"),
        (both("all_gather", comm_bytes=7), "an all-gather of 7 bytes has no equal shards"),
        (one("all_reduce", comm_bytes=12), "all ranks: its ranks do not agree on collective 0: ALL_REDUCE of 12 bytes"),
        (one("all_gather", group=-1), "group 1: its ranks do not agree on collective 0: none on rank 0; ALL_GATHER"),
        (one("give", peer=_NULL), "rank 0 node 1 (give): peer is null, none of the ranks"),
        (one("give", peer=2), "rank 0 node 1 (give): peer is 2, none of the ranks"),
        (one("give", peer=0), "rank 0 node 1 (give): sends to itself"),
        (one("give", tag=_NULL), "rank 0 node 1 (give): has no tag"),
        (one("give", comm_bytes=0), "rank 0 node 1 (give): comm_bytes is 0"),
        (one("give", tag=3), "rank 1 node 0 (take): COMM_RECV with peer 0, tag 0, 64 bytes has no partner"),
        (one("gemm", duration_ns=1500), "rank 0 node 5 (gemm): duration_ns 1500 is no whole number of microseconds"),
        (one("gemm", duration_ns=_NULL), "duration_ns null is no whole number of microseconds"),
        (one("gemm", flops=5), "rank 0 node 5 (gemm): has 5 flops and bytes null"),
        (one("load", bytes=0), "rank 0 node 6 (load): a memory node has bytes 0"),
        (both("take", tag=7), "COMM_RECV with peer 0, tag 7, 64 bytes has no partner"),
        (without_ends, "may be the last to complete on a rank with CPU or memory nodes"),
    ],
)
def test_a_broken_rule_is_named(change: Callable[[Trace], Trace], expected: str) -> None:
    trace, groups = good()
    found = violations(change(trace), groups)
    assert any(expected in text for text in found), found


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ({}, "(all_gather): its group is not in the file of communicators"),
        ({1: (1,)}, "rank 0 node 4 (all_gather): its rank is not a member of its group"),
        ({1: (1,)}, "rank 1 node 4 (all_gather): its group has fewer than 2 members"),
        ({1: (0, 1, 2)}, "rank 2 of 0 to 2: no nodes"),
        ({1: (0, 1), 500: (0, 1)}, "group 500: groups are told apart up to number 499"),
    ],
)
def test_a_broken_rule_of_groups_is_named(groups: dict[int, tuple[int, ...]], expected: str) -> None:
    trace, _ = good()
    found = violations(trace, groups)
    assert any(expected in text for text in found), found


def test_a_name_that_is_no_number_is_no_group() -> None:
    trace, groups = good()
    p = trace.process_groups.replace({"name": trace.process_groups["name"]}, {"name": ["tensor"]})
    found = violations(replace(trace, process_groups=p), groups)
    assert any("its group is not in the file of communicators" in text for text in found), found


def test_ranks_without_nodes_are_named() -> None:
    trace, groups = good()
    lacking = replace(trace, metadata=replace(trace.metadata, world_size=4))
    assert "ranks 2, 3 of 0 to 3: no nodes, and each rank needs one that is ready" in violations(lacking, groups)
    assert violations(Trace(Columns.empty(TABLES["operators"])), {}) == ["no rank holds a node"]


def test_a_rank_without_a_first_node_is_named() -> None:
    trace = lower(build("rank 0 | stream 7 | a 0..1000\nrank 0 | stream 7 | b 1000..2000")).trace
    both_ways = Columns.concat([trace.dependencies, trace.dependencies.replace({"src": [1], "dst": [0]})])
    found = violations(replace(trace, dependencies=both_ways), {})
    assert "rank 0: no node is ready at the start" in found


def test_ranks_that_wait_for_each_other_are_named() -> None:
    trace = lower(pipe()).trace
    o = trace.operators
    first = [row_of(trace, "take", 0), row_of(trace, "give", 0)]
    swapped = replace(trace, operators=o.take(np.array([0, *first, *range(3, len(o))])))
    number = np.arange(len(o)) % 4
    swapped = replace(swapped, operators=swapped.operators.replace({"node_id": number, "index": number}))
    assert any("ranks wait for each other for ever: rank 0 node" in text for text in violations(swapped, {}))
    assert execute(swapped, {}).stuck


def test_tags_that_are_taken_for_each_other_are_named() -> None:
    lines = ["rank 0 | stream 8 | give{0}  {1}..{1}", "rank 1 | stream 8 | take{0}  {1}..{1}"]
    trace = build("\n".join(line.format(i, 1000 * i) for line in lines for i in range(3)))
    for i, tag in enumerate((7, 500_000_007, 8)):
        values = {"comm_bytes": 4, "tag": tag}
        trace = edit(trace, row_of(trace, f"give{i}"), kind=int(NodeType.COMM_SEND), peer=1, **values)
        trace = edit(trace, row_of(trace, f"take{i}", 1), kind=int(NodeType.COMM_RECV), peer=0, **values)
    with pytest.raises(ExportError, match=r"node 1 \(give1\): its tag 500000007 is that of another message to rank 1"):
        lower(trace)


def test_of_many_nodes_that_break_a_rule_the_first_are_named() -> None:
    text = "\n".join(f"rank 0 | stream 7 | op{i} {i}..{i}" for i in range(50))
    trace = lower(build(text)).trace
    found = violations(edit(trace, range(50), duration_ns=1), {})
    assert len(found) == 11
    assert found[-1] == "and 40 more nodes as the last one"


# Random traces


@given(traces())
def test_random_traces_run_to_the_end(trace: Trace) -> None:
    workload = lower(trace)
    assert violations(workload.trace, workload.groups) == []
    assert runs(workload)
    exact, rounded = durations_by_lane(trace), durations_by_lane(workload.trace)
    for lane in rounded:
        assert rounded[lane] <= exact[lane] + 1000  # what operators enclose, and waiting, counts once or not


def durations_by_lane(trace: Trace) -> dict[int, int]:
    """The sum of the durations on each lane."""
    sums: dict[int, int] = {}
    for lane, duration in zip(trace.operators["lane"].tolist(), trace.operators["duration_ns"].tolist()):
        sums[lane] = sums.get(lane, 0) + duration
    return sums


@st.composite
def threads(draw: st.DrawFn) -> Trace:
    """One thread of nested operators, without a device."""
    lines: list[str] = []

    def operators(start: int, end: int, depth: int) -> None:
        marks = sorted(draw(st.lists(st.integers(start, end), max_size=6, unique=True)))
        for a, b in zip(marks[::2], marks[1::2]):
            lines.append(f"rank 0 | thread 1 | op{len(lines)}  {a}..{b}")
            if depth:
                operators(a, b, depth - 1)

    operators(0, 100_000, 3)
    lines.append("rank 0 | thread 1 | last  100000..100700")
    return build("\n".join(lines))


@given(threads())
def test_a_thread_is_as_long_as_it_was_busy(trace: Trace) -> None:
    workload = lower(trace)
    tops = trace.operators["parent"] < 0
    busy = int(trace.operators["duration_ns"][tops].sum())
    none = int(np.count_nonzero(workload.trace.operators["duration_ns"] == 0))  # each takes 1 ns all the same
    makespan = execute(workload.trace, workload.groups).makespan(0)
    assert abs(makespan - none - busy) <= 1000


@st.composite
def worlds(draw: st.DrawFn) -> Trace:
    """Ranks whose collectives come in one order within each group, at any times, and messages in between."""
    ranks = draw(st.integers(2, 4))
    groups = {"0": list(range(ranks))}
    for number in range(1, draw(st.integers(1, 4))):
        groups[str(number)] = draw(st.permutations(range(ranks)))[: draw(st.integers(2, ranks))]
    clock = {(rank, lane): rank * 5000 for rank in range(ranks) for lane in range(8)}
    lines: list[str] = []
    comm: dict[str, dict[str, int]] = {}

    def put(rank: int, lane: int, name: str, **values: int) -> None:
        begin = clock[rank, lane] + draw(st.integers(0, 4000))
        clock[rank, lane] = begin + draw(st.integers(0, 3000))
        label = f"n{len(lines)}"
        lines.append(f"rank {rank} | {'thread' if lane == 0 else 'stream'} {lane} | {label}: {name}_{label}  "
                     f"{begin}..{clock[rank, lane]}")  # fmt: skip
        comm[f"{name}_{label}"] = values

    for _ in range(draw(st.integers(1, 12))):
        what = draw(st.sampled_from(["group", "message", "work"]))
        if what == "group":
            group = draw(st.integers(0, len(groups) - 1))
            size = 4 * len(groups[str(group)]) * draw(st.integers(1, 3))
            kind = draw(st.sampled_from([CommType.ALL_REDUCE, CommType.ALL_GATHER, CommType.BROADCAST]))
            for rank in groups[str(group)]:
                put(rank, 1 + group, "coll", kind=int(NodeType.COMM_COLL), comm_type=int(kind), comm_bytes=size,
                    group=group)  # fmt: skip
        elif what == "message":
            a, b = draw(st.permutations(range(ranks)))[:2]
            size = draw(st.integers(1, 2))
            put(a, 6, "msg", kind=int(NodeType.COMM_SEND), peer=b, comm_bytes=size)
            if draw(st.integers(0, 5)):
                put(b, 7, "msg", kind=int(NodeType.COMM_RECV), peer=a, comm_bytes=size)
        else:
            put(draw(st.integers(0, ranks - 1)), draw(st.integers(0, 1)), "op")
    for rank in range(ranks):
        put(rank, 0, "op")
    trace = build("\n".join(lines), world_size=ranks)
    for name, values in comm.items():
        if values:
            row = int(np.flatnonzero(trace.operators["name"] == trace.operators.code("name", name))[0])
            trace = edit(trace, row, **values)
    tables = process_group_tables([(name, None, None, len(m), m) for name, m in groups.items()])
    return replace(trace, process_groups=tables[0], group_members=tables[1])


@given(worlds())
def test_random_worlds_run_to_the_end(trace: Trace) -> None:
    workload = lower(trace)
    assert violations(workload.trace, workload.groups) == []
    assert runs(workload)


@st.composite
def chakra_worlds(draw: st.DrawFn) -> Trace:
    """Worlds as Chakra records them: ids in an order in which they can run, and any dependencies between these."""
    trace = chakra(draw(worlds()))
    o = trace.operators
    number = np.array([int(o.value("name", row).rpartition("_n")[2]) for row in range(len(o))])
    some = st.lists(st.tuples(st.integers(0, len(o) - 1), st.integers(0, len(o) - 1), st.booleans()), max_size=12)
    found = {(a, b, data) for a, b, data in draw(some) if o["rank"][a] == o["rank"][b] and number[a] < number[b]}
    src, dst, data = (np.array([pair[i] for pair in sorted(found)], dtype=np.int32) for i in range(3))
    kind = np.where(data, int(DependencyKind.DATA), int(DependencyKind.CTRL))
    none = np.zeros(len(src), dtype=np.int32)
    values = {"src": src, "dst": dst, "kind": kind, "inferred": none, "method": none, "confidence": none}
    return replace(
        trace, operators=o.replace({"node_id": number.astype(np.uint64)}),
        dependencies=Columns(TABLES["dependencies"], values, {"method": ["recorded"]}),
    )  # fmt: skip


@given(chakra_worlds())
def test_random_chakra_worlds_run_to_the_end(trace: Trace) -> None:
    workload = lower(trace)
    assert violations(workload.trace, workload.groups) == []
    assert runs(workload)
    assert named_dependencies(trace) <= named_dependencies(workload.trace)


def named_dependencies(trace: Trace) -> set[tuple[int, str, str, str]]:
    """The dependencies by rank, names of both ends, and kind."""
    o, rows = trace.operators, map(trace.dependencies.row, range(len(trace.dependencies)))
    return {
        (int(o["rank"][d["src"]]), o.value("name", d["src"]), o.value("name", d["dst"]), d["kind"].name) for d in rows
    }


@given(traces())
def test_compiled_kernels_do_the_same(trace: Trace) -> None:
    trace = edit(trace, [0, len(trace) // 2], kind=int(NodeType.METADATA)) if len(trace) > 3 else trace
    calls: list[tuple[Any, tuple[Any, ...]]] = []
    with pytest.MonkeyPatch.context() as patch:
        for kernel in (_scheduled, _ordered, _walk, _walk_removed):

            def spied(*arguments: Any, kernel: Any = kernel) -> Any:
                calls.append((kernel, arguments))
                return kernel.python(*arguments)

            module = "order" if kernel in (_scheduled, _ordered) else "program"
            patch.setattr(f"etgraph.ingest.writers.astra_sim.{module}.{kernel.__name__}", spied)
        lower(trace)
    assert calls
    for kernel, arguments in calls:
        python, compiled = kernel.python(*arguments), kernel.compiled(*arguments)
        for a, b in zip(*(r if isinstance(r, tuple) else (r,) for r in (python, compiled)), strict=True):
            assert np.array_equal(a, b)


# Real traces


@pytest.mark.parametrize("format", ["kineto", "et"])
@pytest.mark.parametrize("name", ["gpt_ddp", "gpt_tp2_pp2", "dlrm_alltoall"])
def test_the_samples_run_to_the_end(name: str, format: str, tmp_path: Path) -> None:
    for file in samples.path(name).glob(f"{format}_rank*"):
        shutil.copy(file, tmp_path)
    workload = lower(read(tmp_path))
    assert runs(workload)
    if format == "et" and name != "gpt_tp2_pp2":
        assert np.count_nonzero(workload.trace.operators["kind"] == NodeType.COMM_COLL) == (56 if "gpt" in name else 16)


@pytest.mark.parametrize(
    "name",
    [
        "hta/critical_path/alexnet/benchmark_result_2869224_1695835535_trace.json.gz",
        "hta/critical_path/cuda_event_sync_multi_stream/event_sync_trace.json.gz",
        "kineto_tb/resnet50_num_workers_0/worker0.1623143089861.pt.trace.json.gz",
        "param/1.0.3-chakra.0.0.4/resnet_1gpu_et.json.gz",
    ],
)
def test_real_traces_of_one_device_run_to_the_end(name: str, collection_dir: Path) -> None:
    trace = read(collection_dir / name)
    workload = lower(trace)
    assert runs(workload)


def test_the_eight_ranks_of_dlrm_run_to_the_end(collection_dir: Path) -> None:
    assert runs(lower(read(collection_dir / "param/dlrm_kineto")))


@pytest.mark.parametrize("name", ["gpt_ddp", "gpt_tp2_pp2", "dlrm_alltoall"])
def test_linked_runs_of_all_ranks_run_to_the_end(collection_dir: Path, name: str) -> None:
    """Host and device files together: the same collectives and messages as the device files alone, once each."""
    folder = collection_dir / "recorded" / name
    trace = read(folder)
    assert trace.metadata.report.linked_operators
    lowered = lower(trace)
    assert runs(lowered)
    kinds = lowered.trace.operators["kind"]
    messages = trace.dependency_counts.get("COMM", 0)
    assert int((kinds == int(NodeType.COMM_SEND)).sum()) == int((kinds == int(NodeType.COMM_RECV)).sum()) == messages
    members = int((trace.operators["collective"] >= 0).sum())
    assert int((kinds == int(NodeType.COMM_COLL)).sum()) == members


def test_linked_files_of_dlrm_run_to_the_end(collection_dir: Path, tmp_path: Path) -> None:
    for kind in ("dlrm_kineto", "dlrm_pytorch_et"):
        shutil.copytree(collection_dir / "param" / kind, tmp_path / kind)
    lowered = lower(read(tmp_path))
    assert runs(lowered)
    assert int((lowered.trace.operators["kind"] == int(NodeType.COMM_COLL)).sum()) == 8 * 8
