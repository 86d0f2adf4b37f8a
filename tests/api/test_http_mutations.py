"""Mutations that are sent again: a key gets the answer of the first time, and the work is done once."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any

import pytest

from etgraph.api.context import Viewer
from etgraph.api.http.idempotency import IdempotencyKeys
from etgraph.store import Store
from support.api import application, codes, post
from support.api_schema import GATES

COUNT = "mutation ($by: Int!) { count(by: $by) { count } }"


def count(app: Any, by: int = 1, key: str | None = "k-1", **headers: str) -> Any:
    """Send the mutation."""
    return post(app, COUNT, variables={"by": by}, headers=headers | ({"Idempotency-Key": key} if key else {}))


def test_without_a_key_every_request_counts(gpt: Store) -> None:
    app = application(gpt)
    assert [count(app, key=None).json["data"]["count"]["count"] for _ in range(2)] == [1, 2]


def test_with_a_key_the_first_one_counts(gpt: Store) -> None:
    app = application(gpt)
    first, second = count(app), count(app)
    assert first.data == second.data
    assert "Idempotency-Replayed" not in first.headers
    assert second.headers["Idempotency-Replayed"] == "true"
    assert count(app, key="k-2").json["data"]["count"]["count"] == 2


def test_a_key_of_another_viewer_is_another_key(gpt: Store) -> None:
    app = application(gpt, viewer_of=lambda request: Viewer(request.headers["Authorization"]))
    count(app, Authorization="Ada")
    count(app, Authorization="Bob")
    assert GATES.count == 2


def test_a_key_of_another_token_of_the_same_name_is_another_key(gpt: Store) -> None:
    app = application(gpt, viewer_of=lambda request: Viewer("Ada", "nlp", token=request.headers["Authorization"]))
    count(app, Authorization="1")
    count(app, Authorization="2")
    assert GATES.count == 2


def test_the_same_key_with_another_body_is_an_error(gpt: Store) -> None:
    app = application(gpt)
    count(app)
    answer = count(app, by=5)
    assert (answer.status_code, codes(answer), GATES.count) == (422, ["BAD_USER_INPUT"], 1)


@pytest.mark.parametrize("key", [" ", "a b", "x" * 256])
def test_a_malformed_key_is_an_error(gpt: Store, key: str) -> None:
    assert count(application(gpt), key=key).status_code == 400
    assert GATES.count == 0


def test_what_is_not_executed_leaves_the_key_free(gpt: Store) -> None:
    app = application(gpt, limits={"cost": 2})
    document = "mutation { a: count { count } b: count { count } }"
    assert codes(post(app, document, headers={"Idempotency-Key": "k-1"})) == ["COST_EXCEEDED"]
    assert count(app).json["data"] == {"count": {"count": 1}}


def test_while_the_first_one_runs_the_second_is_told_so() -> None:
    keys, viewer = IdempotencyKeys(10_000, 60), Viewer("Ada")
    entered, leave = threading.Event(), threading.Event()

    def first() -> None:
        with suppress(OSError), keys.once("k", viewer, b"body"):
            entered.set()
            leave.wait(10)
            raise OSError("half done")

    thread = threading.Thread(target=first)
    thread.start()
    assert entered.wait(10)
    with pytest.raises(Exception, match="still running"), keys.once("k", viewer, b"body"):
        pass
    leave.set()
    thread.join()
    with pytest.raises(OSError, match="half done"), keys.once("k", viewer, b"body"):
        pass
