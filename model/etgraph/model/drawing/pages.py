"""Charts as figures for notebooks and as pages, by plotly."""

from __future__ import annotations

from functools import singledispatch
from html import escape
from pathlib import Path
from typing import Any, Final

import numpy as np

from etgraph.model.drawing.charts import FEW_CELLS, MOST_NAMES, Axis, Bars, Chart, HeatMap, Links, Moments, Points
from etgraph.model.drawing.colours import GREY
from etgraph.model.drawing.files import needed

_ROW: Final = 24
"""Pixels of a named place's height, where panels are stacked."""
_HIGH: Final = 560
_FRAME: Final = 150
"""Pixels for the title and the axes' labels."""
_LINE: Final = "rgba(100, 100, 100, 0.75)"

# No script, style, font or picture from elsewhere: the browser itself sees to it that a page asks nobody for anything.
_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; \
style-src 'unsafe-inline'; img-src data: blob:">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>body {{ margin: 8px; background: #fff }}
@media (prefers-color-scheme: dark) {{ body {{ background: #1b1b1b }} }}</style>
</head>
<body>
{figure}
</body>
</html>
"""
# The page's background shows through; letters and lines follow the reader's choice, too.
_FOLLOW: Final = """
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const plot = document.getElementById("{plot_id}");
function follow() {
  const change = {"font.color": dark.matches ? "#ddd" : "#333"};
  for (const name of Object.keys(plot._fullLayout).filter(name => /^[xy]axis/.test(name))) {
    change[name + ".gridcolor"] = dark.matches ? "#3a3a3a" : "#e6e6e6";
    change[name + ".zerolinecolor"] = dark.matches ? "#666" : "#bbb";
  }
  Plotly.relayout(plot, change);
}
dark.addEventListener("change", follow);
follow();
"""


def write(chart: Chart, path: Path) -> None:
    """Write a page that holds a chart and all that shows it."""
    figure = figure_of(chart)
    figure.update_layout(paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)")
    drawn = figure.to_html(
        full_html=False, include_plotlyjs=True, post_script=_FOLLOW, config={"displaylogo": False, "responsive": True}
    )
    path.write_text(_PAGE.format(title=escape(chart.title), figure=drawn), "utf-8")


def figure_of(chart: Chart) -> Any:
    """A chart as a plotly figure, which shows itself in a notebook. Raises UsageError where plotly is not installed."""
    needed("plotly", "an interactive plot")
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    stacked = chart.stacked
    heights = [_FRAME / 2 + _ROW * max(2, len(panel.y.places)) for panel in chart.panels] if stacked else [_HIGH]
    figure = make_subplots(
        rows=len(heights), cols=1 if stacked else len(chart.panels), row_heights=heights,
        subplot_titles=[_text(panel.title) for panel in chart.panels],
        horizontal_spacing=0.12, vertical_spacing=min(0.5, 90 / sum(heights)) if len(heights) > 1 else 0,
    )  # fmt: skip
    named: set[str] = set()
    for number, panel in enumerate(chart.panels):
        place = {"row": number + 1, "col": 1} if stacked else {"row": 1, "col": number + 1}
        for mark in panel.marks:
            _draw(mark, go, figure, place, named)
        _axis(figure.update_xaxes, panel.x, place, MOST_NAMES)
        _axis(figure.update_yaxes, panel.y, place, len(panel.y.places) if stacked else MOST_NAMES)
    below = 40 + 16 * len(chart.notes)
    figure.update_layout(
        title_text=_text(chart.title), template="plotly_white", height=sum(heights) + _FRAME + below, barmode="overlay",
        margin_b=below + 60, hoverlabel_align="left",
        legend={"orientation": "h", "yref": "container", "y": 0.0, "yanchor": "bottom"},
    )  # fmt: skip
    if chart.notes:
        figure.add_annotation(
            text="<br>".join(map(_text, chart.notes)), xref="paper", yref="paper", x=0, y=0, yshift=-52, yanchor="top",
            showarrow=False, align="left", font={"size": 11, "color": "#808080"},
        )  # fmt: skip
    return figure


def _text(text: str) -> str:
    """A plain text for plotly, which would obey tags of HTML, and take what is between dollar signs for a formula."""
    return escape(text, quote=False).replace("$", "&#36;").replace("\n", "<br>")


def _axis(update: Any, axis: Axis, place: dict[str, int], most: int) -> None:
    ticks: dict[str, Any] = {}
    if axis.places:
        ends, named = [-0.5, len(axis.places) - 0.5], axis.named_places(most)
        ticks = {
            "tickvals": list(named), "ticktext": [_text(name) for name in named.values()],
            "range": ends[::-1] if axis.downwards else ends, "showgrid": False, "zeroline": False,
        }  # fmt: skip
    update(title_text=_text(axis.label), automargin=True, **ticks, **place)


def _named(name: str, named: set[str]) -> dict[str, Any]:
    """What gives a trace its line in the legend, where no other one of its name has one."""
    shown = bool(name) and name not in named
    named.add(name)
    return {"name": _text(name), "showlegend": shown, "legendgroup": name}


def _hover(texts: Any) -> dict[str, Any]:
    return {"hovertext": [_text(text) for text in texts], "hoverinfo": "text" if len(texts) else "skip"}


@singledispatch
def _draw(mark: Any, go: Any, figure: Any, place: dict[str, int], named: set[str]) -> None:
    raise TypeError(f"no page has a mark {type(mark).__name__}")


@_draw.register(Points)
def _points(mark: Points, go: Any, figure: Any, place: dict[str, int], named: set[str]) -> None:
    figure.add_trace(
        go.Scatter(
            x=list(mark.x), y=list(mark.y), mode="lines+markers" if mark.joined else "markers",
            marker={"color": mark.colour, "symbol": mark.symbol, "size": mark.size + 2},
            legendgrouptitle_text=_text(mark.group) or None,
            **_hover(mark.texts), **_named(mark.name, named),
        ),
        **place,
    )  # fmt: skip


@_draw.register(Bars)
def _bars(mark: Bars, go: Any, figure: Any, place: dict[str, int], named: set[str]) -> None:
    start, end = np.asarray(mark.start, dtype=float), np.asarray(mark.end, dtype=float)
    labels = {"text": [_text(text) for text in mark.labels], "textposition": "outside", "cliponaxis": False}
    figure.add_trace(
        go.Bar(
            orientation="h", y=list(mark.row), base=start.tolist(), x=(end - start).tolist(), width=mark.thickness,
            marker={
                "color": mark.colour, "line": {"width": 0},
                "pattern": {"shape": "/" if mark.striped else "", "fgcolor": "white", "size": 6},
            },
            **(labels if mark.labels else {}), **_hover(mark.texts), **_named(mark.name, named),
        ),
        **place,
    )  # fmt: skip


@_draw.register(Links)
def _links(mark: Links, go: Any, figure: Any, place: dict[str, int], named: set[str]) -> None:
    def between(first: Any, second: Any) -> list[Any]:
        """First and second of every link, and nothing that would join it to the next one."""
        return [value for pair in zip(first, second) for value in (*pair, None)]

    texts = [each for text in mark.texts for each in (text, text, "")]
    figure.add_trace(
        go.Scatter(
            x=between(mark.start, mark.end), y=between(mark.row, mark.to), mode="lines",
            line={"color": _LINE, "width": 1}, **_hover(texts), **_named(mark.name, named),
        ),
        **place,
    )  # fmt: skip


@_draw.register(Moments)
def _moments(mark: Moments, go: Any, figure: Any, place: dict[str, int], named: set[str]) -> None:
    for at, label in zip(mark.at, mark.labels):
        figure.add_vline(
            at, line={"color": GREY, "width": 1, "dash": "dash"}, annotation_text=_text(label) or None,
            annotation_position="top", annotation_font={"size": 10}, **place,
        )  # fmt: skip


@_draw.register(HeatMap)
def _heat_map(mark: HeatMap, go: Any, figure: Any, place: dict[str, int], named: set[str]) -> None:
    rows = mark.numbers
    numbers = [["" if np.isnan(value) else f"{value:.4g}" for value in row] for row in rows.tolist()]
    bar: dict[str, Any] = {"title": {"text": _text(mark.unit), "side": "right"}}
    if mark.logarithmic:
        rows = np.log10(rows)
        powers = range(int(np.floor(np.nanmin(rows))), int(np.ceil(np.nanmax(rows))) + 1)
        bar |= {"tickvals": list(powers), "ticktext": [f"{10.0**power:g}" for power in powers]}
    texts = [[_text(text) for text in row] for row in mark.texts]
    figure.add_trace(
        go.Heatmap(
            z=[[None if np.isnan(value) else value for value in row] for row in rows.tolist()],
            colorscale="Viridis", reversescale=True, colorbar=bar, hoverongaps=True,
            **({"text": numbers, "texttemplate": "%{text}"} if rows.size <= FEW_CELLS else {}),
            **({"hovertext": texts, "hoverinfo": "text"} if texts else {}),
        ),
        **place,
    )  # fmt: skip
