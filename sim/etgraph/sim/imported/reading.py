"""A CSV file of times per operator: which columns it has, and its numbers, each fault with its line.

A header names the columns; case, spaces and underscores do not matter (`node_id`, `Node ID`, `nodeId`). One column says
the rank, one the operator (`node_id`, the source's own id, or `index` within the rank), one when it starts, and one
when it ends or how long it takes. The names of times end in their unit, `ns` or `us`. Other columns are not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from etgraph.model.columns import Array
from etgraph.model.errors import InputError, NotFound

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS: Final = "rank, node_id or index, start_ns and end_ns or duration_ns (or …_us)"
_UNITS: Final = {"ns": 1, "us": 1_000, "µs": 1_000, "μs": 1_000}
_WHOLE: Final = r"^\s*\d{1,19}\s*$"
_NUMBER: Final = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"
_MOST: Final = 2.0**62
"""Times beyond this many ns are taken for a mistake; sums of them stay within 64 bits."""


@dataclass(frozen=True, slots=True)
class TimesFile:
    """One entry a row: rank, the operator by its `node_id` or `index` (which, says `by`), start and end in ns, line."""

    name: str
    by: str
    rank: Array
    operator: Array
    start_ns: Array
    end_ns: Array
    line: Array

    def error(self, row: int, *, found: str, expected: str) -> InputError:
        """The error for one row."""
        return InputError(self.name, place=f"line {self.line[row]}", found=found, expected=expected)


def read_times(path: Path) -> TimesFile:
    """The times in a file. Raises NotFound where there is none, InputError with the line of what cannot be read."""
    if not path.is_file():
        raise NotFound(f"no file {path}", hint=f"expected a CSV file with {COLUMNS}")
    table, line = _rows(path)
    columns = _columns_of(path, table.column_names)
    rank, operator = (_whole(path, table, columns[name].header, line) for name in ("rank", "operator"))
    start = _ns(path, table, columns["start"], line)
    if "end" in columns:
        end = _ns(path, table, columns["end"], line)
    else:
        end = start + _ns(path, table, columns["duration"], line)
    found = TimesFile(path.name, columns["operator"].role, rank, operator, start, end, line)
    backwards = np.flatnonzero(end < start)
    if len(backwards):
        row = int(backwards[0])
        raise found.error(row, found=f"an end {start[row] - end[row]:,} ns before the start", expected="one after it")
    return found


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of the file: its name in the header, what it is for, and how many ns its unit is."""

    header: str
    role: str
    factor: int = 1


def _rows(path: Path) -> tuple[pa.Table, Array]:
    """The table as texts, and the line of each row. Empty lines are passed over."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import csv

    wrong: list[Any] = []

    def judge(row: Any) -> str:
        wrong.append(row)
        return "error"

    header = _header(path)
    try:
        table = csv.read_csv(
            path,
            read_options=csv.ReadOptions(use_threads=False),
            parse_options=csv.ParseOptions(ignore_empty_lines=False, invalid_row_handler=judge),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowException as error:
        if wrong:
            bad = wrong[0]
            raise InputError(
                path.name, place=f"line {bad.number}", found=f"{bad.actual_columns} cells in {bad.text[:60]!r}",
                expected=f"{bad.expected_columns}, as in the header",
            ) from None  # fmt: skip
        raise InputError(path.name, found=str(error).splitlines()[0], expected=f"a CSV file with {COLUMNS}") from None
    empty = np.ones(len(table), dtype=bool)
    for column in table.columns:
        empty &= pc.equal(column, "").to_numpy()
    rows = np.flatnonzero(~empty)
    return table.take(rows), rows + 2


def _header(path: Path) -> list[str]:
    """Names of the columns. Raises InputError for a file without any, or with one twice."""
    import pyarrow as pa

    with pa.input_stream(str(path), compression="detect") as stream:
        head = stream.read(1 << 16).decode("utf-8", "replace").removeprefix("\ufeff")
    names = [name.strip().strip('"') for name in head.splitlines()[0].split(",")] if head.strip() else []
    if not names:
        raise InputError(path.name, place="line 1", found="an empty file", expected=f"a header with {COLUMNS}")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(path.name, place="line 1", found=f"column {twice[0]!r} again", expected="each name once")
    return names


def _columns_of(path: Path, header: Sequence[str]) -> dict[str, _Column]:
    """The columns by what they are for: rank, operator, start, end, duration. Raises InputError for one too few."""
    found: dict[str, _Column] = {}
    for name in header:
        plain = re.sub(r"[^a-zµμ]", "", name.lower())
        if plain in ("rank", "nodeid", "index"):
            role = {"nodeid": "node_id"}.get(plain, plain)
            found[role] = _Column(name, role)
        elif match := re.fullmatch(r"(start|end|duration)(?:time)?(.*)", plain):
            if match[2] not in _UNITS:
                raise InputError(
                    path.name, place=f"line 1, column {name!r}", found="a time without its unit",
                    expected=f"{match[1]}_ns or {match[1]}_us",
                )  # fmt: skip
            found[match[1]] = _Column(name, match[1], _UNITS[match[2]])
    operator = found.get("node_id", found.get("index"))
    lacks = [name for name in ("rank", "start") if name not in found]
    lacks += [] if operator else ["node_id or index"]
    lacks += [] if {"end", "duration"} & found.keys() else ["end or duration"]
    if lacks or operator is None:
        raise InputError(
            path.name, place="line 1", found=f"{', '.join(header)} without {', '.join(lacks)}",
            expected=f"columns {COLUMNS}",
        )  # fmt: skip
    return found | {"operator": operator}


def _checked(path: Path, table: pa.Table, name: str, line: Array, pattern: str, expected: str) -> pa.ChunkedArray:
    """A column of texts, all of a pattern. Raises InputError for the first that is not."""
    import pyarrow.compute as pc

    texts = table[name]
    bad = np.flatnonzero(~pc.match_substring_regex(texts, pattern).to_numpy())
    if len(bad):
        row = int(bad[0])
        raise InputError(
            path.name, place=f"line {line[row]}, column {name!r}", found=repr(texts[row].as_py()), expected=expected
        )
    return pc.utf8_trim_whitespace(texts)


def _whole(path: Path, table: pa.Table, name: str, line: Array) -> Array:
    import pyarrow as pa

    texts = _checked(path, table, name, line, _WHOLE, "a whole number of up to 19 digits")
    found: Array = texts.cast(pa.uint64()).to_numpy()
    return found


def _ns(path: Path, table: pa.Table, column: _Column, line: Array) -> Array:
    """Times in whole ns, exact up to 2⁵³ of them: 104 days."""
    import pyarrow as pa

    texts = _checked(path, table, column.header, line, _NUMBER, "a number")
    values = texts.cast(pa.float64()).to_numpy() * column.factor
    large = np.flatnonzero(~(np.abs(values) < _MOST))
    if len(large):
        row = int(large[0])
        raise InputError(
            path.name, place=f"line {line[row]}, column {column.header!r}", found=texts[row].as_py(),
            expected=f"less than {_MOST:.0f} ns",
        )  # fmt: skip
    found: Array = np.rint(values).astype(np.int64)
    return found
