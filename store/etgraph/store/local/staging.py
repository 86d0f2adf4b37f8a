"""Places where publishers work, who owns them, and what may be swept when an owner has died.

A publisher holds an exclusive lock on `staging/<nonce>.lock` from before its folder exists until its row is in the
catalogue. The lock file names the path that the work is renamed to. Only who can take the lock may delete: the
system gives a dead process' lock away, never a living one's. Everything a publisher makes bears its nonce.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from etgraph.model.errors import StoreError
from etgraph.store.local.files import synchronise

STAGING = "staging"
TRACES = "traces"
RENAMES = 100
_NONCE = re.compile(r"[0-9a-f]{16}")
_FOLDER = re.compile(r"traces/[0-9a-f]{2}/[0-9a-f]{64}/\d+-([0-9a-f]{16})")
_ARTEFACT = re.compile(_FOLDER.pattern + r"/artefacts/([0-9a-f]{16})\.arrow")


class Stage:
    """A publisher's own folder below `staging/`, locked. Leaving the context deletes what was not moved away.

    Where an error comes after the move, the lock file stays: whether the row got in is for the sweeper to find out.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._target: Path | None = None
        self._descriptor = -1
        self.nonce = ""

    @property
    def folder(self) -> Path:
        """Where to write."""
        return self._root / STAGING / self.nonce

    @property
    def _lock(self) -> Path:
        return self._root / STAGING / f"{self.nonce}.lock"

    def __enter__(self) -> Stage:
        (self._root / STAGING).mkdir(exist_ok=True)
        while self._descriptor < 0:
            self.nonce = secrets.token_hex(8)
            self._descriptor = self._locked()
        try:
            self.folder.mkdir()
        except BaseException:
            self.__exit__(None)
            raise
        return self

    def _locked(self) -> int:
        """A descriptor that holds the lock; -1 where a sweeper took the file between its creation and the lock."""
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            _flock(descriptor, fcntl.LOCK_EX, self._lock)
            mine, there = os.fstat(descriptor), os.stat(self._lock)
            if (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino):
                return descriptor
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(descriptor)
            self._lock.unlink(missing_ok=True)
            raise
        os.close(descriptor)
        return -1

    def move(self, source: Path, destination: str) -> None:
        """Rename something of this stage to a path below the root that bears the nonce, durably.

        Raises FileNotFoundError for an artefact when its trace's folder is gone.
        """
        if _nonce_of(destination) != self.nonce:
            raise ValueError(f"{destination} does not bear nonce {self.nonce}")
        os.pwrite(self._descriptor, destination.encode(), 0)
        os.fsync(self._descriptor)
        target = self._root / destination
        self._target = target
        artefact = destination.endswith(".arrow")
        for attempt in range(RENAMES):
            try:
                # An artefact must not bring back the folder of a trace that went meanwhile.
                target.parent.mkdir(parents=not artefact, exist_ok=True)
                os.rename(source, target)
                break
            except (FileNotFoundError, FileExistsError) as error:
                # Who removes the last revision of a trace removes its empty folder too, maybe just now; mkdir says
                # that it exists where it was gone a moment later.
                if artefact:
                    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(target)) from error
                if attempt == RENAMES - 1 or not source.exists():
                    raise
        for parent in target.parents:
            synchronise(parent)
            if parent == self._root:
                break

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        arrived = self._target is not None and self._target.exists()
        if self._target is not None and not arrived:
            _prune(self._root, self._target)
        if kind is None or not arrived:
            self._lock.unlink(missing_ok=True)
        os.close(self._descriptor)


def _flock(descriptor: int, operation: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, operation)
    except OSError as error:
        if error.errno in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL):
            raise StoreError(
                f"{path}: this file system has no file locks ({error.strerror})",
                hint="mount it with locks, or keep the store on a local disk",
            ) from error
        raise


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock on a file that is never deleted."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        _flock(descriptor, fcntl.LOCK_EX, path)
        yield
    finally:
        os.close(descriptor)


def _nonce_of(destination: str) -> str | None:
    """The nonce in a path that a publisher moves its work to; None for any other path, which must not be touched."""
    artefact, folder = _ARTEFACT.fullmatch(destination), _FOLDER.fullmatch(destination)
    return artefact[2] if artefact else folder[1] if folder else None


def sweep_stale(root: Path, referenced: Callable[[str], bool]) -> list[str]:
    """Delete the stages of dead publishers, and what they had moved but not entered; returns paths below the root.

    `referenced` reads the catalogue and is asked after the lock is held: a publisher that finished has its row in.
    """
    swept: list[str] = []
    for lock in _listed(root / STAGING):
        nonce = lock.stem
        if lock.suffix != ".lock" or not _NONCE.fullmatch(nonce):
            continue
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            try:
                _flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, lock)
            except BlockingIOError:
                continue
            destination = os.pread(descriptor, 4096, 0).decode("ascii", "replace")
            if _nonce_of(destination) == nonce and not referenced(destination) and (root / destination).exists():
                delete(root, destination)
                swept.append(destination)
            shutil.rmtree(root / STAGING / nonce, ignore_errors=True)
            lock.unlink(missing_ok=True)
            swept.append(f"{STAGING}/{nonce}")
        finally:
            os.close(descriptor)
    return swept


def sweep_unreferenced(root: Path, referenced: Callable[[str], bool]) -> list[str]:
    """Look through all folders for what no row names and no living publisher owns, and delete it.

    A thing is seen first, then its lock, then the catalogue. It was made after its lock file and before its row, so
    whoever finds no lock file finds the row of a publisher that succeeded.
    """
    swept: list[str] = []
    found = [path for path in _listed(root / STAGING) if path.suffix != ".lock"]
    folders = [path for half in _listed(root / TRACES) for whole in _listed(half) for path in _listed(whole)]
    found += folders
    found += [path for folder in folders for path in _listed(folder / "artefacts")]
    for path in found:
        destination = path.relative_to(root).as_posix()
        staged = path.parent.name == STAGING
        nonce = path.name if staged else _nonce_of(destination)
        if nonce is None or not _NONCE.fullmatch(nonce) or (root / STAGING / f"{nonce}.lock").exists():
            continue
        if (staged or not referenced(destination)) and path.exists():
            delete(root, destination)
            swept.append(destination)
    return swept


def _listed(folder: Path) -> list[Path]:
    """What is in a folder, sorted; nothing where it went meanwhile or is none."""
    try:
        return [folder / name for name in sorted(os.listdir(folder))]
    except (FileNotFoundError, NotADirectoryError):
        return []


def delete(root: Path, destination: str) -> None:
    """Delete a folder or artefact that no row names any more, and the folders above that it leaves empty."""
    path = root / destination
    if destination.endswith(".arrow"):
        path.unlink(missing_ok=True)
        return
    for _ in range(RENAMES):
        shutil.rmtree(path, ignore_errors=True)
        if not path.exists():
            break
    if destination.startswith(TRACES):
        _prune(root, path)


def _prune(root: Path, path: Path) -> None:
    """Delete the empty folders above a path, up to that of all traces."""
    for parent in path.parents:
        if parent in (root, root / TRACES):
            break
        try:
            parent.rmdir()
        except OSError:
            break
