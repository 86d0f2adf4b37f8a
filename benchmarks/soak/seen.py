"""What came back, counted; and what the server holds while it answers."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import psutil

MOST_TOLD = 20


class Seen:
    """Answers by part and status, and what was wrong with them. For several threads."""

    def __init__(self) -> None:
        self.statuses: Counter[tuple[str, int]] = Counter()
        self.wrong: list[str] = []
        self._lock = threading.Lock()

    def note(self, part: str, status: int, answer: Mapping[str, Any]) -> None:
        """Count an answer; it is wrong where the server broke."""
        codes = [error["extensions"]["code"] for error in answer.get("errors", ())]
        with self._lock:
            self.statuses[part, status] += 1
        self.expect(status < 500, f"{part}: status {status}")
        self.expect("INTERNAL" not in codes, f"{part}: {answer}")

    def expect(self, holds: bool, otherwise: str) -> None:
        """Note what is wrong."""
        if not holds:
            with self._lock:
                self.wrong.append(otherwise[:500])


@dataclass(frozen=True, slots=True)
class Held:
    """What a server holds at a moment: bytes of memory, threads, open files, connections to others (Neo4j)."""

    seconds: float
    rss: int
    threads: int
    files: int
    sessions: int

    def __str__(self) -> str:
        return (
            f"after {self.seconds:4.0f} s: {self.rss / 1e6:.0f} MB, {self.threads} threads, {self.files} files, "
            f"{self.sessions} connections to the database"
        )


def held(process: psutil.Process, seconds: float, port: int) -> Held:
    """What a server that listens to a port holds now."""
    connections = [each for each in process.net_connections("tcp") if each.status == psutil.CONN_ESTABLISHED]
    to_others = [each for each in connections if each.laddr.port != port]
    return Held(seconds, process.memory_info().rss, process.num_threads(), process.num_fds(), len(to_others))


def slope(moments: Sequence[Held]) -> float:
    """Bytes of memory a minute, over the later half."""
    later = moments[len(moments) // 2 :]
    if len(later) < 2:
        return 0.0
    return float(np.polyfit([each.seconds for each in later], [each.rss for each in later], 1)[0]) * 60


__all__ = ["Held", "Seen", "held", "slope"]
