"""Worker processes: the life of one, and the server's, which are started again where they die and end with it."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import BinaryIO, Final

from etgraph.api.http import logs
from etgraph.api.jobs.worker import Worker
from etgraph.api.settings import Settings
from etgraph.store import Store, connect

_START: Final = "import sys; sys.path[:] = {path!r}; from etgraph.api.jobs.process import child; child()"
_SHORT_SECONDS: Final = 10.0
"""A process that ended sooner than that after its start is started again later each time."""
_LONGEST_WAIT_SECONDS: Final = 30.0
END_SECONDS: Final = 15.0
"""That processes have to end in after they were told to; then they are killed."""


def work(store: Store, settings: Settings, *, once: bool = False, parent: BinaryIO | None = None) -> int:
    """Do a store's jobs until SIGTERM or SIGINT, or until the parent is gone; with `once`, until none waits.

    `parent` is a stream that ends with it. Gives the number of jobs that were begun.
    """
    _bound_memory(settings.jobs.memory_bytes)
    worker = Worker(store, settings)

    def stop(number: int, frame: FrameType | None) -> None:
        worker.stop()

    signal.signal(signal.SIGTERM, stop)
    # A terminal interrupts every process of it: those of a server are told by the server.
    signal.signal(signal.SIGINT, stop if parent is None else signal.SIG_IGN)
    if parent is not None:
        threading.Thread(target=_stop_at_end, args=(parent, worker), daemon=True).start()
    logs.event("worker ready", worker=worker.name)
    begun = worker.run(once=once)
    logs.event("worker ended", worker=worker.name, jobs=begun)
    return begun


def _stop_at_end(parent: BinaryIO, worker: Worker) -> None:
    with suppress(OSError):
        while os.read(parent.fileno(), 1):  # not by the stream: its lock would be held while the interpreter ends
            pass
    worker.stop()


def _bound_memory(most: int) -> None:
    """Bound what this process, and each that it starts, may have of its own; files that are mapped do not count."""
    if most:
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def child() -> None:
    """The whole life of a server's worker process, which is told what to do by its input."""
    parent = sys.stdin.buffer
    orders: _Orders = pickle.load(parent)
    with logs.to_stderr(quiet=orders.quiet), connect(orders.store) as store:
        work(store, orders.settings, parent=parent)


@dataclass(frozen=True, slots=True)
class _Orders:
    """What a worker process is told."""

    store: str
    settings: Settings
    quiet: bool


@dataclass(slots=True)
class _Place:
    """One of the processes: the present one, when it began, and when the next may begin."""

    process: subprocess.Popen[bytes] | None = None
    began: float = 0.0
    wait: float = 0.0
    next: float = 0.0


@dataclass(slots=True)
class Workers:
    """The worker processes of a server, as a context manager. `store` is the URL that they connect to."""

    store: str
    settings: Settings
    quiet: bool = False
    clock: Callable[[], float] = time.monotonic
    _places: list[_Place] = field(default_factory=list)
    _ending: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Workers:
        self._places = [_Place() for _ in range(self.settings.jobs.workers)]
        if self._places:
            self.look()
            self._thread = threading.Thread(target=self._watch, name="workers", daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Tell the processes to end, which gives their jobs back, and wait for them."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join()
        for process in self.processes():
            process.terminate()
        until = self.clock() + END_SECONDS
        for process in self.processes():
            try:
                process.wait(max(0.0, until - self.clock()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            _close_pipe(process)

    def processes(self) -> list[subprocess.Popen[bytes]]:
        """The processes that there are."""
        return [place.process for place in self._places if place.process is not None]

    def _watch(self) -> None:
        while not self._ending.wait(0.2):
            self.look()

    def look(self) -> None:
        """Start processes that are missing; those that end soon after their start at growing intervals."""
        now = self.clock()
        for place in self._places:
            if place.process is not None and (code := place.process.poll()) is not None:
                logs.LOG.warning("worker died", extra={"fields": {"pid": place.process.pid, "code": code}})
                _close_pipe(place.process)
                short = now - place.began < _SHORT_SECONDS
                place.wait = min(_LONGEST_WAIT_SECONDS, place.wait * 2 or 0.5) if short else 0.0
                place.process, place.next = None, now + place.wait
            if place.process is None and now >= place.next:
                place.process, place.began = self._started(), now

    def _started(self) -> subprocess.Popen[bytes]:
        # Started as `etgraph.model.workers` does it, and told by a pipe: nobody reads the password of a store's URL
        # among the system's processes, and the pipe ends with this process, however that ends.
        code = _START.format(path=sys.path)
        process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            pickle.dump(_Orders(self.store, self.settings, self.quiet), process.stdin)
            process.stdin.flush()
        return process


def _close_pipe(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    with suppress(OSError):  # it may hold what the process did not take
        process.stdin.close()


__all__ = ["Workers", "child", "work"]
