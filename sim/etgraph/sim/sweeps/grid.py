"""What a sweep varies: base profiles, figures of them, and choices beside them; the form of a grid's file.

`Heading`, `Choices` and `PointHeading` declare what a file may hold, as the dataclasses of a profile do: reading, the
JSON Schema and the documentation follow from them. Figures are those of a profile, by their paths.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, Final

from etgraph.model import CommType
from etgraph.model.settings.declaration import OneOf
from etgraph.sim.communication import Means
from etgraph.sim.communication.algorithms import ALGORITHMS, MESSAGE, type_name
from etgraph.sim.communication.libraries import LIBRARIES
from etgraph.sim.profiles import Profile

IN_ORDER: Final = "in-order"
RECORDED: Final = "recorded"
CHEAPEST: Final = "cheapest"


def _libraries() -> tuple[str, ...]:
    return (RECORDED, *LIBRARIES)


def _algorithms() -> tuple[str, ...]:
    return (CHEAPEST, *ALGORITHMS)


COLLECTIVES: Final = {type_name(type): type for type in (*map(int, CommType), MESSAGE)}
"""Types of collectives, and messages, by the names that files use."""


def _collectives() -> tuple[str, ...]:
    return tuple(COLLECTIVES)


@dataclass(frozen=True, slots=True)
class Heading:
    """What a file says once for all of its points."""

    profiles: Annotated[tuple[str, ...], "base profiles: built-in names, or paths from this file"]
    source: Annotated[str, "profile of the device that the trace was measured on; else the one that it names"] = ""
    measures: Annotated[tuple[str, ...], "what is asked of every point: `breakdown`, `critical-path`; else all"] = ()
    objectives: Annotated[tuple[str, ...], "what the front makes small, such as `stepNs` and `stepPrice`"] = ()
    placements: Annotated[
        Mapping[str, tuple[int, ...]], "placements by name: the device of each rank, rank 0 first"
    ] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Choices:
    """What a point chooses beside the figures of its profile."""

    placement: Annotated[str, "of ranks on devices: `in-order`, `interleaved`, `spread`, or one of `placements`"] = (
        IN_ORDER
    )
    sharing: Annotated[bool, "whether transfers that run at the same time share links"] = True
    library: Annotated[str, OneOf(_libraries), "of communication; `recorded`: as the trace says"] = RECORDED
    algorithm: Annotated[
        str, OneOf(_algorithms), "of all collectives that it can do; `cheapest`: as the library chooses"
    ] = CHEAPEST
    algorithms: Annotated[
        Mapping[Annotated[str, OneOf(_collectives)], Annotated[str, OneOf(_algorithms)]], "of one type of collectives"
    ] = field(default_factory=dict)

    @property
    def means(self) -> Means:
        """The library and algorithms for the model of communication."""
        return Means(
            None if self.library == RECORDED else self.library,
            None if self.algorithm == CHEAPEST else self.algorithm,
            {COLLECTIVES[type]: name for type, name in self.algorithms.items() if name != CHEAPEST},
        )

    def text(self, keys: tuple[str, ...]) -> str:
        """One choice as files write it."""
        name, *rest = keys
        value = self.algorithms.get(rest[0], self.algorithm) if rest else getattr(self, name)
        return ("on" if value else "off") if isinstance(value, bool) else str(value)


CHOICES: Final = frozenset(each.name for each in fields(Choices))
"""First keys of what is no figure of a profile."""


@dataclass(frozen=True, slots=True)
class PointHeading:
    """What a single point says of itself."""

    name: Annotated[str, "by which tables and plots call it"] = ""
    profile: Annotated[str, "one of `profiles`, of which alone it is a variation"] = ""


@dataclass(frozen=True, slots=True)
class Axis:
    """A figure or a choice, by its keys, and its values; one of a figure holds those of the profiles, by position."""

    keys: tuple[str, ...]
    values: tuple[Any, ...]

    @property
    def is_choice(self) -> bool:
        """Whether it is no figure of a profile."""
        return self.keys[0] in CHOICES


@dataclass(frozen=True, slots=True)
class Setting:
    """One point to predict: a variation of a profile (by position in the grid) with other figures, and choices."""

    profile: int
    name: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)
    choices: Choices = field(default_factory=Choices)


@dataclass(frozen=True, slots=True)
class Grid:
    """All points of a sweep, those of the base profiles first.

    `parameters` are the paths of figures, and names of choices, that points differ in; `axes` how many of them span a
    full grid. No `measures` means all that there are, no `objectives` those that suit the points.
    """

    profiles: tuple[Profile, ...]
    settings: tuple[Setting, ...]
    parameters: tuple[str, ...]
    source: Profile | None = None
    placements: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    measures: tuple[str, ...] = ()
    objectives: tuple[str, ...] = ()


def combined(axes: Sequence[Axis], profile: int, *, name: str = "") -> Iterator[Setting]:
    """Every combination of values as a setting of a profile; the last axis varies fastest."""
    from etgraph.model.settings.document import spelled

    for values in itertools.product(*(axis.values for axis in axes)):
        figures: dict[str, Any] = {}
        choices: dict[str, Any] = {}
        for axis, value in zip(axes, values):
            if not axis.is_choice:
                figures[spelled(axis.keys)] = value[profile]
            elif len(axis.keys) > 1:
                choices.setdefault(axis.keys[0], {})[axis.keys[1]] = value
            else:
                choices[axis.keys[0]] = value
        yield Setting(profile, name, figures, Choices(**choices))
