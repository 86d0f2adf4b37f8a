"""The files below a folder, also behind links, and what of it cannot be seen."""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Final

OURS: Final = ".etgraph-"
"""How names begin of what an export has not finished."""


@dataclass(frozen=True, slots=True)
class Files:
    """The files below a folder by path, and what is there but cannot be seen, with the reason."""

    files: tuple[Path, ...]
    unseen: tuple[tuple[Path, str], ...] = ()


def files_below(folder: Path) -> Files:
    """The files below a folder. Links to folders are followed, each folder once: by its own path if it lies below."""
    files: list[Path] = []
    unseen: list[tuple[Path, str]] = []
    seen: set[tuple[int, int]] = set()
    folders, links = deque([folder]), deque[Path]()
    while folders or links:
        # What lies below by its own path comes first, so that no link to it takes its place.
        at = folders.popleft() if folders else links.popleft()
        try:
            status = at.stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(at) as entries:
                names = sorted((entry for entry in entries), key=lambda entry: entry.name)
        except OSError as error:
            unseen.append((at, error.strerror or str(error)))
            continue
        for entry in names:
            if entry.name.startswith(OURS):
                continue
            path = at / entry.name
            try:
                if entry.is_dir():
                    (links if entry.is_symlink() else folders).append(path)
                elif entry.is_file():
                    files.append(path)
                elif entry.is_symlink() and not entry.name.startswith("."):
                    unseen.append((path, "a link that leads to no file"))
            except OSError as error:
                unseen.append((path, error.strerror or str(error)))
    return Files(tuple(sorted(files)), tuple(sorted(unseen)))
