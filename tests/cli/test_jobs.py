"""`etgraph jobs` and `etgraph worker`: jobs of a store listed, shown, cancelled and done."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from etgraph.api.jobs.queue import Queue
from etgraph.cli.main import main
from etgraph.model.results import to_json
from etgraph.store import Store, connect
from support.api import application
from support.uploading import do_all, job_in, kineto, send


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with connect(tmp_path / "store") as opened:
        yield opened


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """Put back what a worker's process does with signals."""
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


def run(store: Store, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--store", store.url])


def upload(store: Store, name: str, **fields: Any) -> str:
    found: str = job_in(send(application(store), {f"{name}.json": kineto(name)}, **fields))["id"]
    return found


def test_jobs_are_listed_newest_first(store: Store) -> None:
    assert "no jobs" in run(store, "jobs").stderr
    first, second = upload(store, "a", workload="w"), upload(store, "b")
    lines = run(store, "jobs").stdout.splitlines()
    assert [line.split()[0] for line in lines[2:]] == [second, first]
    assert "queued" in lines[3]
    assert run(store, "jobs", "-q", "--limit", "1").stdout == f"{second}\n"
    do_all(store)
    assert run(store, "jobs", "--state", "queued", "-q").stdout == ""
    documents = json.loads(run(store, "jobs", "--state", "done", "--json").stdout)["jobs"]
    assert documents == [to_json(each) for each in Queue(store.records).page()]


def test_a_job_is_shown_and_cancelled(store: Store) -> None:
    waits = upload(store, "a", workload="w")
    assert "state     queued" in run(store, "jobs", waits).stdout
    cancelled = run(store, "jobs", waits, "--cancel", "--json")
    assert json.loads(cancelled.stdout)["job"]["state"] == "cancelled"
    failed = job_in(send(application(store), {"a.json": kineto("ok"), "b.json": b"[1"}, each="true"))["id"]
    do_all(store)
    shown = run(store, "jobs", failed).stdout
    assert "state     done" in shown
    assert "b.json" in shown


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--cancel",), 2, "--cancel needs the ID of a job"),
        (("x", "--state", "done"), 2, "--state chooses among all jobs"),
        (("f" * 24,), 3, "no job"),
    ],
)
def test_what_cannot_be_asked_of_jobs(store: Store, arguments: tuple[str, ...], code: int, words: str) -> None:
    found = run(store, "jobs", *arguments)
    assert (found.exit_code, words in found.stderr) == (code, True)


def test_a_worker_does_what_waits_and_ends(store: Store) -> None:
    upload(store, "a", workload="w")
    upload(store, "b")
    done = run(store, "worker", "--once", "--json")
    assert (done.exit_code, json.loads(done.stdout)) == (0, {"jobs": 2})
    assert len(store.traces()) == 2
    events = [json.loads(line)["event"] for line in done.stderr.splitlines() if line.startswith("{")]
    assert events == ["worker ready", *["job begun", "job ended"] * 2, "worker ended"]
    assert "0 jobs begun" in run(store, "worker", "--once").stderr
