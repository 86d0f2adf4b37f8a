"""The history of a metric for a reader: a sparkline, the changes, and the last runs."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from etgraph.alerts.history import History
from etgraph.alerts.language.amounts import readable
from etgraph.cli.units import counted, moment, percent, printable

BARS = "▁▂▃▄▅▆▇█"
SHOWN = 10
"""Runs that are listed, the newest ones."""
SHORT = 12


def sparkline(values: Sequence[float | None], width: int) -> str:
    """Values as bars from the smallest to the largest, the last ones where all have no room; a gap is a space.

    >>> sparkline([1, 2, None, 3, 8], 80), sparkline([5, 5], 80), sparkline([1, 2, 3], 2)
    ('▁▂ ▃█', '▁▁', '▁█')
    """
    shown = values[-width:]
    known = [value for value in shown if value is not None]
    low, span = min(known, default=0.0), max(known, default=0.0) - min(known, default=0.0)
    return "".join(
        " " if value is None else BARS[min(int((value - low) / span * len(BARS)), len(BARS) - 1) if span else 0]
        for value in shown
    )


def history_view(history: History, title: str, width: int) -> RenderableType:
    """Title, the sparkline between its smallest and largest value, the changes, and the newest runs."""
    from etgraph.cli.views.tables import grid

    values = [run.value for run in history.runs]
    known = [value for value in values if value is not None]
    ends = f"{readable(min(known), history.unit)} … {readable(max(known), history.unit)}"
    parts: list[RenderableType] = [Text(printable(title), style="bold"), Text()]
    parts += [Text(f"{sparkline(values, width)}"), Text(f"{counted(len(values), 'run')}, oldest first, {ends}"), Text()]
    if history.changes:
        table = grid("since", "commit", "stored", "from", "to", "change", "p", right=("from", "to", "change", "p"))
        for change in history.changes:
            table.add_row(
                change.trace[:SHORT], printable((change.commit or "–")[:SHORT]), moment(change.created),
                readable(change.before, history.unit), readable(change.after, history.unit), _signed(change.change),
                f"{change.p_value:.3f}",
            )  # fmt: skip
        parts += [table, Text()]
        first = history.changes[-1]
        parts += [
            Text(f"what changed last: etgraph compare {first.previous_trace[:SHORT]} {first.trace[:SHORT]}"),
            Text(),
        ]
    else:
        parts += [Text("no change beyond noise"), Text()]
    table = grid("run", "commit", "branch", "stored", "value", right=("value",))
    for run in history.runs[-SHOWN:]:
        cells = [run.trace[:SHORT], *(printable((text or "–")[:SHORT]) for text in (run.commit, run.branch))]
        table.add_row(*cells, moment(run.created), readable(run.value, history.unit))
    parts += [table, Text()]
    if len(values) > SHOWN:
        parts += [Text(f"and {counted(len(values) - SHOWN, 'earlier run')}; all of them with --json"), Text()]
    return Group(*parts)


def _signed(change: float | None) -> str:
    return "–" if change is None else f"{'+' if change > 0 else ''}{percent(change)}"
