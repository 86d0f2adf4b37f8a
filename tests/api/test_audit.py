"""The log of writes: who tried what and what came of it, without secrets, for a time."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from etgraph.api.access import Audit
from etgraph.api.access.audit import LONGEST
from etgraph.api.context import Viewer
from etgraph.store import Store, connect
from support.teams import World, world_of

ADA = Viewer("ada", "nlp", token="0123")
LOG = """query ($first: Int!, $after: String) { auditLog(first: $first, after: $after) {
    nodes { viewer team action arguments outcome requestId } pageInfo { endCursor hasNextPage } } }"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with connect(tmp_path / "store") as opened:
        yield opened


def events(world: World, first: int = 10, after: str | None = None) -> Any:
    return world.data(LOG, world.tokens["admin"], first=first, after=after)["auditLog"]


def test_writes_are_noted_and_so_are_those_that_were_refused(store: Store) -> None:
    world = world_of(store)
    ours = world.tokens["ours"]
    tag = 'mutation { tagTrace(reference: "gpt", name: "x") { __typename } }'
    world.send("/graphql", ours, "POST", json={"query": tag}, headers={"X-Request-Id": "r-1"})
    world.ask(tag, world.token("nlp", "read"))
    world.ask('mutation { deleteTrace(reference: "zeta-model") { __typename } }', ours)
    world.ask("{ traces { totalCount } }", ours)
    found = events(world)["nodes"]
    assert [(each["viewer"], each["action"], each["outcome"]) for each in found] == [
        (" ".join(["nlp", "alert", "ingest", "read", "simulate"]), "deleteTrace", "NOT_FOUND"),
        ("nlp read", "tagTrace", "FORBIDDEN"),
        (" ".join(["nlp", "alert", "ingest", "read", "simulate"]), "tagTrace", "done"),
    ]
    assert found[2]["arguments"] == {"reference": "gpt", "name": "x"}
    assert (found[2]["team"], found[2]["requestId"]) == ("nlp", "r-1")
    assert world.ask(LOG, ours, first=1).json["errors"][0]["extensions"]["code"] == "FORBIDDEN"  # type: ignore[index]


def test_it_holds_no_secrets(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    world = world_of(store)
    with caplog.at_level(logging.INFO, logger="etgraph.api"):
        made = world.data(
            """mutation { createToken(name: "n", team: "t", scopes: ["read"], days: 3) {
                ... on CreateTokenSuccess { secret token { id expires } } } }""",
            world.tokens["admin"],
        )["createToken"]
    assert world.ask("{ viewer { name } }", made["secret"]).status_code == 200
    told = json.dumps([dict(each.document) for each in store.records.find("audit")])
    for secret in (made["secret"], made["secret"].rpartition("_")[2], world.tokens["admin"]):
        assert secret not in told
        assert secret not in "".join(str(record.__dict__) for record in caplog.records)
    assert events(world)["nodes"][0]["arguments"] == {"name": "n", "team": "t", "scopes": ["read"], "days": 3}
    assert [record.message for record in caplog.records if record.message == "write"] == ["write"]


def test_it_is_read_a_page_at_a_time(store: Store) -> None:
    world = world_of(store)
    for number in range(5):
        world.ask(
            "mutation ($n: String!) { tagTrace(reference: $n, name: $n) { __typename } }",
            world.tokens["ours"],
            n=str(number),
        )
    seen, after, pages = [], None, 0
    while True:
        page = events(world, 2, after)
        seen += [each["arguments"]["name"] for each in page["nodes"]]
        pages, after = pages + 1, page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert (seen, pages) == (["4", "3", "2", "1", "0"], 3)
    for cursor in ("nonsense", ""):
        answer = world.ask(LOG, world.tokens["admin"], first=1, after=cursor)
        assert answer.json["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"  # type: ignore[index]


def test_what_is_old_is_forgotten(store: Store) -> None:
    now = [datetime(2026, 1, 1, tzinfo=UTC)]
    audit = Audit(lambda: store.records, timedelta(days=30), lambda: now[0])
    audit.note(ADA, "tagTrace", {}, "done")
    now[0] += timedelta(days=20)
    audit.note(ADA, "untagTrace", {}, "done")
    assert audit.tidy() == 0
    now[0] += timedelta(days=11)
    assert audit.tidy() == 1
    assert [event.action for event in audit.newest(10)] == ["untagTrace"]


def test_long_arguments_are_cut(store: Store) -> None:
    audit = Audit(lambda: store.records)
    audit.note(ADA, "labelTrace", {"labels": "x" * 10_000}, "done")
    (event,) = audit.newest(1)
    assert len(json.dumps(event.arguments)) < LONGEST + 100
    assert event.token == "0123"


def test_a_log_that_cannot_be_written_does_not_undo_what_was_done(caplog: pytest.LogCaptureFixture) -> None:
    from etgraph.store.errors import ReadOnlyStore

    def records() -> Any:
        raise ReadOnlyStore("no")

    Audit(records).note(ADA, "tagTrace", {}, "done")
    assert "write not noted" in caplog.messages
