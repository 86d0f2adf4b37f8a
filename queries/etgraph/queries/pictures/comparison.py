"""A comparison as diverging bars: what adds time to the left one's step, and what saves it."""

from __future__ import annotations

from typing import Final

from etgraph.model.drawing.charts import Axis, Bars, Chart, Panel
from etgraph.model.drawing.colours import DARK_GREY, GREY, LESS, MORE
from etgraph.model.readable import counted, duration, shortened
from etgraph.queries.comparison.result import Comparison, Contribution
from etgraph.queries.pictures.scales import time_scale

MOST: Final = 24
"""Contributions with bars of their own."""
NAME: Final = 56


def diverging_bars(comparison: Comparison) -> Chart:
    """Both steps, and what makes the difference: what adds time goes to the right, what saves it to the left.

    The `MOST` largest contributions in order, then the sum of the others and what is unexplained. Changes
    of the program are striped.
    """
    return Chart(
        f"{duration(comparison.base_ns)} → {duration(comparison.other_ns)}, {_signed(comparison.difference_ns)}"
        + (f" ({comparison.difference_ns / comparison.base_ns:+.1%})" if comparison.base_ns else ""),
        (_totals(comparison), _contributions(comparison)),
        stacked=True,
    )


def _signed(ns: int) -> str:
    return ("+" if ns > 0 else "") + duration(ns)


def _totals(comparison: Comparison) -> Panel:
    steps = (comparison.base_ns, comparison.other_ns)
    scale = time_scale(max(steps))
    bars = Bars(
        "", DARK_GREY, [0, 1], [0, 0], [ns / scale.factor for ns in steps], [duration(ns) for ns in steps],
        [duration(ns) for ns in steps],
    )  # fmt: skip
    return Panel("", Axis(f"step, {scale.unit}"), Axis(places=("base", "other"), downwards=True), (bars,))


def _contributions(comparison: Comparison) -> Panel:
    largest = sorted(comparison.contributions, key=lambda one: -abs(one.contribution_ns))
    shown = sorted((one for one in largest[:MOST] if one.contribution_ns), key=lambda one: -one.contribution_ns)
    rest = largest[MOST:]
    rows = [(one.key, one.contribution_ns, _kind(one), _text(one)) for one in shown]
    if rest:
        ns, others = sum(one.contribution_ns for one in rest), counted(len(rest), "other")
        rows.append((others, ns, "the others", f"{others}\n{_signed(ns)} in all"))
    unexplained = comparison.unexplained_ns
    rows.append(("unexplained", unexplained, "unexplained", f"unexplained\n{_signed(unexplained)}"))
    scale = time_scale(max(abs(ns) for _, ns, _, _ in rows))
    bars = []
    for kind, (colour, striped) in _LOOKS.items():
        chosen = [at for at, (_, _, of, _) in enumerate(rows) if of == kind]
        if chosen:
            lengths, texts = [rows[at][1] for at in chosen], [rows[at][3] for at in chosen]
            ends = [ns / scale.factor for ns in lengths]
            bars.append(Bars(kind, colour, chosen, [0] * len(ends), ends, texts, list(map(_signed, lengths)), striped))
    places = tuple(shortened(name, NAME) for name, *_ in rows)
    axis = Axis(f"contribution to the difference, {scale.unit}")
    return Panel("", axis, Axis(places=places, downwards=True), tuple(bars))


def _kind(one: Contribution) -> str:
    adds = "adds time" if one.contribution_ns > 0 else "saves time"
    return f"{adds}, the program changed" if one.structural else adds


_LOOKS: Final = {
    "adds time": (MORE, False),
    "adds time, the program changed": (MORE, True),
    "saves time": (LESS, False),
    "saves time, the program changed": (LESS, True),
    "the others": (DARK_GREY, False),
    "unexplained": (GREY, False),
}
"""Colour, and whether bars are striped, by what a contribution is."""


def _text(one: Contribution) -> str:
    return (
        f"{shortened(one.key, 2 * NAME)}\n{one.status}: {_signed(one.contribution_ns)}\n"
        f"base {duration(one.base_ns)} in {one.base_count:g} operators\n"
        f"other {duration(one.other_ns)} in {one.other_count:g} operators"
    )
