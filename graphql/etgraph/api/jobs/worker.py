"""A worker: leases a job, has a thread do it, tells meanwhile that it lives, and ends the job.

The work is stopped by its flag (`etgraph.model.cancelling`). Work that does not look at it for too long is left behind
by ending the process; what the record says is in order by then.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from etgraph.api.access import view_of
from etgraph.api.http import logs
from etgraph.api.jobs.job import JobError, error_of
from etgraph.api.jobs.queue import Lease, LeaseLost, Outcome, Queue
from etgraph.api.jobs.spool import NO_ROOM, NoRoom, spool_of
from etgraph.api.jobs.work import DOES, Task
from etgraph.api.settings import Settings
from etgraph.model import cancelling
from etgraph.model.cancelling import Cancellation
from etgraph.model.errors import Cancelled, DeadlineExceeded, EtgraphError, NotFound, StoreError
from etgraph.store import Store
from etgraph.store.errors import StoreBusy, StoreUnavailable

IDLE_SECONDS: Final = 0.5
"""Between two looks for jobs."""
BEAT_SECONDS: Final = 1.0
"""Between two signs of life, at which a job that was cancelled is noticed."""
STOP_SECONDS: Final = 10.0
"""That work has to end after it was told to."""
SWEEP_SECONDS: Final = 60.0
"""Between two looks for what nobody needs any more."""


class Stopped(Cancelled):
    """The worker is to end; another one goes on with its job."""

    code = "STOPPED"


class Worker:
    """One worker of a store. `end_process` is how work that does not stop is left behind."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.time,
        end_process: Callable[[int], None] = os._exit,
    ) -> None:
        self._store = store
        self._settings = settings
        self._queue = Queue(store.records, settings.jobs, clock)
        self._spool = spool_of(store.url, settings.jobs.spool)
        self._clock = clock
        self._end_process = end_process
        self._woken = threading.Event()
        self._stopping = False
        self.name = f"{socket.gethostname()[:40]}-{os.getpid()}-{secrets.token_hex(3)}"

    def stop(self) -> None:
        """End soon: a job that is at work is given back. From a signal or another thread."""
        self._stopping = True
        self._woken.set()

    def run(self, *, once: bool = False) -> int:
        """Do jobs until told to stop; with `once`, until none waits. The number of jobs that were begun."""
        begun, swept = 0, -SWEEP_SECONDS
        while not self._stopping:
            try:
                if time.monotonic() - swept >= SWEEP_SECONDS:
                    swept = time.monotonic()
                    self.tidy()
                lease = self._queue.lease(self.name, self._spool.name)
                if lease is not None:
                    begun += 1
                    self._do(lease)
                    continue
            except StoreError as error:
                logs.LOG.warning("store", extra={"fields": {"worker": self.name, "error": str(error)}})
                if once:
                    raise
            if once:
                break
            self._woken.wait(IDLE_SECONDS)
        return begun

    def tidy(self) -> None:
        """Delete what broken uploads and ended jobs left, and forget jobs that ended long ago."""
        swept = self._spool.sweep(self._is_needed, self._clock)
        forgotten = self._queue.expire()
        if swept or forgotten:
            logs.event("swept", worker=self.name, uploads=len(swept), jobs=len(forgotten))

    def _is_needed(self, job_id: str) -> bool:
        try:
            return not self._queue.get(job_id).has_ended
        except NotFound:
            return False

    def _do(self, lease: Lease) -> None:
        """Have a job done, and note how it ended."""
        job = lease.job
        logs.event("job begun", job=job.id, kind=job.kind, attempt=job.attempts, worker=self.name)
        began = time.monotonic()
        work = _Work(self._task, lease, self._woken.set)
        self._woken.clear()
        work.start()
        ended = self._watch(lease, work, began)
        if ended is not None:
            logs.event(
                "job ended", job=job.id, kind=job.kind, state=ended, worker=self.name,
                ms=round((time.monotonic() - began) * 1e3, 3),
            )  # fmt: skip

    def _watch(self, lease: Lease, work: _Work, began: float) -> str | None:
        """Tell that the worker lives until the work has ended; the state that the job ended in, None where it has not.

        What is told to stop and does not is left behind, with the process, after it was noted as if it had.
        """
        pause = min(BEAT_SECONDS, self._settings.jobs.lease_ns / 3e9)
        until = began + self._settings.jobs.time_ns / 1e9
        beaten = began
        stopped: float | None = None
        while work.is_alive():
            self._woken.wait(pause)
            self._woken.clear()
            now = time.monotonic()
            reason: Cancelled | None = None
            if self._stopping and work.reason is None:
                self._give_back(lease)
                reason = Stopped("the worker ends")
            elif now > until:
                reason = _too_long(self._settings.jobs.time_ns)
            elif now - beaten >= pause and work.is_alive():
                reason, beaten = self._beat(lease, work), now
            if reason is not None and work.reason is None:
                work.stop(reason)
                stopped = now
            if stopped is not None and now - stopped > STOP_SECONDS and work.is_alive():
                self._noted(lease, work.reason)
                logs.LOG.error("work does not stop", extra={"fields": {"job": lease.job.id, "worker": self.name}})
                self._end_process(1)
                return None
        work.join()
        return self._noted(lease, work.reason or work.error, work.outcome)

    def _beat(self, lease: Lease, work: _Work) -> Cancelled | None:
        """A sign of life; why the work is to stop, where it is."""
        try:
            if not self._queue.beat(lease, work.latest):
                return Cancelled("the job was cancelled")
        except LeaseLost as error:
            return _Lost(error.message)
        except StoreError as error:
            logs.LOG.warning("store", extra={"fields": {"worker": self.name, "error": str(error)}})
        return None

    def _give_back(self, lease: Lease, *, counted: bool = False) -> None:
        try:
            self._queue.give_back(lease, counted=counted)
            logs.event("job given back", job=lease.job.id, worker=self.name)
        except (LeaseLost, StoreError) as error:
            logs.LOG.warning("lease", extra={"fields": {"job": lease.job.id, "error": str(error)}})

    def _noted(self, lease: Lease, error: BaseException | None, outcome: Outcome | None = None) -> str | None:
        """Note how a job ended; the state, None where it goes on elsewhere."""
        if isinstance(error, (Stopped, _Lost)):
            return None
        if isinstance(error, (StoreUnavailable, StoreBusy)) and lease.job.attempts < self._settings.jobs.attempts:
            self._give_back(lease, counted=True)
            return None
        outcome = outcome or _ended_by(error, lease)
        try:
            self._queue.end(lease, outcome)
        except (LeaseLost, StoreError) as late:
            # Another worker has the job, or will have it when the lease runs out: nothing is lost, as publishing the
            # same again changes nothing.
            logs.LOG.warning("lease", extra={"fields": {"job": lease.job.id, "error": str(late)}})
            return None
        self._spool.remove(lease.job.id)
        return outcome.state

    def _task(self, lease: Lease, work: _Work) -> Task:
        store = view_of(self._store, lease.viewer)
        keeps = timedelta(days=self._settings.alert_days)
        return Task(lease.job, store, self._queue, self._spool, self._settings.limits, work.progress, keeps)


class _Lost(Cancelled):
    """The lease is another's."""


class _Work(threading.Thread):
    """The thread that does a job; it ends with an outcome or an error."""

    def __init__(self, task: Callable[[Lease, _Work], Task], lease: Lease, ended: Callable[[], None]) -> None:
        super().__init__(name=f"job-{lease.job.id}", daemon=True)
        self.outcome: Outcome | None = None
        self.error: BaseException | None = None
        self.reason: Cancelled | None = None
        self._task = task
        self._lease = lease
        self._ended = ended
        self._cancellation = Cancellation()
        self.latest: tuple[str, int, int | None] | None = None
        """What the work is at."""

    def run(self) -> None:
        """Do the job."""
        try:
            with self._cancellation:
                self.outcome = DOES[self._lease.job.kind](self._task(self._lease, self))
        except BaseException as error:
            self.error = error
        finally:
            self._ended()

    def stop(self, reason: Cancelled) -> None:
        """Have the work end."""
        self.reason = reason
        self._cancellation.cancel(reason)

    def progress(self, step: str, done: int = 0, total: int | None = None) -> None:
        """Told by the work what it is at, which is stopped here where it is to."""
        self.latest = (step[:200], done, total)
        cancelling.check()


def _ended_by(error: BaseException | None, lease: Lease) -> Outcome:
    """How a job ends that its error ended."""
    if isinstance(error, Cancelled) and not isinstance(error, DeadlineExceeded):
        return Outcome("cancelled")
    if isinstance(error, EtgraphError):
        return Outcome("failed", error=error_of(error))
    if isinstance(error, MemoryError):
        return Outcome(
            "failed", error=JobError("OUT_OF_MEMORY", "the job needs more memory than a worker may have",
                                     "send fewer ranks at once, or have `jobs.memory` raised")
        )  # fmt: skip
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        full = NoRoom("the disk is full", hint="try again later, or tell who runs the server")
        return Outcome("failed", error=error_of(full))
    logs.LOG.error("defect", exc_info=error, extra={"fields": {"job": lease.job.id}})
    return Outcome("failed", error=JobError("INTERNAL", "something went wrong inside the server",
                                            f"the server's log has it under job {lease.job.id}"))  # fmt: skip


def _too_long(nanoseconds: int) -> DeadlineExceeded:
    return DeadlineExceeded(
        f"the job was not done within {nanoseconds / 1e9:g} s", hint="send less at once, or have `jobs.time` raised"
    )


__all__ = ["Worker"]
