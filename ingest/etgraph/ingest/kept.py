"""Ranks that were read, kept until the whole is done, so that a reading that broke off can go on.

Each lies in a folder named by a checksum of all that it was made from: the bytes of its files, their names and ranks,
the options, and the revision of the pipeline. A file that changed has another checksum and is read again; a folder
whose contents are not what they should be, every byte of it, is not used.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from etgraph.ingest.drafts import is_whole, save_draft
from etgraph.ingest.reading import RankTask, read_rank
from etgraph.model import REVISION
from etgraph.model.errors import InputError

DAYS: Final = 7
"""How long what a broken-off reading left is kept."""


class KeptRanks:
    """A folder in which finished ranks outlive a reading, as a context manager.

    Without `resume` what an earlier reading left is not used. A block that ends well removes what was used in it; one
    that fails leaves it. One reading at a time uses a folder: a second one finds it `taken` and keeps nothing, as does
    one that may not write there.
    """

    def __init__(self, folder: Path, *, resume: bool = False) -> None:
        self.folder = folder
        self.resume = resume
        self.taken = False
        self._used: set[Path] = set()

    def __enter__(self) -> Self:
        from filelock import FileLock, Timeout

        self._lock = FileLock(self.folder / ".lock")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
            self._sweep()
        except (Timeout, OSError):
            self.taken = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.forget()
        self._lock.release()

    def use(self, folders: Iterable[Path]) -> None:
        """Remember what was read and lies here, to remove it in the end."""
        self._used.update(folder for folder in folders if folder.parent == self.folder)

    def forget(self) -> None:
        """Remove what was used so far: the trace that was made of it is safe elsewhere."""
        for folder in self._used:
            shutil.rmtree(folder, ignore_errors=True)
        self._used.clear()

    def count(self) -> int:
        """How many ranks are kept of those that were read in this block, or taken up."""
        return sum(folder.is_dir() for folder in self._used)

    def _sweep(self) -> None:
        """Remove what is old, and what was not finished."""
        oldest = time.time() - DAYS * 86_400
        for path in self.folder.iterdir():
            if path.is_dir() and ("." in path.name or path.stat().st_mtime < oldest):
                shutil.rmtree(path, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class KeepingTask:
    """What a process needs to read one rank into a folder: a new one, or one below `kept` that its content names.

    `kept` may turn out not to be writable, also in the middle of a reading: the disk is full. Then it is the new one.
    """

    task: RankTask
    folder: Path
    kept: Path | None = None
    resume: bool = False


def read_into_folder(keeping: KeepingTask) -> Path:
    """Read one rank into a folder, or find it there; the folder. Raises what `read_rank` raises."""
    if keeping.kept is None:
        save_draft(read_rank(keeping.task), keeping.folder)
        return keeping.folder
    task = keeping.task
    key = key_of(task)
    folder = keeping.kept / key
    if not (keeping.resume and is_whole(folder)):
        draft = read_rank(task)
        if key_of(task) != key:
            names = " and ".join(str(file.place) for file in task.files.files)
            raise InputError(names, found="other bytes than before it was read", expected="a file that stays as it is")
        try:
            save_draft(draft, folder)
        except OSError:
            save_draft(draft, keeping.folder)
            return keeping.folder
    with suppress(OSError):
        os.utime(folder)
    return folder


def key_of(task: RankTask) -> str:
    """The checksum of all that a rank is made from. Reads the files, as they lie there; raises InputError."""
    digest = hashlib.sha256(f"{REVISION} {task.files.rank} {sorted(asdict(task.options).items())}\n".encode())
    for file in task.files.files:
        try:
            checksum = file.place.checksum()
        except OSError as error:
            found = error.strerror or str(error)
            raise InputError(str(file.place), found=found, expected="a readable file") from error
        facts = (file.role, file.name, file.rank, file.rank_from, checksum)
        digest.update(f"{facts}\n".encode())
    return digest.hexdigest()
