"""Rows of a table as text: whole columns of a block become lists, and a template joins them row by row."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from etgraph.model import Columns, Trace
from etgraph.model.columns import Array
from etgraph.model.schema import Column

ROWS: Final = 8192
"""Rows that are text at one time."""
_KNOWN: Final = 16_384
"""Texts of a column whose encoded form is kept."""
NOT_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""Characters that XML 1.0 cannot hold, not even escaped."""
REPLACEMENT: Final = "\ufffd"
APART: Final = ("operators", "dependencies", "annotations", "instants", "memory_events", "counters")
"""Tables that are not among the facts of a graph: its nodes and edges, and what is neither."""


def blocks(columns: Columns, size: int = ROWS) -> Iterator[tuple[int, Columns]]:
    """A table in parts of some rows, each with the number of its first row."""
    for first in range(0, len(columns), size):
        yield first, columns.take(np.arange(first, min(first + size, len(columns))))


@dataclass(frozen=True, slots=True)
class Syntax:
    """How a format writes values: a text, a number with a point, and what stands around a value by its name."""

    text: Callable[[str], str]
    real: Callable[[float], str]
    around: Callable[[str], tuple[str, str]]
    forbidden: re.Pattern[str] | None = None


class Rows:
    """Rows of one table in one format. `replaced` counts the characters that the format could not hold."""

    def __init__(self, syntax: Syntax, skip: Sequence[str] = ()) -> None:
        """`skip` names the columns that are left out."""
        self.replaced = 0
        self._syntax = syntax
        self._skip = frozenset(skip)
        self._texts: dict[str, dict[int, str]] = {}
        self._bad: dict[str, dict[int, int]] = {}

    def encode(self, text: str) -> tuple[str, int]:
        """One text in the format, and how many of its characters had to be replaced."""
        clean, bad = text, 0
        if self._syntax.forbidden is not None:
            clean, bad = self._syntax.forbidden.subn(REPLACEMENT, text)
        return self._syntax.text(clean), bad

    def column(self, block: Columns, name: str) -> list[Any]:
        """The values of a column as literals (or as numbers, which are their own); those of nulls mean nothing."""
        return self._values(block, block.table.column(name))

    def lines(
        self,
        block: Columns,
        template: tuple[str, str],
        keys: Sequence[list[Any]] = (),
        instead: Mapping[str, list[str]] | None = None,
        more: Mapping[str, list[str]] | None = None,
    ) -> list[str]:
        """One text a row: what begins it, each value that is not null between what stands around it, what ends it.

        `template` is beginning and end, whose `%s` take the lists of `keys`. `instead` holds the literals of some
        columns, `more` those of further ones; an empty literal is null.
        """
        parts, lists = [template[0]], list(keys)
        for column in block.table.columns:
            name = column.name
            if name in self._skip or name not in block.filled:
                continue
            null = block.is_null(name)
            if null.all():
                continue
            values = (instead or {}).get(name) or self._values(block, column)
            before, after = self._syntax.around(name)
            if null.any():
                parts.append("%s")
                lists.append([f"{before}{v}{after}" if ok else "" for v, ok in zip(values, (~null).tolist())])
            else:
                parts.append(f"{before}%s{after}")
                lists.append(values)
        for name, literals in (more or {}).items():
            before, after = self._syntax.around(name)
            parts.append("%s")
            lists.append([f"{before}{v}{after}" if v else "" for v in literals])
        whole = "".join(parts) + template[1]
        return [whole % row for row in zip(*lists)] if lists else [whole] * len(block)

    def _values(self, block: Columns, column: Column) -> list[Any]:
        raw: list[Any] = block[column.name].tolist()
        if column.type == "text":
            return self._of_texts(column.name, raw, block)
        if column.values is not None:
            names = {int(member): self._syntax.text(member.name) for member in column.values}
            return [names.get(number, number) for number in raw]
        if column.type == "bool":
            return [("false", "true")[value] for value in raw]
        if column.dtype.kind == "f":
            return [self._syntax.real(value) for value in raw]
        return raw

    def _of_texts(self, name: str, codes: list[int], block: Columns) -> list[str]:
        known = self._texts.setdefault(name, {})
        bad = self._bad.setdefault(name, {})
        wanted = set(codes)
        wanted.discard(-1)
        missing = list(wanted - known.keys())
        if len(known) + len(missing) > _KNOWN:
            known.clear()
            bad.clear()
            missing = list(wanted)
        known[-1] = ""
        for code, text in zip(missing, block.texts(name).take(np.array(missing, dtype=np.int64)).to_pylist()):
            known[code], count = self.encode(text)
            if count:
                bad[code] = count
        if bad:
            self.replaced += sum(bad.get(code, 0) for code in codes)
        return [known[code] for code in codes]


class Lanes:
    """Lanes in words, such as `stream 7`, encoded for a format; a null lane is an empty text."""

    def __init__(self, trace: Trace, rows: Rows) -> None:
        self._trace, self._rows = trace, rows
        self._known: dict[int, tuple[str, int]] = {-1: ("", 0)}

    def __call__(self, lanes: Array) -> list[str]:
        """One literal a row."""
        listed = lanes.tolist()
        if len(self._known) > _KNOWN:
            self._known = {-1: ("", 0)}
        for lane in set(listed) - self._known.keys():
            self._known[lane] = self._rows.encode(self._trace.lane_label(lane))
        self._rows.replaced += sum(self._known[lane][1] for lane in listed)
        return [self._known[lane][0] for lane in listed]


def keys(trace: Trace, rows: Array, template: str) -> list[str]:
    """`template % (rank, index)` of operators by row; for a null row (below 0) it means nothing."""
    return [template % pair for pair in zip(*key_lists(trace, rows))]


def key_lists(trace: Trace, rows: Array) -> tuple[list[int], list[int]]:
    """Rank and index of operators by row."""
    return trace.operators["rank"][rows].tolist(), trace.operators["index"][rows].tolist()


def json_text(text: str) -> str:
    """A text as JSON, other alphabets as they are."""
    from json.encoder import encode_basestring

    encoded: str = encode_basestring(text)
    return encoded


def json_real(value: float) -> str:
    """A number as JSON. Infinity has no name there; a number that is too large for a double reads as infinity."""
    return repr(value) if abs(value) != float("inf") else ("1e999" if value > 0 else "-1e999")


def json_around(name: str) -> tuple[str, str]:
    """A member of a JSON object that is not the first."""
    return f',"{name}":', ""


JSON: Final = Syntax(json_text, json_real, json_around)


def facts(trace: Trace) -> Iterator[tuple[str, Iterator[str]]]:
    """What a graph says beside nodes and edges, as JSON in parts: metadata, then lanes, iterations and such tables.

    A table is a list of objects, whose positions are the row numbers by which operators refer to them.
    """
    yield "metadata", iter([metadata_json(trace)])
    for name, columns in trace.tables.items():
        if name not in APART:
            yield name, _objects(columns)


def _objects(columns: Columns) -> Iterator[str]:
    rows = Rows(JSON, skip=("attrs",))
    yield "["
    for first, block in blocks(columns):
        lines = rows.lines(block, ("{", "}"))
        yield ("," if first else "") + ",".join(line.replace("{,", "{", 1) for line in lines)
    yield "]"


def metadata_json(trace: Trace) -> str:
    """The metadata as JSON text in ASCII, which can hold what is no Unicode, such as odd names of files."""
    import json

    return json.dumps(metadata_document(trace), allow_nan=False)


def metadata_document(trace: Trace) -> Any:
    """The metadata as JSON values; a number that JSON lacks is null."""
    return _plain(trace.metadata.to_json())


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
