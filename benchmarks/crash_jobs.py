"""Servers and workers are killed at random moments while clients upload: what was accepted must end, and once only.

In each round clients send small trace files, some of them no traces, some with a connection that breaks in the midst.
Meanwhile the server, or one of its workers, or both are killed (SIGKILL), or the server is told to end (SIGTERM). A
server that is gone is started again. In the end every upload that was answered with a job is a trace under its
workload, or its job has failed with a reason; no trace is there that nobody sent, no file waits, no process is left.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import psutil

from etgraph.api.jobs.job import RECORD, Job
from etgraph.api.jobs.queue import Queue
from etgraph.api.jobs.spool import Spool
from etgraph.api.settings import PREFIX
from etgraph.model.errors import NotFound
from etgraph.store import Store, connect

CLIENTS: Final = 2
PAUSE_SECONDS: Final = 0.5
OPERATORS: Final = 2_000
WORKERS: Final = 3
LEASE_SECONDS: Final = 2.0
BUSY_SECONDS: Final = 30.0
"""For which a round waits until a job is being done; then something is killed within LONGEST_SECONDS."""
LONGEST_SECONDS: Final = 1.0
SETTLE_SECONDS: Final = 180.0
KILLS: Final = {"worker": 7, "server": 1, "both": 1, "end": 1}
"""What is killed, and how often."""


@dataclass(slots=True)
class Summary:
    """What the rounds came to: `faults` must be empty."""

    rounds: int = 0
    killed: Counter[str] = field(default_factory=Counter)
    midst: int = 0
    """Kills while a job was at work."""
    sent: int = 0
    broken: int = 0
    accepted: dict[str, str] = field(default_factory=dict)
    """The workload of each accepted job."""
    ended: Counter[str] = field(default_factory=Counter)
    again: int = 0
    """Jobs that were begun more than once."""
    faults: list[str] = field(default_factory=list)


def trace_file(number: int) -> bytes:
    """A Kineto file whose operators tell its number."""
    events = [
        {"ph": "X", "cat": "cpu_op", "name": f"op {number}", "pid": 1, "tid": 1, "ts": 10 * place, "dur": 5}
        for place in range(OPERATORS)
    ]
    return json.dumps({"distributedInfo": {"rank": 0, "world_size": 1}, "traceEvents": events}).encode()


class Server:
    """`etgraph serve` as a process, started again when it is gone."""

    def __init__(self, store: str, spool: Path, log: Path) -> None:
        self._command = [sys.executable, "-m", "etgraph.cli", "serve", "--port", "0", "--store", store]
        self._log = log
        self._environment = os.environ | {
            f"{PREFIX}JOBS_WORKERS": str(WORKERS),
            f"{PREFIX}JOBS_SPOOL": str(spool),
            f"{PREFIX}JOBS_LEASE": f"{LEASE_SECONDS:g} s",
            f"{PREFIX}GRACE": "2 s",
            f"{PREFIX}PREPARE": "false",
        }
        self.seen: set[int] = set()
        self.start()

    def start(self) -> None:
        """Start it, and wait until it listens."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command, env=self._environment, stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        self.workers()

    def workers(self) -> list[psutil.Process]:
        """Its workers that live."""
        try:
            found = psutil.Process(self.process.pid).children()
        except psutil.NoSuchProcess:
            found = []
        self.seen.update(each.pid for each in found)
        return found

    def kill(self, what: str, busy: int | None) -> None:
        """Kill the server, the worker that is busy (or another), or both; or tell the server to end."""
        workers = self.workers()
        if what in ("worker", "both") and workers:
            with suppress(psutil.NoSuchProcess):
                next((each for each in workers if each.pid == busy), workers[0]).kill()
        if what == "end":
            self.process.terminate()
        elif what in ("server", "both"):
            self.process.kill()
        if what != "worker":
            self.stop(0)

    def stop(self, code: int | None = None) -> None:
        """Wait for its end."""
        if code is None:
            self.process.terminate()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


def _post(url: str, path: str, body: bytes, *, breaks: bool) -> Job | dict[str, Any] | None:
    """Send a file; the job that it was accepted as, None where there was no answer."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    try:
        connection.putrequest("POST", path)
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body[: len(body) // 2] if breaks else body)
        if breaks:
            return None
        answer = connection.getresponse()
        found = json.loads(answer.read())
        job: dict[str, Any] | None = found.get("job")
        return job if answer.status in (200, 202) else None
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()


class Clients:
    """Threads that upload until they are told to stop."""

    def __init__(self, server: Server, summary: Summary, seed: int) -> None:
        self._server = server
        self._summary = summary
        self._rng = random.Random(seed)
        self._lock = threading.Lock()
        self._number = 0

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Upload while the block runs."""
        stopping = threading.Event()
        threads = [threading.Thread(target=self._run, args=(stopping,)) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stopping.set()
            for thread in threads:
                thread.join()

    def _run(self, stopping: threading.Event) -> None:
        while not stopping.wait(PAUSE_SECONDS):
            with self._lock:
                self._number += 1
                number, kind = self._number, self._rng.choices(("good", "bad", "breaks"), (6, 2, 2))[0]
                self._summary.sent += 1
                self._summary.broken += kind == "breaks"
            body = trace_file(number) if kind != "bad" else b'{"traceEvents": [' + b"x" * number
            workload = f"{kind}-{number}"
            found = _post(self._server.url, f"/api/v1/traces?workload={workload}", body, breaks=kind == "breaks")
            if found is None and kind == "good":  # whoever had no answer sends the same again
                found = _post(self._server.url, f"/api/v1/traces?workload={workload}", body, breaks=False)
            if isinstance(found, dict):
                with self._lock:
                    self._summary.accepted[found["id"]] = workload


def run(rounds: int, seed: int, folder: Path, store: str | None = None) -> Summary:
    """So many rounds; what they came to."""
    rng, summary = random.Random(seed), Summary()
    store = store or str(folder / "store")
    spool = folder / "spool"
    server = Server(store, spool, folder / "log")
    try:
        clients = Clients(server, summary, seed)
        with clients.sending(), connect(store) as opened:
            for _ in range(rounds):
                (what,) = rng.choices(list(KILLS), list(KILLS.values()))
                busy = _busy(opened, lambda: rng.uniform(0.0, LONGEST_SECONDS))
                summary.midst += busy is not None
                server.kill(what, busy)
                summary.killed[what] += 1
                summary.rounds += 1
                if what != "worker":
                    server.start()
        _settle(store, summary)
    finally:
        server.workers()
        server.stop()
    _check(store, spool, server, summary)
    return summary


def _busy(store: Store, wait: Callable[[], float]) -> int | None:
    """The process that does a job, a random time after it was begun; None where none was for long."""
    until = time.monotonic() + BUSY_SECONDS
    while time.monotonic() < until:
        for record in store.records.find(RECORD, {"state": "running"}, newest=True, first=1):
            time.sleep(wait())
            return int(record.document["worker"].split("-")[-2])
        time.sleep(0.02)
    return None


def _settle(store: str, summary: Summary) -> None:
    """Wait until every accepted job has ended."""
    until = time.monotonic() + SETTLE_SECONDS
    with connect(store) as opened:
        queue = Queue(opened.records)
        for job_id, workload in summary.accepted.items():
            while not _has_ended(queue, job_id):
                if time.monotonic() > until:
                    summary.faults.append(f"job {job_id} of {workload}: {queue.get(job_id).state} for ever")
                    break
                time.sleep(0.2)


def _has_ended(queue: Queue, job_id: str) -> bool:
    try:
        return queue.get(job_id).has_ended
    except NotFound:
        return True  # which is a fault, told by the check


def _check(store: str, spool: Path, server: Server, summary: Summary) -> None:
    """What must hold in the end."""
    faults = summary.faults
    with connect(store) as opened:
        queue = Queue(opened.records)
        jobs = {job.id: job for job in _all(queue)}
        entries = Counter(entry.workload for entry in opened.traces())
        for job_id, workload in summary.accepted.items():
            job = jobs.get(job_id)
            if job is None:
                faults.append(f"job {job_id} of {workload} is gone")
                continue
            summary.ended[f"{workload.partition('-')[0]} {job.state}"] += 1
            summary.again += job.attempts > 1
            good = workload.startswith("good")
            if job.state == "done" and not (good and entries[workload] == 1 and len(job.trace_ids) == 1):
                faults.append(f"job {job_id} of {workload} is done: found {entries[workload]} traces, expected 1")
            if job.state == "failed" and (job.error is None or not job.error.message or (good and job.attempts < 3)):
                faults.append(f"job {job_id} of {workload} has failed after {job.attempts}: {job.error}")
            if job.state not in ("done", "failed"):
                faults.append(f"job {job_id} of {workload} is {job.state}")
        made = Counter(str(job.input["workload"]) for job in jobs.values() if job.state == "done")
        faults += [f"workload {name}: {count} traces" for name, count in entries.items() if count != 1]
        faults += [f"workload {name}: {count} jobs" for name, count in made.items() if count != 1]
        faults += [f"workload {name}: found a trace that no job made" for name in entries if name not in made]
        faults += [str(problem) for problem in opened.verify()]
        needed = {job.id for job in jobs.values() if not job.has_ended}
        Spool(spool).sweep(needed.__contains__, lambda: time.time() + 3600)
        left = sorted(path.name for path in spool.iterdir() if not path.name.startswith("."))
        faults += [f"upload {name} is left" for name in left if name not in needed]
    time.sleep(0.5)
    faults += [f"worker {pid} is left" for pid in server.seen if _lives(pid)]


def _all(queue: Queue) -> Iterator[Job]:
    after: str | None = None
    while page := queue.page(after=after, first=500):
        yield from page
        after = page[-1].id


def _lives(pid: int) -> bool:
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and "etgraph" in " ".join(process.cmdline())
    except psutil.Error:
        return False


def main(rounds: int = 60, seed: int = 1, store: str | None = None) -> Summary:
    """Run the rounds and print what they came to."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="etgraph-crash-") as folder:
        summary = run(rounds, seed, Path(folder), store)
    killed = ", ".join(f"{count} {what}" for what, count in sorted(summary.killed.items()))
    ended = ", ".join(f"{count} {how}" for how, count in sorted(summary.ended.items()))
    print(
        f"crash_jobs: {summary.rounds} rounds ({killed}; {summary.midst} within a job), "
        f"{summary.sent} uploads, {summary.broken} broken off, "
        f"{len(summary.accepted)} accepted ({ended}), {summary.again} begun more than once, "
        f"{len(summary.faults)} faults, {time.perf_counter() - began:.0f} s (seed {seed})"
    )
    for fault in summary.faults[:20]:
        print(f"  {fault}")
    return summary


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--store", help="a store in Neo4j that is empty; else a folder of its own")
    arguments = parser.parse_args()
    sys.exit(bool(main(arguments.rounds, arguments.seed, arguments.store).faults))
