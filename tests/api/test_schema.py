"""The schema as a contract: described throughout, printed in the docs, and changed only by adding."""

from __future__ import annotations

from pathlib import Path

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    build_schema,
    find_breaking_changes,
    is_interface_type,
    is_object_type,
    is_specified_scalar_type,
)

from etgraph.api.limits.weights import WEIGHTS
from etgraph.api.schema import SCHEMA
from etgraph.api.schema.printed import PRINTED, printed
from etgraph.model.results import camel_case
from etgraph.queries.questions import QUESTIONS, field_of

ROOT = Path(__file__).resolve().parents[2]
COMMITTED = (ROOT / PRINTED).read_text("utf-8")


def test_everything_is_described() -> None:
    lacking = []
    for name, kind in SCHEMA.graphql_schema.type_map.items():
        if name.startswith("__") or is_specified_scalar_type(kind):
            continue
        if not kind.description:
            lacking.append(name)
        if isinstance(kind, GraphQLEnumType):
            lacking += [f"{name}.{value}" for value, told in kind.values.items() if not told.description]
        if is_object_type(kind) or is_interface_type(kind) or isinstance(kind, GraphQLInputObjectType):
            for field, told in kind.fields.items():
                if not told.description:
                    lacking.append(f"{name}.{field}")
                lacking += [f"{name}.{field}({a})" for a, t in getattr(told, "args", {}).items() if not t.description]
    assert lacking == []


def test_descriptions_speak_of_graphql() -> None:
    told = [line for line in printed().splitlines() if "None" in line or "`window_ns`" in line]
    assert told == []


def test_the_printed_schema_is_current() -> None:
    assert printed() == COMMITTED, f"write it again: python -m etgraph.api.schema.printed > {PRINTED}"


def test_nothing_that_clients_rely_on_is_gone() -> None:
    changes = find_breaking_changes(build_schema(COMMITTED), build_schema(printed()))
    assert [change.description for change in changes] == []


def test_a_field_that_goes_is_a_breaking_change() -> None:
    before = build_schema(COMMITTED.replace("  slack(", "  gone: Int\n  slack(", 1))
    (change,) = find_breaking_changes(before, build_schema(printed()))
    assert change.description == "Trace.gone was removed."


@pytest.mark.parametrize("question", QUESTIONS)
def test_every_question_is_a_field(question: str) -> None:
    trace = SCHEMA.graphql_schema.type_map["Trace"]
    assert camel_case(field_of(question)) in trace.fields


@pytest.mark.parametrize("place", WEIGHTS)
def test_what_is_heavy_is_a_field(place: str) -> None:
    kind, _, field = place.partition(".")
    assert field in SCHEMA.graphql_schema.type_map[kind].fields


def test_the_names_of_the_interface_are_there() -> None:
    types = SCHEMA.graphql_schema.type_map
    for kind, names in {
        "Query": "trace traces workloads workload hardwareProfiles hardwareProfile simulations tags namedQueries "
        "namedQuery cypher serverInfo viewer node comparison waterfall",
        "Trace": "breakdown criticalPath slack hotspots communicationMatrix stragglers operatorSummary memory "
        "iterationSummary deviceUse simulations operators collectives waterfall whatIf findings",
        "Mutation": "tagTrace untagTrace labelTrace deleteTrace simulate",
    }.items():
        assert set(names.split()) <= set(types[kind].fields), kind
