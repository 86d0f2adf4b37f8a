"""Workers: they do jobs within their limits, stop when they are told to, and may die at any moment."""

from __future__ import annotations

import errno
import io
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from etgraph.api.jobs import worker as workers
from etgraph.api.jobs.job import Job
from etgraph.api.jobs.process import Workers, _Place
from etgraph.api.jobs.queue import Outcome, Queue
from etgraph.api.jobs.rules import Rules
from etgraph.api.jobs.spool import Spool
from etgraph.api.jobs.work import Task
from etgraph.api.jobs.worker import Worker
from etgraph.api.settings import Settings
from etgraph.model import cancelling
from etgraph.model.errors import MissingData, StoreError
from etgraph.store import Store, connect
from etgraph.store.errors import StoreUnavailable
from support.api import application
from support.uploading import do_all, job, job_in, kineto, left_in, send, worker_of

HELD = Path(__file__).parents[1] / "support" / "held_worker.py"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with connect(tmp_path / "store") as opened:
        yield opened


def upload(store: Store, name: str = "aten::mm", spool: str = "", **fields: Any) -> Job:
    """A job for a small file that was uploaded."""
    app = application(store, jobs=Rules(spool=spool))
    return job(store, job_in(send(app, {"a.json": kineto(name)}, **fields))["id"])


def doing(monkeypatch: pytest.MonkeyPatch, work: Callable[[Task], Outcome]) -> None:
    monkeypatch.setattr(workers, "DOES", {"ingest": work})


@contextmanager
def at_work(worker: Worker) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=worker.run, kwargs={"once": True})
    thread.start()
    yield thread
    thread.join(30)
    assert not thread.is_alive()


class Endless:
    """Work that ends when it is stopped, and says when it is inside."""

    def __init__(self) -> None:
        self.inside = threading.Event()

    def __call__(self, task: Task) -> Outcome:
        task.progress("working", 1, 2)
        self.inside.set()
        while True:
            cancelling.check()
            time.sleep(0.005)


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> Endless:
    work = Endless()
    doing(monkeypatch, work)
    monkeypatch.setattr(workers, "BEAT_SECONDS", 0.02)
    return work


def test_progress_is_told_and_a_cancelled_job_stops(store: Store, endless: Endless) -> None:
    sent = upload(store)
    queue = Queue(store.records)
    with at_work(worker_of(store)):
        assert endless.inside.wait(30)
        while (seen := queue.get(sent.id)).step is None:
            time.sleep(0.01)
        assert (seen.state, seen.step, seen.done, seen.total) == ("running", "working", 1, 2)
        queue.cancel(sent.id)
    ended = job(store, sent.id)
    assert (ended.state, ended.cancelling, left_in(store)) == ("cancelled", False, [])


def test_a_worker_that_is_told_to_end_gives_its_job_back(store: Store, endless: Endless) -> None:
    sent = upload(store)
    worker = worker_of(store)
    with at_work(worker):
        assert endless.inside.wait(30)
        worker.stop()
    waits = job(store, sent.id)
    assert (waits.state, waits.attempts, left_in(store)) == ("queued", 0, [sent.id])


def test_a_job_has_its_time(store: Store, endless: Endless) -> None:
    sent = upload(store)
    do_all(store, time_ns=10**8)
    failed = job(store, sent.id)
    assert failed.error is not None
    assert (failed.state, failed.error.code) == ("failed", "TIMEOUT")
    assert failed.error.message == "the job was not done within 0.1 s"


def test_a_worker_whose_job_another_has_ends_it_no_more(store: Store, endless: Endless) -> None:
    sent = upload(store)
    with at_work(worker_of(store, lease_ns=30 * 10**9)):
        assert endless.inside.wait(30)
        later = Queue(store.records, clock=lambda: time.time() + 3600)
        lease = later.lease("other", Spool(Path(store.url.removeprefix("file://")) / ".uploads").name)
        assert lease is not None
    running = job(store, sent.id)
    assert (running.state, running.attempts, left_in(store)) == ("running", 2, [sent.id])
    assert later.end(lease, Outcome()).state == "done"


def test_work_that_does_not_stop_is_left_behind(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    release, ended = threading.Event(), list[int]()
    monkeypatch.setattr(workers, "BEAT_SECONDS", 0.02)
    monkeypatch.setattr(workers, "STOP_SECONDS", 0.05)

    def deaf(task: Task) -> Outcome:
        assert release.wait(30)
        return Outcome()

    doing(monkeypatch, deaf)
    sent = upload(store)
    settings = Settings(jobs=Rules(time_ns=10**7))
    worker = Worker(store, settings, end_process=lambda code: (ended.append(code), worker.stop())[0])
    worker.run(once=True)
    release.set()
    failed = job(store, sent.id)
    assert (failed.state, ended) == ("failed", [1])


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (MissingData("no times", hint="record them"), "MISSING_DATA", "no times"),
        (MemoryError(), "OUT_OF_MEMORY", "more memory than a worker may have"),
        (OSError(errno.ENOSPC, "No space left on device"), "NO_ROOM", "the disk is full"),
        (ZeroDivisionError("the password is hunter2"), "INTERNAL", "something went wrong inside the server"),
        (StoreError("it is broken"), "STORE", "it is broken"),
    ],
)
def test_what_goes_wrong_is_told(
    store: Store, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str, words: str
) -> None:
    def fail(task: Task) -> Outcome:
        raise error

    doing(monkeypatch, fail)
    sent = upload(store)
    do_all(store)
    failed = job(store, sent.id)
    assert failed.error is not None
    assert (failed.state, failed.error.code) == ("failed", code)
    assert words in failed.error.message
    assert "hunter2" not in str(failed)


def test_a_store_that_is_out_of_reach_for_a_moment_costs_an_attempt(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []

    def fail(task: Task) -> Outcome:
        tries.append(task.job.attempts)
        raise StoreUnavailable("it does not answer")

    doing(monkeypatch, fail)
    sent = upload(store)
    do_all(store)
    failed = job(store, sent.id)
    assert failed.error is not None
    assert (tries, failed.state, failed.error.code) == ([1, 2, 3], "failed", "STORE_UNAVAILABLE")


def test_a_worker_tidies_up(store: Store) -> None:
    upload(store, workload="w")
    do_all(store)
    assert Queue(store.records).page() != []
    worker_of(store, kept_ns=0).run(once=True)
    assert Queue(store.records).page() == []
    assert [entry.workload for entry in store.traces()] == ["w"]


# Real processes


@contextmanager
def held(store_url: str, spool: Path, how: str, lease: float = 30.0) -> Iterator[subprocess.Popen[str]]:
    """A worker process that is inside a job."""
    command = [sys.executable, "-P", str(HELD), store_url, str(spool), how, str(lease)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "inside\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_killed_workers_job_is_ended_by_another(empty_store: Store, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    sent = upload(empty_store, spool=str(spool), workload="w")
    with held(empty_store.url, spool, "wait") as process:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert job(empty_store, sent.id).state == "running"
    later = Worker(
        empty_store, Settings(jobs=Rules(spool=str(spool))), clock=lambda: time.time() + 31
    )  # the lease of 30 s has run out by this clock
    later.run(once=True)
    done = job(empty_store, sent.id)
    assert (done.state, done.attempts, len(done.trace_ids)) == ("done", 2, 1)
    assert [entry.id for entry in empty_store.traces()] == list(done.trace_ids)
    assert empty_store.verify() == []


@pytest.mark.parametrize("how", ["wait", "deaf"])
def test_a_worker_process_gives_its_job_back_at_sigterm(store: Store, tmp_path: Path, how: str) -> None:
    spool = tmp_path / "spool"
    sent = upload(store, spool=str(spool))
    with held(store.url, spool, how) as process:
        process.terminate()
        assert process.wait(30) == (0 if how == "wait" else 1)
    waits = job(store, sent.id)
    assert (waits.state, waits.attempts) == ("queued", 0)
    do_all(store, spool)
    assert job(store, sent.id).state == "done"


def wait_for(what: Callable[[], Any]) -> Any:
    until = time.monotonic() + 60
    while not (found := what()):
        assert time.monotonic() < until
        time.sleep(0.02)
    return found


def is_there(pid: int) -> bool:
    import psutil

    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_a_servers_workers_do_jobs_are_started_again_and_end_with_it(store: Store) -> None:
    with Workers(store.url, Settings(jobs=Rules(workers=1))) as running:
        (first,) = running.processes()
        sent = upload(store)
        wait_for(lambda: job(store, sent.id).has_ended)
        assert job(store, sent.id).state == "done"
        first.kill()
        second = wait_for(lambda: [each for each in running.processes() if each.pid != first.pid])[0]
        again = upload(store, "aten::relu")
        wait_for(lambda: job(store, again.id).has_ended)
    assert second.returncode == 0
    assert not is_there(second.pid)


def test_workers_end_when_their_server_is_killed(store: Store) -> None:
    code = (
        "import sys, time; from etgraph.api.jobs.process import Workers; from etgraph.api.settings import Settings\n"
        "with Workers(sys.argv[1], Settings()) as running:\n"
        "    print(running.processes()[0].pid, flush=True); time.sleep(60)"
    )
    server = subprocess.Popen([sys.executable, "-c", code, store.url], stdout=subprocess.PIPE, text=True)
    with server:
        assert server.stdout is not None
        pid = int(server.stdout.readline())
        sent = upload(store)
        wait_for(lambda: job(store, sent.id).has_ended)
        assert is_there(pid)
        server.kill()
    wait_for(lambda: not is_there(pid))


def test_processes_that_die_at_once_are_started_at_growing_intervals(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, started = [0.0], list[float]()

    class Dead:
        pid = 1
        stdin = io.BytesIO()

        def poll(self) -> int:
            return 1

    def start(self: Workers) -> Any:
        started.append(clock[0])
        return Dead()

    monkeypatch.setattr(Workers, "_started", start)
    running = Workers(store.url, Settings(), clock=lambda: clock[0])
    running._places = [_Place()]
    for _ in range(1200):
        running.look()
        clock[0] += 0.1
    gaps = [round(b - a, 1) for a, b in itertools.pairwise(started)]
    assert gaps[:6] == pytest.approx([0.6, 1.1, 2.1, 4.1, 8.1, 16.1], abs=0.15)
    assert max(gaps) <= 30.2


def test_killed_servers_and_workers_lose_no_upload_and_do_none_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2]))
    from benchmarks import crash_jobs

    summary = crash_jobs.main(rounds=3, seed=7)
    assert summary.faults == []
    assert (summary.rounds, summary.midst > 0, len(summary.accepted) > 0) == (3, True, True)
