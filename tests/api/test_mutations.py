"""Mutations: what is done is done in the store, and what goes wrong is an outcome with a type."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from etgraph.model import Trace
from etgraph.store import Store, connect
from support.asking import asking
from support.build import build
from support.uploading import working

Do = Callable[..., Any]

STEP = """
    rank 0 | thread 1 | iteration ProfilerStep#1  0..100
    rank 0 | thread 1 | aten::mm                  0..60
    rank 0 | thread 1 | aten::relu               60..100
"""
ERROR = "__typename ... on Error { message hint code }"


def small(name: str) -> Trace:
    """A small trace with an id of that letter."""
    return replace(build(STEP), trace_id=name * 64)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store with two traces of a workload, and one of another."""
    with connect(tmp_path / "store") as opened:
        opened.publish(small("a"), workload="gpt")
        opened.publish(small("b"), workload="gpt")
        opened.publish(small("a"), workload="other")
        yield opened


@pytest.fixture
def do(store: Store) -> Do:
    """The outcome of a mutation."""

    def do(mutation: str, **variables: Any) -> Any:
        found = asking(store)(f"mutation {mutation}", **variables)
        assert not found.errors, found.errors
        ((_, outcome),) = found.data.items()
        return outcome

    return do


def test_a_tag_names_a_trace(store: Store, do: Do) -> None:
    tag = (
        f'{{ tagTrace(reference: "gpt", name: "base") {{ {ERROR} ... on TagTraceSuccess {{ trace {{ id tags }} }} }} }}'
    )
    assert do(tag) == {"__typename": "TagTraceSuccess", "trace": {"id": "b" * 64, "tags": ["base"]}}
    assert store.find("gpt@base").id == "b" * 64
    untag = '{ untagTrace(workload: "gpt", name: "base") { __typename ... on UntagTraceSuccess { workload name } } }'
    assert do(untag) == {"__typename": "UntagTraceSuccess", "workload": "gpt", "name": "base"}
    assert store.find("gpt").tags == ()


def test_labels_are_of_the_entry_that_was_named(store: Store, do: Do) -> None:
    found = do(
        """($labels: [LabelInput!]!) { labelTrace(reference: "other", labels: $labels) {
            ... on LabelTraceSuccess { trace { workload labels } } } }""",
        labels=[{"key": "reviewed", "value": "yes"}, {"key": "gpu", "value": "h100"}],
    )
    assert found == {"trace": {"workload": "other", "labels": {"reviewed": "yes", "gpu": "h100"}}}
    assert store.traces(workload="gpt")[0].labels == {}


def test_labels_are_set_together_or_not_at_all(store: Store, do: Do) -> None:
    both = '[{key: "fine", value: "x"}, {key: "", value: "x"}]'
    assert do(f'{{ labelTrace(reference: "gpt", labels: {both}) {{ __typename }} }}') == {
        "__typename": "BadUserInputError"
    }
    assert store.find("gpt").labels == {}


def test_a_trace_is_deleted(store: Store, do: Do) -> None:
    assert do('{ deleteTrace(reference: "gpt") { ... on DeleteTraceSuccess { id } } }') == {"id": "b" * 64}
    assert [each.id[0] for each in store.traces()] == ["a", "a"]


SIMULATE = """
($profile: String, $save: Boolean = false) {
  simulate(reference: "gpt", profile: $profile, save: $save) {
    __typename
    ... on Error { message code }
    ... on SimulateSuccess {
      simulation { id simulator profile makespanNs measuredNs error nodes(first: 1) { rank index startNs durationNs } }
      job { state }
      trace { simulations { id } }
    }
  }
}
"""


def test_a_replay(store: Store, do: Do) -> None:
    found = do(SIMULATE)["simulation"]
    assert (found["simulator"], found["measuredNs"], found["makespanNs"]) == ("etgraph replay", 100, 100)
    assert found["nodes"] == [{"rank": 0, "index": 0, "startNs": 0, "durationNs": 60}]
    assert store.artefacts("b" * 64) == []


def test_a_prediction_is_kept_where_that_is_asked(store: Store, do: Do) -> None:
    with working(store):
        found = do(SIMULATE, profile="epyc-9654", save=True)
    assert found["job"] == {"state": "done"}
    assert found["simulation"] == do(SIMULATE, profile="epyc-9654")["simulation"]
    assert found["simulation"]["profile"] == "epyc-9654"
    assert found["trace"]["simulations"] == [{"id": found["simulation"]["id"]}]
    assert [each.key for each in store.artefacts("b" * 64)] == [found["simulation"]["id"]]


@pytest.mark.parametrize(
    ("mutation", "kind", "code"),
    [
        ('tagTrace(reference: "nope", name: "x")', "NotFoundError", "NOT_FOUND"),
        ('tagTrace(reference: "gpt", name: "a@b")', "BadUserInputError", "BAD_USER_INPUT"),
        ('untagTrace(workload: "gpt", name: "x")', "NotFoundError", "NOT_FOUND"),
        ('labelTrace(reference: "gpt", labels: [{key: "", value: "x"}])', "BadUserInputError", "BAD_USER_INPUT"),
        ('deleteTrace(reference: "nope")', "NotFoundError", "NOT_FOUND"),
        ('simulate(reference: "gpt", profile: "nope")', "NotFoundError", "NOT_FOUND"),
        ('simulate(reference: "gpt", profile: "../../etc/passwd")', "NotFoundError", "NOT_FOUND"),
    ],
)  # fmt: skip
def test_what_a_client_must_reckon_with_is_a_value(do: Do, mutation: str, kind: str, code: str) -> None:
    found = do(f"{{ {mutation} {{ {ERROR} }} }}")
    assert (found["__typename"], found["code"]) == (kind, code)
    assert found["message"]


def test_a_store_that_cannot_be_written(store: Store, do: Do, monkeypatch: pytest.MonkeyPatch) -> None:
    from etgraph.store.errors import ReadOnlyStore

    def refuse(*_: Any) -> None:
        raise ReadOnlyStore("it cannot be written")

    monkeypatch.setattr(type(store), "tag", refuse)
    found = do(f'{{ tagTrace(reference: "gpt", name: "x") {{ {ERROR} }} }}')
    assert found == {
        "__typename": "ReadOnlyStoreError", "message": "it cannot be written", "hint": None, "code": "READ_ONLY",
    }  # fmt: skip


def test_a_mutation_sees_what_the_one_before_it_did(store: Store) -> None:
    found = asking(store)(
        """mutation { a: tagTrace(reference: "gpt", name: "x") { __typename }
            b: labelTrace(reference: "gpt@x", labels: [{key: "k", value: "v"}]) {
                ... on LabelTraceSuccess { trace { tags labels } } } }"""
    )
    assert found.data["b"] == {"trace": {"tags": ["x"], "labels": {"k": "v"}}}
