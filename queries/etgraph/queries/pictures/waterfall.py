"""Lost time as floating bars: from the measured step, cause after cause taken away, to the ideal one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, product
from typing import Final

from etgraph.model.drawing.charts import Axis, Bars, Chart, Panel
from etgraph.model.drawing.colours import CATEGORIES, CYCLE, DARK_GREY, GREY, YELLOW
from etgraph.model.errors import MissingData
from etgraph.model.readable import duration, percent, printable, shortened
from etgraph.queries.pictures.scales import time_scale
from etgraph.queries.waterfall import Waterfall

MEASURED, IDEAL = "measured", "ideal"
CAUSES: Final = {
    "replay": YELLOW,
    "late ranks": CATEGORIES["idle"],
    "exposed communication": CATEGORIES["communication"],
    "host": CATEGORIES["cpu"],
    "below roofline": CATEGORIES["computation"],
    MEASURED: DARK_GREY,
    IDEAL: GREY,
}
"""Colours of causes: those of the categories in which their time is lost; the replay's error is in none."""
NAME: Final = 48


def floating_bars(waterfalls: Sequence[Waterfall]) -> Chart:
    """Lost time of one trace, a row a cause; of several traces, a row each, as shares of their measured steps.

    A cause whose removal makes the step longer is striped. Raises MissingData where there is none, or where a step has
    no length.
    """
    if not waterfalls or any(one.measured_ns <= 0 for one in waterfalls):
        raise MissingData("a measured step has no length: there is nothing to plot")
    return _one(waterfalls[0]) if len(waterfalls) == 1 else _several(waterfalls)


@dataclass(frozen=True, slots=True)
class _Floating:
    """A bar from one length of the step to another one, longer unless it is `striped`."""

    name: str
    low_ns: int
    high_ns: int
    text: str

    @property
    def striped(self) -> bool:
        return self.high_ns < self.low_ns


def _floating(one: Waterfall) -> Iterator[_Floating]:
    """The measured step, what each cause takes of it, and the ideal one."""
    after = list(accumulate((step.ns for step in one.steps), lambda level, ns: level - ns, initial=one.measured_ns))
    lost = zip((step.name for step in one.steps), after[1:], after)
    for name, low, high in ((MEASURED, 0, one.measured_ns), *lost, (IDEAL, 0, one.ideal_ns)):
        ns = high - low
        yield _Floating(name, low, high, f"{duration(ns)}, {percent(ns / one.measured_ns)} of the measured step")


def _one(one: Waterfall) -> Chart:
    scale, floating = time_scale(one.measured_ns), list(_floating(one))
    colours = _colours([each.name for each in floating])
    bars = tuple(
        Bars(
            "", colours[each.name], [row], [each.low_ns / scale.factor], [each.high_ns / scale.factor],
            [f"{printable(each.name)}\n{each.text}"], [each.text.removesuffix(" of the measured step")], each.striped,
        )
        for row, each in enumerate(floating)
    )  # fmt: skip
    places = tuple(shortened(each.name, NAME) for each in floating)
    panel = Panel("", Axis(f"step, {scale.unit}"), Axis(places=places, downwards=True), bars)
    return Chart(f"Lost time of {printable(one.trace)}", (panel,), stacked=True)


def _several(waterfalls: Sequence[Waterfall]) -> Chart:
    """The ideal step from the left, and beyond it what each cause adds, up to the measured one at 100 %."""
    floating = [
        (row, one, each) for row, one in enumerate(waterfalls) for each in _floating(one) if each.name != MEASURED
    ]
    # From left to right, as the bars lie.
    names = dict.fromkeys(each.name for _, _, each in reversed(floating))
    colours = _colours(list(names))
    bars = []
    # What is negative lies upon the others, since it goes back over them.
    for striped, name in product((False, True), names):
        shown = [of for of in floating if of[2].name == name and of[2].striped == striped]
        if shown:
            low, high = (
                [100 * getattr(each, end) / one.measured_ns for _, one, each in shown] for end in ("low_ns", "high_ns")
            )
            texts = [f"{printable(one.trace)}\n{printable(each.name)}\n{each.text}" for _, one, each in shown]
            label = shortened(name, NAME) + (", negative" if striped else "")
            bars.append(Bars(label, colours[name], [row for row, *_ in shown], low, high, texts, striped=striped))
    places = tuple(f"{shortened(one.trace, NAME)}, {duration(one.measured_ns)}" for one in waterfalls)
    panel = Panel("", Axis("share of the measured step, %"), Axis(places=places, downwards=True), tuple(bars))
    return Chart(f"Lost time of {len(waterfalls)} traces", (panel,), stacked=True)


def _colours(names: Sequence[str]) -> dict[str, str]:
    """A colour for each name: its own, or else one that no other of these names has."""
    free = [colour for colour in CYCLE if colour not in {CAUSES.get(name) for name in names}]
    others = [name for name in names if name not in CAUSES]
    return {name: CAUSES[name] for name in names if name in CAUSES} | {
        name: free[number % len(free)] for number, name in enumerate(others)
    }
