"""The file of a grid, in TOML: which profiles, which values, which single points; with all that is wrong about it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from etgraph.model.errors import NotFound
from etgraph.model.settings.declaration import Kind, Leaf, Table, declared
from etgraph.model.settings.document import Node, document, spelled, split, text_of
from etgraph.model.settings.problems import FileProblems, near, one_of
from etgraph.model.settings.reading import MISSING, Reader, described
from etgraph.sim.profiles import Profile
from etgraph.sim.profiles import load as load_profile
from etgraph.sim.profiles.figures import leaf_at, value_at
from etgraph.sim.profiles.library import builtin_names
from etgraph.sim.profiles.overriding import OverrideError, with_overrides
from etgraph.sim.sweeps.grid import CHOICES, Axis, Choices, Grid, Heading, PointHeading, Setting, combined
from etgraph.sim.sweeps.placements import PLACEMENTS

MOST_POINTS: Final = 100_000
"""Points of a grid; more of them are taken for a slip."""


_HEADING: Final = declared(PointHeading).fields


class GridError(FileProblems):
    """The file of a grid cannot be used."""

    code = "BAD_GRID"


def load(path: Path | str) -> Grid:
    """The grid in a file. Raises NotFound where there is none, GridError (all problems, each with its line)."""
    path = Path(path).expanduser()
    text = text_of(path, "a grid is a TOML file: docs/simulation/sweeps.md")
    return loads(text, file=str(path), folder=path.parent)


def loads(text: str, *, file: str = "grid.toml", folder: Path | None = None) -> Grid:
    """The grid in a TOML text; `file` names it in messages, paths of profiles are relative to `folder`."""
    return _Grid(document(text, file, GridError), folder or Path()).grid()


class _Grid:
    """Reads one file, and keeps its problems."""

    def __init__(self, root: Node, folder: Path) -> None:
        self.root = root
        self.folder = folder
        self.reader = Reader()
        self.axes = root.table.pop("grid", None)
        self.points = root.table.pop("points", None)

    def grid(self) -> Grid:
        heading = self.reader.value(self.root, declared(Heading), ())
        if heading is MISSING:
            raise self._error()
        self.names = heading.profiles
        self.placements = heading.placements
        self.profiles = self._profiles()
        self._source = self._profile(self.root.table["source"]) if heading.source else None
        if self.reader.problems:
            raise self._error()
        every = range(len(self.profiles))
        axes = self._axes(self.axes) if self.axes is not None else []
        self._count(axes)
        points = list(self._points())
        if self.axes is None and self.points is None:
            self.reader.refuse(self.root, (), "neither [grid] nor [[points]]", "values to try")
        if self.reader.problems:
            raise self._error()
        settings = [Setting(profile) for profile in every]
        settings += [one for profile in every for one in combined(axes, profile)] if axes else []
        settings += [one for name, only, own in points for p in only for one in combined(own, p, name=name)]
        keys = dict.fromkeys(spelled(axis.keys) for axis in (*axes, *(a for *_, own in points for a in own)))
        return Grid(
            self.profiles, tuple(settings), tuple(keys), self._source, self.placements, heading.measures,
            heading.objectives,
        )  # fmt: skip

    def _error(self) -> GridError:
        return GridError(sorted(self.reader.problems, key=lambda problem: problem.line or 0))

    def _profiles(self) -> tuple[Profile, ...]:
        nodes = self.root.table["profiles"]
        assert isinstance(nodes.value, list)
        if not nodes.value:
            self.reader.refuse(nodes, ("profiles",), "none", "the name of a built-in profile, or a path")
        return tuple(self._profile(node) for node in nodes.value)

    def _profile(self, node: Node) -> Any:
        """The profile that a text names. A problem inside of its own file is told as it is."""
        name = str(node.value)
        beside = self.folder / Path(name).expanduser()
        try:
            return load_profile(beside if name not in builtin_names() and beside.is_file() else name)
        except NotFound:
            hint = near(name, builtin_names()) or "'etgraph profile list' lists them"
            return self.reader.refuse(
                node, ("profiles",), described(node), "a built-in profile, or a path from this file", hint
            )

    def _count(self, axes: list[Axis]) -> None:
        count = math.prod(len(axis.values) for axis in axes) * len(self.profiles)
        if count > MOST_POINTS:
            assert self.axes is not None
            self.reader.refuse(self.axes, ("grid",), f"{count:,} points", f"{MOST_POINTS:,} at most")

    def _axes(self, node: Node) -> list[Axis]:
        """The axes of [grid], in order of the file."""
        if not isinstance(node.value, dict):
            self.reader.refuse(node, ("grid",), described(node), "a table, [grid]")
        axes = []
        for keys, each in _leaves(node, ()):
            if not isinstance(each.value, list) or not each.value:
                self.reader.refuse(each, ("grid", *keys), described(each), "an array of the values to try")
                continue
            values = [self._value(keys, item, ("grid", *keys), range(len(self.profiles))) for item in each.value]
            if MISSING not in values:
                axes.append(Axis(keys, tuple(values)))
        return axes

    def _points(self) -> Iterator[tuple[str, tuple[int, ...], list[Axis]]]:
        """Of each of [[points]] its name, the profiles that it varies, and its values as axes of one value."""
        if self.points is None:
            return
        rows = self.points.value
        if not isinstance(rows, list) or not rows or not all(isinstance(row.value, dict) for row in rows):
            self.reader.refuse(self.points, ("points",), described(self.points), "rows, each [[points]]")
            return
        for number, row in enumerate(rows):
            place = ("points", str(number))
            name, only = self._heading(row, place)
            axes = []
            for keys, each in _leaves(row, ()):
                if keys[0] not in _HEADING and (value := self._value(keys, each, (*place, *keys), only)) is not MISSING:
                    axes.append(Axis(keys, (value,)))
            yield name or f"point {number + 1}", only, axes

    def _heading(self, row: Node, place: tuple[str, ...]) -> tuple[str, tuple[int, ...]]:
        """The name of a point, and the profiles that it varies: all where it names none."""
        found = {
            key: self.reader.value(row.table[key], field.kind, (*place, key))
            for key, field in _HEADING.items()
            if key in row.table
        }
        every = tuple(range(len(self.profiles)))
        name, profile = (value if (value := found.get(key, "")) is not MISSING else "" for key in ("name", "profile"))
        if not profile:
            return name, every
        if profile not in self.names:
            hint = near(profile, self.names)
            self.reader.refuse(row.table["profile"], (*place, "profile"), f'"{profile}"', one_of(self.names), hint)
            return name, every
        return name, (self.names.index(profile),)

    def _value(self, keys: tuple[str, ...], node: Node, place: tuple[str, ...], profiles: Sequence[int]) -> Any:
        """A choice, or the figure that it is on each of those profiles; `MISSING` after a problem was noted."""
        if keys[0] in CHOICES:
            return self._choice(keys, node, place)
        if isinstance(node.value, (list, dict)):
            return self.reader.refuse(node, place, described(node), "a single value")
        found = dict[int, Any]()
        for number in profiles:
            profile = self.profiles[number]
            try:
                _check_unit(keys, node)
                found[number] = value_at(with_overrides(profile, {spelled(keys): node.value}), spelled(keys))
            except OverrideError as error:
                hint = error.hint
                if error.expected == f"one of {profile.name}":
                    hint = near(spelled(keys), sorted(CHOICES)) or hint
                return self.reader.refuse(node, place, error.found, error.expected, hint)
        return found

    def _choice(self, keys: tuple[str, ...], node: Node, place: tuple[str, ...]) -> Any:
        kind: Kind = declared(Choices).fields[keys[0]].kind
        if isinstance(kind, Table) and len(keys) > 1:
            if keys[1] not in kind.keys:
                return self.reader.refuse(node, place, "an unknown key", one_of(kind.keys), near(keys[1], kind.keys))
            kind, keys = kind.of, keys[1:]
        if len(keys) > 1 or not isinstance(kind, Leaf):
            return self.reader.refuse(node, place, "an unknown key", one_of(sorted(CHOICES)))
        value = self.reader.value(node, kind, place)
        if keys[0] == "placement" and value is not MISSING:
            known = (*PLACEMENTS, *self.placements)
            if value not in known:
                return self.reader.refuse(node, place, described(node), one_of(known), near(value, known))
        return value


def _check_unit(keys: tuple[str, ...], node: Node) -> None:
    """Raise OverrideError for a number that lacks its unit, which overrides in a program may."""
    try:
        quantity = leaf_at(spelled(keys)).quantity
    except KeyError:
        return
    if quantity is not None and not isinstance(node.value, str):
        raise OverrideError(spelled(keys), described(node), quantity.expected(), "with its unit, in quotes")


def _leaves(node: Node, keys: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Node]]:
    """All values below a table that are no tables, by their keys; a key may be a whole path in quotes."""
    for key, each in node.table.items():
        inner = (*keys, *split(key))
        if isinstance(each.value, dict):
            yield from _leaves(each, inner)
        else:
            yield inner, each
