"""Segments of a path in rows of a picture, and of very many of them no more than its pixels can show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from etgraph.model.columns import Array
from etgraph.model.drawing.colours import CATEGORIES
from etgraph.model.readable import shortened
from etgraph.model.sums import sum_by

if TYPE_CHECKING:
    import pyarrow as pa

    from etgraph.queries.critical_path import CriticalPath

CELLS: Final = 1_500
"""Pixels that the window has, about."""
FEW: Final = 4_000
"""So many segments are all drawn, however short."""
MOST_BARS: Final = 8_000
MOST_ROWS: Final = 40
MOST_HANDOVERS: Final = 2_000


@dataclass(frozen=True, slots=True)
class Strips:
    """Segments that last, in order of time from the window's start: their row of the picture and category.

    `row` and `category` are places in `rows` and `categories`; `table` has the segments themselves.
    """

    rows: tuple[str, ...]
    categories: tuple[str, ...]
    row: Array
    category: Array
    start_ns: Array
    end_ns: Array
    window_ns: int
    table: pa.Table

    def cell(self, cells: int) -> Array:
        """For every segment in which of so many cells of the window it starts."""
        return self.start_ns * cells // max(self.window_ns, 1)


@dataclass(frozen=True, slots=True)
class Together:
    """Segments that are drawn as one bar, from the first one's start to the last one's end.

    `category` is that of most of their time; `spent` their time by category, `longest` the segment that lasts longest.
    """

    row: Array
    category: Array
    start_ns: Array
    end_ns: Array
    count: Array
    spent: Array
    longest: Array


def strips_of(path: CriticalPath, *, lanes: bool) -> Strips:
    """The segments in a row for each rank, or each lane of one; of too many rows, those with least time are one."""
    table = path.segments
    lasts = table["end_ns"].to_numpy() > table["start_ns"].to_numpy()
    table = table.filter(lasts)
    start, end = (table[name].to_numpy() - path.start_ns for name in ("start_ns", "end_ns"))
    ranks, row = np.unique(table["rank"].to_numpy(), return_inverse=True)
    rows = [f"rank {rank}" for rank in ranks.tolist()]
    if lanes:
        lane, names = coded(table["lane"])
        pairs, row = np.unique(np.stack([row, lane]), axis=1, return_inverse=True)
        rows = [f"{rows[of]}, {shortened(names[at], 40) if at >= 0 else 'no lane'}" for of, at in pairs.T.tolist()]
    rows, row = _longest_rows(rows, row.ravel(), end - start)
    category, found = coded(table["category"])
    categories = (*CATEGORIES, *sorted(set(found) - set(CATEGORIES)))
    to = np.array([categories.index(name) for name in found], dtype=np.int64)
    return Strips(tuple(rows), categories, row, to[category], start, end, path.window_ns, table)


def coded(column: Any) -> tuple[Array, list[str]]:
    """A column of texts as codes, -1 for null, and what they stand for."""
    encoded = column.combine_chunks().dictionary_encode()
    return encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False), encoded.dictionary.to_pylist()


def _longest_rows(rows: list[str], row: Array, ns: Array) -> tuple[list[str], Array]:
    if len(rows) <= MOST_ROWS:
        return rows, row
    kept = np.sort(np.argsort(-sum_by(row, ns, len(rows)), kind="stable")[: MOST_ROWS - 1])
    to = np.full(len(rows), len(kept))
    to[kept] = np.arange(len(kept))
    return [*(rows[at] for at in kept.tolist()), f"{len(rows) - len(kept)} others"], to[row]


def short_segments(strips: Strips) -> tuple[int, Array]:
    """How many cells the window has, and which segments are drawn together because they are shorter than one.

    None are where there are few segments. Cells are wider where there would still be too many bars.
    """
    length, cells = strips.end_ns - strips.start_ns, CELLS
    if len(length) <= FEW:
        return cells, np.zeros(len(length), dtype=bool)
    while True:
        short = length * cells < strips.window_ns
        bars = len(np.unique(_group(strips, cells)[short])) + np.count_nonzero(~short)
        if bars <= MOST_BARS:
            return cells, short
        cells //= 2


def _group(strips: Strips, cells: int) -> Array:
    return strips.cell(cells) * len(strips.rows) + strips.row


def drawn_together(strips: Strips, cells: int, at: Array) -> Together:
    """Those segments, `at` of them in order of time, as a bar for each cell and row."""
    groups, first, group = np.unique(_group(strips, cells)[at], return_index=True, return_inverse=True)
    last, longest = np.zeros((2, len(groups)), dtype=np.int64)
    last[group] = np.arange(len(at))
    length = strips.end_ns[at] - strips.start_ns[at]
    by_length = np.argsort(length, kind="stable")
    longest[group[by_length]] = at[by_length]
    kinds = len(strips.categories)
    spent = sum_by(group * kinds + strips.category[at], length, len(groups) * kinds).reshape(-1, kinds)
    return Together(
        strips.row[at[first]], spent.argmax(axis=1), strips.start_ns[at[first]], strips.end_ns[at[last]],
        np.bincount(group, minlength=len(groups)), spent, longest,
    )  # fmt: skip


def handovers(strips: Strips, cells: int) -> tuple[Array, int]:
    """Segments after which the path goes on in another row, and how many there are.

    Of too many, one stands for those of a cell between the same rows.
    """
    found = np.flatnonzero(strips.row[1:] != strips.row[:-1])
    number = len(found)
    while len(found) > MOST_HANDOVERS:
        places = (strips.cell(cells)[found] * len(strips.rows) + strips.row[found]) * len(strips.rows)
        found = found[np.unique(places + strips.row[found + 1], return_index=True)[1]]
        cells //= 2
    return np.sort(found), number


__all__ = ["Strips", "Together", "coded", "drawn_together", "handovers", "short_segments", "strips_of"]
