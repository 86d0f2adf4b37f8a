"""What plots of a sweep show, whatever draws them: all points with the front, and the step over one or two parameters.

Numbers are in the units that labels name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from etgraph.sim.profiles.figures import leaf_at
from etgraph.sim.profiles.units import Quantity
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
class Mark:
    """A point of the scatter; `text` says which it is."""

    x: float
    y: float
    text: str
    front: bool
    base: bool


@dataclass(frozen=True, slots=True)
class Scatter:
    """The first objective (y) over the second one (x) for every point that was predicted.

    With more objectives than these `two`, the front is no line here.
    """

    x: str
    y: str
    marks: tuple[Mark, ...]
    two: bool = True

    @property
    def front(self) -> tuple[Mark, ...]:
        """Those on the front, from left to right."""
        return tuple(sorted((mark for mark in self.marks if mark.front), key=lambda mark: (mark.x, mark.y)))


@dataclass(frozen=True, slots=True)
class Axis:
    """Values of a parameter in order: numbers, or texts with their places as numbers."""

    label: str
    numbers: tuple[float, ...]
    texts: tuple[str, ...]
    is_number: bool


@dataclass(frozen=True, slots=True)
class Lines:
    """The step over one parameter; a line for each value of another one (`by`), if there is any."""

    x: Axis
    y: str
    lines: tuple[tuple[str, tuple[float | None, ...]], ...]
    by: str = ""


@dataclass(frozen=True, slots=True)
class HeatMap:
    """The step over two parameters: a row for each value of `y`."""

    x: Axis
    y: Axis
    value: str
    rows: tuple[tuple[float | None, ...], ...]


def scatter_of(sweep: Sweep) -> Scatter:
    """The scatter of the first two objectives."""
    y, x = (*sweep.objectives, "devices")[:2]
    marks = []
    for point in sweep.points:
        values = [objective(point, name) for name in (x, y)]
        if point.error is None and None not in values:
            across, up = (float(value or 0) * _label(name)[1] for name, value in zip((x, y), values))
            marks.append(Mark(across, up, described(point), point.front, point.base))
    return Scatter(_label(x)[0], _label(y)[0], tuple(marks), len(sweep.objectives) <= 2)


def described(point: SweepPoint) -> str:
    """A point in words: its name, and its parameters."""
    words = [f"{path} {text}" for path, text in point.parameters.items() if text is not None]
    return ", ".join(filter(None, (point.name, point.profile, *words)))


def response_of(sweep: Sweep) -> Lines | HeatMap | None:
    """The step over the parameters of the grid, if these are one or two: lines, or a map of two that are alike."""
    points = [point for point in sweep.points if point.step_ns is not None and not point.name]
    spanning = [point for point in points if not point.base] or points
    varying = [name for name in (PROFILE, *sweep.parameters) if len({_text(point, name) for point in points}) > 1]
    # A base profile is a part of the grid only where its own values are among those that were tried.
    tried = {name: {_text(point, name) for point in spanning} for name in varying}
    points = [point for point in points if all(_text(point, name) in tried[name] for name in varying)]
    varying = [name for name in varying if len({_text(point, name) for point in points}) > 1]
    axes = [_axis(points, name) for name in varying]
    if not 1 <= len(axes) <= 2:
        return None
    steps = {
        tuple(axis.texts.index(_text(point, name)) for name, axis in zip(varying, axes)): (point.step_ns or 0) / 1e6
        for point in points
    }
    if len(axes) == 1:
        line = tuple(steps.get((at,)) for at in range(len(axes[0].texts)))
        return Lines(axes[0], STEP, (("", line),))
    first, second = axes
    if first.is_number == second.is_number:
        rows = tuple(tuple(steps.get((at, row)) for at in range(len(first.texts))) for row in range(len(second.texts)))
        return HeatMap(first, second, STEP, rows)
    swap = not first.is_number
    x, other = (second, first) if swap else (first, second)
    lines = tuple(
        (text, tuple(steps.get((row, at) if swap else (at, row)) for at in range(len(x.texts))))
        for row, text in enumerate(other.texts)
    )
    return Lines(x, STEP, lines, other.label)


def _text(point: SweepPoint, name: str) -> str:
    return point.profile if name == PROFILE else point.parameters.get(name) or "none"


def _axis(points: Sequence[SweepPoint], name: str) -> Axis:
    """The values of a parameter: numbers ascending, texts as they come."""
    texts = {_text(point, name): point.values.get(name) for point in points}
    numbers = {text: value for text, value in texts.items() if value is not None}
    if len(numbers) < len(texts):
        return Axis(name, tuple(map(float, range(len(texts)))), tuple(texts), False)
    ordered = sorted(numbers, key=lambda text: numbers[text])
    quantity = leaf_at(name).quantity
    unit, factor = unit_for(quantity, max(map(abs, numbers.values()))) if quantity else ("", 1.0)
    label = f"{name}, {unit}" if unit else name
    return Axis(label, tuple(numbers[text] / factor for text in ordered), tuple(ordered), True)


def unit_for(quantity: Quantity, largest: float) -> tuple[str, float]:
    """The largest decimal unit of bytes in which a number is at least one, and its factor.

    >>> from etgraph.sim.profiles.units import BANDWIDTH
    >>> unit_for(BANDWIDTH, 5e10)
    ('GB/s', 1000000000.0)
    """
    units = {u: float(f) for u, f in quantity.units.items() if "i" not in u.removesuffix("bit/s") and "b" not in u}
    first = next(iter(units.items()))
    fitting = [(unit, factor) for unit, factor in units.items() if factor <= largest]
    return max(fitting, key=lambda one: one[1], default=first)


def _label(name: str) -> tuple[str, float]:
    """The label of an objective, and the factor to its unit."""
    if name == "stepNs":
        return STEP, 1e-6
    if name in _OBJECTIVES:
        return _OBJECTIVES[name]
    return (f"{name.removesuffix('Ns')}, ms", 1e-6) if name.endswith("Ns") else (name, 1.0)
