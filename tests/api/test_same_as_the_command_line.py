"""What the API answers is what `--json` prints: the same names, the same values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from etgraph.api.generating.types import MOST
from etgraph.api.schema import SCHEMA
from etgraph.cli.documents import result_document, trace_document
from etgraph.model import Trace
from etgraph.model.errors import EtgraphError
from etgraph.model.result_tables import ResultRow
from etgraph.model.results import camel_case
from etgraph.queries.questions import QUESTIONS, field_of
from etgraph.queries.saving import type_of_answers
from etgraph.sim.profiles import load
from etgraph.store import Store
from support.asking import Ask, asking
from support.device_trace import on_a_device
from support.selections import everything


@pytest.fixture(scope="module")
def device_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with the trace above."""
    from etgraph.store import connect

    store = connect(tmp_path_factory.mktemp("devices"))
    store.publish(on_a_device(), workload="device")
    return store


def same(found: Any, expected: Any, where: str) -> list[str]:
    """Where two answers differ in what both have, and what the first one lacks."""
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        lacking = [f"{where}.{name} is missing" for name in expected if name not in found]
        return lacking + [
            told for name in expected if name in found for told in same(found[name], expected[name], f"{where}.{name}")
        ]
    if isinstance(expected, list) and isinstance(found, list):
        shown = expected[:MOST]
        if len(found) != len(shown):
            return [f"{where}: {len(found)} rows, expected {len(shown)}"]
        return [told for at, (a, b) in enumerate(zip(found, shown)) for told in same(a, b, f"{where}[{at}]")]
    return [] if found == expected and type(found) is type(expected) else [f"{where}: {found!r}, expected {expected!r}"]


def asked(question: str, trace: Trace) -> tuple[Any, list[str]]:
    """The answer as JSON, or why there is none."""
    try:
        return result_document(QUESTIONS[question](trace)), []
    except EtgraphError as error:
        return None, [error.message]


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("reference", ["dlrm", "gpt@base", "device"])
def test_every_question(ask: Ask, samples_store: Store, device_store: Store, question: str, reference: str) -> None:
    store = device_store if reference == "device" else samples_store
    trace, name = store.load(reference), camel_case(field_of(question))
    declared = SCHEMA.graphql_schema.type_map["Trace"].fields[name].type
    query = f'{{ trace(reference: "{reference}") {{ {name} {everything(declared)} }} }}'
    found = asking(store)(query)
    expected, refused = asked(question, trace)
    assert [each.message for each in found.errors or ()] == refused
    if expected is not None:
        assert same(found.data["trace"][name], expected, name) == []


CHOICES = [
    ("breakdown", "by: family, each: true", {"by": "family", "each": True}),
    ("breakdown", "rank: 1, iteration: 0", {"rank": 1, "iteration": 0}),
    ("hotspots", 'by: size, profile: "a100-40gb"', {"by": "size", "profile": load("a100-40gb")}),
    ("operators", "by: scope, lane: host", {"by": "scope", "lane": "host"}),
    ("stragglers", "explain: all, iteration: [0]", {"explain": "all", "iteration": (0,)}),
    ("slack", "waiting: slack", {"waiting": "slack"}),
    ("iterations", "window: annotation", {"window": "annotation"}),
]


@pytest.mark.parametrize(("question", "arguments", "choices"), CHOICES, ids=[f"{q}({a})" for q, a, _ in CHOICES])
def test_options(ask: Ask, samples_store: Store, question: str, arguments: str, choices: dict[str, Any]) -> None:
    name = camel_case(field_of(question))
    declared = SCHEMA.graphql_schema.type_map["Trace"].fields[name].type
    found = ask(f'{{ trace(reference: "dlrm") {{ {name}({arguments}) {everything(declared)} }} }}')
    assert not found.errors, found.errors
    expected = result_document(QUESTIONS[question](samples_store.load("dlrm"), **choices))
    assert same(found.data["trace"][name], expected, name) == []


def test_a_question_on_a_simulation(ask: Ask, samples_store: Store) -> None:
    from etgraph.queries import answer, saved_simulations

    (kept,) = saved_simulations(samples_store, "dlrm")
    asked_for = f'breakdown(simulation: "{kept.id[:8]}") {{ windows {{ rank idleNs }} trust {{ warnings }} }}'
    found = ask(f'{{ trace(reference: "dlrm") {{ {asked_for} }} }}')
    expected = result_document(answer(samples_store, "dlrm", "breakdown", simulation=kept.id, save=False))
    windows = [{"rank": each["rank"], "idleNs": each["idleNs"]} for each in expected["windows"]]
    assert found.data["trace"]["breakdown"] == {
        "windows": windows,
        "trust": {"warnings": expected["trust"]["warnings"]},
    }


def test_a_trace_of_the_catalogue(ask: Ask, samples_store: Store) -> None:
    expected = trace_document(samples_store.find("gpt@base"))
    del expected["operators"], expected["collectives"]  # connections, whose counts these are
    types = SCHEMA.graphql_schema.type_map
    plain = " ".join(f"{name} {everything(types['Trace'].fields[name].type)}" for name in expected)
    counts = "operators { totalCount } collectives { totalCount }"
    found = ask(f'{{ trace(reference: "gpt@base") {{ {plain} {counts} }} }}')
    assert not found.errors, found.errors
    for file in expected["report"]["files"]:
        file.setdefault("metadata", None)
    assert same(found.data["trace"], expected, "trace") == []
    info = samples_store.find("gpt@base")
    assert found.data["trace"]["operators"]["totalCount"] == info.operators
    assert found.data["trace"]["collectives"]["totalCount"] == info.collectives


def test_the_simulations_of_a_trace(ask: Ask, samples_store: Store) -> None:
    from etgraph.queries import simulations

    kind = SCHEMA.graphql_schema.type_map["Query"].fields["simulations"].type
    found = ask(f'{{ simulations(reference: "dlrm") {everything(kind)} }}')
    expected = result_document(simulations(samples_store, "dlrm"), leave_out=("operators",))
    assert same(found.data["simulations"], expected, "simulations") == []


def test_the_profiles(ask: Ask) -> None:
    from etgraph.cli.views.profiles import profile_document

    kind = SCHEMA.graphql_schema.type_map["HardwareProfile"]
    found = ask(f'{{ hardwareProfile(name: "epyc-9654-gloo-8") {everything(kind)} }}')
    assert not found.errors, found.errors
    expected = profile_document(load("epyc-9654-gloo-8"))
    assert same(found.data["hardwareProfile"], expected, "profile") == []


@pytest.mark.parametrize("question", QUESTIONS)
def test_tables_have_the_columns_that_they_declare(question: str, samples_store: Store) -> None:
    from etgraph.model.result_tables import declared_fields

    declared = {
        name: extra
        for name, hint in declared_fields(type_of_answers(question)).items()
        for extra in getattr(hint, "__metadata__", ())
        if isinstance(extra, ResultRow)
    }
    if not declared:
        return
    trace = on_a_device() if question in ("device-use", "memory") else samples_store.load("dlrm")
    answer = QUESTIONS[question](trace)
    for name, row in declared.items():
        found = [(field.name, str(field.type)) for field in getattr(answer, name).schema]
        plain = [(column, "string" if kind.startswith("dictionary<values=string") else kind) for column, kind in found]
        assert plain == [(column.name, column.type) for column in row.columns], name


def test_long_tables_come_in_windows(ask: Ask, samples_store: Store) -> None:
    found = ask('{ trace(reference: "dlrm") { slack { a: operators(first: 2, offset: 3) { index } } } }')
    assert found.data["trace"]["slack"]["a"] == [{"index": 3}, {"index": 4}]
    too_many = ask('{ trace(reference: "dlrm") { slack { operators(first: 1001) { index } } } }')
    assert [each.message for each in too_many.errors] == ["first: found 1001, expected 0 to 1000"]
