"""Steps for a reader: a bar for each, marks for those unlike the others, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from etgraph.cli.units import counted, duration, percent, printable, shortened
from etgraph.cli.views.path import lines
from etgraph.cli.views.tables import ROOMY, grid

if TYPE_CHECKING:
    from etgraph.queries.iterations import Distribution, Step, StepTimes

MOST_STEPS = 40
"""Steps that are shown where there are more of them, those unlike the others among them first."""
MOST_RANKS = 16
BAR = 20
NARROW_BAR = 8
BESIDE_CAUSE = 54
NAME = 18


def iterations_view(times: StepTimes, title: str, width: int) -> RenderableType:
    """How long steps take, a row for each over all ranks, and the ranks where there are several."""
    whole = times.by_rank[0]
    shown = [step for step in times.rows if step.rank == whole.rank]
    parts: list[RenderableType] = [Text(printable(title), style="bold"), *_summary(whole), Text()]
    parts += [_steps(shown, whole, width), Text()]
    causes = [step for step in shown if step.cause is not None]
    if causes:
        parts += [_causes(causes, width), Text()]
    if len(times.by_rank) > 1:
        parts += [_ranks(times.by_rank[1:]), Text()]
    return Group(*parts)


def _summary(whole: Distribution) -> Iterator[Text]:
    settled = whole.count - (whole.warm_up_steps or 0)
    line = f"{counted(whole.count, 'step')}: median {duration(whole.median_ns)}"
    if settled > 1:
        line += f", 95th percentile {duration(whole.p95_ns)}"
        line += f", from {duration(whole.min_ns)} to {duration(whole.max_ns)}"
    if whole.variation is not None:
        line += f", variation {percent(whole.variation)}"
    yield Text(line)
    if whole.warm_up_steps:
        yield Text(f"the first {counted(whole.warm_up_steps, 'step')} came before it had settled, and do not count")
    if whole.outliers is None:
        yield Text("too few steps to tell outliers")


def _steps(steps: Sequence[Step], whole: Distribution, width: int) -> RenderableType:
    several = whole.rank is None
    heads = ["step", "name", "time", "to median", "", ""]
    if several:
        heads += ["slowest", "spread"]
    table = grid(*heads, right=("step", "time", "to median", "slowest", "spread"))
    longest = max((step.duration_ns for step in steps), default=0) or 1
    bar = BAR if width >= ROOMY else NARROW_BAR
    for step in _shown(steps):
        mark, colour = _mark(step)
        row: list[str | Text] = [
            str(step.index), Text(shortened(step.name, NAME), no_wrap=True), duration(step.duration_ns),
            f"{'+' if step.excess_ns >= 0 else '-'}{duration(abs(step.excess_ns))}",
            Text("█" * max(1, round(bar * step.duration_ns / longest)), colour), Text(mark, colour),
        ]  # fmt: skip
        if several:
            row += ["" if step.slowest_rank is None else str(step.slowest_rank), duration(step.spread_ns)]
        table.add_row(*row)
    return _with_rest(table, len(steps) - MOST_STEPS, "more step")


def _shown(steps: Sequence[Step]) -> list[Step]:
    """The steps that there is room for, in order: those unlike the others first, then the earliest."""
    chosen = sorted(steps, key=lambda step: (not (step.warm_up or step.outlier), step.index))[:MOST_STEPS]
    return sorted(chosen, key=lambda step: step.index)


def _mark(step: Step) -> tuple[str, str]:
    """What is told of a step beside its bar, and the colour of both."""
    if step.warm_up:
        return "warm-up", "yellow"
    if step.outlier:
        return "outlier", "red"
    return "", "blue"


def _causes(steps: Sequence[Step], width: int) -> RenderableType:
    table = grid("step", "on its critical path", "more by", "operator", "of it", right=("step", "more by", "of it"))
    for step in steps:
        cause = step.cause
        assert cause is not None
        name = "" if cause.name is None else shortened(cause.name, max(12, width - BESIDE_CAUSE))
        table.add_row(
            str(step.index), f"{cause.category}, {cause.detail}", _signed(cause.ns), Text(name, no_wrap=True),
            "" if cause.operator_ns is None else _signed(cause.operator_ns),
        )  # fmt: skip
    return table


def _signed(ns: int) -> str:
    return f"{'-' if ns < 0 else ''}{duration(abs(ns))}"


def _ranks(ranks: Sequence[Distribution]) -> RenderableType:
    """The slowest ranks, and how many others there are."""
    table = grid("rank", "median", "95th", "longest", "variation", "outliers", right=(
        "rank", "median", "95th", "longest", "variation", "outliers"
    ))  # fmt: skip
    for one in sorted(ranks, key=lambda one: (-one.median_ns, one.rank))[:MOST_RANKS]:
        table.add_row(
            str(one.rank), duration(one.median_ns), duration(one.p95_ns), duration(one.max_ns), percent(one.variation),
            "–" if one.outliers is None else str(one.outliers),
        )  # fmt: skip
    return _with_rest(table, len(ranks) - MOST_RANKS, "faster rank")


def _with_rest(table: Table, rest: int, what: str) -> RenderableType:
    """A table, and below it how many rows it leaves out."""
    return Group(table, Text(f"… and {counted(rest, what)}", style="dim")) if rest > 0 else table


def rank_lines(times: StepTimes, width: int) -> Iterator[str]:
    """Every step of every rank, one a line."""
    rows = [
        (
            str(step.index), "all" if step.rank is None else str(step.rank), duration(step.duration_ns),
            f"{'+' if step.excess_ns >= 0 else '-'}{duration(abs(step.excess_ns))}", _mark(step)[0],
            printable(step.name), "" if step.cause is None else printable(str(step.cause)),
        )
        for step in times.rows
    ]  # fmt: skip
    yield from lines(("step", "rank", "time", "to median", "", "name", "cause"), rows, width, flexible="cause")
