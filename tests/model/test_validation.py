"""Validation finds every fault and says where it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from etgraph.model import TABLES, AttributeWriter, Columns, CommType, DependencyKind, Trace, process_group_tables
from etgraph.model.errors import CycleError, EtgraphError
from model.tables import edges, graph, operators

K = DependencyKind


@pytest.fixture(scope="module")
def whole() -> Trace:
    """Three sound operators, with a row in every table."""
    groups, members = process_group_tables([("world", None, None, None, [0])])
    with AttributeWriter() as writer:
        writer.append(b"{}")

    def table(name: str, data: Mapping[str, Any], *texts: str) -> Columns:
        return Columns(TABLES[name], {"rank": [0], **data}, {text: ["x"] for text in texts})

    annotation = {"kind": [0], "name": [0], "lane": [0], "start_ns": [0], "duration_ns": [5], "attrs": [0]}
    memory = {"lane": [0], "time_ns": [0], "bytes": [-8], "attrs": [0]}
    trace = Trace(
        operators(
            3, lane=[0, 0, -1], parent=[-1, 0, 0], iteration=[0, -1, 0], group=[-1, 0, -1], collective=[-1, 0, -1],
            attrs=[0, -1, 0], start_ns=[0, 1, 2], duration_ns=[9, 0, np.iinfo(np.int64).min],
        ),
        edges((0, 1, K.CALL), (1, 2, K.THREAD)),
        table("lanes", {"kind": [0], "process": [0], "id": [0]}, "process", "id"),
        Columns(TABLES["collectives"], {"type": [CommType.ALL_REDUCE], "group": [0]}),
        groups,
        members,
        table("iterations", {"index": [0], "name": [0], "lane": [0]}, "name"),
        table("annotations", annotation, "name"),
        table("instants", {"name": [0], "lane": [0], "time_ns": [0], "attrs": [0]}, "name"),
        table("memory_events", memory),
        table("counters", {"name": [0], "time_ns": [0], "value": [0.5]}, "name"),
        writer.attributes,
    )  # fmt: skip
    assert all(len(columns) for columns in trace.tables.values())
    return trace


def changed(trace: Trace, table: str, column: str, value: Any) -> Trace:
    """The trace with another value in the last row of a column."""
    columns = getattr(trace, table)
    values = columns[column].copy()
    values[-1] = value
    return replace(trace, **{table: columns.replace({column: values})})


def every(*types: str, nullable: bool | None = None) -> list[Any]:
    """All columns of these types as (table, column), for parametrize."""
    return [
        pytest.param(table.name, column.name, id=f"{table.name}.{column.name}")
        for table in TABLES.values()
        for column in table.columns
        if column.type in types and nullable in (None, column.nullable)
    ]


def test_a_sound_trace_passes(whole: Trace) -> None:
    whole.validate()


@pytest.mark.parametrize(("table", "column"), every("row"))
@pytest.mark.parametrize("value", [-2, 3])
def test_a_reference_to_no_row(whole: Trace, table: str, column: str, value: int) -> None:
    size = len(whole.attributes) if column == "attrs" else len(whole.tables[TABLES[table].column(column).refers])
    row = len(whole.tables[table]) - 1
    refers = TABLES[table].column(column).refers
    words = rf"^{table} row {row}, column {column}: found {value}, expected one of the {size} rows of {refers}$"
    with pytest.raises(EtgraphError, match=words):
        changed(whole, table, column, value).validate()


@pytest.mark.parametrize(("table", "column"), every("row", "text", "enum", "int32", "int64", nullable=False))
def test_a_null_in_a_required_column(whole: Trace, table: str, column: str) -> None:
    words = rf"^{table} row \d, column {column}: found null, expected a value in every row$"
    with pytest.raises(EtgraphError, match=words):
        changed(whole, table, column, TABLES[table].column(column).null).validate()


@pytest.mark.parametrize(("table", "column"), every("text", nullable=False))
def test_a_code_outside_the_dictionary(whole: Trace, table: str, column: str) -> None:
    words = rf"^{table} row \d, column {column}: found 5, expected a code of its dictionary$"
    with pytest.raises(EtgraphError, match=words):
        changed(whole, table, column, 5).validate()


@pytest.mark.parametrize("table", ["operators", "annotations"])
def test_a_negative_duration(whole: Trace, table: str) -> None:
    with pytest.raises(EtgraphError, match=rf"^{table} row \d, column duration_ns: found -1, expected 0 or more$"):
        changed(whole, table, "duration_ns", -1).validate()


@pytest.mark.parametrize("kind", [-1, 13])
def test_a_kind_of_dependency_that_does_not_exist(whole: Trace, kind: int) -> None:
    with pytest.raises(EtgraphError, match=f"dependencies row 1, column kind: found {kind}, expected a kind"):
        changed(whole, "dependencies", "kind", kind).validate()


def test_unknown_enum_values_of_the_source_are_kept(whole: Trace) -> None:
    changed(whole, "operators", "kind", 99).validate()
    changed(whole, "collectives", "type", 99).validate()


@pytest.mark.parametrize(
    ("rank", "index", "row"),
    [([1, 0, 0], [0, 0, 1], 1), ([0, 0, 0], [0, 2, 1], 2), ([0, 0, 1], [0, 0, 0], 1), ([0, 0, 1], [0, 1, -1], 2)],
    ids=["ranks descend", "indices descend", "a key twice", "negative"],
)
def test_keys_that_do_not_ascend(rank: list[int], index: list[int], row: int) -> None:
    with pytest.raises(EtgraphError, match=f"^operators row {row}, column index: found {index[row]}, expected keys"):
        Trace(operators(3, rank=rank, index=index)).validate()


def test_keys_may_have_gaps() -> None:
    Trace(operators(3, rank=[0, 0, 2], index=[1, 5, 0])).validate()


# Cycles


@pytest.mark.parametrize(
    ("found", "members"),
    [
        ([(0, 1, K.CTRL), (1, 2, K.DATA), (2, 0, K.CTRL)], {0, 1, 2}),
        ([(1, 1, K.CTRL)], {1}),
        ([(1, 1, K.CALL)], {1}),
        ([(0, 1, K.LAUNCH), (1, 0, K.LAUNCH), (1, 2, K.STREAM)], {0, 1}),
    ],
    ids=["three", "self loop end to start", "self loop start to start", "two, with a successor"],
)
def test_a_cycle_names_its_members(found: list[tuple[int, int, int]], members: set[int]) -> None:
    with pytest.raises(CycleError) as caught:
        graph(3, *found).validate()
    assert {int(member.split()[-2]) for member in caught.value.members} == members
    assert all(member in str(caught.value) for member in caught.value.members)


def test_a_cycle_through_a_collective_names_it(whole: Trace) -> None:
    both = replace(graph(2, (0, 1, K.CTRL)), collectives=whole.collectives, process_groups=whole.process_groups)
    met = replace(both, operators=both.operators.replace({"collective": [0, 0]}))
    with pytest.raises(CycleError, match="collective 0") as caught:
        met.validate()
    assert set(caught.value.members) == {
        "collective 0", "end of rank 0 operator 0 (op)", "start of rank 0 operator 1 (op)"
    }  # fmt: skip


def test_a_long_cycle_is_cut_in_the_message_only() -> None:
    ring = [(row, (row + 1) % 50, K.CTRL) for row in range(50)]
    with pytest.raises(CycleError, match="a cycle of 100 events") as caught:
        graph(50, *ring).validate()
    assert len(caught.value.members) == 100
    assert str(caught.value).endswith("→ …")
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "found",
    [
        [(0, 1, K.CTRL), (1, 0, K.OCCUPANCY)],
        [(0, 1, K.LAUNCH), (1, 0, K.SYNC)],
        [(0, 1, K.CALL), (1, 2, K.THREAD), (0, 2, K.CALL)],
    ],
    ids=["a cause outside the order", "a blocking call", "nesting"],
)
def test_what_is_no_cycle(found: list[tuple[int, int, int]]) -> None:
    graph(3, *found).validate()
