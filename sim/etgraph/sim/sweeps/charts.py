"""What plots of a sweep show: all points with the front, and the step over one or two parameters.

Numbers are in the units that labels name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from etgraph.model.drawing.charts import Axis, Chart, HeatMap, Panel, Points
from etgraph.model.drawing.colours import BLUE, CYCLE, GREY, VERMILION
from etgraph.model.errors import MissingData
from etgraph.model.settings.units import Quantity
from etgraph.sim.profiles.figures import leaf_at
from etgraph.sim.sweeps.objectives import objective
from etgraph.sim.sweeps.sweep import Sweep, SweepPoint

PROFILE: Final = "profile"
STEP: Final = "step, ms"
_OBJECTIVES: Final = {
    "stepPrice": ("price of 1,000 steps, USD", 1e3),
    "pricePerHour": ("price of all devices, USD/h", 1.0),
    "stepEnergy": ("energy of a step at full power, J", 1.0),
    "devices": ("devices", 1.0),
    "memoryBandwidth": ("memory bandwidth, TB/s", 1e-12),
    "networkBandwidth": ("bandwidth of the outermost tier, GB/s", 1e-9),
}
"""Labels of objectives, and factors to the units that these name."""


@dataclass(frozen=True, slots=True)
class _Values:
    """Values of a parameter in order: numbers, or texts with their places as numbers."""

    label: str
    numbers: tuple[float, ...]
    texts: tuple[str, ...]
    is_number: bool

    def axis(self, *, places: bool = False) -> Axis:
        """An axis with a place for each of them, unless they are numbers and shall lie where these are."""
        if self.is_number and not places:
            return Axis(self.label)
        return Axis(self.label, tuple(f"{n:.6g}" for n in self.numbers) if self.is_number else self.texts)


def chart_of(sweep: Sweep, title: str) -> Chart:
    """All points with the front and the base and, where the grid has one or two parameters, the step over these.

    Raises MissingData where no point could be predicted.
    """
    panels = (scatter_of(sweep), response_of(sweep))
    return Chart(title, tuple(panel for panel in panels if panel is not None))


def scatter_of(sweep: Sweep) -> Panel:
    """The first objective (y) over the second one (x) for every point that was predicted: the others, front, base.

    With more objectives than these two, the front is no line here. Raises MissingData where no point was predicted.
    """
    y, x = (_objective(name) for name in (*sweep.objectives, "devices")[:2])
    points = [
        (point, across, up)
        for point in sweep.points
        if point.error is None and (across := x.of(point)) is not None and (up := y.of(point)) is not None
    ]
    if not points:
        raise MissingData("no point was predicted: there is nothing to plot")

    def marks(name: str, colour: str, chosen: Callable[[SweepPoint], bool], **looks: Any) -> Points:
        shown = sorted(((across, up, point) for point, across, up in points if chosen(point)), key=lambda one: one[:2])
        texts = [f"{described(point)}\n{up:.6g} ({y.label}), {across:.6g} ({x.label})" for across, up, point in shown]
        return Points(name, colour, [one[0] for one in shown], [one[1] for one in shown], texts, **looks)

    found = (
        marks("other points", GREY, lambda point: not point.front, size=4),
        marks("front", BLUE, lambda point: point.front, joined=len(sweep.objectives) <= 2),
        marks("base profile", VERMILION, lambda point: point.base, symbol="star", size=12),
    )
    return Panel("All points", Axis(x.label), Axis(y.label), tuple(each for each in found if each.x))


def described(point: SweepPoint) -> str:
    """A point in words: its name, and its parameters."""
    words = [f"{path} {text}" for path, text in point.parameters.items() if text is not None]
    return ", ".join(filter(None, (point.name, point.profile, *words)))


def response_of(sweep: Sweep) -> Panel | None:
    """The step over the parameters of the grid, if these are one or two: lines, or a map of two that are alike."""
    points = [point for point in sweep.points if point.step_ns is not None and not point.name]
    spanning = [point for point in points if not point.base] or points
    varying = [name for name in (PROFILE, *sweep.parameters) if len({_text(point, name) for point in points}) > 1]
    # A base profile is a part of the grid only where its own values are among those that were tried.
    tried = {name: {_text(point, name) for point in spanning} for name in varying}
    points = [point for point in points if all(_text(point, name) in tried[name] for name in varying)]
    varying = [name for name in varying if len({_text(point, name) for point in points}) > 1]
    values = [_values(points, name) for name in varying]
    if not 1 <= len(values) <= 2:
        return None
    steps = {
        tuple(one.texts.index(_text(point, name)) for name, one in zip(varying, values)): (point.step_ns or 0) / 1e6
        for point in points
    }
    if len(values) == 1:
        return _lines(values[0], [("", [steps.get((at,)) for at in range(len(values[0].texts))])])
    first, second = values
    if first.is_number == second.is_number:
        rows = [[steps.get((at, row)) for at in range(len(first.texts))] for row in range(len(second.texts))]
        axes = first.axis(places=True), second.axis(places=True)
        return Panel("Step over both parameters", *axes, (HeatMap(rows, STEP),))
    swap = not first.is_number
    x, other = (second, first) if swap else (first, second)
    return _lines(
        x,
        [
            (text, [steps.get((row, at) if swap else (at, row)) for at in range(len(x.texts))])
            for row, text in enumerate(other.texts)
        ],
        other.label,
    )


def _lines(x: _Values, lines: Sequence[tuple[str, Sequence[float | None]]], by: str = "") -> Panel:
    """The step over one parameter; a line for each value of another one (`by`), if there is any."""
    marks = tuple(
        Points(name, CYCLE[number % len(CYCLE)], x.numbers, steps, joined=True, group=by)
        for number, (name, steps) in enumerate(lines)
    )
    return Panel(f"Step over {x.label.split(',')[0]}", x.axis(), Axis(STEP), marks)


def _text(point: SweepPoint, name: str) -> str:
    return point.profile if name == PROFILE else point.parameters.get(name) or "none"


def _values(points: Sequence[SweepPoint], name: str) -> _Values:
    """The values of a parameter: numbers ascending, texts as they come."""
    texts = {_text(point, name): point.values.get(name) for point in points}
    numbers = {text: value for text, value in texts.items() if value is not None}
    if len(numbers) < len(texts):
        return _Values(name, tuple(map(float, range(len(texts)))), tuple(texts), False)
    ordered = sorted(numbers, key=lambda text: numbers[text])
    quantity = leaf_at(name).quantity
    unit, factor = unit_for(quantity, max(map(abs, numbers.values()))) if quantity else ("", 1.0)
    label = f"{name}, {unit}" if unit else name
    return _Values(label, tuple(numbers[text] / factor for text in ordered), tuple(ordered), True)


def unit_for(quantity: Quantity, largest: float) -> tuple[str, float]:
    """The largest decimal unit of bytes in which a number is at least one, and its factor.

    >>> from etgraph.model.settings.units import BANDWIDTH
    >>> unit_for(BANDWIDTH, 5e10)
    ('GB/s', 1000000000.0)
    """
    units = {u: float(f) for u, f in quantity.units.items() if "i" not in u.removesuffix("bit/s") and "b" not in u}
    first = next(iter(units.items()))
    fitting = [(unit, factor) for unit, factor in units.items() if factor <= largest]
    return max(fitting, key=lambda one: one[1], default=first)


@dataclass(frozen=True, slots=True)
class _Objective:
    """An objective's name, its label, and the factor to the unit that this names."""

    name: str
    label: str
    factor: float

    def of(self, point: SweepPoint) -> float | None:
        value = objective(point, self.name)
        return None if value is None else value * self.factor


def _objective(name: str) -> _Objective:
    if name == "stepNs":
        return _Objective(name, STEP, 1e-6)
    if name in _OBJECTIVES:
        return _Objective(name, *_OBJECTIVES[name])
    return (
        _Objective(name, f"{name.removesuffix('Ns')}, ms", 1e-6) if name.endswith("Ns") else _Objective(name, name, 1)
    )
