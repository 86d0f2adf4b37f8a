"""What is worked out once for all requests that ask for it: kept within a bound, and waited for while it is made.

Whoever asks has found the trace through the store as its viewer sees it; keys hold the id and the revision that were
found there. So what is kept here says nothing of a trace to somebody who may not see it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from etgraph.api.bounded import Bounded
from etgraph.model import Trace
from etgraph.model.cancelling import check

T = TypeVar("T")

RESULTS_BYTES: Final = 128 << 20
TRACES_BYTES: Final = 512 << 20
"""How much memory answers and opened traces may take, if nothing else is said."""
_LOOK_SECONDS: Final = 0.05
"""Between two looks of somebody who waits at whether to go on waiting."""


@dataclass(frozen=True, slots=True)
class Made(Generic[T]):
    """What work gave, and its bytes; `lasting` is false for what holds for this request alone."""

    value: T
    bytes: int
    lasting: bool = True


class _Flight(Generic[T]):
    """Work that somebody is at; `made` stays None where it failed."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.made: Made[T] | None = None


class Once(Generic[T]):
    """Values by key, at most so many bytes of them. Of many who ask for one that is not there, one works it out."""

    def __init__(self, most_bytes: int) -> None:
        self._kept: Bounded[Hashable, Made[T]] = Bounded(most_bytes)
        self._flights: dict[Hashable, _Flight[T]] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, work: Callable[[], Made[T]]) -> T:
        """The value: kept, or waited for, or worked out here.

        A failure is the caller's alone whose work it was, and is not kept: who waited tries for itself. Raises what the
        work raises, and Cancelled where the caller's own time is over; others go on.
        """
        while True:
            with self._lock:
                made = self._kept.get(key)
                if made is not None:
                    return made.value
                flight = self._flights.get(key)
                if flight is None:
                    own = self._flights[key] = _Flight()
                    break
            while not flight.ended.wait(_LOOK_SECONDS):
                check()
            if flight.made is not None:
                return flight.made.value
        try:
            made = work()
            if made.lasting:
                own.made = made
            return made.value
        finally:
            with self._lock:
                if own.made is not None:
                    self._kept.put(key, own.made, own.made.bytes)
                del self._flights[key]
            own.ended.set()


@dataclass(frozen=True, slots=True)
class Shared:
    """Answers to questions, and the traces that they are asked of."""

    results: Once[Any] = field(default_factory=lambda: Once(RESULTS_BYTES))
    traces: Once[Trace] = field(default_factory=lambda: Once(TRACES_BYTES))


def bytes_of(value: Any) -> int:
    """About how much memory an answer takes: arrays and tables by their content, everything else by its parts."""
    total, left = 0, [value]
    while left:
        one = left.pop()
        total += _OBJECT
        if hasattr(one, "nbytes"):
            total += one.nbytes
        elif isinstance(one, (str, bytes)):
            total += len(one)
        elif isinstance(one, dict):
            left += [*one.keys(), *one.values()]
        elif isinstance(one, (list, tuple, set, frozenset)):
            left += one
        elif hasattr(one, "__dataclass_fields__"):
            left += [getattr(one, name) for name in one.__dataclass_fields__]
    return total


_OBJECT: Final = 56
"""Of an object in memory, with the place that refers to it."""

__all__ = ["RESULTS_BYTES", "TRACES_BYTES", "Made", "Once", "Shared", "bytes_of"]
