"""Temporary folders that go with what needs them, and where their process was killed, with the next one that makes one.

Each holds a file that its process keeps locked; a lock ends with its process, however that ends. So a folder whose lock
can be taken belongs to nobody.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import weakref
from pathlib import Path
from typing import Final

PREFIX: Final = "etgraph-"
_LOCK: Final = ".lock"
_swept: set[str] = set()
_shared: weakref.WeakValueDictionary[tuple[int, str], TemporaryFolder] = weakref.WeakValueDictionary()
_sharing = threading.Lock()


class TemporaryFolder:
    """A new folder in the system's place for such. It goes with `remove`, or with the last reference to this."""

    def __init__(self) -> None:
        place = tempfile.gettempdir()
        if place not in _swept:
            _swept.add(place)
            sweep(Path(place))
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
        self.remove = weakref.finalize(self, _remove_own, self.path, _lock(self.path), os.getpid())


def shared_folder() -> TemporaryFolder:
    """The folder of this process for files that go one by one: there is one as long as any of them holds it."""
    key = os.getpid(), tempfile.gettempdir()
    with _sharing:
        folder = _shared.get(key)
        if folder is None:
            folder = _shared[key] = TemporaryFolder()
        return folder


def sweep(place: Path) -> None:
    """Remove what processes that were killed have left in a place."""
    try:
        with os.scandir(place) as entries:
            found = [Path(entry.path) for entry in entries if entry.name.startswith(PREFIX)]
    except OSError:
        return
    for folder in found:
        if (lock := _lock_of_nobody(folder)) is not None:
            _remove(folder, lock)


def _lock(folder: Path) -> int | None:
    """Lock a new folder; None where the file system, or the platform, knows no locks: then nobody sweeps it."""
    try:
        import fcntl

        # Under its own name only once it is locked: else it would look like nobody's for a moment.
        nameless = folder / f"{_LOCK}-new"
        descriptor = os.open(nameless, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except (ImportError, OSError):
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        nameless.rename(folder / _LOCK)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _lock_of_nobody(folder: Path) -> int | None:
    """The lock of a folder of ours that no living process holds."""
    try:
        import fcntl

        descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except (ImportError, OSError):
        return None
    try:
        if os.fstat(descriptor).st_uid == os.geteuid():
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None


def _remove_own(folder: Path, lock: int | None, process: int) -> None:
    """Remove a folder, unless this process is a fork of the one that it belongs to."""
    if os.getpid() == process:
        _remove(folder, lock)


def _remove(folder: Path, lock: int | None) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    if lock is not None:
        os.close(lock)
