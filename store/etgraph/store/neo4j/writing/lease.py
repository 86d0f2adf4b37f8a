"""Who writes a trace or an artefact: a claim on its node that others respect while its owner lives.

An owner says now and then that it is at work. It counts as dead when it has not for `SECONDS`, or at once when its
process ran on this machine and is gone.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from etgraph.model.errors import EtgraphError
from etgraph.store import processes
from etgraph.store.neo4j.connection import Connection

SECONDS: Final = 30.0
CLOCK_SECONDS: Final = 2.0
"""By how much two readings of a process's begin may differ: the machine's own is known to the second."""

_ours: Final[set[str]] = set()
"""Owners of this process that are at work."""


@contextmanager
def owner() -> Iterator[str]:
    """A name that says which process of which machine claims, and that no other claim has; at work during the block."""
    name = f"{_machine()}/{os.getpid()}/{processes.began(os.getpid())}/{secrets.token_hex(4)}"
    _ours.add(name)
    try:
        yield name
    finally:
        _ours.discard(name)


def is_alive(owner: str, silent_ms: int) -> bool:
    """Whether an owner that was last heard so long ago may still be at work."""
    machine, pid, started, _ = owner.rsplit("/", 3)
    if machine == _machine():
        if int(pid) == os.getpid():
            return owner in _ours
        if processes.find(int(pid), float(started), CLOCK_SECONDS) is None:
            return False
    return silent_ms < SECONDS * 1000


@cache
def _machine() -> str:
    try:
        space = os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        space = 0
    # Machines of one name are told apart by what the kernel drew when it started.
    boot = Path("/proc/sys/kernel/random/boot_id")
    return f"{socket.gethostname()}:{space}:{boot.read_text().strip() if boot.exists() else ''}"


class Lease:
    """Keeps a claim on a node alive from a thread, while its block runs."""

    def __init__(self, connection: Connection, label: str, key: int, owner: str) -> None:
        self._connection = connection
        self._label = label
        self._key = key
        self._owner = owner
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="etgraph-lease", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def _renew(self) -> None:
        text = f"MATCH (n:{self._label} {{key: $key, owner: $owner}}) SET n.seen = timestamp()"
        while not self._done.wait(SECONDS / 10):
            try:
                self._connection.write_once(text, {"key": self._key, "owner": self._owner})
            except EtgraphError:
                # Whoever writes finds out by itself; a server that comes back in time finds the claim renewed.
                continue
