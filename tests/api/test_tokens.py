"""Tokens: what is kept of them, how long they are good, and when it shows that one was revoked."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from etgraph.api.access import Tokens, require
from etgraph.api.access.tokens import FRESH_SECONDS, KIND
from etgraph.api.context import Viewer
from etgraph.api.errors import Forbidden, Unauthenticated
from etgraph.model.errors import NotFound, UsageError
from etgraph.store import Store, connect
from etgraph.store.errors import ReadOnlyStore
from etgraph.store.records import Records


@dataclass
class Clock:
    """A clock that tests set."""

    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def passes(self, **time: float) -> None:
        self.now += timedelta(**time)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with connect(tmp_path / "store") as opened:
        yield opened


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(store: Store, clock: Clock) -> Tokens:
    return Tokens(lambda: store.records, clock)


def test_a_token_stands_for_what_it_was_made_with(tokens: Tokens) -> None:
    made = tokens.create("ada", "nlp", ["ingest", "read"], lasts=timedelta(days=90))
    assert tokens.viewer(made.secret) == Viewer(
        "ada", "nlp", frozenset({"read", "ingest"}), "2026-04-01T00:00:00Z", made.token.id
    )
    assert made.secret.startswith(f"etg_{made.token.id}_")
    assert tokens.create("ada", "nlp", []).secret != made.secret


def test_the_secret_is_kept_nowhere(tokens: Tokens, store: Store, tmp_path: Path) -> None:
    made = tokens.create("ada", "nlp", ["read"])
    secret = made.secret.rpartition("_")[2]
    assert secret not in json.dumps([dict(each.document) for each in store.records.find(KIND)])
    assert secret not in repr(tokens.listed())
    with sqlite3.connect(tmp_path / "store" / "catalogue.sqlite") as connection:
        assert secret not in "".join(connection.iterdump())
    connection.close()


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "", lambda text: text[4:], lambda text: text[:-1], lambda text: text + "0",
        lambda text: text.upper(), lambda text: text.replace("_", "-"), lambda text: f" {text}",
        lambda text: f"{text}\n",
        lambda text: text[:-1] + ("0" if text[-1] != "0" else "1"), lambda text: f"etg_{'0' * 16}_{text[-64:]}",
    ],
)  # fmt: skip
def test_what_is_no_token_is_refused(tokens: Tokens, change: Any) -> None:
    made = tokens.create("ada", "nlp", ["read"])
    with pytest.raises(Unauthenticated, match="none of this server's"):
        tokens.viewer(change(made.secret))


def test_a_token_ends_when_it_expires(tokens: Tokens, clock: Clock) -> None:
    secret = tokens.create("ada", "nlp", ["read"], lasts=timedelta(hours=1)).secret
    clock.passes(minutes=59)
    tokens.viewer(secret)
    clock.passes(minutes=1)
    with pytest.raises(Unauthenticated, match="has expired"):
        tokens.viewer(secret)


def test_a_revoked_token_is_refused_here_at_once_and_elsewhere_in_two_seconds(
    tokens: Tokens, store: Store, clock: Clock
) -> None:
    elsewhere = Tokens(lambda: store.records, clock)
    made = tokens.create("ada", "nlp", ["read"])
    tokens.viewer(made.secret), elsewhere.viewer(made.secret)
    clock.passes(seconds=10)
    tokens.viewer(made.secret), elsewhere.viewer(made.secret)
    tokens.revoke(made.token.id)
    with pytest.raises(Unauthenticated, match="was revoked"):
        tokens.viewer(made.secret)
    clock.passes(seconds=FRESH_SECONDS + 0.1)
    with pytest.raises(Unauthenticated, match="was revoked"):
        elsewhere.viewer(made.secret)
    assert tokens.revoke(made.token.id).revoked == "2026-01-01T00:00:10Z"
    with pytest.raises(NotFound):
        tokens.revoke("0" * 16)


def test_noting_its_use_does_not_undo_that_a_token_was_revoked(tokens: Tokens, store: Store, clock: Clock) -> None:
    elsewhere = Tokens(lambda: store.records, clock)
    made = tokens.create("ada", "nlp", ["read"])
    clock.passes(hours=2)
    elsewhere.viewer(made.secret)
    clock.passes(hours=2)
    tokens.viewer(made.secret)  # as it is known here, and then used for the first time in hours elsewhere
    tokens.revoke(made.token.id)
    clock.passes(hours=2)
    with pytest.raises(Unauthenticated):
        elsewhere.viewer(made.secret)
    assert tokens.listed()[0].revoked is not None


def test_use_is_noted_once_an_hour(tokens: Tokens, store: Store, clock: Clock) -> None:
    made = tokens.create("ada", "nlp", ["read"])
    for _ in range(50):
        clock.passes(minutes=1)
        tokens.viewer(made.secret)
    record = store.records.get(KIND, made.token.id)
    assert record is not None
    assert (record.version, record.document["used"]) == (2, "2026-01-01T00:01:00Z")
    clock.passes(minutes=11)
    tokens.viewer(made.secret)
    assert tokens.listed()[0].used == "2026-01-01T01:01:00Z"


def test_a_store_that_cannot_be_written_still_knows_its_tokens(tokens: Tokens, store: Store, clock: Clock) -> None:
    secret = tokens.create("ada", "nlp", ["read"]).secret

    class ReadOnly:
        def put(self, *_: Any) -> None:
            raise ReadOnlyStore("no")

        def __getattr__(self, name: str) -> Any:
            return getattr(store.records, name)

    def records() -> Records:
        found: Any = ReadOnly()
        return found  # type: ignore[no-any-return]

    assert Tokens(records, clock).viewer(secret).name == "ada"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"name": ""}, "name of a token"), ({"team": "everyone"}, "stands for all teams"), ({"team": "a\nb"}, "team"),
        ({"scopes": ["read", "root"]}, "found root"), ({"lasts": timedelta()}, "has passed"),
        ({"lasts": timedelta(days=10**7)}, "beyond the calendar"),
    ],
)  # fmt: skip
def test_what_no_token_can_be(tokens: Tokens, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        tokens.create(**{"name": "ada", "team": "nlp", "scopes": ["read"], **changes})
    assert tokens.listed() == []


def test_a_scope_is_required_by_its_name_and_admin_has_all() -> None:
    require(Viewer("ada", "nlp", frozenset({"ingest"})), "ingest")
    require(Viewer("root", "ops", frozenset({"admin"})), "simulate")
    with pytest.raises(Forbidden, match="needs the scope simulate; ada has ingest"):
        require(Viewer("ada", "nlp", frozenset({"ingest"})), "simulate")
    with pytest.raises(ValueError, match="no scope"):
        require(Viewer("root", "ops", frozenset({"admin"})), "everything")
