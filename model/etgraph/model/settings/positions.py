"""On which line of a TOML text each value stands; Python's own reader of TOML does not say."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping

Path = tuple[str | int, ...]
"""Keys, and places in arrays, from the top of a document to a value."""

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|\'[^\']*\'')
_MULTILINE = re.compile(r'"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?\'{3,5}', re.DOTALL)
_SCALAR = re.compile(r"[^,\]}\n#]+")


def positions(text: str) -> Mapping[Path, int]:
    """The line, from 1, of each table, key and item of an array of a TOML document that `tomllib` can read.

    >>> positions('name = "a"\\n[[tiers]]\\nsize = 8\\n')[("tiers", 0, "size")]
    3
    """
    found = _Lines(text)
    found.document()
    return found.lines


class _Lines:
    """Reads a document that is known to be valid, keeping only where things are."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[Path, int] = {}
        self.rows: dict[Path, int] = {}
        self.known = (0, 1)

    def document(self) -> None:
        table: Path = ()
        while self._skip(_BLANK) < len(self.text):
            if self.text[self.at] != "[":
                self._pair(table)
            elif self.text.startswith("[[", self.at):
                table = self._array_of_tables()
            else:
                line = self._line()
                self.at += 1
                table = self._note((), self._key(), line)
                self.at += 1

    def _array_of_tables(self) -> Path:
        line = self._line()
        self.at += 2
        table = self._note((), self._key(), line)
        self.at += 2
        row = self.rows.get(table, -1) + 1
        self.rows[table] = row
        self.lines[*table, row] = line
        return (*table, row)

    def _note(self, table: Path, key: list[str], line: int) -> Path:
        """Enter the tables of a dotted key, in arrays of tables the last one; the line is where each is first named."""
        for part in key:
            if table in self.rows:
                table = (*table, self.rows[table])
            table = (*table, part)
            self.lines.setdefault(table, line)
        return table

    def _pair(self, table: Path) -> None:
        line = self._line()
        path = self._note(table, self._key(), line)
        self.at += 1  # the equals sign
        self._skip(_SPACE)
        self._value(path)

    def _key(self) -> list[str]:
        """The parts of a dotted key."""
        parts = []
        while True:
            self._skip(_SPACE)
            if match := _BARE.match(self.text, self.at):
                parts.append(match[0])
            else:
                match = _QUOTED.match(self.text, self.at)
                assert match is not None
                parts.append(tomllib.loads(f"key = {match[0]}")["key"])
            self.at = match.end()
            self._skip(_SPACE)
            if not self.text.startswith(".", self.at):
                return parts
            self.at += 1

    def _value(self, path: Path) -> None:
        if self.text[self.at] == "[":
            self._items(path, "]")
        elif self.text[self.at] == "{":
            self._items(path, "}")
        else:
            match = (
                _MULTILINE.match(self.text, self.at)
                or _QUOTED.match(self.text, self.at)
                or _SCALAR.match(self.text, self.at)
            )
            assert match is not None
            self.at = match.end()

    def _items(self, path: Path, end: str) -> None:
        """The items of an array, or the pairs of an inline table."""
        self.at += 1
        number = 0
        while self.text[self._skip(_BLANK)] != end:
            if self.text[self.at] == ",":
                self.at += 1
            elif end == "}":
                self._pair(path)
            else:
                self.lines[*path, number] = self._line()
                self._value((*path, number))
                number += 1
        self.at += 1

    def _skip(self, what: re.Pattern[str]) -> int:
        match = what.match(self.text, self.at)
        self.at = match.end() if match else self.at
        return self.at

    def _line(self) -> int:
        """The line here; counting goes on from the place that was asked for last."""
        place, line = self.known
        line += self.text.count("\n", place, self.at)
        self.known = (self.at, line)
        return line


__all__ = ["Path", "positions"]
