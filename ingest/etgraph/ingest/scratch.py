"""A folder for temporary files of one reading, made when it is first needed and gone with what needs it."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path
from types import TracebackType
from typing import Self

PREFIX = "etgraph-"


class Scratch:
    """A temporary folder, removed by `remove`, at the end of a `with` block, or with its last reference."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._count = 0

    @property
    def path(self) -> Path:
        """The folder."""
        if self._path is None:
            self._path = Path(tempfile.mkdtemp(prefix=PREFIX))
            self._finalizer = weakref.finalize(self, shutil.rmtree, self._path, ignore_errors=True)
        return self._path

    def new(self, suffix: str = "") -> Path:
        """A path in the folder where nothing is yet."""
        self._count += 1
        return self.path / f"{self._count}{suffix}"

    def remove(self) -> None:
        """Remove it with all that it holds."""
        if self._path is not None:
            self._finalizer()
            self._path = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()
