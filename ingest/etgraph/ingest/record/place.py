"""Where a rank's files go: written apart, put in place when both are whole."""

from __future__ import annotations

import fcntl
import gzip
import os
import re
import shutil
from pathlib import Path

from etgraph.model.errors import RecordingError

_NAMES = re.compile(r"(?:et|kineto)_rank(\d{1,6})\.json(?:\.gz)?")
_COPIED_AT_ONCE = 1 << 20
_COMPRESSION = 4
"""Level of gzip: traces shrink ten- to twentyfold."""


class Place:
    """A folder, as one rank sees it.

    `execution_trace` and `kineto` are what PyTorch writes to. They lie in a folder of their own whose name begins with
    `.etgraph-`, where no reader looks; `publish` moves both out under their final names, `close` removes what is left.
    """

    def __init__(self, folder: Path, rank: int, world_size: int, *, compress: bool, overwrite: bool) -> None:
        self.folder, self.rank = folder, rank
        self._world_size, self._compress, self._overwrite = world_size, compress, overwrite
        self._apart = folder / f".etgraph-recording-rank{rank}"
        self.execution_trace = self._apart / f"et_rank{rank}.json"
        self.kineto = self._apart / f"kineto_rank{rank}.json"
        self._lock: int | None = None

    def open(self) -> None:
        """Make the folder and claim it for this rank.

        Raises RecordingError where the folder cannot be written, holds files of this rank already (unless they are to
        be overwritten) or of ranks that this run does not have, and where another process claims the same rank.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._refuse_others()
            self._apart.mkdir(exist_ok=True)
            lock = os.open(self._apart / "lock", os.O_WRONLY | os.O_CREAT, 0o666)
        except OSError as error:
            raise RecordingError(f"{self.folder} cannot be written: {error.strerror or error}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(lock)
            raise RecordingError(
                f"another process records rank {self.rank} into {self.folder}",
                hint="initialise torch.distributed first, start with torchrun, or give rank and world_size",
            ) from error
        except OSError:
            pass  # a file system without locks; what follows is right unless a rank is there twice
        self._lock = lock
        for path in (self.execution_trace, self.kineto):
            path.unlink(missing_ok=True)  # of a process that was killed

    def publish(self) -> tuple[Path, Path]:
        """Put both files in place, execution trace first; their final paths. Raises RecordingError, leaving neither."""
        done: list[Path] = []
        try:
            whole = [self._finished(self.execution_trace), self._finished(self.kineto)]
            self._refuse_others()
            for path in self._own():
                path.unlink()
            for path in whole:
                os.replace(path, self.folder / path.name)
                done.append(self.folder / path.name)
        except (OSError, RecordingError) as error:
            for path in done:
                path.unlink(missing_ok=True)
            if isinstance(error, RecordingError):
                raise
            raise RecordingError(f"{self.folder} cannot be written: {error.strerror or error}") from error
        return done[0], done[1]

    def close(self) -> None:
        """Remove what was written apart. Never raises: a leftover is in nobody's way."""
        if self._lock is not None:
            shutil.rmtree(self._apart, ignore_errors=True)
            os.close(self._lock)
            self._lock = None

    def _own(self) -> list[Path]:
        return [path for path, rank in self._recorded() if rank == self.rank]

    def _recorded(self) -> list[tuple[Path, int]]:
        """Files of recordings in the folder, with their ranks."""
        found = [(path, _NAMES.fullmatch(path.name)) for path in sorted(self.folder.iterdir())]
        return [(path, int(match[1])) for path, match in found if match]

    def _refuse_others(self) -> None:
        for path, rank in self._recorded():
            if rank == self.rank and not self._overwrite:
                raise RecordingError(
                    f"{path} exists: found files of rank {rank}, expected none",
                    hint="choose a new folder for each recording, or give overwrite=True",
                )
            if rank >= self._world_size:
                raise RecordingError(
                    f"{path} exists: found files of rank {rank}, expected ranks of a world of {self._world_size}",
                    hint="choose a new folder for each recording, or remove that of the larger run",
                )

    def _finished(self, path: Path) -> Path:
        """The file as it is to be kept: whole, compressed if asked for, and on the disk."""
        if not _ends_as_document(path):
            raise RecordingError(f"PyTorch has written no whole {path.name}: is the disk of {self.folder} full?")
        kept = path.with_name(path.name + ".gz") if self._compress else path
        if self._compress:
            with open(path, "rb") as plain, gzip.open(kept, "wb", _COMPRESSION) as packed:
                shutil.copyfileobj(plain, packed, _COPIED_AT_ONCE)
        with open(kept, "rb") as file:
            os.fsync(file.fileno())
        return kept


def _ends_as_document(path: Path) -> bool:
    """Whether a file ends as a JSON object does. PyTorch does not notice when the disk is full."""
    try:
        with open(path, "rb") as file:
            file.seek(max(path.stat().st_size - 64, 0))
            return file.read().rstrip().endswith(b"}")
    except FileNotFoundError:
        return False
