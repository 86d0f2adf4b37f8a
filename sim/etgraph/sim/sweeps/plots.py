"""Plots of a sweep: a picture by matplotlib, or a page by plotly on which points tell what they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from etgraph.model.errors import MissingData, UsageError
from etgraph.sim.sweeps.charts import Axis, HeatMap, Lines, Scatter, response_of, scatter_of
from etgraph.sim.sweeps.sweep import Sweep

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_GREY, _BLUE, _ORANGE = "#9a9a9a", "#0072b2", "#d55e00"
_LINES: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#f0e442")
"""Okabe and Ito's colours, which colour-blind readers tell apart."""
_HIGH: Final = 5.0
"""Inches of a picture's height."""


def check_plot(path: Path) -> None:
    """Raise UsageError for an ending that no plot has, and where what draws it is not installed."""
    _drawer(path)


def plot(sweep: Sweep, path: Path, title: str) -> None:
    """Draw a sweep into a file: `.png`, `.svg` and `.pdf` are pictures, `.html` is a page that needs no network.

    Raises what `check_plot` does, and MissingData where no point could be predicted.
    """
    draw = _drawer(path)
    scatter = scatter_of(sweep)
    if not scatter.marks:
        raise MissingData("no point was predicted: there is nothing to plot")
    draw(scatter, response_of(sweep), path, title)


Drawer = Callable[[Scatter, Lines | HeatMap | None, Path, str], None]


def _drawer(path: Path) -> Drawer:
    ending = path.suffix.lower()
    if ending in (".png", ".svg", ".pdf"):
        _needed("matplotlib", ending)
        return _picture
    if ending in (".html", ".htm"):
        _needed("plotly", ending)
        return _page
    raise UsageError(f"{path}: found the ending {ending!r}, expected .png, .svg, .pdf or .html")


def _needed(name: str, ending: str) -> ModuleType:
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError:
        raise UsageError(
            f"a plot as {ending} needs {name}, which is not installed", hint="pip install 'etgraph[plots]'"
        ) from None


# Pictures


def _picture(scatter: Scatter, response: Lines | HeatMap | None, path: Path, title: str) -> None:
    from matplotlib.figure import Figure

    panels = 1 if response is None else 2
    figure = Figure(figsize=(6.4 * panels, _HIGH), layout="constrained")
    axes = figure.subplots(1, panels, squeeze=False)[0]
    figure.suptitle(title)
    _draw_scatter(axes[0], scatter)
    if isinstance(response, Lines):
        _draw_lines(axes[1], response)
    elif response is not None:
        _draw_map(axes[1], response)
    figure.savefig(path, dpi=150)


def _draw_scatter(axes: Axes, scatter: Scatter) -> None:
    others = [mark for mark in scatter.marks if not mark.front]
    axes.scatter([m.x for m in others], [m.y for m in others], s=18, color=_GREY, label="other points")
    front = scatter.front
    axes.plot(
        [m.x for m in front], [m.y for m in front], color=_BLUE, marker="o", markersize=6, label="front",
        linestyle="-" if scatter.two else "none", linewidth=1,
    )  # fmt: skip
    base = [mark for mark in scatter.marks if mark.base]
    axes.scatter(
        [m.x for m in base], [m.y for m in base], s=140, marker="*", color=_ORANGE, zorder=3, label="base profile"
    )
    axes.set(xlabel=scatter.x, ylabel=scatter.y, title="All points")
    axes.grid(alpha=0.3)
    axes.legend()


def _draw_lines(axes: Axes, response: Lines) -> None:
    for number, (name, values) in enumerate(response.lines):
        known = [(x, y) for x, y in zip(response.x.numbers, values) if y is not None]
        axes.plot(
            [x for x, _ in known], [y for _, y in known], marker="o", color=_LINES[number % len(_LINES)],
            label=name or None,
        )  # fmt: skip
    axes.set(xlabel=response.x.label, ylabel=response.y, title=f"Step over {response.x.label.split(',')[0]}")
    axes.grid(alpha=0.3)
    if not response.x.is_number:
        axes.set_xticks(response.x.numbers, response.x.texts)
    if response.by:
        axes.legend(title=response.by)


def _draw_map(axes: Axes, response: HeatMap) -> None:
    import numpy as np

    rows = np.array([[np.nan if value is None else value for value in row] for row in response.rows])
    image = axes.imshow(rows, aspect="auto", origin="lower", cmap="viridis_r")
    for axis, set_ticks, set_label in (
        (response.x, axes.set_xticks, axes.set_xlabel),
        (response.y, axes.set_yticks, axes.set_ylabel),
    ):
        set_ticks(range(len(axis.texts)), _ticks(axis))
        set_label(axis.label)
    if rows.size <= 100:
        middle = float(np.nanmin(rows) + np.nanmax(rows)) / 2
        for (row, column), value in np.ndenumerate(rows):
            if not np.isnan(value):
                dark = "white" if value > middle else "black"
                axes.text(column, row, f"{value:.4g}", ha="center", va="center", color=dark, fontsize=8)
    axes.set_title("Step over both parameters")
    axes.figure.colorbar(image, ax=axes, label=response.value)


def _ticks(axis: Axis) -> list[str]:
    return [f"{number:.6g}" for number in axis.numbers] if axis.is_number else list(axis.texts)


# Pages


def _page(scatter: Scatter, response: Lines | HeatMap | None, path: Path, title: str) -> None:
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    panels = 1 if response is None else 2
    names = ["All points"] if response is None else ["All points", "Step over the grid's parameters"]
    figure = make_subplots(rows=1, cols=panels, subplot_titles=names, horizontal_spacing=0.12)
    front = "lines+markers" if scatter.two else "markers"
    for name, marks, style in (
        ("other points", [m for m in scatter.marks if not m.front], {"mode": "markers", "marker_color": _GREY}),
        ("front", scatter.front, {"mode": front, "line_color": _BLUE, "marker_size": 9}),
        (
            "base profile", [m for m in scatter.marks if m.base],
            {"mode": "markers", "marker_color": _ORANGE, "marker_symbol": "star", "marker_size": 15},
        ),
    ):  # fmt: skip
        figure.add_trace(
            go.Scatter(
                x=[m.x for m in marks], y=[m.y for m in marks], text=[m.text for m in marks], name=name,
                hovertemplate="%{text}<br>%{y:.6g} (" + scatter.y + "), %{x:.6g} (" + scatter.x + ")<extra></extra>",
                **style,
            ),
            row=1, col=1,
        )  # fmt: skip
    figure.update_xaxes(title_text=scatter.x, row=1, col=1)
    figure.update_yaxes(title_text=scatter.y, row=1, col=1)
    if response is not None:
        _add_response(go, figure, response)
    figure.update_layout(title_text=title, template="plotly_white", height=560, legend={"orientation": "h", "y": -0.2})
    figure.write_html(path, include_plotlyjs=True)


def _add_response(go: Any, figure: Any, response: Lines | HeatMap) -> None:
    if isinstance(response, HeatMap):
        figure.add_trace(
            go.Heatmap(
                x=_ticks(response.x), y=_ticks(response.y), z=response.rows, colorscale="Viridis", reversescale=True,
                colorbar={"title": response.value},
            ),
            row=1, col=2,
        )  # fmt: skip
        figure.update_xaxes(title_text=response.x.label, type="category", row=1, col=2)
        figure.update_yaxes(title_text=response.y.label, type="category", row=1, col=2)
        return
    for number, (name, values) in enumerate(response.lines):
        figure.add_trace(
            go.Scatter(
                x=response.x.numbers if response.x.is_number else response.x.texts, y=values, name=name or "step",
                mode="lines+markers", line_color=_LINES[number % len(_LINES)],
                showlegend=bool(response.by), legendgroup="lines", legendgrouptitle_text=response.by,
            ),
            row=1, col=2,
        )  # fmt: skip
    figure.update_xaxes(title_text=response.x.label, row=1, col=2)
    figure.update_yaxes(title_text=response.y, row=1, col=2)
