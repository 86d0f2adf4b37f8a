"""Child processes that work on what the test has made, and can be killed while they do."""

from __future__ import annotations

import faulthandler
import os
import signal
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Self

SECONDS = 480


@dataclass(slots=True)
class Fork:
    """A child that was forked for some work. Ends well where the work does; a failed work's traceback is printed."""

    pid: int
    stack: IO[str]
    status: int | None = None

    @classmethod
    def of(cls, work: Callable[[], object]) -> Self:
        """Begin some work in a child."""
        stack = tempfile.TemporaryFile("w+")  # noqa: SIM115  (closed at its end)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child:
            return cls(child, stack)
        status = 1
        try:
            faulthandler.register(signal.SIGUSR1, file=stack)
            work()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def ended(self) -> bool:
        """Whether it is over."""
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = status
                self.stack.close()
        return self.status is not None

    def well(self) -> bool:
        """Wait for the end; whether it was a good one."""
        until = time.monotonic() + SECONDS
        while not self.ended():
            assert time.monotonic() < until, f"process {self.pid} does not end:\n{self._where()}"
            time.sleep(0.005)
        return self.status == 0

    def _where(self) -> str:
        """What each of its threads does."""
        os.kill(self.pid, signal.SIGUSR1)
        time.sleep(1)
        self.stack.seek(0)
        return self.stack.read()

    def killed(self) -> bool:
        """Wait for the end; whether it was a SIGKILL."""
        return not self.well() and self.status == signal.SIGKILL

    def kill(self) -> None:
        """End it as nothing can prevent."""
        if not self.ended():
            os.kill(self.pid, signal.SIGKILL)
            self.well()

    def stop(self) -> None:
        """Let it hang until `go_on`."""
        os.kill(self.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """The end of `stop`."""
        os.kill(self.pid, signal.SIGCONT)
