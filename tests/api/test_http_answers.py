"""Answers as bytes: kept while the traces are the same, compressed, named by ETags; persisted queries."""

from __future__ import annotations

import gzip
import hashlib
from typing import Any

import pytest

from etgraph.api.bounded import Bounded
from etgraph.api.context import Viewer
from etgraph.store import Store
from support.api import application, codes, get, post
from support.api_schema import GATES
from support.build import build

TRACE = '{ trace(reference: "gpt") { id workload tags operators } }'
ADMIN = frozenset({"admin"})
LONG = "{ item { text(length: 5000) } }"


def test_an_answer_over_a_trace_is_executed_once(gpt: Store) -> None:
    app = application(gpt)
    first, second = post(app, TRACE), post(app, TRACE)
    assert first.data == second.data
    assert first.json["data"]["trace"]["operators"] == 1
    assert GATES.count == 1


def test_another_document_other_variables_or_other_rights_are_another_answer(gpt: Store) -> None:
    app = application(gpt, viewer_of=lambda request: Viewer("Ada", request.headers.get("Authorization"), ADMIN))
    document = "query ($r: String!) { trace(reference: $r) { id } }"
    post(app, document, variables={"r": "gpt"})
    post(app, document, variables={"r": "gpt"})
    assert GATES.count == 1
    post(app, document, variables={"r": "0" * 64})
    post(app, document + " ", variables={"r": "gpt"})
    post(app, document, variables={"r": "gpt"}, headers={"Authorization": "ads"})
    assert GATES.count == 4


def test_what_changes_in_the_catalogue_changes_the_answer(gpt: Store) -> None:
    app = application(gpt)
    assert post(app, TRACE).json["data"]["trace"]["tags"] == []
    gpt.tag("gpt", "baseline")
    assert post(app, TRACE).json["data"]["trace"]["tags"] == ["baseline"]
    from dataclasses import replace

    newer = replace(build("rank 0 | thread 1 | a 0..1\nrank 0 | thread 1 | b 2..3"), trace_id="1" * 64)
    gpt.publish(newer, workload="gpt")
    assert post(app, TRACE).json["data"]["trace"]["operators"] == 2
    gpt.remove("1" * 64)
    assert post(app, TRACE).json["data"]["trace"]["operators"] == 1
    gpt.remove("gpt")
    assert codes(post(app, TRACE)) == ["NOT_FOUND"]


@pytest.mark.parametrize(
    "document",
    [
        '{ trace(reference: "gpt") { id } requestId }',
        'query { ...F } fragment F on Query { trace(reference: "gpt") { id } ... { viewer } }',
    ],
)
def test_what_is_not_of_traces_alone_is_not_kept(gpt: Store, document: str) -> None:
    app = application(gpt)
    assert get(app, document).headers["Cache-Control"] == "no-store"
    get(app, document)
    assert GATES.count == 2


def test_errors_are_not_kept(gpt: Store) -> None:
    app = application(gpt)
    for _ in range(2):
        assert codes(post(app, '{ trace(reference: "later") { id } }')) == ["NOT_FOUND"]
    assert GATES.count == 2
    gpt.publish(build("rank 0 | thread 1 | a 0..1"), workload="later")
    assert "errors" not in post(app, '{ trace(reference: "later") { id } }').json


def test_kept_answers_are_bounded_in_bytes(gpt: Store) -> None:
    app = application(gpt, answers_bytes=0)
    post(app, TRACE)
    post(app, TRACE)
    assert GATES.count == 2


def test_a_browser_may_keep_an_answer_over_a_trace_and_asks_whether_it_holds(gpt: Store) -> None:
    app = application(gpt)
    first = get(app, TRACE)
    assert first.headers["Cache-Control"] == "private, no-cache"
    assert {"Accept", "Accept-Encoding", "Authorization"} <= set(first.headers["Vary"].split(", "))
    again = get(app, TRACE, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    gpt.tag("gpt", "baseline")
    changed = get(app, TRACE, headers={"If-None-Match": first.headers["ETag"]})
    assert changed.status_code == 200
    assert changed.headers["ETag"] != first.headers["ETag"]


def test_answers_to_posts_are_not_stored_elsewhere(gpt: Store) -> None:
    answer = post(application(gpt), TRACE, headers={"If-None-Match": "*"})
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    assert "ETag" not in answer.headers


def test_each_representation_has_an_etag_of_its_own(gpt: Store) -> None:
    app = application(gpt)
    long = '{ trace(reference: "gpt") { ' + " ".join(f"id{n}: id" for n in range(50)) + " } }"
    tags = {
        get(app, long, accept=accept, headers={"Accept-Encoding": encoding}).headers["ETag"]
        for accept in ("application/json", "application/graphql-response+json")
        for encoding in ("identity", "gzip")
    }
    assert len(tags) == 4


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip", "gzip"),
        ("br, gzip;q=0.5", "gzip"),
        ("*", "gzip"),
        ("gzip;q=0", None),
        ("br", None),
        ("", None),
        ("identity, gzip;q=0.9", None),
        ("*;q=0, identity", None),
    ],
)
def test_answers_are_compressed_where_the_client_likes_it(gpt: Store, accepted: str, encoding: str | None) -> None:
    answer = post(application(gpt), LONG, headers={"Accept-Encoding": accepted})
    assert answer.headers.get("Content-Encoding") == encoding
    body = gzip.decompress(answer.data) if encoding else answer.data
    assert len(body) > 5000
    assert (len(answer.data) < 500) == (encoding == "gzip")
    assert int(answer.headers["Content-Length"]) == len(answer.data)


def test_short_answers_are_not_compressed(gpt: Store) -> None:
    assert "Content-Encoding" not in post(application(gpt), "{ hello }", headers={"Accept-Encoding": "gzip"}).headers


def test_a_client_that_takes_no_encoding_gets_none(gpt: Store) -> None:
    assert post(application(gpt), LONG, headers={"Accept-Encoding": "br, *;q=0"}).status_code == 406


def persisted(text: str) -> dict[str, Any]:
    return {"persistedQuery": {"version": 1, "sha256Hash": hashlib.sha256(text.encode()).hexdigest()}}


def test_a_persisted_query_is_asked_by_its_hash_once_it_was_sent(gpt: Store) -> None:
    app = application(gpt)
    unknown = post(app, None, extensions=persisted("{ hello }"))
    assert (codes(unknown), unknown.json["errors"][0]["message"]) == (["NOT_FOUND"], "PersistedQueryNotFound")
    assert unknown.status_code == 404
    assert post(app, None, extensions=persisted("{ hello }"), accept="application/json").status_code == 200
    for query in ("{ hello }", None, None):
        assert post(app, query, extensions=persisted("{ hello }")).json["data"] == {"hello": "hello you"}


@pytest.mark.parametrize(
    ("query", "extensions", "message"),
    [
        ("{ hello }", persisted("{ item { name } }"), "the hash is not the SHA-256 of the query"),
        (None, {"persistedQuery": {"version": 2, "sha256Hash": "0" * 64}}, "expected an object with version 1"),
        (None, {"persistedQuery": {"version": 1, "sha256Hash": "xyz"}}, "expected 64 hexadecimal digits"),
        (None, {"persistedQuery": "0" * 64}, "expected an object with version 1"),
    ],
)
def test_a_hash_that_is_wrong_is_refused(gpt: Store, query: str | None, extensions: Any, message: str) -> None:
    answer = post(application(gpt), query, extensions=extensions)
    assert answer.status_code == 400
    assert message in answer.json["errors"][0]["message"]


def test_only_valid_documents_are_persisted_and_not_more_than_fit(gpt: Store) -> None:
    app = application(gpt, persisted_bytes=20)
    for document in ("{ nothing }", "{ hello }", "query { item { name } }", "{ viewer }"):
        post(app, document, extensions=persisted(document))
    kept = [
        document
        for document in ("{ nothing }", "{ hello }", "query { item { name } }", "{ viewer }")
        if "data" in post(app, None, extensions=persisted(document)).json
    ]
    assert kept == ["{ hello }", "{ viewer }"]


def test_what_was_not_asked_for_longest_goes_first() -> None:
    now = 0.0
    kept: Bounded[str, int] = Bounded(3, seconds=10, clock=lambda: now)
    for number, key in enumerate("abc"):
        kept.put(key, number, 1)
    assert kept.get("a") == 0
    kept.put("d", 3, 1)
    assert [kept.get(key) for key in "abcd"] == [0, None, 2, 3]
    kept.put("e", 4, 4)
    assert kept.get("e") is None
    assert (len(kept), kept.bytes) == (3, 3)
    assert kept.claim("a", 9, 1) == 0
    now = 11.0
    assert kept.get("c") is None
    assert kept.claim("a", 9, 1) is None
    assert kept.get("a") == 9
