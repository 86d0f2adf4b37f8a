"""Charts as plain data: panels with two axes and the marks in them. What draws them decides nothing but looks.

Texts are plain: a drawer escapes whatever its format would take for more than a text. Numbers are in the units that the
axes name. `texts` say what a reader wants to know of one mark, a line of text each fact; only pages show them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from etgraph.model.columns import Array

Numbers = Sequence[float]
Symbol = Literal["circle", "star"]
MOST_NAMES: Final = 24
"""Names of places for which a panel has room that does not grow with them."""
FEW_CELLS: Final = 100
"""In so many cells of a heat map there is room for their numbers."""


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis of numbers; or of named `places` at 0, 1, 2 …, the first at the top where it is `downwards`."""

    label: str = ""
    places: tuple[str, ...] = ()
    downwards: bool = False

    def named_places(self, most: int) -> dict[int, str]:
        """Places whose names are shown, with their names: all of them or, evenly, so many at most."""
        return dict(list(enumerate(self.places))[:: max(1, -(-len(self.places) // most))])


@dataclass(frozen=True, slots=True)
class Points:
    """Points at (x, y), joined by a line in their order where `joined`; a y of None is a gap."""

    name: str
    colour: str
    x: Numbers
    y: Sequence[float | None]
    texts: Sequence[str] = ()
    joined: bool = False
    symbol: Symbol = "circle"
    size: float = 6
    group: str = ""


@dataclass(frozen=True, slots=True)
class Bars:
    """Level bars at the places `row` of the y axis, each from `start` to `end`, which may lie left of the start.

    `labels` stand at the ends. `striped` bars are told from plain ones of the same colour.
    """

    name: str
    colour: str
    row: Numbers
    start: Numbers
    end: Numbers
    texts: Sequence[str] = ()
    labels: Sequence[str] = ()
    striped: bool = False
    thickness: float = 0.8


@dataclass(frozen=True, slots=True)
class Links:
    """Thin lines from (`start`, `row`) to (`end`, `to`)."""

    name: str
    start: Numbers
    row: Numbers
    end: Numbers
    to: Numbers
    texts: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Moments:
    """Upright lines over the whole height; `labels` are empty where they would not be legible."""

    at: Numbers
    labels: Sequence[str]


@dataclass(frozen=True, slots=True)
class HeatMap:
    """A coloured cell for every number of `rows`, a row for each place of the y axis; cells of None stay blank.

    The scale of colours is `logarithmic` or linear, `unit` what it says of the numbers.
    """

    rows: Sequence[Sequence[float | None]]
    unit: str
    texts: Sequence[Sequence[str]] = ()
    logarithmic: bool = False

    @property
    def numbers(self) -> Array:
        """The rows as an array, NaN in cells that stay blank."""
        return np.array([[np.nan if value is None else value for value in row] for row in self.rows], dtype=float)


Mark = Points | Bars | Links | Moments | HeatMap


@dataclass(frozen=True, slots=True)
class Panel:
    """One field of a chart."""

    title: str
    x: Axis
    y: Axis
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """Panels side by side, or one below the other where they are `stacked`; `notes` stand below them."""

    title: str
    panels: tuple[Panel, ...]
    notes: tuple[str, ...] = ()
    stacked: bool = False


__all__ = ["Axis", "Bars", "Chart", "HeatMap", "Links", "Mark", "Moments", "Panel", "Points"]
