"""Silences: whom they mean, when they hold, and what cannot be one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etgraph.alerts.standing.naming import short
from etgraph.alerts.standing.silences import Silence, remove_silence, silence, silences, silencing
from etgraph.model.errors import NotFound, UsageError
from etgraph.store import Store
from support.checks import SLOWER

NOW = "2026-05-01T12:00:00.000000Z"
PLAIN = Silence("0" * 32, "nlp", "*", "*", None, "why", "ada", NOW, NOW, "2026-05-02T12:00:00.000000Z")


@pytest.mark.parametrize(
    ("changes", "means"),
    [
        ({}, True),
        ({"team": None}, False),
        ({"team": "ads"}, False),
        ({"rule": "STEP-*"}, True),
        ({"rule": "step"}, False),
        ({"workload": "gp?"}, True),
        ({"workload": "dlrm"}, False),
        ({"operator": "barr*"}, True),
        ({"operator": "all_reduce"}, False),
    ],
)
def test_whom_a_silence_means(changes: dict[str, Any], means: bool) -> None:
    found = replace(PLAIN, **changes)
    assert found.means("nlp", "gpt", SLOWER) is means
    assert (silencing([found], NOW, "nlp", "gpt", SLOWER) == found) is means


def test_of_several_the_one_that_holds_longest_is_told() -> None:
    short = replace(PLAIN, id="1" * 32, expires="2026-05-01T18:00:00.000000Z")
    assert silencing([short, PLAIN], NOW, "nlp", "gpt", SLOWER) == PLAIN
    assert silencing([short, PLAIN], "2026-05-03T00:00:00.000000Z", "nlp", "gpt", SLOWER) is None


hours = st.integers(0, 23)


@given(starts=hours, expires=hours, moment=hours)
def test_a_silence_holds_from_its_start_until_it_expires(starts: int, expires: int, moment: int) -> None:
    def at(hour: int) -> str:
        return f"2026-05-01T{hour:02d}:00:00.000000Z"

    found = replace(PLAIN, starts=at(starts), expires=at(expires))
    assert found.holds(at(moment)) is (moment in range(starts, expires))


def test_silences_are_kept_listed_and_removed(new_store: Callable[[], Store]) -> None:
    with new_store() as store:
        made = [
            silence(store.records, team, reason="why", by="ada", expires=f"2026-05-0{day}T12:00:00+02:00", moment=NOW)
            for team, day in (("nlp", 2), ("nlp", 3), ("ads", 2))
        ]
        assert made[0].expires == "2026-05-02T10:00:00.000000Z"
        assert (made[0].starts, made[0].created, made[0].by) == (NOW, NOW, "ada")
        assert {each.id for each in silences(store.records, "nlp")} == {made[0].id, made[1].id}
        assert len(silences(store.records, None)) == 3
        assert silences(store.records, None, "2026-05-02T12:00:00.000000Z") == [made[1]]
        for team, name in (("ads", made[0].id), ("nlp", "f" * 32), ("nlp", "no/id")):
            with pytest.raises(NotFound, match="no silence"):
                remove_silence(store.records, team, name)
        assert remove_silence(store.records, "nlp", made[0].id) == made[0]
        with pytest.raises(NotFound):
            remove_silence(store.records, "nlp", short(made[2].id))
        remove_silence(store.records, "ads", short(made[2].id))
        assert silences(store.records, None) == [made[1]]
        ahead = silence(
            store.records, "nlp", reason="upgrade", starts="2026-06-01T00:00:00Z", expires="2026-06-02T00:00:00Z",
            moment=NOW,
        )  # fmt: skip
        assert not ahead.holds(NOW)
        assert ahead.holds("2026-06-01T00:00:00.000000Z")


@pytest.mark.parametrize("new_store", ["local"], indirect=True)
def test_a_team_has_so_many_silences_and_as_many_that_have_expired(
    new_store: Callable[[], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("etgraph.alerts.standing.silences.MOST", 2)
    with new_store() as store:

        def hold(day: int, until: int) -> None:
            silence(store.records, "nlp", reason="why", moment=f"2026-05-{day:02d}T12:00:00.000000Z",
                    expires=f"2026-05-{until:02d}T18:00:00Z")  # fmt: skip

        for day in range(1, 6):
            hold(day, until=day)
        assert [each.created[8:10] for each in silences(store.records, "nlp")] == ["05", "04", "03"]
        hold(6, until=20)
        hold(6, until=20)
        with pytest.raises(UsageError, match="found 2 that have not expired"):
            hold(6, until=20)


@pytest.mark.parametrize("new_store", ["local"], indirect=True)
@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"expires": "tomorrow"}, "expires: found 'tomorrow', expected such as"),
        ({"expires": "2026-05-02T00:00:00"}, "expected such as 2026-03-31T18:00:00Z"),
        ({"expires": "2026-05-01T11:00:00Z"}, "expected a moment to come"),
        ({"expires": "2026-05-03T00:00:00Z", "starts": "2026-05-04T00:00:00Z"}, "behind its start"),
        ({"expires": "2027-06-01T00:00:00Z"}, "an end within 366 days"),
        ({"starts": "2027-06-01T00:00:00Z", "expires": "2027-06-02T00:00:00Z"}, "a start within 366 days"),
        ({"reason": " "}, "reason: found 1 characters"),
        ({"rule": ""}, "rule: found 0 characters"),
        ({"workload": "x" * 2001}, "workload: found 2001 characters"),
    ],
)
def test_what_is_no_silence_is_refused(new_store: Callable[[], Store], changes: dict[str, str], told: str) -> None:
    given = {"reason": "why", "expires": "2026-05-02T00:00:00Z"} | changes
    with new_store() as store:
        with pytest.raises(UsageError, match=told):
            silence(store.records, "nlp", moment=NOW, **given)
        assert silences(store.records, None) == []
