"""Where uploads wait for a worker: a folder each, under the id of its job, whole before the job is there.

The job's record is what makes an upload count: a folder without one is a broken upload. Who receives an upload holds a
lock on its folder until then, so that a sweep can tell broken ones from those at work.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import unquote, urlsplit

from etgraph.api.jobs.job import ID, moment_of
from etgraph.model.errors import EtgraphError, InputError

_LOCK: Final = ".lock"
_NAME: Final = ".spool"
_FILES: Final = "files"
_RANKS: Final = "ranks"
_YOUNG_SECONDS: Final = 60.0
"""Age of a folder below which it may not be locked yet."""
NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT)
"""What the system says where a disk is full."""
_BAD_NAME: Final = (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.EILSEQ, errno.EINVAL)
_RESERVE: Final = 64 << 20
"""Bytes that uploads leave free."""


class NoRoom(EtgraphError):
    """There is no room for an upload; nothing of it was kept."""

    code = "NO_ROOM"
    exit_code = 4
    http_status = 507


@dataclass(frozen=True, slots=True)
class FileInfo:
    """A file that was received: its name within the upload, its size and the SHA-256 of its bytes."""

    name: str
    bytes: int
    sha256: str


class ReceivedFile:
    """A new file that is hashed while it is written; what werkzeug writes parts of forms to."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file = file
        self._name = name
        self._hash = hashlib.sha256()
        self._bytes = 0

    @property
    def info(self) -> FileInfo:
        """What was written so far."""
        return FileInfo(self._name, self._bytes, self._hash.hexdigest())

    @property
    def digest(self) -> bytes:
        """The SHA-256 of what was written so far."""
        return self._hash.digest()

    def write(self, data: bytes) -> int:
        """Add bytes."""
        self._hash.update(data)
        self._bytes += len(data)
        return self._file.write(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Nothing: who has written a part of a form goes to its beginning, which nobody reads."""
        return 0

    def close(self) -> None:
        """Have the bytes survive a crash."""
        if not self._file.closed:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()


class Upload:
    """A folder that receives the files of one upload."""

    def __init__(self, job_id: str, folder: Path) -> None:
        self.job_id = job_id
        self._folder = folder
        self._files: list[ReceivedFile] = []

    def file(self, name: str) -> ReceivedFile:
        """A new file; `name` has no parts that lead elsewhere. Raises InputError for a name that no file can have."""
        path = self._folder / _FILES / name
        with _told(name):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._files.append(ReceivedFile(path.open("xb"), name))
        return self._files[-1]

    def finish(self) -> tuple[FileInfo, ...]:
        """Have all files survive a crash, the names of them too."""
        for file in self._files:
            file.close()
        for folder, _, _ in os.walk(self._folder):
            _synchronise(Path(folder))
        _synchronise(self._folder.parent)
        return tuple(file.info for file in self._files)

    def close(self) -> None:
        """Close what is still open."""
        for file in self._files:
            with suppress(OSError):
                file.close()


@dataclass(frozen=True, slots=True)
class Spool:
    """A folder of uploads. Servers and workers that share a store and this folder share their uploads."""

    folder: Path

    @property
    def name(self) -> str:
        """What the folder is called in jobs, so that only those who see its files take them."""
        with _told(str(self.folder)):
            self.folder.mkdir(parents=True, exist_ok=True)
            path = self.folder / _NAME
            with suppress(FileNotFoundError):
                return path.read_text("ascii")
            with self.committing():
                if not path.exists():
                    with (self.folder / f"{_NAME}.new").open("w") as file:
                        file.write(secrets.token_hex(8))
                        file.flush()
                        os.fsync(file.fileno())
                    os.replace(file.name, path)
                return path.read_text("ascii")

    def files_of(self, job_id: str) -> Path:
        """The folder with the files of an upload."""
        return self.folder / job_id / _FILES

    def ranks_of(self, job_id: str) -> Path:
        """The folder in which ranks that were read outlive a worker."""
        return self.folder / job_id / _RANKS

    def check_room(self, wanted: int) -> None:
        """Raise NoRoom where so many bytes would leave none."""
        with _told(str(self.folder)):
            self.folder.mkdir(parents=True, exist_ok=True)
            if wanted + _RESERVE > shutil.disk_usage(self.folder).free:
                raise _no_room()

    @contextmanager
    def receiving(self, job_id: str) -> Iterator[Upload]:
        """A folder for an upload, which goes again where the block fails. Raises NoRoom where the disk is full."""
        from filelock import FileLock

        folder = self.folder / job_id
        with _told(str(folder)):
            folder.mkdir(parents=True)
            upload = Upload(job_id, folder)
            try:
                with FileLock(folder / _LOCK):
                    yield upload
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
            finally:
                upload.close()

    @contextmanager
    def committing(self) -> Iterator[None]:
        """Alone among all who have uploads to note in jobs."""
        from filelock import FileLock

        with FileLock(self.folder / _LOCK):
            yield

    def remove(self, job_id: str) -> None:
        """Delete the files of a job."""
        shutil.rmtree(self.folder / job_id, ignore_errors=True)

    def sweep(self, needed: Callable[[str], bool], clock: Callable[[], float] = time.time) -> list[str]:
        """Delete the folders of uploads that broke off, and of jobs that do not need them any more; their ids.

        `needed` tells whether there is a job of that id that has not ended.
        """
        from filelock import FileLock, Timeout

        try:
            found = [entry.name for entry in os.scandir(self.folder) if ID.fullmatch(entry.name)]
        except OSError:
            return []
        swept = []
        for job_id in sorted(found):
            if needed(job_id) or clock() - moment_of(job_id) < _YOUNG_SECONDS:
                continue
            with suppress(Timeout, OSError), FileLock(self.folder / job_id / _LOCK, timeout=0):
                if not needed(job_id):  # it may have been noted before the lock was free
                    self.remove(job_id)
                    swept.append(job_id)
        return swept


def spool_of(store_url: str, chosen: str = "") -> Spool:
    """The spool of a store: the folder that was chosen, else one inside a local store, else one of the user's data."""
    if chosen:
        return Spool(Path(chosen).expanduser().absolute())
    if store_url.startswith("file:"):
        return Spool(Path(unquote(urlsplit(store_url).path)) / ".uploads")
    from platformdirs import user_data_path

    name = hashlib.sha256(store_url.encode()).hexdigest()[:16]
    return Spool(user_data_path("etgraph", appauthor=False) / "uploads" / name)


def _no_room() -> NoRoom:
    return NoRoom("there is no room for the upload", hint="try again later, or tell who runs the server")


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Tell what the system refuses in words for a client: a full disk, or a name that no file can have."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM:
            raise _no_room() from error
        if error.errno in _BAD_NAME:
            raise InputError(
                name[:200], found=f"a name that no file here can have ({error.strerror})", expected="another"
            ) from error
        raise


def _synchronise(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


__all__ = ["NO_ROOM", "FileInfo", "NoRoom", "ReceivedFile", "Spool", "Upload", "spool_of"]
