"""Work that can be told to stop: a flag that kernels look at while they run, and Python between its steps.

What a thread does inside `with Cancellation()`, or inside `deadline(…)`, ends with a `Cancelled` error soon after
another thread, or the clock, has called `cancel`. A compiled kernel holds no lock of the interpreter, so that others
can do so while it runs. Nothing is ended by force: whoever is stopped leaves files and locks in order.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Final, Self

import numpy as np

from etgraph.model.columns import Array
from etgraph.model.errors import Cancelled, DeadlineExceeded

BETWEEN_LOOKS: Final = 1 << 14
"""Steps that a kernel may take between two looks at its flag."""


def _flag() -> tuple[Array, Array]:
    """A flag that is down, to be raised, and the same to be looked at. All kernels get one type, a read-only array."""
    raised = np.zeros(1, dtype=np.int8)
    seen = raised.view()
    seen.flags.writeable = False
    return raised, seen


NEVER: Final = _flag()[1]
"""The flag of work that nobody can stop."""


def stopped(stop: Array) -> bool:
    """Whether the flag that a kernel was given is up. The one function that a kernel may call.

    Compiled, it reads the memory each time: an ordinary load may be moved out of the loop, as if no other thread were.
    """
    return bool(stop[0])


class Cancellation:
    """What is done inside `with` it can be stopped by `cancel`, as can what is done inside one that is inside it.

    It belongs to the thread, or the task, that entered it; one that this starts does not inherit it, unless it runs in
    a copy of the context (`contextvars.copy_context`).
    """

    def __init__(self) -> None:
        self._raised, self.flag = _flag()
        self._error: Cancelled | None = None
        self._outer: Cancellation | None = None
        self._inner: list[Cancellation] = []
        self._token: Token[Cancellation | None] | None = None

    def cancel(self, error: Cancelled | None = None) -> None:
        """Have the work stopped, from any thread. The first error that is given is the one that it ends with."""
        if self._error is None:
            self._error = error or Cancelled("stopped before it was done")
        self._raised[0] = 1
        for inner in tuple(self._inner):
            inner.cancel(self._error)

    def check(self) -> None:
        """Raise the error with which the work ends, if it is to end."""
        if self._error is not None:
            raise self._error

    def __enter__(self) -> Self:
        self._outer = _current.get()
        if self._outer is not None:
            # Joined before it is looked at: who cancels raises its own flag first, and then those inside.
            self._outer._inner.append(self)
            if self._outer._error is not None:
                self.cancel(self._outer._error)
        self._token = _current.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._token is not None
        _current.reset(self._token)
        if self._outer is not None:
            self._outer._inner.remove(self)


_current: ContextVar[Cancellation | None] = ContextVar("cancellation", default=None)
_until: ContextVar[float | None] = ContextVar("until", default=None)
"""When the time is over, as `time.monotonic` counts."""


def current_flag() -> Array:
    """The flag of what this thread does: one number, not 0 when it is to stop."""
    work = _current.get()
    return NEVER if work is None else work.flag


def check() -> None:
    """Raise `Cancelled` if what this thread does is to stop: for long work in Python or NumPy, between its steps."""
    work = _current.get()
    if work is not None:
        work.check()


def remaining() -> float | None:
    """Seconds that what this thread does has left, for who waits for others; None where they are not bounded."""
    until = _until.get()
    return None if until is None else until - time.monotonic()


@contextmanager
def deadline(seconds: float) -> Iterator[Cancellation]:
    """Stop what is done inside after so many seconds, with `DeadlineExceeded`; at once where that is not above 0."""
    error = DeadlineExceeded(f"not done within {seconds:g} s", hint="give it more time, or ask for less")
    with Cancellation() as work:
        if not seconds > 0:
            work.cancel(error)
            yield work
            return
        timer = threading.Timer(min(seconds, threading.TIMEOUT_MAX), work.cancel, (error,))
        timer.daemon = True
        timer.start()
        left = remaining()
        token = _until.set(time.monotonic() + (seconds if left is None else min(seconds, left)))
        try:
            yield work
        finally:
            _until.reset(token)
            timer.cancel()
