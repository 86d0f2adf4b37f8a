"""A memory of bounded size: what was not asked for longest goes first."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Bounded(Generic[Key, Value]):
    """Values by key, at most so many bytes of them; each for `seconds` at most, where given. For several threads.

    A value that alone is larger than the bound is not kept.
    """

    def __init__(
        self, most_bytes: int, *, seconds: float | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.most_bytes = most_bytes
        self.bytes = 0
        self._seconds = seconds
        self._clock = clock
        self._values: OrderedDict[Key, tuple[Value, int, float]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: Key) -> Value | None:
        """The value, None where there is none or none any more."""
        with self._lock:
            found = self._values.get(key)
            if found is None:
                return None
            value, _, until = found
            if self._clock() > until:
                self._remove(key)
                return None
            self._values.move_to_end(key)
            return value

    def put(self, key: Key, value: Value, size: int) -> None:
        """Keep a value of so many bytes, in place of one of the same key."""
        with self._lock:
            self._put(key, value, size)

    def claim(self, key: Key, value: Value, size: int) -> Value | None:
        """Keep a value only where there is none: None then, else the one that is there."""
        with self._lock:
            found = self._values.get(key)
            if found is not None and self._clock() <= found[2]:
                return found[0]
            self._put(key, value, size)
            return None

    def drop(self, key: Key) -> None:
        """Forget a value, if there is one."""
        with self._lock:
            self._remove(key)

    def _put(self, key: Key, value: Value, size: int) -> None:
        self._remove(key)
        if size > self.most_bytes:
            return
        until = float("inf") if self._seconds is None else self._clock() + self._seconds
        self._values[key] = value, size, until
        self.bytes += size
        while self.bytes > self.most_bytes:
            self._remove(next(iter(self._values)))

    def _remove(self, key: Key) -> None:
        found = self._values.pop(key, None)
        if found is not None:
            self.bytes -= found[1]


__all__ = ["Bounded"]
