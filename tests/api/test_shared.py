"""What is worked out once for all: kept within a bound, waited for, and never given to who may not see the trace."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from etgraph.api.schema import SCHEMA
from etgraph.api.shared import Made, Once, bytes_of
from etgraph.model import Trace
from etgraph.model.cancelling import Cancellation, deadline
from etgraph.model.errors import Cancelled, DeadlineExceeded, NotFound
from etgraph.queries import hotspots
from etgraph.store import Store, connect
from support.api import application, post
from support.asking import CountingStore
from support.build import build


class Held:
    """Work that waits until it is let go, and counts how often it was begun."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.go = threading.Event()
        self.count = 0

    def __call__(self) -> Made[int]:
        self.count += 1
        self.begun.release()
        assert self.go.wait(30)
        return Made(self.count, 1)


def waiters(once: Once[int]) -> int:
    """How many wait for what is worked out under the key `k`."""
    return len(once._flights["k"].ended._cond._waiters)  # type: ignore[attr-defined]


def until(holds: Any) -> None:
    """Wait for other threads to come so far."""
    for _ in range(3000):
        if holds():
            return
        threading.Event().wait(0.01)
    raise AssertionError("the other threads did not come so far")


def test_a_value_is_worked_out_once_for_all_who_ask_at_the_same_time() -> None:
    once, work = Once[int](100), Held()
    with ThreadPoolExecutor(5) as pool:
        asked = [pool.submit(once.get, "k", work) for _ in range(5)]
        until(lambda: work.count and waiters(once) == 4)
        work.go.set()
        assert [each.result(30) for each in asked] == [1] * 5
    assert once.get("k", work) == 1


def test_other_keys_do_not_wait() -> None:
    once, work = Once[int](100), Held()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(once.get, "k", work)
        assert work.begun.acquire(timeout=30)
        assert once.get("other", lambda: Made(7, 1)) == 7
        work.go.set()
        assert asked.result(30) == 1


def test_a_failure_is_not_kept_and_who_waited_tries_again() -> None:
    once, failing, work = Once[int](100), Held(), Held()

    def fail() -> Made[int]:
        failing()
        raise NotFound("not for you")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(once.get, "k", fail)
        assert failing.begun.acquire(timeout=30)
        second = pool.submit(once.get, "k", work)
        until(lambda: waiters(once) == 1)
        failing.go.set()
        with pytest.raises(NotFound):
            first.result(30)
        work.go.set()
        assert second.result(30) == 1


def test_who_waits_gives_up_by_its_own_deadline_and_the_work_goes_on() -> None:
    once, work = Once[int](100), Held()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(once.get, "k", work)
        assert work.begun.acquire(timeout=30)
        with pytest.raises(DeadlineExceeded), deadline(0.2):
            once.get("k", work)
        work.go.set()
        assert first.result(30) == 1
    assert once.get("k", work) == 1
    assert work.count == 1


def test_work_that_is_stopped_is_taken_up_by_one_who_waited() -> None:
    once, own, work = Once[int](100), Held(), Held()
    stop = Cancellation()

    def stopped() -> int:
        with stop:
            return once.get("k", until_stopped)

    def until_stopped() -> Made[int]:
        own()
        stop.check()
        raise AssertionError("it was not stopped")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(stopped)
        assert own.begun.acquire(timeout=30)
        second = pool.submit(once.get, "k", work)
        until(lambda: waiters(once) == 1)
        stop.cancel()
        own.go.set()
        with pytest.raises(Cancelled):
            first.result(30)
        work.go.set()
        assert second.result(30) == 1


def test_what_holds_for_one_request_is_not_kept() -> None:
    once = Once[int](100)
    assert once.get("k", lambda: Made(1, 1, lasting=False)) == 1
    assert once.get("k", lambda: Made(2, 1)) == 2
    assert once.get("k", lambda: Made(3, 1)) == 2


def test_the_bound_holds() -> None:
    once = Once[int](100)
    for key in range(10):
        once.get(key, lambda key=key: Made(key, 30))  # type: ignore[misc]
    assert [once.get(key, lambda: Made(-1, 0)) for key in (9, 8, 7, 6)] == [9, 8, 7, -1]


def test_the_size_of_an_answer_is_that_of_all_its_parts() -> None:
    @dataclass
    class Answer:
        text: str
        rows: tuple[dict[str, int], ...]
        array: Any

    small = bytes_of(Answer("", (), None))
    assert bytes_of(Answer("x" * 1000, (), None)) == small + 1000
    assert bytes_of(Answer("", (), np.zeros(1000))) == small + 8000
    assert bytes_of(Answer("", tuple({"a": 1} for _ in range(100)), None)) > small + 5000


QUESTION = 'trace(reference: "gpt") { hotspots { rows { %s } } }'


@pytest.fixture
def counted(gpt_with_collective: Store) -> CountingStore:
    return CountingStore(gpt_with_collective)


@pytest.fixture
def gpt_with_collective(tmp_path: Any) -> Any:
    """A store whose one trace has a collective."""
    with connect(tmp_path / "store") as store:
        store.publish(meeting(), workload="gpt")
        yield store


def meeting(end: int = 40) -> Trace:
    return build(f"""
        rank 0 | stream 7 | all_reduce 4MB  10..{end}
        rank 1 | stream 7 | all_reduce 4MB  20..{end}
    """)


def test_another_selection_of_an_answer_works_nothing_out(counted: CountingStore) -> None:
    app = application(counted, schema=SCHEMA.graphql_schema)  # type: ignore[arg-type]
    first = post(app, "{" + QUESTION % "key" + "}")
    assert first.json["data"]["trace"]["hotspots"]["rows"], first.json
    loads = counted.calls["load"]
    again = post(app, "{" + QUESTION % "key count totalNs" + "}")
    (row,) = again.json["data"]["trace"]["hotspots"]["rows"]
    assert row["totalNs"] == 50
    assert (loads, counted.calls["load"]) == (1, 1)
    assert counted.calls["get_artefact"] == 1


def test_a_newer_revision_has_answers_of_its_own(gpt_with_collective: Store) -> None:
    app = application(gpt_with_collective, schema=SCHEMA.graphql_schema)
    query = "{" + QUESTION % "totalNs" + "}"

    def total(query: str) -> int:
        answer = post(app, query).json
        return int(answer["data"]["trace"]["hotspots"]["rows"][0]["totalNs"])

    before = gpt_with_collective.load("gpt")
    assert total(query) == hotspots(before).rows[0].total_ns == 50
    after = replace(meeting(60), trace_id=before.trace_id, revision=before.revision + 1)
    gpt_with_collective.publish(after, workload="gpt")
    assert total(query + "# ") == total(query) == 90


def test_who_may_not_see_a_trace_gets_no_answer_that_another_had(gpt_with_collective: Store) -> None:
    """The answers of all viewers are kept together; a viewer's own store is asked for the trace before them."""

    class Blind:
        """The store of somebody to whom the trace is not shown."""

        hidden = False

        def __getattr__(self, name: str) -> Any:
            return getattr(gpt_with_collective, name)

        def find(self, reference: str) -> Any:
            if self.hidden:
                raise NotFound(f"nothing is called {reference!r}")
            return gpt_with_collective.find(reference)

    store: Any = Blind()
    app = application(store, schema=SCHEMA.graphql_schema)
    queries = (
        "{" + QUESTION % "%s" + "}",
        '{ comparison(base: [{reference: "gpt"}], other: [{reference: "gpt"}]) { %s } }',
        '{ waterfall(references: ["gpt"]) { %s } }',
    )
    for query in queries:
        assert "errors" not in post(app, query % "__typename").json
    store.hidden = True
    for query in queries:
        answer = post(app, query % "again: __typename").json
        assert [each["extensions"]["code"] for each in answer["errors"]] == ["NOT_FOUND"]
        assert not any((answer["data"] or {}).values())
