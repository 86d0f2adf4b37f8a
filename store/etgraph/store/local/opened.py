"""Traces that stay open between calls which look at a few of their rows: opening takes longer than looking.

Their columns are mapped files: what is held of them is address space, and pages that the system keeps anyway.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from etgraph.model import Trace

MOST: Final = 16
"""Traces that stay open; the one that was not asked for longest is let go first."""


class Opened:
    """Traces by their folder. Its name has a nonce: no other content will ever be found under it."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._traces: OrderedDict[str, Trace] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, folder: str, read: Callable[[], Trace]) -> Trace:
        """The trace of a folder, read where it is not open. Two threads may read the same one at the same time."""
        with self._lock:
            if folder in self._traces:
                self._traces.move_to_end(folder)
                return self._traces[folder]
        trace = read()
        with self._lock:
            self._traces[folder] = trace
            while len(self._traces) > self._most:
                self._traces.popitem(last=False)
        return trace

    def clear(self) -> None:
        """Let all go."""
        with self._lock:
            self._traces.clear()


__all__ = ["MOST", "Opened"]
