"""A folder for temporary files of one reading, made when it is first needed and gone with what needs it."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from etgraph.model.temporary import TemporaryFolder


class Scratch:
    """A temporary folder, removed by `remove`, at the end of a `with` block, or with its last reference."""

    def __init__(self) -> None:
        self._folder: TemporaryFolder | None = None
        self._count = 0

    @property
    def path(self) -> Path:
        """The folder."""
        if self._folder is None:
            self._folder = TemporaryFolder()
        return self._folder.path

    def new(self, suffix: str = "") -> Path:
        """A path in the folder where nothing is yet."""
        self._count += 1
        return self.path / f"{self._count}{suffix}"

    def remove(self) -> None:
        """Remove it with all that it holds."""
        if self._folder is not None:
            self._folder.remove()
            self._folder = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()
