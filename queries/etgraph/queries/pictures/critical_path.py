"""The critical path over time: a strip for each rank, coloured by what the path was there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np

from etgraph.model.columns import Array
from etgraph.model.drawing.charts import Axis, Bars, Chart, Links, Mark, Moments, Panel
from etgraph.model.drawing.colours import CATEGORIES, GREY
from etgraph.model.errors import MissingData
from etgraph.model.readable import counted, duration, percent, shortened
from etgraph.queries.critical_path import CriticalPath
from etgraph.queries.pictures.scales import Scale, time_scale
from etgraph.queries.pictures.strips import Strips, Together, drawn_together, handovers, short_segments, strips_of

MOST_ITERATIONS: Final = 200
NAMED_ITERATIONS: Final = 24
NAME: Final = 120
"""Characters of an operator's name that a reader is shown."""


def path_strip(path: CriticalPath, *, lanes: bool = False) -> Chart:
    """Where the path was at what time: a row for each rank, or for each lane of a rank, with time to the right.

    Colours are categories. Lines join rows where the path goes from one to another, dashed ones are where it enters an
    iteration. Of very many segments those shorter than a pixel are drawn together, in the colour of most of their time,
    and a note says how many. Raises MissingData for a window of no length.
    """
    strips = strips_of(path, lanes=lanes)
    if not len(strips.row):
        raise MissingData("the window has no length: there is nothing to plot")
    cells, short = short_segments(strips)
    together = drawn_together(strips, cells, np.flatnonzero(short))
    ends, number = handovers(strips, cells)
    scale = time_scale(path.window_ns)
    marks: list[Mark] = [*_bars(path, strips, np.flatnonzero(~short), together, cells, scale)]
    if number:
        marks.append(_links(strips, ends, scale))
    if path.by_iteration:
        marks.append(_iterations(path, scale))
    notes = []
    if short.any():
        notes.append(
            f"{counted(int(short.sum()), 'segment')} of {len(short):,} are shorter than "
            f"{duration(path.window_ns // cells)}: they are drawn together, as {counted(len(together.row), 'bar')} in "
            "the colour of most of their time"
        )
    if len(ends) < number:
        notes.append(f"{len(ends):,} of {number:,} hand-overs between rows are drawn")
    time = Axis(f"time from the window's start, {scale.unit}")
    return Chart(
        f"Critical path, {duration(path.window_ns)}",
        (Panel("", time, Axis(places=strips.rows, downwards=True), tuple(marks)),),
        tuple(notes),
        stacked=True,
    )


def _bars(
    path: CriticalPath, strips: Strips, alone: Array, together: Together, cells: int, scale: Scale
) -> Iterator[Bars]:
    """Bars by category: segments that are drawn alone, then those that are drawn together."""
    texts = [*_texts_alone(strips, alone), *_texts_together(strips, together, cells)]
    row, category, start, end = (
        np.concatenate([getattr(strips, name)[alone], getattr(together, name)])
        for name in ("row", "category", "start_ns", "end_ns")
    )
    spent = dict.fromkeys(strips.categories, 0)
    for share in path.by_category:
        spent[share.category] += share.ns
    for code in np.unique(category).tolist():
        at, name = np.flatnonzero(category == code), strips.categories[code]
        yield Bars(
            f"{name} {percent(spent[name] / path.length_ns)}",
            CATEGORIES.get(name, GREY),
            row[at].tolist(),
            (start[at] / scale.factor).tolist(),
            (end[at] / scale.factor).tolist(),
            [texts[i] for i in at.tolist()],
        )


def _texts_alone(strips: Strips, at: Array) -> Iterator[str]:
    starts, ends = strips.start_ns[at].tolist(), strips.end_ns[at].tolist()
    for row, start, end in zip(strips.table.take(at).to_pylist(), starts, ends):
        yield "\n".join(filter(None, _facts(row, start, end)))


def _facts(row: Mapping[str, Any], start_ns: int, end_ns: int) -> Iterator[str]:
    yield shortened(row["name"] or "no operator", NAME)
    yield f"{row['category']}: {row['detail']}, {duration(end_ns - start_ns)}"
    yield f"from {start_ns / 1e6:.6f} to {end_ns / 1e6:.6f} ms"
    yield f"rank {row['rank']}" + (f", {shortened(row['lane'], NAME)}" if row["lane"] else "")
    yield f"came by {row['via']}" if row["via"] else ""
    yield shortened(row["source"], NAME) if row["source"] else ""


def _texts_together(strips: Strips, together: Together, cells: int) -> Iterator[str]:
    limit = duration(strips.window_ns // cells)
    longest = strips.table["name"].take(together.longest).to_pylist()
    for count, spent, row, name in zip(
        together.count.tolist(), together.spent.tolist(), together.row.tolist(), longest
    ):
        parts = sorted(((ns, category) for ns, category in zip(spent, strips.categories) if ns), reverse=True)
        yield "\n".join(
            (
                f"{counted(count, 'segment')} shorter than {limit}, on {strips.rows[row]}",
                *(f"{category} {duration(ns)}" for ns, category in parts),
                f"the longest: {shortened(name or 'no operator', NAME)}",
            )
        )


def _links(strips: Strips, at: Array, scale: Scale) -> Links:
    row, to, start = (values.tolist() for values in (strips.row[at], strips.row[at + 1], strips.end_ns[at]))
    after = strips.table.select(["name", "via"]).take(at + 1).to_pylist()
    texts = [
        f"{strips.rows[one]} → {strips.rows[other]} at {duration(ns)}\n"
        + (f"by {segment['via']} " if segment["via"] else "")
        + f"to {shortened(segment['name'] or 'no operator', NAME)}"
        for one, other, ns, segment in zip(row, to, start, after)
    ]
    begin = (strips.start_ns[at + 1] / scale.factor).tolist()
    return Links("hand-over", [ns / scale.factor for ns in start], row, begin, to, texts)


def _iterations(path: CriticalPath, scale: Scale) -> Moments:
    """Where the path enters iterations, some of them where they are many."""
    entered = [one for one in path.by_iteration if one.iteration is not None]
    entered = entered[:: 1 + len(entered) // MOST_ITERATIONS]
    named = 1 + len(entered) // NAMED_ITERATIONS
    return Moments(
        [(one.start_ns - path.start_ns) / scale.factor for one in entered],
        ["" if number % named else f"iteration {one.iteration}" for number, one in enumerate(entered)],
    )
