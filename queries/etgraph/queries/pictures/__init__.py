"""Pictures of answers: a chart of each as plain data, drawn into a file or shown in a notebook."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from etgraph.model.drawing import Chart, check_file
from etgraph.model.drawing import draw as draw_chart
from etgraph.model.errors import UsageError
from etgraph.model.results import Result
from etgraph.queries.comm_matrix import CommunicationMatrix
from etgraph.queries.comparison.result import Comparison
from etgraph.queries.critical_path import CriticalPath
from etgraph.queries.pictures.comm_matrix import heat_map
from etgraph.queries.pictures.comparison import diverging_bars
from etgraph.queries.pictures.critical_path import path_strip
from etgraph.queries.pictures.waterfall import floating_bars
from etgraph.queries.waterfall import Waterfall, Waterfalls
from etgraph.sim.sweeps.charts import chart_of as chart_of_sweep
from etgraph.sim.sweeps.sweep import Sweep

Answer = Result | Sequence[Waterfall]
"""What has a picture: an answer, or the waterfalls of several traces, which are one picture."""

_CHARTS: Final[Mapping[type, Callable[..., Chart]]] = {
    CriticalPath: path_strip,
    CommunicationMatrix: heat_map,
    Comparison: diverging_bars,
    Waterfall: lambda one: floating_bars([one]),
    Waterfalls: lambda several: floating_bars(several.rows),
    Sweep: lambda sweep: chart_of_sweep(sweep, "Sweep"),
    list: floating_bars,
    tuple: floating_bars,
}


def chart_of(answer: Answer, title: str = "", **choices: Any) -> Chart:
    """The picture of an answer as plain data; without a title it has one of its own.

    `choices` are the keywords of the picture, such as `lanes` of a critical path's. Raises UsageError for an answer
    that has no picture, and MissingData for one in which there is nothing to draw.
    """
    chart = _CHARTS.get(type(answer))
    if chart is None:
        raise UsageError(
            f"there is no picture of {type(answer).__name__}",
            hint=f"there are pictures of {', '.join(each.__name__ for each in _CHARTS if issubclass(each, Result))}",
        )
    drawn = chart(answer, **choices)
    return replace(drawn, title=title) if title else drawn


def draw(answer: Answer, path: Path | str, title: str = "", **choices: Any) -> None:
    """Draw an answer into a file: `.png`, `.svg` and `.pdf` are pictures, `.html` is a page that needs no network.

    Raises what `chart_of` does, and UsageError for another ending and where what draws it is not installed.
    """
    check_file(Path(path))
    draw_chart(chart_of(answer, title, **choices), Path(path))


def plot(answer: Answer, title: str = "", **choices: Any) -> Any:
    """An answer as a plotly figure, which shows itself in a notebook.

    Raises what `chart_of` does, and UsageError where plotly is not installed.
    """
    from etgraph.model.drawing.pages import figure_of

    return figure_of(chart_of(answer, title, **choices))


__all__ = ["chart_of", "draw", "plot"]
