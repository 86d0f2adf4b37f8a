"""Sweeps for a reader: the best points beside the base, the front marked; as JSON; and as a table in a file."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.console import Group, RenderableType
from rich.text import Text

from etgraph.cli.units import byte_rate, count, counted, duration, percent, printable
from etgraph.cli.views.tables import facts, grid
from etgraph.model.results import camel_case, to_json
from etgraph.sim.sweeps.objectives import objective

if TYPE_CHECKING:
    from etgraph.sim.sweeps import Sweep, SweepPoint

SHOWN: Final = 15
"""Points that a table shows beside the base."""
HEAD_WIDTH: Final = 11
"""Characters of a head's line, unless a single word is longer."""
STEP: Final = "step"
KEPT: Final = (STEP, "× base")
"""Columns that stay where a table has no room for all."""
_MARK: Final = "*"
Cell = Callable[["SweepPoint"], str]

_OBJECTIVES: Final[Mapping[str, tuple[str, Callable[[float], str]]]] = {
    "stepPrice": ("USD/1,000", lambda value: f"{value * 1e3:.3g}"),
    "pricePerHour": ("USD/h", lambda value: f"{value:,.2f}"),
    "stepEnergy": ("energy", lambda value: f"{value:.3g} J"),
    "devices": ("devices", lambda value: count(int(value))),
    "memoryBandwidth": ("memory", byte_rate),
    "networkBandwidth": ("network", byte_rate),
}
"""Heads of columns for objectives, and how their values read; those that are times are told by their ending."""


def point_document(point: SweepPoint) -> dict[str, Any]:
    """A point as JSON; its measures stand beside its times."""
    document: dict[str, Any] = to_json(point)
    del document["measures"]
    return document | {camel_case(name): to_json(value) for name, value in point.measures.items()}


def sweep_document(sweep: Sweep) -> dict[str, Any]:
    """A sweep as JSON."""
    document: dict[str, Any] = to_json(sweep)
    return document | {"points": [point_document(point) for point in sweep.points]}


def write_table(sweep: Sweep, folder: Path) -> Path:
    """All points as `points.csv` in a folder, a row each; parameters and their numbers are columns of their own."""
    import csv

    rows = []
    for point in sweep.points:
        document = point_document(point)
        parameters, values = document.pop("parameters"), document.pop("values")
        numbers = {f"{path} (number)": value for path, value in values.items() if value is not None}
        rows.append({**document, **parameters, **numbers})
    names = dict.fromkeys(name for row in rows for name in row)
    path = folder / "points.csv"
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path


def sweep_view(sweep: Sweep, title: str, width: int, *, every: bool = False) -> RenderableType:
    """Counts, the base, and the best points: those of the front first, each part by its step time."""
    points = sorted(sweep.points, key=lambda p: (p.error is not None, not p.front, p.step_ns or 0, p.number))
    chosen = points if every else points[:SHOWN]
    base = sweep.base
    chosen = [base, *(point for point in chosen if point is not base)]
    parts: list[RenderableType] = [Text(printable(title), style="bold"), facts(_facts(sweep)), Text()]
    parts.append(_table(sweep, chosen, width))
    left = len(points) - len(chosen)
    if left > 0:
        parts.append(Text(f"and {counted(left, 'more point')}: --all prints them"))
    return Group(*parts, Text())


def _facts(sweep: Sweep) -> list[tuple[str, str | Text]]:
    failed = sum(point.error is not None for point in sweep.points)
    number = counted(len(sweep.points), "point")
    number += f", {count(failed)} of them failed" if failed else ""
    number += f", {count(sweep.reused)} taken from an earlier run" if sweep.reused else ""
    front = sum(point.front for point in sweep.points)
    return [
        ("points", number),
        ("base", printable(sweep.base.profile)),
        ("step", f"{duration(sweep.measured_ns)} measured" if sweep.measured_ns is not None else ""),
        ("front", f"{counted(front, 'point')} ({_MARK}) by {' and '.join(map(printable, sweep.objectives))}"),
    ]


def _table(sweep: Sweep, points: Sequence[SweepPoint], width: int) -> RenderableType:
    """A row a point. Where there is no room for all columns, first those go that names of points tell as well."""
    parameters, results = _parameter_cells(sweep), _result_cells(sweep)
    texts = {head: [text(point) for point in points] for head, text in parameters.items()}
    texts |= {head: [_result(point, head, text) for point in points] for head, text in results.items()}
    names = ["base" if point is sweep.base else printable(point.name) or str(point.number) for point in points]
    unnamed = [row for row, point in enumerate(points) if not point.name]
    told = [head for head in parameters if len({texts[head][row] for row in unnamed}) < 2]
    for head in (*reversed(told), *(head for head in reversed(results) if head not in KEPT)):
        if _width(names, texts) > width:
            del texts[head]
    table = grid("", "point", *map(_broken, texts), right=results)
    if _width(names, texts) <= width:
        for column in table.columns:
            column.no_wrap = True
    for row, point in enumerate(points):
        table.add_row(_MARK if point.front else "", names[row], *(text[row] for text in texts.values()))
    return table


def _result(point: SweepPoint, head: str, text: Cell) -> str:
    if point.error is not None:
        return "failed" if head == STEP else "–"
    return text(point)


def _width(names: Sequence[str], texts: Mapping[str, Sequence[str]]) -> int:
    """Characters of a table with those columns, the mark's before them."""
    columns = [["point", *names], *([*_broken(head).split("\n"), *text] for head, text in texts.items())]
    return 1 + sum(2 + max(map(len, column)) for column in columns)


def _broken(head: str) -> str:
    """A long head over several lines, broken after the signs that join its words."""
    lines = [""]
    for word in re.findall(r"[^._]*[._]?", head):
        if lines[-1] and len(lines[-1] + word) > HEAD_WIDTH:
            lines.append("")
        lines[-1] += word
    return "\n".join(lines)


def _parameter_cells(sweep: Sweep) -> dict[str, Cell]:
    """What points differ in, by short heads."""

    def parameter(path: str) -> Cell:
        return lambda point: printable(point.parameters.get(path) or "–")

    cells: dict[str, Cell] = {}
    if len({point.profile for point in sweep.points}) > 1:
        cells["profile"] = lambda point: printable(point.profile)
    return cells | {head: parameter(path) for path, head in _heads(sweep).items()}


def _result_cells(sweep: Sweep) -> dict[str, Cell]:
    """The step, also beside the base's, the other objectives, and where the time goes."""
    base = sweep.base.step_ns

    def against(point: SweepPoint) -> str:
        return f"{point.step_ns / base:.3f}" if point.step_ns is not None and base else "–"

    cells: dict[str, Cell] = {STEP: lambda point: duration(point.step_ns), "× base": against}
    cells |= dict(_objective_cell(name) for name in sweep.objectives if name != "stepNs" and not _shown(sweep, name))
    for head, name in (("computes", "computation_ns"), ("exposed", "exposed_communication_ns"), ("idle", "idle_ns")):
        if any(name in point.measures for point in sweep.points):
            cells[head] = _share(name)
    return cells


def _shown(sweep: Sweep, name: str) -> bool:
    """Whether an objective is the same as one of the parameters."""
    return any(
        all(point.values.get(path) == objective(point, name) for point in sweep.points) for path in _heads(sweep)
    )


def _objective_cell(name: str) -> tuple[str, Cell]:
    head, read = _OBJECTIVES.get(name, (name, lambda value: f"{value:.4g}"))
    if name.endswith("Ns"):
        head, read = name.removesuffix("Ns"), lambda value: duration(round(value))

    def cell(point: SweepPoint) -> str:
        value = objective(point, name)
        return "–" if value is None else read(value)

    return head, cell


def _share(name: str) -> Cell:
    """The part of the ranks' mean window that one of the breakdown's parts has."""
    parts = ("computation_ns", "exposed_communication_ns", "exposed_memory_ns", "idle_ns")

    def cell(point: SweepPoint) -> str:
        window = sum(point.measures.get(part, 0.0) for part in parts)
        return percent(point.measures[name] / window) if window and name in point.measures else "–"

    return cell


def _heads(sweep: Sweep) -> dict[str, str]:
    """A short head for each parameter that differs: the last keys of its path that no other parameter ends in."""
    differing = [path for path in sweep.parameters if len({point.parameters.get(path) for point in sweep.points}) > 1]
    heads = {}
    for path in differing:
        keys = path.split(".")
        ends = (".".join(keys[-length:]) for length in range(1, len(keys) + 1))
        heads[path] = next(
            end for end in ends if not any(other != path and f".{other}".endswith(f".{end}") for other in differing)
        )
    return heads
