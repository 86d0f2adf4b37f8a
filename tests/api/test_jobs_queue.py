"""The queue of jobs: who gets one, for how long, and what becomes of it. On both stores, by a clock of the test."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from etgraph.api.context import Viewer
from etgraph.api.jobs.job import Job
from etgraph.api.jobs.queue import Lease, LeaseLost, Outcome, Queue
from etgraph.api.jobs.rules import Rules
from etgraph.model.errors import NotFound
from etgraph.store import Store
from etgraph.store.records import Conflict, Record

SECOND = 10**9


@dataclass
class Clock:
    """Seconds of Unix time that pass when a test says so."""

    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(empty_store: Store, clock: Clock) -> Queue:
    return Queue(empty_store.records, Rules(lease_ns=30 * SECOND, attempts=3, kept_ns=100 * SECOND), clock)


def add(queue: Queue, clock: Clock | None = None, *, team: str | None = None, spool: str = "") -> Job:
    """A new job, a second after the one before it."""
    if clock is not None:
        clock.now += 1
    return queue.add("ingest", {"files": []}, Viewer("me", team), spool=spool)


def leased(queue: Queue, worker: str = "w", spool: str = "") -> Lease:
    found = queue.lease(worker, spool)
    assert found is not None
    return found


def test_the_oldest_goes_first_and_to_one_worker(queue: Queue, clock: Clock) -> None:
    first, second = add(queue, clock), add(queue, clock)
    assert [each.id for each in queue.page()] == [second.id, first.id]
    lease = leased(queue)
    assert (lease.job.id, lease.job.state, lease.job.attempts) == (first.id, "running", 1)
    assert leased(queue, "other").job.id == second.id
    assert queue.lease("third", "") is None


def test_teams_take_turns_whatever_one_of_them_has_sent(queue: Queue, clock: Clock) -> None:
    for team in ("many", "many", "many", "few", "many", None, "few"):
        add(queue, clock, team=team)
    order = []
    while lease := queue.lease("w", ""):
        clock.now += 1
        queue.end(lease, Outcome())
        order.append(lease.job.team)
    assert order == ["many", "few", None, "many", "few", "many", "many"]


def test_a_team_with_fewer_running_jobs_goes_first(queue: Queue, clock: Clock) -> None:
    """Another worker's queue knows nothing of turns here, but sees what runs."""
    for team in ("many", "many", "many", "few", "few"):
        add(queue, clock, team=team)
    teams = [leased(Queue(queue.records, queue.rules, clock), f"w{number}").job.team for number in range(5)]
    assert teams == ["many", "few", "many", "few", "many"]


def test_what_a_dead_worker_had_goes_before_what_waits(queue: Queue, clock: Clock) -> None:
    first = add(queue, clock, team="many")
    leased(queue, "dead")
    add(queue, clock, team="few")
    clock.now += 31
    assert leased(queue, "other").job.id == first.id


def test_what_came_of_it_is_noted_once(queue: Queue) -> None:
    add(queue)
    lease = leased(queue)
    assert queue.beat(lease, ("reading", 1, 4))
    job = queue.get(lease.job.id)
    assert (job.step, job.done, job.total) == ("reading", 1, 4)
    ended = queue.end(lease, Outcome(trace_ids=["a" * 64]))
    assert (ended.state, ended.trace_ids, ended.step) == ("done", ("a" * 64,), None)
    for late in (lambda: queue.end(lease, Outcome()), lambda: queue.beat(lease), lambda: queue.give_back(lease)):
        with pytest.raises(LeaseLost):
            late()
    assert queue.get(job.id) == ended


def test_a_lease_that_ran_out_is_another_workers(queue: Queue, clock: Clock) -> None:
    add(queue)
    dead = leased(queue, "dead")
    clock.now += 29
    assert queue.lease("other", "") is None
    assert queue.beat(dead)
    clock.now += 29
    assert queue.lease("other", "") is None
    clock.now += 2
    lease = leased(queue, "other")
    assert lease.job.attempts == 2
    with pytest.raises(LeaseLost):
        queue.end(dead, Outcome(trace_ids=["d" * 64]))
    assert queue.end(lease, Outcome()).trace_ids == ()


def test_a_job_that_kills_its_workers_fails(queue: Queue, clock: Clock) -> None:
    job = add(queue)
    for attempt in (1, 2, 3):
        assert leased(queue, f"w{attempt}").job.attempts == attempt
        clock.now += 31
    assert queue.lease("w4", "") is None
    failed = queue.get(job.id)
    assert failed.error is not None
    assert (failed.state, failed.error.code) == ("failed", "WORKER_DIED")
    assert "begun 3 times" in failed.error.message


def test_what_is_given_back_is_taken_at_once_and_counts_as_no_attempt(queue: Queue) -> None:
    add(queue)
    queue.give_back(leased(queue))
    again = leased(queue, "other")
    assert again.job.attempts == 1
    queue.give_back(again, counted=True)
    assert leased(queue).job.attempts == 2


def test_a_job_that_waits_is_cancelled_at_once(queue: Queue) -> None:
    job = add(queue)
    assert queue.cancel(job.id).state == "cancelled"
    assert queue.cancel(job.id).state == "cancelled"
    assert queue.lease("w", "") is None


def test_a_job_that_runs_is_cancelled_by_its_worker(queue: Queue) -> None:
    add(queue)
    lease = leased(queue)
    assert queue.cancel(lease.job.id).cancelling
    assert queue.cancel(lease.job.id).state == "running"
    assert not queue.beat(lease)
    ended = queue.end(lease, Outcome("cancelled"))
    assert (ended.state, ended.cancelling) == ("cancelled", False)
    assert queue.cancel(ended.id) == ended


@pytest.mark.parametrize("gone", ["dead", "given back"])
def test_a_job_to_be_cancelled_is_not_begun_again(queue: Queue, clock: Clock, gone: str) -> None:
    add(queue)
    lease = leased(queue)
    queue.cancel(lease.job.id)
    if gone == "dead":
        clock.now += 31
    else:
        queue.give_back(lease)
    assert queue.lease("other", "") is None
    assert queue.get(lease.job.id).state == "cancelled"


def test_who_does_not_see_the_files_leaves_the_job(queue: Queue, clock: Clock) -> None:
    add(queue, clock, spool="here")
    anywhere = add(queue, clock)
    assert leased(queue, "far", "there").job.id == anywhere.id
    assert queue.lease("far", "there") is None
    assert queue.lease("near", "here") is not None


def test_jobs_by_team_state_and_kind(queue: Queue, clock: Clock) -> None:
    mine, nobodys = add(queue, clock, team="nlp"), add(queue, clock)
    leased(queue)
    assert [each.id for each in queue.page(team="nlp")] == [mine.id]
    assert [each.id for each in queue.page(team="")] == [nobodys.id]
    assert [each.id for each in queue.page(state="queued")] == [nobodys.id]
    assert queue.page(kind="simulate") == []
    assert [each.id for each in queue.page(first=1)] == [nobodys.id]
    assert [each.id for each in queue.page(after=nobodys.id)] == [mine.id]


def test_old_jobs_are_forgotten(queue: Queue, clock: Clock) -> None:
    ended, waits = add(queue, clock), add(queue, clock)
    queue.end(leased(queue), Outcome())
    clock.now += 98
    late = add(queue, clock)
    assert queue.expire() == []
    clock.now += 2
    assert queue.expire() == [ended.id]
    assert {each.id for each in queue.page()} == {waits.id, late.id}
    for unknown in (ended.id, "x", "../x", "é" * 24):
        with pytest.raises(NotFound):
            queue.get(unknown)


def test_many_workers_get_a_job_each(empty_store: Store) -> None:
    queue = Queue(empty_store.records)
    expected = {add(queue).id for _ in range(6)}
    found: list[str] = []

    def take(name: str) -> None:
        while (lease := queue.lease(name, "")) is not None:
            found.append(lease.job.id)
            queue.end(lease, Outcome())

    threads = [threading.Thread(target=take, args=(f"w{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == sorted(expected)


class InMemory:
    """Records of a dictionary, which are what those of stores are to be."""

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}

    def get(self, kind: str, name: str) -> Record | None:
        return self.records.get(name)

    def find(self, kind: str, where: Any = None, *, after: Any = None, first: int = 1000, newest: bool = False) -> Any:
        found = [
            record
            for name, record in sorted(self.records.items(), reverse=newest)
            if all(record.document.get(field) == value for field, value in (where or {}).items())
            and (after is None or (name < after if newest else name > after))
        ]
        return found[:first]

    def put(self, kind: str, name: str, document: Any, version: int | None = None) -> Record:
        before = self.records[name].version if name in self.records else 0
        if version is not None and version != before:
            raise Conflict("changed")
        self.records[name] = Record(kind, name, before + 1, document, "", "")
        return self.records[name]

    def remove(self, kind: str, name: str, version: int | None = None) -> bool:
        return self.records.pop(name, None) is not None


class AnyHistory(RuleBasedStateMachine):
    """Whatever workers and clocks do: a job is done by no more than one, and none is lost."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.queue = Queue(InMemory(), Rules(lease_ns=30 * SECOND, attempts=3), self.clock)
        self.leases: list[Lease] = []
        self.ended: dict[str, Job] = {}
        self.added: set[str] = set()

    @rule()
    def add(self) -> None:
        self.added.add(add(self.queue, self.clock).id)

    @rule()
    def lease(self) -> None:
        lease = self.queue.lease(f"w{len(self.leases)}", "")
        if lease is not None:
            assert lease.job.id not in self.ended
            self.leases.append(lease)

    @rule()
    def wait(self) -> None:
        self.clock.now += 20

    @precondition(lambda self: self.leases)
    @rule()
    def beat(self) -> None:
        self._try(lambda: self.queue.beat(self.leases[-1]))

    @precondition(lambda self: self.leases)
    @rule()
    def give_back(self) -> None:
        self._try(lambda: self.queue.give_back(self.leases[-1]))

    @precondition(lambda self: self.leases)
    @rule()
    def end(self) -> None:
        """Every worker that ever had a job says that it has done it."""
        for lease in self.leases:
            before = self.queue.get(lease.job.id)
            if self._try(lambda lease=lease: self.queue.end(lease, Outcome(trace_ids=[lease.worker]))):
                assert before.state == "running"

    @precondition(lambda self: self.added)
    @rule()
    def cancel(self) -> None:
        self.queue.cancel(max(self.added))

    def _try(self, what: Any) -> bool:
        try:
            what()
        except LeaseLost:
            return False
        return True

    @invariant()
    def none_is_lost_and_an_end_is_an_end(self) -> None:
        found = {each.id: each for each in self.queue.page(first=1000)}
        assert set(found) == self.added
        for job_id, job in self.ended.items():
            assert found[job_id] == job
        self.ended |= {job_id: job for job_id, job in found.items() if job.has_ended}
        for job in found.values():
            assert 0 <= job.attempts <= 3


TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
