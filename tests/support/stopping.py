"""Kernels that are told to stop while they run."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np

from etgraph.model.columns import Array
from etgraph.model.kernels import Kernel


class Looks:
    """A flag that is never raised, and counts how often it was looked at."""

    def __init__(self) -> None:
        self.count = 0

    def __getitem__(self, at: int) -> int:
        self.count += 1
        return 0


def flag(value: int = 0) -> tuple[Array, Array]:
    """A flag to raise, and the same as kernels are given it."""
    raised = np.full(1, value, dtype=np.int8)
    seen = raised.view()
    seen.flags.writeable = False
    return raised, seen


def looks_of(kernel: Kernel[..., Any], *arguments: Any) -> int:
    """How often a kernel looks at its flag in one run."""
    looks: Any = Looks()
    kernel.python(*arguments, looks)
    count: int = looks.count
    return count


def stops_midway(kernel: Kernel[..., Any], *arguments: Any) -> bool:
    """Whether a compiled kernel ends in the midst of its work when another thread raises its flag.

    The other thread may be late on a busy machine, so that the kernel is done before: then it is tried again.
    """
    at_once = kernel.compiled(*arguments, flag(1)[1])  # compiles it, too
    begin = time.perf_counter()
    whole = kernel.compiled(*arguments, flag()[1])
    took = time.perf_counter() - begin
    assert not _equal(whole, at_once)
    for attempt in range(100):
        raised, seen = flag()
        thread = threading.Thread(target=_raise_after, args=(raised, took * (attempt % 10) / 10))
        thread.start()
        found = kernel.compiled(*arguments, seen)
        thread.join()
        if not _equal(found, whole) and not _equal(found, at_once):
            return True
    return False


def _raise_after(raised: Array, seconds: float) -> None:
    time.sleep(seconds)
    raised[0] = 1


def _equal(one: Any, other: Any) -> bool:
    pairs = zip(one, other) if isinstance(one, tuple) else [(one, other)]
    return all(np.array_equal(a, b) for a, b in pairs)
