"""What a token may ask in a time: by a clock of the test, and over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etgraph.api.access.scopes import SCOPES
from etgraph.api.context import Viewer
from etgraph.api.errors import RateExceeded
from etgraph.api.limits import rates
from etgraph.api.limits.rates import BURST_SECONDS, Rates
from etgraph.api.schema import SCHEMA
from etgraph.store import Store, connect
from support.api import application, codes, post
from support.build import build


@dataclass
class Clock:
    """Seconds that pass when a test says so."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def viewer(token: str | None = "1", *scopes: str) -> Viewer:
    return Viewer("me", "nlp", frozenset(scopes or ("read",)), None, token)


def let_through(of: Rates, who: Viewer, amount: int = 1, kind: str = "requests") -> bool:
    try:
        of.take(who, kind, amount)
    except RateExceeded:
        return False
    return True


def test_ten_seconds_worth_at_once_and_then_at_the_rate() -> None:
    clock = Clock()
    of = Rates(2, 0, clock)
    assert [let_through(of, viewer()) for _ in range(21)] == [True] * 20 + [False]
    clock.now += 1
    assert [let_through(of, viewer()) for _ in range(3)] == [True, True, False]
    assert let_through(of, viewer("another"))


def test_what_costs_more_than_a_bucket_holds_is_paid_off_afterwards() -> None:
    clock = Clock()
    of = Rates(0, 10, clock)
    assert let_through(of, viewer(), 500, "cost")
    with pytest.raises(RateExceeded, match="cost: the token 1 has used up 10 a second") as error:
        of.take(viewer(), "cost", 50)
    assert error.value.headers == {"Retry-After": "45"}
    clock.now += 44
    assert not let_through(of, viewer(), 50, "cost")
    clock.now += 1
    assert let_through(of, viewer(), 50, "cost")


def test_administrators_and_who_needs_no_token_are_let_through() -> None:
    of = Rates(1, 1, Clock())
    for who in (viewer("1", "admin"), viewer(None)):
        assert all(let_through(of, who) for _ in range(100))


def test_zero_is_any_number() -> None:
    of = Rates(0, 0, Clock())
    assert all(let_through(of, viewer(), 10**9, "cost") for _ in range(100))


@given(st.integers(1, 5), st.lists(st.tuples(st.floats(0, 4), st.integers(1, 8)), max_size=60))
def test_no_stretch_of_time_lets_more_through_than_burst_and_rate(rate: int, asked: list[tuple[float, int]]) -> None:
    clock, passed = Clock(), list[tuple[float, int]]()
    of = Rates(0, rate, clock)
    for pause, amount in asked:
        clock.now += pause
        if let_through(of, viewer(), amount, "cost"):
            passed.append((clock.now, amount))
    for begin in range(len(passed)):
        for end in range(begin, len(passed)):
            together = sum(amount for _, amount in passed[begin : end + 1])
            seconds = passed[end][0] - passed[begin][0]
            assert together <= rate * (BURST_SECONDS + seconds) + 1e-6


def test_only_so_many_tokens_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "_KEPT", 3)
    of = Rates(1, 0, Clock())
    for number in range(10):
        of.take(viewer(str(number)), "requests", 1)
    assert len(of._buckets) == 3


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with connect(tmp_path / "store") as opened:
        yield opened


def test_a_request_beyond_the_rate_is_429_whatever_form_the_answer_has(store: Store) -> None:
    app = application(store, viewer_of=lambda request: viewer(), requests_a_second=1)
    found = [post(app, "{ __typename }") for _ in range(11)]
    assert [each.status_code for each in found] == [200] * 10 + [429]
    assert codes(found[-1]) == ["COST_EXCEEDED"]
    assert found[-1].json is not None
    assert found[-1].json["errors"][0]["extensions"]["reason"] == "RATE_EXCEEDED"
    assert int(found[-1].headers["Retry-After"]) >= 1
    assert post(app, "{ __typename }", accept="application/json").status_code == 429


def test_cost_counts_and_answers_that_are_kept_cost_nothing(store: Store) -> None:
    store.publish(build("rank 0 | thread 1 | aten::mm  0..10"), workload="gpt", team="nlp")
    query = '{ trace(reference: "gpt") { id } }'
    unbounded = application(store, schema=SCHEMA.graphql_schema)
    first = post(unbounded, query).json
    assert first is not None
    app = application(
        store, viewer_of=lambda _: viewer(), schema=SCHEMA.graphql_schema, cost_a_second=first["extensions"]["cost"]
    )
    assert [post(app, query).status_code for _ in range(30)] == [200] * 30
    others = [post(app, f"{query}# {number}").status_code for number in range(30)]
    assert others[: BURST_SECONDS - 1] == [200] * (BURST_SECONDS - 1)
    assert 429 in others


def test_an_administrator_has_no_rate(store: Store) -> None:
    app = application(store, viewer_of=lambda request: viewer("1", *SCOPES), requests_a_second=1)
    assert {post(app, "{ __typename }").status_code for _ in range(15)} == {200}
