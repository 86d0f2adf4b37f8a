"""Lists a page at a time: order, filters, cursors, and how often the store is asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from etgraph.model import NodeType, Trace
from etgraph.store import Store
from support.asking import Ask, CountingStore, asking

Get = Callable[..., Any]

OPERATORS = """
query Page($first: Int!, $after: String, $filter: OperatorFilter, $orderBy: OperatorOrder) {
  trace(reference: "dlrm") {
    operators(first: $first, after: $after, filter: $filter, orderBy: $orderBy) {
      totalCount
      pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
      edges { cursor }
      nodes { rank index name durationNs }
    }
  }
}
"""


def all_pages(get: Get, first: int, **asked: Any) -> list[dict[str, Any]]:
    """The nodes of all pages."""
    nodes: list[dict[str, Any]] = []
    after = None
    while True:
        page = get(OPERATORS, first=first, after=after, **asked)["trace"]["operators"]
        assert page["pageInfo"]["hasPreviousPage"] == (after is not None)
        nodes += page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            assert page["totalCount"] == len(nodes)
            return nodes
        after = page["pageInfo"]["endCursor"]
        assert after == page["edges"][-1]["cursor"]


def test_pages_hold_every_operator_once(get: Get, samples_store: Store) -> None:
    nodes = all_pages(get, 999)
    o = samples_store.load("dlrm").operators
    assert [(n["rank"], n["index"]) for n in nodes] == list(zip(o["rank"].tolist(), o["index"].tolist()))


def test_order_and_filter(get: Get, samples_store: Store) -> None:
    order = {"field": "durationNs", "descending": True}
    nodes = all_pages(get, 100, orderBy=order, filter={"name": "aten::add*", "rank": [1, 2]})
    trace = samples_store.load("dlrm")
    o = trace.operators
    names = np.array(o.texts("name").take(o["name"]).to_pylist(), dtype=object)
    rows = [
        row for row in range(len(trace))
        if names[row].startswith("aten::add") and o["rank"][row] in (1, 2)
    ]  # fmt: skip
    expected = sorted(-o["duration_ns"][row].item() for row in rows if not o.is_null("duration_ns")[row])
    assert [-node["durationNs"] for node in nodes if node["durationNs"] is not None] == expected
    assert len(nodes) == len(rows)


@pytest.mark.parametrize(
    ("given", "column", "holds"),
    [
        ({"kind": ["COMM_COLL"]}, "kind", lambda value: value is NodeType.COMM_COLL),
        ({"category": ["CPU_OP"]}, "category", lambda value: value.name == "CPU_OP"),
        ({"startNs": {"min": 10, "max": 50_000_000}}, "start_ns", lambda v: v is not None and 10 <= v <= 50_000_000),
        ({"flops": {"min": 1}}, "flops", lambda value: value is not None and value >= 1),
        ({"collective": [0, 2]}, "collective", lambda value: value in (0, 2)),
        ({"scope": "*"}, "scope", lambda value: value is not None),
        ({"index": [0, 7]}, "index", lambda value: value in (0, 7)),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else None,
)  # fmt: skip
def test_filters(get: Get, samples_store: Store, given: Any, column: str, holds: Callable[[Any], bool]) -> None:
    trace = samples_store.load("dlrm")
    expected = [trace.operators.value("index", row) for row in range(len(trace))
                if holds(trace.operators.value(column, row))]  # fmt: skip
    assert [node["index"] for node in all_pages(get, 1000, filter=given)] == expected
    assert expected


def test_a_cursor_is_of_one_list(ask: Ask, get: Get) -> None:
    order = {"field": "durationNs", "descending": True}
    end = get(OPERATORS, first=2, orderBy=order)["trace"]["operators"]["pageInfo"]["endCursor"]
    for wrong in (
        {"after": end},
        {"after": end, "orderBy": {"field": "durationNs"}},
        {"after": end, "orderBy": order, "filter": {"rank": [0]}},
        {"after": end[:-4], "orderBy": order},
        {"after": "nonsense"},
        {"after": "W10"},
        {"after": ""},
        {"after": "é" * 9},
        {"after": "A" * 100_000},
    ):
        (error,) = ask(OPERATORS, first=2, **wrong).errors
        assert error.original_error.code == "BAD_USER_INPUT", wrong
        assert "cursor" in error.message, wrong


def test_a_cursor_of_another_version_is_refused(ask: Ask) -> None:
    from etgraph.api.fetch.tokens import _packed, _unpacked

    end = ask(OPERATORS, first=2).data["trace"]["operators"]["pageInfo"]["endCursor"]
    version, *rest = _unpacked(end)
    assert ask(OPERATORS, first=2, after=_packed([version, *rest])).errors is None
    (error,) = ask(OPERATORS, first=2, after=_packed([version + 1, *rest])).errors
    assert error.original_error.code == "BAD_USER_INPUT"


@pytest.mark.parametrize(
    "place", [[], ["x", "y"], [None, -1], [None, "0"], [None, 2**40], [[1], 0], [True, 0], [None, 1, 2]]
)
def test_a_forged_place_is_refused(ask: Ask, place: list[Any]) -> None:
    from etgraph.api.fetch.tokens import _packed, _unpacked

    asked = {"first": 2, "orderBy": {"field": "durationNs"}}
    version, fingerprint, *_ = _unpacked(ask(OPERATORS, **asked).data["trace"]["operators"]["pageInfo"]["endCursor"])
    (error,) = ask(OPERATORS, **asked, after=_packed([version, fingerprint, *place])).errors
    assert error.original_error.code == "BAD_USER_INPUT"


@pytest.mark.parametrize("first", [-1, 1001])
def test_a_page_has_bounds(ask: Ask, first: int) -> None:
    (error,) = ask(OPERATORS, first=first).errors
    assert error.message == f"first: found {first}, expected 0 to 1000"


AROUND = """
query ($filter: OperatorFilter) {
  trace(reference: "gpt@base") {
    operators(filter: $filter) {
      nodes {
        name nodeId attributes parent { rank index } lane { kind recordedId rank } iteration { index rank }
        group { name ranks } collective { index type operators { totalCount nodes { rank } } }
        predecessors { nodes { kind method confidence operator { rank index } } }
      }
    }
  }
}
"""


def around(get: Get, trace: Trace, row: int) -> Any:
    """What is around the operator in a row of the trace."""
    o = trace.operators
    found = get(AROUND, filter={"rank": [int(o["rank"][row])], "index": [int(o["index"][row])]})
    (node,) = found["trace"]["operators"]["nodes"]
    return node


def test_an_operator_knows_what_is_around_it(get: Get, samples_store: Store) -> None:
    trace = samples_store.load("gpt@base")
    o, d = trace.operators, trace.dependencies
    row = int(np.flatnonzero((o["parent"] >= 0) & ~o.is_null("node_id") & (o["attrs"] >= 0) & (o["lane"] >= 0))[40])
    node = around(get, trace, row)
    parent = int(o["parent"][row])
    assert node["parent"] == {"rank": int(o["rank"][parent]), "index": int(o["index"][parent])}
    assert node["attributes"] == trace.operator_attributes(row)
    assert node["nodeId"] == str(o.value("node_id", row))
    assert node["lane"]["recordedId"] == trace.lanes.value("id", int(o["lane"][row]))
    iteration = int(o["iteration"][row])
    assert node["iteration"]["index"] == int(trace.iterations["index"][iteration])
    expected = [
        (d.value("kind", edge).name, d.value("method", edge), int(o["index"][d["src"][edge]]))
        for edge in np.flatnonzero(d["dst"] == row).tolist()
    ]
    found = node["predecessors"]["nodes"]
    assert [(each["kind"], each["method"], each["operator"]["index"]) for each in found] == expected
    assert expected


def test_an_operator_of_a_collective_knows_whom_it_meets(get: Get, samples_store: Store) -> None:
    trace = samples_store.load("gpt@base")
    o = trace.operators
    row = int(np.flatnonzero(o["collective"] >= 0)[0])
    collective = int(o["collective"][row])
    node = around(get, trace, row)
    members = np.flatnonzero(o["collective"] == collective)
    assert len(members) > 1
    assert node["collective"]["index"] == collective
    assert node["collective"]["type"] == trace.collectives.value("type", collective).name
    assert [each["rank"] for each in node["collective"]["operators"]["nodes"]] == o["rank"][members].tolist()
    assert node["group"]["ranks"] == list(trace.group_ranks[int(o["group"][row])])


def test_neighbours_come_in_pages_and_by_kind(get: Get, samples_store: Store) -> None:
    trace = samples_store.load("dlrm")
    counts = np.bincount(trace.dependencies["src"], minlength=len(trace))
    row = int(np.argmax(counts))
    rank, index = (int(trace.operators[name][row]) for name in ("rank", "index"))
    query = """query ($filter: OperatorFilter, $after: String, $kinds: [DependencyKind!]) {
        trace(reference: "dlrm") { operators(filter: $filter) { nodes {
            successors(first: 7, after: $after, kinds: $kinds) {
                pageInfo { hasNextPage endCursor } nodes { kind operator { rank index } }
            } } } } }"""
    asked = {"filter": {"rank": [rank], "index": [index]}}
    found, after, more = [], None, True
    while more:
        (node,) = get(query, after=after, **asked)["trace"]["operators"]["nodes"]
        found += node["successors"]["nodes"]
        more, after = (node["successors"]["pageInfo"][name] for name in ("hasNextPage", "endCursor"))
    d, o = trace.dependencies, trace.operators
    edges = np.flatnonzero(d["src"] == row)
    assert [each["operator"]["index"] for each in found] == o["index"][d["dst"][edges]].tolist()
    (node,) = get(query, kinds=["COLLECTIVE"], **asked)["trace"]["operators"]["nodes"]
    assert node["successors"]["nodes"] == []


def test_predicted_times_stand_beside_the_measured(get: Get, samples_store: Store) -> None:
    from etgraph.queries import load_simulation, saved_simulations

    (kept,) = saved_simulations(samples_store, "dlrm")
    nodes = load_simulation(samples_store, "dlrm", kept.id).nodes.slice(0, 50).to_pylist()
    found = get(
        """{ trace(reference: "dlrm") { operators(first: 50) { nodes { startNs durationNs
            predictions { simulation simulator startNs durationNs durationLowNs source } } } } }"""
    )["trace"]["operators"]["nodes"]
    for node, predicted in zip(found, nodes, strict=True):
        assert node["predictions"] == [
            {
                "simulation": kept.id, "simulator": kept.simulator, "startNs": predicted["start_ns"],
                "durationNs": predicted["duration_ns"], "durationLowNs": predicted["duration_low_ns"],
                "source": predicted["source"],
            }
        ]  # fmt: skip


NESTED = """{ traces { totalCount nodes { workload operators(first: 20) { totalCount nodes {
    name attributes lane { recordedId } iteration { index } parent { name lane { kind } } group { ranks }
    collective { index operators { nodes { rank } } } predictions { durationNs }
    predecessors(first: 3) { nodes { operator { name parent { name }
        successors(first: 2) { nodes { operator { name } } } } } } } }
    collectives(first: 5) { nodes { group { name } operators(first: 3) { nodes { rank parent { name } } } } }
    lanes { nodes { kind } } } } }"""


def test_the_store_is_asked_once_a_level(samples_store: Store) -> None:
    counted = CountingStore(samples_store)
    found = asking(counted)(NESTED)
    assert not found.errors, found.errors
    assert [len(each["operators"]["nodes"]) for each in found.data["traces"]["nodes"]] == [20, 20, 20]
    # operators, their lanes, iterations, parents (and the parents' lanes), groups, collectives and their members,
    # parents of what they depend on; collectives, their groups, members and the members' parents; lanes
    assert counted.calls["rows"] <= 14
    assert counted.calls["count_rows"] == 1
    assert counted.calls["neighbours"] == 2
    assert counted.calls["attributes"] == 1
    assert counted.calls["traces"] == 1
    assert counted.calls["load"] == 0
    assert counted.calls["artefacts"] == 3


@pytest.mark.parametrize("first", [1, 3])
def test_calls_do_not_grow_with_rows(samples_store: Store, first: int) -> None:
    counts = []
    for rows in (20, 60):
        counted = CountingStore(samples_store)
        query = f"""{{ traces(first: {first}) {{ nodes {{ operators(first: {rows}) {{ nodes {{ name parent {{ name }}
            predecessors(first: {rows}) {{ nodes {{ operator {{ name lane {{ kind }} }} }} }} }} }} }} }} }}"""
        assert asking(counted)(query).errors is None
        counts.append(counted.calls.total())
    assert counts == [5, 5]


def test_one_trace_is_opened_once_for_many_questions(samples_store: Store) -> None:
    counted = CountingStore(samples_store)
    found = asking(counted)(
        """{ trace(reference: "gpt") { breakdown { windows { rank } } a: hotspots { rows { key } }
        b: hotspots(by: size) { rows { key } } iterationSummary { count } slack { lengthNs } } }"""
    )
    assert found.errors is None
    assert counted.calls["load"] == 1


def test_the_traces_of_workloads_are_fetched_at_once(samples_store: Store) -> None:
    counted = CountingStore(samples_store)
    found = asking(counted)(
        "{ workloads { nodes { name tags traces(first: 1) { totalCount nodes { id workload } } } } }"
    )
    nodes = found.data["workloads"]["nodes"]
    assert {node["name"]: node["traces"]["totalCount"] for node in nodes} == {"gpt": 2, "dlrm": 1}
    assert [node["traces"]["nodes"][0]["workload"] for node in nodes] == [node["name"] for node in nodes]
    assert counted.calls == {"workloads": 1, "traces": 1}


def test_traces_by_workload_team_and_label(get: Get) -> None:
    query = """query ($workload: String, $team: String, $labels: [LabelInput!], $after: String, $first: Int = 9) {
        traces(workload: $workload, team: $team, labels: $labels, after: $after, first: $first) {
            totalCount pageInfo { hasNextPage endCursor } nodes { workload tags } } }"""
    assert get(query)["traces"]["totalCount"] == 3
    assert get(query, workload="gpt")["traces"]["totalCount"] == 2
    assert get(query, team="ads")["traces"]["nodes"] == [{"workload": "dlrm", "tags": []}]
    labelled = get(query, labels=[{"key": "parallel", "value": "tp2_pp2"}])["traces"]["nodes"]
    assert labelled == [{"workload": "gpt", "tags": ["base"]}]
    first = get(query, first=2)["traces"]
    rest = get(query, first=2, after=first["pageInfo"]["endCursor"])["traces"]
    assert [len(first["nodes"]), len(rest["nodes"])] == [2, 1]
    assert (first["pageInfo"]["hasNextPage"], rest["pageInfo"]["hasNextPage"]) == (True, False)


def test_tags(get: Get) -> None:
    assert get("{ tags { workload name trace { labels } } }")["tags"] == [
        {"workload": "gpt", "name": "base", "trace": {"labels": {"parallel": "tp2_pp2"}}}
    ]
    assert get('{ tags(workload: "dlrm") { name } }')["tags"] == []
