"""A what-if for a reader: measured, replayed, predicted, on all ranks and on each; and what the step hangs on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from etgraph.cli.units import count, counted, duration, printable, shortened
from etgraph.cli.views.tables import ROOMY, grid

if TYPE_CHECKING:
    from etgraph.queries.whatif import RankStep, WhatIf

TOP = 12
MOST_RANKS = 8
BAR = 16
LEAST_NAME = 24
BESIDE_BAR = 46
"""Characters of a row beside its name and its bar."""
ALONE = "90 % of the change alone"
"""The column of what is open about the change's cost, without the steps' noise."""


def whatif_view(found: WhatIf, title: str, width: int) -> RenderableType:
    """The answer in one line, the steps of the ranks, and the operators that the step hangs on."""
    parts: list[RenderableType] = [Text(printable(title), style="bold")]
    parts += [Text(f"  {printable(change)}") for change in _words(found)]
    parts += [_line(found), Text(), _steps(found, width), Text()]
    if found.sensitivities:
        parts += [*_sensitivities(found, width), Text()]
    return Group(*parts)


def _words(found: WhatIf) -> Iterator[str]:
    if found.profile is not None:
        yield f"on {found.profile}"
    yield from found.changes


def _line(found: WhatIf) -> Text:
    """Measured → replay → predicted, with the interval and the change."""
    text = Text(f"step {duration(found.measured_ns)} → replay {duration(found.replay_ns)} ({found.replay_error:+.1%})")
    if found.changes or found.profile:
        text.append(" → predicted ")
        text.append(duration(found.predicted_ns), style="bold")
        text.append(f" ({_interval(found.low_ns, found.high_ns)}), ")
        text.append(f"{found.change:+.1%}", style="green" if found.change < 0 else "red")
    return text


def _interval(low_ns: int, high_ns: int) -> str:
    return f"{duration(low_ns)} to {duration(high_ns)}"


def _steps(found: WhatIf, width: int) -> RenderableType:
    """One row a rank; the first one of all of them together."""
    changed = bool(found.changes or found.profile)
    numbers = ["steps", "measured", "replay", *(["predicted", "90 %", "change"] if changed else [])]
    if changed and width >= ROOMY:
        numbers.insert(-1, ALONE)
    table = grid("rank", *numbers, right=numbers)
    if len(found.ranks) > 1:
        table.add_row("all", *_cells(found, numbers))
    shown = sorted(found.ranks, key=lambda step: -step.predicted_ns)[:MOST_RANKS]
    for step in (step for step in found.ranks if step in shown):
        table.add_row(str(step.rank), *_cells(step, numbers))
    if len(found.ranks) > MOST_RANKS:
        table.add_row("", Text(f"… and {counted(len(found.ranks) - MOST_RANKS, 'shorter rank')}", style="dim"))
    return table


def _cells(step: RankStep | WhatIf, numbers: Sequence[str]) -> Iterator[str]:
    cells = {
        "steps": count(step.steps), "measured": duration(step.measured_ns), "replay": duration(step.replay_ns),
        "predicted": duration(step.predicted_ns), "90 %": _interval(step.low_ns, step.high_ns),
        ALONE: _interval(step.cost_low_ns, step.cost_high_ns), "change": f"{step.change:+.1%}",
    }  # fmt: skip
    return (cells[name] for name in numbers)


def _sensitivities(found: WhatIf, width: int) -> Iterator[RenderableType]:
    """What a microsecond less of each key saves of a step, those first that have most of it."""
    rows = [row for row in found.sensitivities if row.critical_ns > 0]
    yield Text("What 1 µs less of each saves of the step, longest on its path first; times are of all ranks together")
    numbers = ("operators", "own time", "on the path", "saves")
    bar = BAR if width >= ROOMY else BAR // 2
    table = grid(found.by, *numbers, "", right=numbers)
    room = max(LEAST_NAME, width - BESIDE_BAR - bar)
    for row in rows[:TOP]:
        share = min(max(row.step_per_ns, 0.0), 1.0)
        table.add_row(
            Text(shortened(row.key, room), no_wrap=True), count(row.count), duration(row.own_ns),
            duration(row.critical_ns), f"{row.step_per_ns:.2f} µs", Text("█" * round(bar * share), "blue"),
        )  # fmt: skip
    if rest := rows[TOP:]:
        table.add_row(
            Text(f"… and {counted(len(rest), 'more', 'more')}", style="dim"), count(sum(row.count for row in rest)),
            duration(sum(row.own_ns for row in rest)), duration(sum(row.critical_ns for row in rest)), "", "",
        )  # fmt: skip
    none = [row for row in found.sensitivities if row.critical_ns <= 0]
    if none:
        table.add_row(
            Text(f"{counted(len(none), 'other')}: nothing", style="dim"), count(sum(row.count for row in none)),
            duration(sum(row.own_ns for row in none)), "", "0 µs", "",
        )  # fmt: skip
    yield table
