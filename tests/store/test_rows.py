"""Pages of rows and neighbours: the same from every store as from a plain look at every row."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etgraph.model import TABLES, DependencyKind, NodeType, Trace
from etgraph.model.errors import NotFound, UsageError
from etgraph.store import Store
from etgraph.store.rows import Condition, NeighboursRequest, Order, Page, RowsRequest, at_rows, glob_pattern
from support.any_traces import any_traces
from support.build import build

MakeTrace = Callable[..., Trace]

STEPS = """
    rank 0 | thread 1 | iteration ProfilerStep#1    0..100
    rank 0 | thread 1 | iteration ProfilerStep#2  100..200
    rank 0 | thread 1 | a: aten::mm                 0..60
    rank 0 | thread 1 | cudaLaunchKernel            5..10   -> k1
    rank 0 | thread 1 | b: aten::relu             100..140
    rank 0 | stream 7 | k1: gemm                   20..60   -EVENT-> k2
    rank 0 | stream 9 | k2: add                    70..90
"""


@pytest.fixture
def steps() -> Trace:
    """The trace above, with an id."""
    from dataclasses import replace

    return replace(build(STEPS), trace_id="5" * 64)


def names(page: Page) -> list[str]:
    return [row["name"] for row in page.rows]


def one(store: Store, trace: Trace, *where: Condition, table: str = "operators", **more: Any) -> Page:
    (page,) = store.rows([RowsRequest(trace.trace_id, table, where, **more)])
    return page


def test_rows_come_with_every_column(store: Store, make_trace: MakeTrace) -> None:
    trace = make_trace()
    store.publish(trace)
    (first, *_) = one(store, trace).rows
    expected = {c.name: trace.operators.value(c.name, 0) for c in TABLES["operators"].columns if c.name != "attrs"}
    assert first == {"row": 0, **expected}
    assert isinstance(first["kind"], NodeType)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (Condition("name", glob="aten::*"), ["aten::mm", "aten::relu"]),
        (Condition("name", glob="?dd"), ["add"]),
        (Condition("name", any_of=("gemm", "none")), ["gemm"]),
        (Condition("duration_ns", low=40, high=40), ["gemm", "aten::relu"]),
        (Condition("start_ns", high=5), ["aten::mm", "cudaLaunchKernel"]),
        (Condition("iteration.index", any_of=(1,)), ["aten::relu"]),
        (Condition("lane.id", any_of=("9",)), ["add"]),
        (Condition("lane.kind", any_of=(1,)), ["gemm", "add"]),
        (Condition("lane", any_of=(0,)), ["aten::mm", "cudaLaunchKernel", "aten::relu"]),
        (Condition("row", any_of=(3, 99, -1)), ["add"]),
        (Condition("flops", low=0), []),
    ],
)  # fmt: skip
def test_conditions(store: Store, steps: Trace, condition: Condition, expected: list[str]) -> None:
    store.publish(steps)
    assert names(one(store, steps, condition)) == expected
    assert store.count_rows([RowsRequest(steps.trace_id, "operators", (condition,), first=1)]) == [len(expected)]


def test_pages_follow_each_other_by_value_and_row(store: Store, steps: Trace) -> None:
    store.publish(steps)
    longest = Order("duration_ns", descending=True)
    first = one(store, steps, order=longest, first=2)
    assert (names(first), first.more) == (["aten::mm", "gemm"], True)
    last = first.rows[-1]
    second = one(store, steps, order=longest, first=9, after=(last["duration_ns"], last["row"]))
    assert (names(second), second.more) == (["aten::relu", "add", "cudaLaunchKernel"], False)


def test_many_requests_are_answered_in_their_order(store: Store, steps: Trace, make_trace: MakeTrace) -> None:
    store.publish(steps)
    store.publish(make_trace("other"))
    other = make_trace("other").trace_id
    asked = [
        RowsRequest(other, "operators", first=1), RowsRequest(steps.trace_id, "lanes"),
        RowsRequest(steps.trace_id, "operators", first=1), at_rows(steps.trace_id, "operators", [3, 1]),
    ]  # fmt: skip
    pages = store.rows(asked)
    assert [len(page.rows) for page in pages] == [1, 3, 1, 2]
    assert names(pages[2]) == ["aten::mm"]
    assert names(pages[3]) == ["cudaLaunchKernel", "add"]


def test_a_group_has_its_members(store: Store, communicating: Trace) -> None:
    store.publish(communicating)
    (group,) = one(store, communicating, table="process_groups").rows
    assert tuple(group["ranks"]) == (0, 1)
    members = one(store, communicating, Condition("collective", any_of=(0,)))
    assert [row["rank"] for row in members.rows] == [0, 1]


@pytest.fixture
def communicating() -> Trace:
    """Two ranks that meet, and their group."""
    from dataclasses import replace

    from etgraph.model import Columns

    trace = build("""
        rank 0 | stream 7 | all_reduce 4MB  10..50
        rank 1 | stream 7 | all_reduce 4MB  30..50
    """)
    groups = Columns(TABLES["process_groups"], {"name": [0]}, {"name": ["world"]})
    members = Columns(TABLES["group_members"], {"group": [0, 0], "rank": [0, 1]})
    return replace(trace, process_groups=groups, group_members=members, trace_id="6" * 64)


def test_neighbours_by_kind_and_direction(store: Store, steps: Trace) -> None:
    store.publish(steps)
    row = {name: at for at, name in enumerate(steps.operators.texts("name").take(steps.operators["name"]).to_pylist())}
    asked = [
        NeighboursRequest(steps.trace_id, row["gemm"]),
        NeighboursRequest(steps.trace_id, row["gemm"], incoming=False),
        NeighboursRequest(steps.trace_id, row["gemm"], kinds=(DependencyKind.STREAM,)),
        NeighboursRequest(steps.trace_id, row["aten::mm"], incoming=False, first=1),
    ]
    into, out, streams, cut = store.neighbours(asked)
    assert [(n.kind.name, n.operator["name"]) for n in into.found] == [("LAUNCH", "cudaLaunchKernel")]
    assert [(n.kind.name, n.operator["name"]) for n in out.found] == [("EVENT", "add")]
    assert streams.found == ()
    assert (len(cut.found), cut.more) == (1, True)
    (rest,) = store.neighbours(
        [NeighboursRequest(steps.trace_id, row["aten::mm"], incoming=False, after=cut.found[0].row)]
    )
    d = steps.dependencies
    assert [n.row for n in (*cut.found, *rest.found)] == np.flatnonzero(d["src"] == row["aten::mm"]).tolist()


def test_attributes_of_several_operators(store: Store, make_trace: MakeTrace) -> None:
    trace = make_trace()
    store.publish(trace)
    asked = [(trace.trace_id, row) for row in (3, 0, 1, 3)]
    assert store.attributes(asked) == [trace.operator_attributes(row) for _, row in asked]


def test_an_unknown_trace_is_not_found(store: Store) -> None:
    for ask in (
        lambda: store.rows([RowsRequest("0" * 64, "operators")]),
        lambda: store.count_rows([RowsRequest("0" * 64, "operators")]),
        lambda: store.neighbours([NeighboursRequest("0" * 64, 0)]),
        lambda: store.attributes([("0" * 64, 0)]),
    ):
        with pytest.raises(NotFound):
            ask()


@pytest.mark.parametrize(
    "wrong",
    [
        RowsRequest("", "operators", (Condition("nonsense", low=1),)),
        RowsRequest("", "operators", (Condition("rank", glob="*"),)),
        RowsRequest("", "operators", (Condition("name", glob="*" * 999),)),
        RowsRequest("", "operators", order=Order("kind")),
        RowsRequest("", "operators", order=Order("duration_ns"), after=("text", 0)),
        RowsRequest("", "operators", order=Order("name"), after=(1, 0)),
        RowsRequest("", "operators", after=(None, -1)),
        RowsRequest("", "nonsense"),
    ],
)
def test_what_cannot_be_asked(store: Store, make_trace: MakeTrace, wrong: RowsRequest) -> None:
    from dataclasses import replace

    trace = make_trace()
    store.publish(trace)
    with pytest.raises(UsageError):
        store.rows([replace(wrong, trace_id=trace.trace_id)])


@given(st.text("ab*?.[", max_size=8), st.text("ab.[", max_size=8))
def test_a_pattern_means_what_the_shell_means(pattern: str, text: str) -> None:
    import re

    as_shell = fnmatch.fnmatchcase(text, pattern.replace("[", "[[]"))
    assert bool(re.fullmatch(glob_pattern(pattern), text)) == as_shell


ORDERS = ("row", "name", "start_ns", "duration_ns", "flops", "waves")


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    """What may be asked of any trace's operators."""
    low = st.none() | st.integers(-(2**62), 2**62) | st.sampled_from([0, 2**31 - 1])
    conditions = {
        "rank": st.builds(Condition, st.just("rank"), st.lists(st.integers(0, 3), max_size=2).map(tuple)),
        "name": st.builds(Condition, st.just("name"), glob=st.sampled_from(["*", "m*", "?", "*a*", "😀", ""])),
        "kind": st.builds(Condition, st.just("kind"), st.lists(st.integers(0, 99), max_size=3).map(tuple)),
        "start_ns": st.builds(Condition, st.just("start_ns"), low=low, high=low),
        "lane": st.builds(Condition, st.just("lane"), st.lists(st.integers(0, 2), max_size=2).map(tuple)),
        "group.name": st.builds(Condition, st.just("group.name"), glob=st.sampled_from(["*", "?*", "mm"])),
        "lane.device": st.builds(Condition, st.just("lane.device"), low=low),
    }
    chosen = draw(st.lists(st.sampled_from(sorted(conditions)), max_size=2, unique=True))
    order = Order(draw(st.sampled_from(ORDERS)), draw(st.booleans()))
    return {"where": tuple(draw(conditions[name]) for name in chosen), "order": order, "first": draw(st.integers(1, 4))}


def _value(trace: Trace, table: str, row: int, name: str) -> Any:
    own, _, rest = name.partition(".")
    value = trace.tables[table].value(own, row)
    if rest:
        return None if value in (None, -1) else _value(trace, TABLES[table].column(own).refers, value, rest)
    return value


def _satisfies(value: Any, condition: Condition) -> bool:
    if value is None:
        return False
    return (
        (condition.any_of is None or value in condition.any_of)
        and (condition.low is None or value >= condition.low)
        and (condition.high is None or value <= condition.high)
        and (condition.glob is None or fnmatch.fnmatchcase(value, condition.glob))
    )


def _expected(trace: Trace, asked: Mapping[str, Any]) -> list[int]:
    rows = [
        row for row in range(len(trace))
        if all(_satisfies(_value(trace, "operators", row, c.column), c) for c in asked["where"])
    ]  # fmt: skip
    order: Order = asked["order"]
    if order.column == "row":
        return rows[::-1] if order.descending else rows
    values = {row: trace.operators.value(order.column, row) for row in rows}
    known = [row for row in rows if values[row] is not None]
    known.sort(key=values.__getitem__, reverse=order.descending)  # stable, in both directions
    return known + [row for row in rows if values[row] is None]


@given(trace=any_traces(), asked=st.lists(requests(), min_size=1, max_size=4))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_pages_of_any_trace_are_those_of_a_plain_look(store: Store, trace: Trace, asked: list[dict[str, Any]]) -> None:
    store.publish(trace)
    try:
        for one_asked in asked:
            found: list[int] = []
            after, more = None, True
            while more:
                page = one(store, trace, *one_asked["where"], after=after, **_but_where(one_asked))
                found += [row["row"] for row in page.rows]
                more = page.more
                if page.rows:
                    last = page.rows[-1]
                    after = (
                        None if one_asked["order"].column == "row" else last[one_asked["order"].column],
                        last["row"],
                    )
            assert found == _expected(trace, one_asked)
    finally:
        store.remove(trace.trace_id)


def _but_where(asked: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in asked.items() if name != "where"}
