"""What a request may be, and the status and form of its answer."""

from __future__ import annotations

import json
from typing import Any

import flask
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etgraph.api.context import Viewer
from etgraph.api.errors import Forbidden, Unauthenticated
from etgraph.store import Store
from support.api import GRAPHQL, application, codes, get, post

HELLO = '{"query": "{ hello }"}'


def send(app: flask.Flask, body: str | bytes, **headers: str) -> Any:
    """Send a body by POST as it is."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    with app.test_client() as client:
        return client.post("/graphql", data=body, headers={"Content-Type": "application/json"} | names)


@pytest.mark.parametrize(
    ("accept", "status", "media"),
    [
        (None, 200, "application/json"),
        ("*/*", 200, "application/json"),
        ("application/*", 200, "application/json"),
        ("application/json", 200, "application/json"),
        ("application/json; charset=utf-8", 200, "application/json"),
        (GRAPHQL, 200, GRAPHQL),
        (f"{GRAPHQL}, application/json", 200, GRAPHQL),
        (f"{GRAPHQL};q=0.5, application/json", 200, "application/json"),
        (f"{GRAPHQL};q=0, */*", 200, "application/json"),
        ("text/html", 406, "application/json"),
        ("application/json; charset=latin-1", 406, "application/json"),
        ("application/json;q=0", 406, "application/json"),
    ],
)
def test_accept_chooses_the_media_type(gpt: Store, accept: str | None, status: int, media: str) -> None:
    answer = send(application(gpt), HELLO, **({} if accept is None else {"Accept": accept}))
    assert (answer.status_code, answer.content_type) == (status, f"{media}; charset=utf-8")


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ("", 400, "the body: found what is no JSON"),
        ("{", 400, "the body: found what is no JSON"),
        ("[" * 100_000, 400, "the body: found what is no JSON"),
        ("3", 400, "the body: found no object"),
        (f"[{HELLO}]", 400, "batches are not taken"),
        ("{}", 400, "query: found nothing"),
        ('{"query": 3}', 400, "query: found a number, expected a text"),
        ('{"query": "{hello}", "variables": []}', 400, "variables: found an array, expected an object"),
        ('{"query": "{hello}", "operationName": {}}', 400, "operationName: found an object, expected a text"),
        ('{"query": "{hello}", "extensions": true}', 400, "extensions: found a truth value, expected an object"),
        ('{"query": "{hello}", "variables": {"a": NaN}}', 400, "the body: found what is no JSON"),
        (b'{"query": "\xff"}', 400, "the body: found what is no JSON"),
    ],
)
def test_a_body_that_is_no_request_is_told_so(gpt: Store, body: str | bytes, status: int, message: str) -> None:
    for accept in ("application/json", GRAPHQL):
        answer = send(application(gpt), body, Accept=accept)
        assert answer.status_code == status
        assert message in answer.json["errors"][0]["message"]
        assert codes(answer) == ["BAD_USER_INPUT"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Content_Type": "text/plain"},
        {"Content_Type": "application/x-www-form-urlencoded"},
        {"Content_Type": "application/json; charset=latin-1"},
        {"Content_Encoding": "gzip"},
    ],
)
def test_a_body_in_another_form_is_refused(gpt: Store, headers: dict[str, str]) -> None:
    assert send(application(gpt), HELLO, **headers).status_code == 415


def test_null_parameters_are_none(gpt: Store) -> None:
    body = '{"query": "{ hello }", "variables": null, "operationName": null, "extensions": null}'
    assert send(application(gpt), body).json["data"] == {"hello": "hello you"}


def test_get_takes_parameters_of_the_query_string(gpt: Store) -> None:
    document = "query A($name: String) { hello(name: $name) } query B { viewer }"
    answer = get(application(gpt), document, operationName="A", variables='{"name": "Ada"}')
    assert answer.json == {"data": {"hello": "hello Ada"}, "extensions": {"cost": 1}}


def test_a_mutation_is_not_executed_by_get(gpt: Store) -> None:
    answer = get(application(gpt), "mutation { count { count } }")
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "POST, OPTIONS"
    assert post(application(gpt), "mutation { count { count } }").json["data"] == {"count": {"count": 1}}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{", "Syntax Error: Expected Name, found <EOF>."),
        ("{ nothing }", "Cannot query field 'nothing' on type 'Query'."),
        ("query A { hello } query B { hello }", "the document has 2 operations: operationName says which to execute"),
        ("query ($n: Int!) { items(first: $n) { name } }", "Variable '$n' of required type 'Int!' was not provided."),
        ("subscription { hello }", "subscriptions are not supported"),
    ],
)
def test_errors_before_execution_have_a_status_in_the_new_media_type_alone(
    gpt: Store, document: str, message: str
) -> None:
    for accept, status in (("application/json", 200), (GRAPHQL, 400)):
        answer = post(application(gpt), document, accept=accept)
        assert answer.status_code == status
        assert answer.json["errors"][0]["message"] == message
        assert "data" not in answer.json
        assert set(codes(answer)) == {"BAD_USER_INPUT"}


def test_errors_of_fields_have_codes_and_say_where(gpt: Store) -> None:
    answer = post(application(gpt), '{ missing item { name } trace(reference: "nope") { id } }')
    assert answer.status_code == 200
    assert answer.json["data"] == {"missing": None, "item": {"name": "one"}, "trace": None}
    first, second = answer.json["errors"]
    assert first["path"] == ["missing"]
    assert first["locations"] == [{"line": 1, "column": 3}]
    assert first["extensions"] == {
        "code": "BAD_USER_INPUT",
        "reason": "MISSING_DATA",
        "hint": "record it with times",
        "requestId": answer.headers["X-Request-Id"],
    }
    assert second["extensions"]["code"] == "NOT_FOUND"


@pytest.mark.parametrize("field", ["defect", "unreachable"])
def test_what_goes_wrong_inside_is_masked_and_logged(gpt: Store, field: str, caplog: pytest.LogCaptureFixture) -> None:
    answer = post(application(gpt), f"{{ {field} }}")
    assert codes(answer) == ["INTERNAL"]
    for secret in (b"hunter2", b"secret", b"Traceback", b"ValueError"):
        assert secret not in answer.data
    (record,) = [record for record in caplog.records if record.getMessage() == "defect"]
    assert record.exc_info is not None
    assert record.__dict__["fields"] == {"requestId": answer.headers["X-Request-Id"]}


def test_a_defect_in_many_rows_does_not_fill_the_log(gpt: Store, caplog: pytest.LogCaptureFixture) -> None:
    answer = post(application(gpt), "{ items(first: 500) { broken } }")
    assert codes(answer) == ["INTERNAL"] * 500
    assert [record.getMessage() for record in caplog.records if record.exc_info] == ["defect"] * 10


def test_a_request_keeps_the_id_that_it_came_with(gpt: Store) -> None:
    answer = post(application(gpt), "{ requestId }", headers={"X-Request-Id": "job-7.step:3"})
    assert answer.json["data"] == {"requestId": "job-7.step:3"}
    assert answer.headers["X-Request-Id"] == "job-7.step:3"
    assert post(application(gpt), "{ requestId }", headers={"X-Request-Id": "a b"}).json["data"]["requestId"] != "a b"


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [(Unauthenticated("who are you?"), 401, "UNAUTHENTICATED"), (Forbidden("not you"), 403, "FORBIDDEN")],
)
def test_who_may_not_ask_is_told_before_anything_is_read(gpt: Store, error: Exception, status: int, code: str) -> None:
    def refuse(request: flask.Request) -> Viewer:
        raise error

    answer = post(application(gpt, viewer_of=refuse), "{", accept="application/json")
    assert (answer.status_code, codes(answer)) == (status, [code])
    assert ("WWW-Authenticate" in answer.headers) == (status == 401)


def test_the_viewer_is_that_of_the_request(gpt: Store) -> None:
    app = application(gpt, viewer_of=lambda request: Viewer(request.headers["Authorization"]))
    assert post(app, "{ viewer }", headers={"Authorization": "Ada"}).json["data"] == {"viewer": "Ada"}


def test_paths_that_do_not_exist_and_methods_that_are_not_taken(gpt: Store) -> None:
    with application(gpt).test_client() as client:
        assert client.get("/nothing").status_code == 404
        answer = client.delete("/graphql")
    assert answer.status_code == 405
    assert {"GET", "POST"} <= set(answer.headers["Allow"].split(", "))


def test_answers_are_json_in_utf_8(gpt: Store) -> None:
    answer = post(application(gpt), "query ($n: String) { hello(name: $n) }", variables={"n": "Zoë – 計算"})
    assert json.loads(answer.data.decode("utf-8"))["data"] == {"hello": "hello Zoë – 計算"}


HEADERS = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=30)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.one_of(
        st.binary(max_size=60),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
            lambda inner: (
                st.lists(inner) | st.dictionaries(st.sampled_from(["query", "variables", "extensions"]), inner)
            ),
        ).map(lambda value: json.dumps(value).encode()),
    ),
    headers=st.dictionaries(
        st.sampled_from(["Accept", "Accept-Encoding", "Host", "Origin", "Idempotency-Key", "X-Request-Id"]), HEADERS
    ),
)
def test_no_request_meets_a_defect(gpt: Store, body: bytes, headers: dict[str, str]) -> None:
    answer = send(application(gpt), body, **headers)
    assert answer.status_code < 500
    assert b"INTERNAL" not in answer.data
