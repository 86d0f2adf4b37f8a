"""Ids of nodes, what scalars take, and who may ask what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from etgraph.api.access import SCOPES
from etgraph.api.fetch.tokens import node_id
from etgraph.store import Store
from support.asking import Ask, asking

Get = Callable[..., Any]


def test_every_node_is_found_by_its_id(get: Get) -> None:
    trace = get(
        """{ trace(reference: "gpt@base") { id operators(first: 1) { nodes { id } }
        collectives(first: 1) { nodes { id } } lanes(first: 1) { nodes { id } }
        processGroups(first: 1) { nodes { id } } }
        workload(name: "gpt") { id } }"""
    )
    ids = {
        "Trace": trace["trace"]["id"],
        "Workload": trace["workload"]["id"],
        "Operator": trace["trace"]["operators"]["nodes"][0]["id"],
        "Collective": trace["trace"]["collectives"]["nodes"][0]["id"],
        "Lane": trace["trace"]["lanes"]["nodes"][0]["id"],
        "ProcessGroup": trace["trace"]["processGroups"]["nodes"][0]["id"],
    }
    assert len(set(ids.values())) == len(ids)
    for kind, text in ids.items():
        assert get("query ($id: ID!) { node(id: $id) { __typename id } }", id=text)["node"] == {
            "__typename": kind, "id": text,
        }  # fmt: skip


@pytest.mark.parametrize(
    "text",
    ["", "x", "e" * 64, "W10", node_id("Operator", "e" * 64, 5, 0), node_id("Operator", "nope", 5, 0),
     node_id("None", 1), node_id("Workload", "nope"), node_id("Workload", 1), node_id("Operator", 1, 2, 3), "A" * 9999],
)  # fmt: skip
def test_what_is_no_node(ask: Ask, text: str) -> None:
    (error,) = ask("query ($id: ID!) { node(id: $id) { id } }", id=text).errors
    assert error.original_error.code == "NOT_FOUND"


def test_an_id_holds_for_one_revision(ask: Ask, samples_store: Store) -> None:
    info = samples_store.find("dlrm")
    for text in (
        node_id("Operator", info.id, info.revision + 1, 0),
        node_id("Operator", info.id, info.revision, 2**30),
    ):
        (error,) = ask("query ($id: ID!) { node(id: $id) { id } }", id=text).errors
        assert error.original_error.code == "NOT_FOUND"


@pytest.mark.parametrize("literal", ["1.5", '"1"', "true", "9007199254740993", "null"])
def test_times_are_whole_numbers(ask: Ask, literal: str) -> None:
    query = f'{{ trace(reference: "dlrm") {{ operators(filter: {{startNs: {{min: {literal}}}}}) {{ totalCount }} }} }}'
    assert bool(ask(query).errors) == (literal != "null")


@pytest.mark.parametrize("value", [1.5, "1", True, 2**53 + 1, [1]])
def test_times_in_variables_are_too(ask: Ask, value: Any) -> None:
    query = """query ($min: Nanoseconds) { trace(reference: "dlrm") {
        operators(filter: {startNs: {min: $min}}) { totalCount } } }"""
    assert ask(query, min=value).errors
    assert not ask(query, min=1.0).errors


def test_a_bound_of_32_bits_is_no_bound(get: Get, samples_store: Store) -> None:
    query = """query ($min: Nanoseconds) { trace(reference: "dlrm") {
        operators(filter: {startNs: {min: $min}}) { totalCount } } }"""
    assert get(query, min=-(2**53))["trace"]["operators"]["totalCount"] > 0
    assert get(query, min=2**53)["trace"]["operators"]["totalCount"] == 0


def test_cypher_is_for_administrators(samples_store: Store) -> None:
    query = '{ cypher(query: "MATCH (n) RETURN n") { rows } }'
    (error,) = asking(samples_store, scopes={"read"})(query).errors
    assert error.original_error.code == "FORBIDDEN"
    (error,) = asking(samples_store, scopes=frozenset({"read", "admin"}))(query).errors
    assert "Cypher needs a Neo4j store" in error.message


def test_the_library_is_listed_with_its_parameters(get: Get) -> None:
    from etgraph.cli.views.cypher import query_document
    from etgraph.queries import library

    found = get(
        """{ namedQueries { name summary description parameters { name type meaning optional default low high required }
        columns { name type unit meaning nullable } } }"""
    )["namedQueries"]
    assert found == [query_document(library.load(name)) for name in library.names()]


@pytest.mark.parametrize("parameters", ["{timeout_s: 1}", '{trace: "dlrm"}', "{}"])
def test_the_library_needs_neo4j(ask: Ask, parameters: str) -> None:
    (error,) = ask(f'{{ namedQuery(name: "longest_operators", parameters: {parameters}) {{ rows }} }}').errors
    assert error.original_error.code == "BAD_USER_INPUT"


def test_who_asks_and_what_answers(get: Get) -> None:
    found = get("{ viewer { name team scopes } serverInfo { version revision store questions simulators } }")
    assert found["viewer"] == {"name": "tester", "team": None, "scopes": sorted(SCOPES)}
    assert found["serverInfo"]["store"] == "local"
    assert "critical-path" in found["serverInfo"]["questions"]


HALF = "half a pair: \ud800"


@pytest.mark.parametrize(
    "field",
    [
        "trace(reference: $text) { id }",
        "traces(workload: $text) { totalCount }",
        "traces(labels: [{key: $text, value: $text}]) { totalCount }",
        "workloads(team: $text) { totalCount }",
    ],
)
def test_a_text_that_is_no_unicode_is_refused(ask: Ask, field: str) -> None:
    (error,) = ask(f"query ($text: String!) {{ {field} }}", text=HALF).errors
    assert error.original_error.code == "BAD_USER_INPUT"
    assert "surrogate" in error.message
