"""What brings other servers down, tried on this one: each attack ends in an error that names the limit."""

from __future__ import annotations

import time

import pytest
from graphql import get_introspection_query, parse

from etgraph.api.errors import CostExceeded
from etgraph.api.limits import Documents, Limits, described
from etgraph.api.limits.shape import Shape, shape_of
from etgraph.store import Store
from support.api import application, codes, post
from support.api_schema import schema


def nested(depth: int, inside: str = "name") -> str:
    """A document with fields inside each other, the innermost one at that depth."""
    return "{ item " + "{ inner " * (depth - 2) + "{ " + inside + " }" + " }" * (depth - 2) + " }"


def bomb(rounds: int) -> str:
    """Fragments that unfold to 2ⁿ fields, each one spreading the next one twice."""
    fragments = [
        f"fragment f{n} on Item {{ a: inner {{ ...f{n + 1} }} b: inner {{ ...f{n + 1} }} }}" for n in range(rounds)
    ]
    return "\n".join(["{ item { ...f0 } }", *fragments, f"fragment f{rounds} on Item {{ name }}"])


def wide_bomb(rounds: int) -> str:
    """The same within one selection."""
    fragments = [f"fragment f{n} on Item {{ ...f{n + 1} ...on Item {{ ...f{n + 1} }} }}" for n in range(rounds)]
    return "\n".join(["{ item { ...f0 } }", *fragments, f"fragment f{rounds} on Item {{ name }}"])


ATTACKS = {
    "tokens": ("{ " + "hello " * 2_000 + "}", "Document contains more than 2000 tokens"),
    "comments": ("#\n" * 2_001 + "{ hello }", "Document contains more than 2000 comments"),
    "characters": ("{ hello }" + " " * (64 << 10), "the document has 65,545 characters, 65,536 are allowed"),
    "nesting": ("{ item " * 300 + "}" * 300, "nested too deeply"),
    "values inside each other": (f"{{ hello(name: {'[' * 300}{']' * 300}) }}", "nested too deeply"),
    "aliases": ("{ item { " + " ".join(f"a{n}: name" for n in range(101)) + " } }", "101 aliases, 100 are allowed"),
    "root fields": ("{ " + "hello " * 21 + "}", "21 fields at the root, 20 are allowed"),
    "root fields of fragments": (
        "{ ...F ...F ...F } fragment F on Query { " + "hello " * 7 + "}",
        "21 fields at the root, 20 are allowed",
    ),
    "depth": (nested(17), "17 levels of fields, 16 are allowed"),
    "depth of fragments": (bomb(17), "19 levels of fields, 16 are allowed"),
    "width": ("{ item { " + "name " * 201 + "} }", "201 fields in one selection, 200 are allowed"),
    "width of fragments": (wide_bomb(40), "more than 1,000,000,000,000 fields in one selection"),
    "cost of fragments": (bomb(13), "the operation costs 24,575, 10,000 is allowed"),
    "directives": ("{ hello " + "@include(if: true) " * 51 + "}", "51 directives, 50 are allowed"),
    "a huge number": ("{ items(first: " + "9" * 5_000 + ") { name } }", "5,000 characters in a literal"),
    "a huge text": ('{ hello(name: "' + "x" * 5_000 + '") }', "5,000 characters in a literal"),
    "a huge name": ("{ " + "x" * 70_000 + " }", "70,004 characters, 65,536 are allowed"),
    "rows": ("{ items(first: 100000) { name } }", "the operation costs 100,001, 10,000 is allowed"),
    "rows without a number": (
        "{ " + " ".join(f"a{n}: items {{ name value inner {{ name value }} }}" for n in range(20)) + " }",
        "the operation costs 10,020, 10,000 is allowed",
    ),
    "same fields": (
        "{ item { " + "".join("inner { " + "name " * 40 + "} " for _ in range(12)) + "} }",
        "comparing the document's fields takes more than 50,000 steps",
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_document_beyond_a_limit_is_refused(gpt: Store, attack: str) -> None:
    document, message = ATTACKS[attack]
    answer = post(application(gpt, limits={"cost": 10_000}), document)
    assert answer.status_code == 400
    assert message in answer.json["errors"][0]["message"]
    assert codes(answer) == ["COST_EXCEEDED"]


@pytest.mark.parametrize(
    "document",
    [
        "{ item { ...A } } fragment A on Item { inner { ...A } }",
        "{ item { ...A } } fragment A on Item { ...B } fragment B on Item { ...A }",
    ],
)
def test_fragments_that_spread_each_other_are_refused(gpt: Store, document: str) -> None:
    answer = post(application(gpt), document)
    assert "fragments spread each other in a circle: A → " in answer.json["errors"][0]["message"]
    assert codes(answer) == ["BAD_USER_INPUT"]


def test_many_errors_are_not_all_told(gpt: Store) -> None:
    answer = post(application(gpt), "{ item { " + " ".join(f"x{n}" for n in range(150)) + " } }")
    assert len(answer.json["errors"]) == 21


def test_a_large_body_is_refused(gpt: Store) -> None:
    answer = post(application(gpt, limits={"body_bytes": 1_000}), "{ hello }", variables={"a": "x" * 1_000})
    assert (answer.status_code, codes(answer)) == (413, ["BAD_USER_INPUT"])


def test_introspection_can_be_switched_off(gpt: Store) -> None:
    closed = application(gpt, limits={"introspection": False})
    for document in ("{ __schema { types { name } } }", '{ __type(name: "Item") { name } }'):
        answer = post(closed, document)
        assert "introspection has been disabled" in answer.json["errors"][0]["message"]
        assert set(codes(answer)) == {"BAD_USER_INPUT"}
    assert post(closed, "{ __typename }").json["data"] == {"__typename": "Query"}
    assert b"workloads" in post(application(gpt), "{ workload }").data
    assert b"workloads" not in post(closed, "{ workload }").data


def test_introspection_as_tools_do_it_is_within_the_limits(gpt: Store) -> None:
    answer = post(application(gpt), get_introspection_query(input_value_deprecation=True, directive_is_repeatable=True))
    assert "errors" not in answer.json
    deep = "{ __schema { types { " + "fields { type { " * 4 + "name" + " } }" * 4 + " } } }"
    assert codes(post(application(gpt), deep)) == ["BAD_USER_INPUT"]


@pytest.mark.parametrize("document", ["{ endless }", "{ hello endless item { name } }"])
def test_a_slow_query_is_stopped_in_the_midst_of_its_kernel(gpt: Store, document: str) -> None:
    app = application(gpt, limits={"deadline_ns": 200_000_000})
    answer = post(app, document)
    assert (answer.status_code, codes(answer)) == (504, ["TIMEOUT"])
    assert "data" not in answer.json


def test_a_query_of_many_quick_fields_is_stopped_between_them(gpt: Store) -> None:
    app = application(gpt, limits={"deadline_ns": 50_000_000, "cost": 10**9})
    begin = time.process_time()
    answer = post(app, "{ items(first: 1000000) { name value inner { name value } } }")
    assert codes(answer) == ["TIMEOUT"]
    assert time.process_time() - begin < 60


@pytest.mark.parametrize(
    "document",
    ["{ items(first: 1000) { text(length: 1000) } }", "{ items(first: 100000) { name } }"],
)
def test_a_large_answer_is_stopped_while_it_grows(gpt: Store, document: str) -> None:
    app = application(gpt, limits={"response_bytes": 100_000, "cost": 10**9})
    answer = post(app, document)
    assert (answer.status_code, codes(answer)) == (400, ["COST_EXCEEDED"])
    assert answer.json["errors"][0]["message"] == "the answer is larger than 100,000 bytes"


def test_valid_documents_are_parsed_and_validated_once() -> None:
    documents = Documents(schema(), Limits())
    assert documents.get("{ hello }").document is documents.get("{ hello }").document
    none = Documents(schema(), Limits(), most_bytes=0)
    assert none.get("{ hello }").document is not none.get("{ hello }").document


@pytest.mark.parametrize(
    ("document", "shape"),
    [
        ("{ hello }", Shape(1, 1, 1, 0, 0, 0)),
        ("{ a: hello item { name b: value } }", Shape(2, 2, 2, 2, 0, 0)),
        ('{ ... { hello(name: "Ada") @skip(if: false) } }', Shape(1, 1, 1, 0, 1, 3)),
        ("{ item { ...F ...F } } fragment F on Item { name inner { value } }", Shape(1, 3, 4, 0, 0, 0)),
        ("query A { hello } query B { item { inner { name } } hello viewer }", Shape(3, 3, 3, 0, 0, 0)),
        ("{ __schema { types { name } } }", Shape(1, 1, 1, 0, 0, 0)),
        ("{ ...Unknown }", Shape(0, 0, 0, 0, 0, 0)),
    ],
)
def test_the_shape_of_a_document(document: str, shape: Shape) -> None:
    assert shape_of(parse(document)) == shape


def test_measuring_a_bomb_takes_as_long_as_reading_it() -> None:
    found = shape_of(parse(wide_bomb(200)))
    assert found.width == 2**200
    with pytest.raises(CostExceeded):
        Documents(schema(), Limits()).get(wide_bomb(60))


def test_every_limit_is_told_with_its_unit() -> None:
    told = {limit.name: limit.text for limit in described(Limits(introspection=False, deadline_ns=1_500_000_000))}
    assert told["deadline"] == "1.5 s"
    assert told["body"] == "1 MiB"
    assert told["introspection"] == "off"
    assert len(told) == len(Limits.__slots__)
    assert all(limit.meaning for limit in described(Limits()))


def test_the_limits_of_a_server_reach_resolvers(gpt: Store) -> None:
    assert post(application(gpt, limits={"cost": 77}), "{ costLimit }").json["data"] == {"costLimit": 77}
