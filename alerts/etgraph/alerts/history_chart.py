"""The picture of a metric's history: a point a run, the levels between changes, and where these are."""

from __future__ import annotations

from itertools import pairwise

from etgraph.alerts.history import History
from etgraph.alerts.language.amounts import readable
from etgraph.model.drawing.charts import Axis, Chart, Moments, Panel, Points
from etgraph.model.drawing.colours import BLUE, VERMILION
from etgraph.model.readable import printable, shortened
from etgraph.queries.pictures.scales import Scale, size_scale, time_scale

SHORT = 12


def chart_of(history: History, title: str) -> Chart:
    """The runs in order, with their values in a unit that suits the largest."""
    scale = _scale(history)
    values = [None if run.value is None else run.value / scale.factor for run in history.runs]
    place = list(range(len(values)))
    marks: list[Points | Moments] = [
        Points("runs", BLUE, place, values, [_words(history, number) for number in place], joined=True)
    ]
    starts = {change.trace: change for change in history.changes}
    firsts = [number for number, run in enumerate(history.runs) if run.trace in starts]
    for first, end in pairwise([0, *firsts, len(values)]) if firsts else ():
        level = history.runs[first].level
        height = None if level is None else level / scale.factor
        marks.append(Points("level", VERMILION, [first, end - 1], [height, height], joined=True, size=0, group="level"))
    if firsts:
        names = [shortened(_name(history, number), SHORT) for number in firsts]
        marks.append(Moments([number - 0.5 for number in firsts], names))
    axis = f"{printable(history.metric)}{f' ({scale.unit})' if scale.unit else ''}"
    return Chart(title, (Panel("", Axis("runs, oldest first"), Axis(axis), tuple(marks)),))


def _scale(history: History) -> Scale:
    largest = round(max((abs(run.value) for run in history.runs if run.value is not None), default=0.0))
    if history.unit == "ns":
        return time_scale(largest)
    if history.unit == "bytes":
        return size_scale(largest)
    return Scale("" if history.unit == "count" else history.unit, 1)


def _words(history: History, number: int) -> str:
    run = history.runs[number]
    return "\n".join(filter(None, (_name(history, number), run.created, readable(run.value, history.unit))))


def _name(history: History, number: int) -> str:
    run = history.runs[number]
    return printable((run.commit or run.trace)[:SHORT])


__all__ = ["chart_of"]
