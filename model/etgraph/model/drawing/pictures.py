"""Charts as pictures, by matplotlib."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from functools import singledispatch
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from etgraph.model.drawing.charts import (
    FEW_CELLS,
    MOST_NAMES,
    Axis,
    Bars,
    Chart,
    HeatMap,
    Links,
    Moments,
    Panel,
    Points,
)
from etgraph.model.drawing.colours import GREY

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDE: Final = 6.4
"""Inches of a panel's width; stacked ones have half as much again."""
_HIGH: Final = 5.0
_ROW: Final = 0.28
"""Inches of a named place's height, where panels are stacked."""
_DOTS_PER_INCH: Final = 150
_LABEL: Final = 0.16
"""Part of a panel's width that labels at the ends of bars may take."""
_LINE: Final = 130
"""Letters of a legend's line."""
_SYMBOLS: Final = {"circle": "o", "star": "*"}


def write(chart: Chart, path: Path) -> None:
    """Draw a chart into a file whose ending matplotlib knows."""
    from matplotlib.figure import Figure

    heights = [_height(panel) for panel in chart.panels] if chart.stacked else [_HIGH]
    columns = 1 if chart.stacked else len(chart.panels)
    wide = 1.5 * _WIDE if chart.stacked else _WIDE * columns
    figure = Figure(figsize=(wide, sum(heights) + 0.6 + 0.2 * len(chart.notes)), layout="constrained")
    grid = figure.subplots(len(heights), columns, squeeze=False, height_ratios=heights)
    figure.suptitle(_plain(chart.title))
    for axes, panel in zip(grid.flat, chart.panels):
        _panel(axes, panel, len(panel.y.places) if chart.stacked else MOST_NAMES)
        if not chart.stacked:
            _legend(axes, panel)
    _below(figure, grid.flat if chart.stacked else [], _plain("\n".join(chart.notes)))
    with warnings.catch_warnings():
        # Names may be in any script, and a box stands for a letter that no font has.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(path, dpi=_DOTS_PER_INCH)


def _height(panel: Panel) -> float:
    return 1.0 + _ROW * max(2, len(panel.y.places))


def _plain(text: str) -> str:
    """A text in which a dollar sign is one, and no formula begins with it."""
    return text.replace("$", r"\$")


def _panel(axes: Axes, panel: Panel, rows: int) -> None:
    axes.set_axisbelow(True)
    axes.grid(alpha=0.3, axis="x" if panel.y.places else "both")
    axes.set(title=_plain(panel.title), xlabel=_plain(panel.x.label), ylabel=_plain(panel.y.label))
    for mark in panel.marks:
        _draw(mark, axes)
    _places(panel.x, axes.set_xticks, MOST_NAMES)
    _places(panel.y, axes.set_yticks, rows)
    if max(map(len, panel.x.places), default=0) > 4:
        axes.tick_params(axis="x", rotation=90)
    if panel.y.places:
        edges = (-0.5, len(panel.y.places) - 0.5)
        axes.set_ylim(*(edges[::-1] if panel.y.downwards else edges))
    _room(axes, panel)


def _room(axes: Axes, panel: Panel) -> None:
    """Bars from edge to edge, with room for the labels at their ends on the sides where these are."""
    bars = [mark for mark in panel.marks if isinstance(mark, Bars)]
    if not bars:
        return
    ends = [(begin, end, bool(mark.labels)) for mark in bars for begin, end in zip(mark.start, mark.end)]
    low, high = min(min(begin, end) for begin, end, _ in ends), max(max(begin, end) for begin, end, _ in ends)
    room = ((high - low) or 1) * _LABEL
    left = any(labelled and end < begin for begin, end, labelled in ends)
    right = any(labelled and end >= begin for begin, end, labelled in ends)
    axes.set_xlim(low - room * (left or 0.03), high + room * (right or 0.03))


def _places(axis: Axis, set_ticks: Callable[..., Any], most: int) -> None:
    if axis.places:
        named = axis.named_places(most)
        set_ticks(list(named), [_plain(name) for name in named.values()])


def _legend(axes: Axes, panel: Panel) -> None:
    title = next((mark.group for mark in panel.marks if isinstance(mark, Points) and mark.group), "")
    if axes.get_legend_handles_labels()[1]:
        axes.legend(title=_plain(title) or None)


def _below(figure: Figure, every: Iterable[Axes], notes: str) -> None:
    """The notes and one legend of those panels below all of them, where it takes nothing of their width."""
    named = {name: handle for axes in every for handle, name in zip(*axes.get_legend_handles_labels())}
    if not named and not notes:
        return
    columns = _LINE // max([6 + len(name) for name in named] or [_LINE])
    figure.legend(
        list(named.values()), list(named), title=notes or None, title_fontsize=8, loc="outside lower left",
        ncols=max(1, columns), frameon=False, fontsize=9, alignment="left",
    )  # fmt: skip


@singledispatch
def _draw(mark: Any, axes: Axes) -> None:
    raise TypeError(f"no picture has a mark {type(mark).__name__}")


@_draw.register(Points)
def _points(mark: Points, axes: Axes) -> None:
    known = [(x, y) for x, y in zip(mark.x, mark.y) if y is not None]
    axes.plot(
        [x for x, _ in known], [y for _, y in known], color=mark.colour, label=_plain(mark.name) or None,
        marker=_SYMBOLS[mark.symbol], markersize=mark.size, linestyle="-" if mark.joined else "none", linewidth=1,
    )  # fmt: skip


@_draw.register(Bars)
def _bars(mark: Bars, axes: Axes) -> None:
    from matplotlib.collections import PolyCollection

    row, start, end = (np.asarray(values, dtype=float) for values in (mark.row, mark.start, mark.end))
    low, high = row - mark.thickness / 2, row + mark.thickness / 2
    corners = np.stack([np.stack([start, end, end, start], 1), np.stack([low, low, high, high], 1)], 2)
    # The thin edge keeps bars visible that are narrower than a dot.
    axes.add_collection(
        PolyCollection(
            list(corners), facecolor=mark.colour, edgecolor="white" if mark.striped else mark.colour, linewidth=0.3,
            hatch="////" if mark.striped else None, label=_plain(mark.name) or None,
        )
    )  # fmt: skip
    axes.autoscale_view()
    for text, x, begin, y in zip(mark.labels, end, start, row):
        right = x >= begin
        axes.annotate(
            _plain(text), (x, y), (3 if right else -3, 0), textcoords="offset points", va="center",
            ha="left" if right else "right", fontsize=8,
        )  # fmt: skip


@_draw.register(Links)
def _links(mark: Links, axes: Axes) -> None:
    from matplotlib.collections import LineCollection

    ends = np.stack([np.stack([mark.start, mark.row], 1), np.stack([mark.end, mark.to], 1)], 1)
    axes.add_collection(LineCollection(list(ends), colors="#444444", linewidths=0.6, label=_plain(mark.name) or None))


@_draw.register(Moments)
def _moments(mark: Moments, axes: Axes) -> None:
    for at, label in zip(mark.at, mark.labels):
        axes.axvline(at, color=GREY, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0.5)
        axes.annotate(
            _plain(label), (at, 1), (2, 2), xycoords=("data", "axes fraction"), textcoords="offset points",
            fontsize=7, color="#555555",
        )  # fmt: skip


@_draw.register(HeatMap)
def _heat_map(mark: HeatMap, axes: Axes) -> None:
    from matplotlib.colors import LogNorm, Normalize

    rows = mark.numbers
    known = rows[~np.isnan(rows)]
    low, high = (float(known.min()), float(known.max())) if known.size else (1.0, 1.0)
    norm = LogNorm(low, high) if mark.logarithmic else Normalize(low, high)
    image = axes.imshow(rows, aspect="auto", origin="lower", cmap="viridis_r", norm=norm)
    axes.grid(False)
    if rows.size <= FEW_CELLS:
        for (row, column), value in np.ndenumerate(rows):
            if not np.isnan(value):
                colour = "white" if norm(value) > 0.5 else "black"
                axes.text(column, row, f"{value:.4g}", ha="center", va="center", color=colour, fontsize=8)
    axes.figure.colorbar(image, ax=axes, label=_plain(mark.unit))
