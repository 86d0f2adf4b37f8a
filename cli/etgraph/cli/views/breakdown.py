"""A breakdown for a reader: one strip for all windows, a row a window, and what keeps the ranks busy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from etgraph.cli.units import count, counted, duration, percent, printable, shortened
from etgraph.cli.views.path import LOOKS, strip
from etgraph.cli.views.tables import grid

if TYPE_CHECKING:
    from etgraph.queries import Breakdown
    from etgraph.queries.breakdown import BreakdownPart, WindowBreakdown

SHOWN_WINDOWS = 16
SHOWN_PARTS = 16
BAR = 24
BESIDE_BAR = 88
ROOMY = 100
"""From this width on copies have their share of the window, too, and there is room for a bar."""
KEY = 56
BESIDE_KEY = 62
PARTS = {
    "computation": "computation_ns",
    "communication": "exposed_communication_ns",
    "memory": "exposed_memory_ns",
    "idle": "idle_ns",
}
"""The parts that add up to a window, by the category whose look they have."""


def breakdown_view(breakdown: Breakdown, title: str, width: int) -> RenderableType:
    """Title, how all windows divide, the windows one by one, and the rows by key where there are any."""
    windows = breakdown.windows
    parts: list[RenderableType] = [Text(printable(title), style="bold"), _about(windows), Text()]
    sums = {name: sum(getattr(one, field) for one in windows) for name, field in PARTS.items()}
    if sum(sums.values()):
        parts += [strip(sums), Text()]
    parts += [_windows(windows, width), Text()]
    if breakdown.rows:
        parts += [_by_key(breakdown.rows, width), Text()]
    return Group(*parts)


def _about(windows: Sequence[WindowBreakdown]) -> Text:
    length = sum(one.end_ns - one.start_ns for one in windows)
    communication, overlap = (sum(getattr(one, name) for one in windows) for name in ("communication_ns", "overlap_ns"))
    text = f"{counted(len(windows), 'window')}, {duration(length)}"
    if communication:
        text += (
            f"; {percent(overlap / communication)} of the communication is hidden under computation, below is the rest"
        )
    return Text(text)


def _windows(windows: Sequence[WindowBreakdown], width: int) -> RenderableType:
    """The windows in order or, of many, those that compute the smallest share of their time; the others as a sum."""
    iterations = any(one.iteration is not None for one in windows)
    names = ["rank", *(["step"] if iterations else []), "window", "computation", "communication", "memory", "idle"]
    table = grid(*names, right=names)
    if width >= ROOMY:
        table.add_column("")
    shown = list(windows)
    if len(windows) > SHOWN_WINDOWS:
        shown = sorted(windows, key=lambda one: one.computation_ns / max(one.end_ns - one.start_ns, 1))[:SHOWN_WINDOWS]
    kept = set(map(id, shown))
    rest = [one for one in windows if id(one) not in kept]
    for one in shown:
        step = [] if not iterations else ["–" if one.iteration is None else str(one.iteration)]
        table.add_row(str(one.rank), *step, *_cells([one], width))
    if rest:
        label = Text(f"{count(len(rest))} more", style="dim")
        table.add_row(label, *([""] if iterations else []), *_cells(rest, width))
    return table


def _cells(windows: Sequence[WindowBreakdown], width: int) -> list[str | Text]:
    length = sum(one.end_ns - one.start_ns for one in windows)
    ns = {name: sum(getattr(one, field) for one in windows) for name, field in PARTS.items()}
    cells: list[str | Text] = [duration(length)]
    for name, part in ns.items():
        narrow = name == "memory" and width < ROOMY
        cells.append(duration(part) + ("" if narrow else f" {percent(part / length if length else None):>6}"))
    if width >= ROOMY:
        cells.append(_bar(ns, length, min(BAR, width - BESIDE_BAR)))
    return cells


def _bar(parts: dict[str, int], length: int, cells: int) -> Text:
    text, done, before = Text(no_wrap=True), 0, 0
    for name, ns in parts.items():
        before += ns
        until = round(cells * before / length) if length else 0
        fill, colour = LOOKS[name]
        text.append(fill * (until - done), style=colour)
        done = until
    return text


def _by_key(rows: Sequence[BreakdownPart], width: int) -> RenderableType:
    """What each key takes, the one that takes most of the windows first."""
    table = grid("key", "activity", "operators", "own time", "of the windows", "share",
                 right=("operators", "own time", "of the windows", "share"))  # fmt: skip
    for row in rows[:SHOWN_PARTS]:
        key = Text(shortened(row.key, max(12, min(KEY, width - BESIDE_KEY))), no_wrap=True)
        numbers = (count(row.count), duration(row.total_ns), duration(row.exposed_ns), percent(row.share))
        table.add_row(key, row.activity, *numbers)
    rest = rows[SHOWN_PARTS:]
    if rest:
        more = Text(f"… {count(len(rest))} more", style="dim")
        operators, total, exposed = (
            sum(getattr(r, name) for r in rest) for name in ("count", "total_ns", "exposed_ns")
        )
        table.add_row(
            more, "", count(operators), duration(total), duration(exposed), percent(sum(r.share for r in rest))
        )
    return table
