"""Points that outlive a sweep that breaks off: a file of JSON lines that grows as they come."""

from __future__ import annotations

import os
from pathlib import Path

from etgraph.model.errors import StoreError
from etgraph.sim.sweeps.study import Outcome


class KeptPoints:
    """Outcomes by their key, in a file. A line is written at once and whole; a last one cut short counts for nothing.

    With `resume`, those that the file holds are taken. It only grows: of several lines of one key the last one counts,
    so that sweeps of other grids, and of other traces, may share a file.
    """

    def __init__(self, file: Path, *, resume: bool = False) -> None:
        """Raises StoreError where the file cannot be written."""
        self.file = file
        self._known: dict[str, Outcome] = {}
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            if file.exists():
                self._known = _read(file) if resume else {}
            _end_line(file)
        except OSError as error:
            raise _refused(file, error) from error

    def __len__(self) -> int:
        return len(self._known)

    def find(self, key: str) -> Outcome | None:
        """The outcome of that key. One that failed is none: it is tried again."""
        found = self._known.get(key)
        return found if found is not None and found.error is None else None

    def add(self, key: str, outcome: Outcome) -> None:
        """Keep an outcome. Raises StoreError where it cannot be written."""
        import msgspec

        self._known[key] = outcome
        line = msgspec.json.encode({"key": key, "outcome": outcome}) + b"\n"
        try:
            with open(self.file, "ab", buffering=0) as file:
                file.write(line)
        except OSError as error:
            raise _refused(self.file, error) from error


def _read(file: Path) -> dict[str, Outcome]:
    import msgspec

    found = {}
    for line in file.read_bytes().splitlines():
        try:
            told = msgspec.json.decode(line)
            found[str(told["key"])] = msgspec.convert(told["outcome"], Outcome)
        except (msgspec.MsgspecError, KeyError, TypeError):
            continue
    return found


def _end_line(file: Path) -> None:
    """Make the file where there is none, and end a line that was cut short, so that the next one is whole."""
    with open(file, "a+b", buffering=0) as opened:
        if opened.tell():
            opened.seek(-1, os.SEEK_END)
            if opened.read(1) != b"\n":
                opened.write(b"\n")


def _refused(file: Path, error: OSError) -> StoreError:
    return StoreError(f"{file}: points cannot be kept: {error.strerror or error}", hint="-o names another folder")
