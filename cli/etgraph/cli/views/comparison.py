"""A comparison for a reader: the difference, what changed in the program, and what every part contributes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from etgraph.cli.units import counted, duration, printable, ranges, shortened, size
from etgraph.cli.views.tables import grid

if TYPE_CHECKING:
    from etgraph.queries.comparison import Comparison, Contribution, Difference, StepTime

TOP_CHANGES = 8
TOP_PARTS = 12
TOP_DIFFERENCES = 12
ROOMY = 110
BAR = 16
NARROW_BAR = 8
NAME = 60
LEAST_NAME = 16
BESIDE_NAME, BESIDE_CHANGE, BESIDE_LIMITS = 43, 16, 23
"""Width of what stands beside a part's name (status and three times), beside a change, and of the limits."""
RANKS = 12
LONGEST_VALUE = 48
LIMITS = "90% between"
WHAT = {
    "operator": "operator, on the path", "scope": "scope, on the path", "category": "category of the path",
    "source": "source line, on the path",
}  # fmt: skip

SLOWER, FASTER = ("█", "red"), ("░", "green")


def comparison_view(result: Comparison, title: str, width: int, *, show_all: bool = False) -> RenderableType:
    """Step times, changes of the program, contributions, and in what the recordings differ."""
    parts: list[RenderableType] = [Text(printable(title), style="bold"), *_headline(result), Text()]
    if result.structural:
        parts += [_changes(result, width, show_all), Text()]
    if result.timed:
        parts += [_contributions(result, width, show_all), Text()]
    if result.differences:
        parts += [_differences(result.differences, show_all), Text()]
    return Group(*parts)


def _headline(result: Comparison) -> Iterator[Text]:
    if not result.timed:
        yield Text(result.headline())
        return
    line = Text.assemble(
        f"a step takes {duration(result.base_ns)}, then {duration(result.other_ns)}: ",
        (signed(result.difference_ns), f"bold {_look(result.difference_ns)[1]}"),
    )
    if result.base_ns:
        line.append(f" ({result.difference_ns / result.base_ns:+.1%})")
    if result.low_ns is not None and result.high_ns is not None:
        line.append(f", 90%: {signed(result.low_ns)} … {signed(result.high_ns)}")
    yield line
    for steps, what in ((result.base_steps, "base "), (result.other_steps, "other")):
        if steps is not None:
            yield Text(f"{what}: {_steps(steps)}", style="dim")


def _steps(steps: StepTime) -> str:
    if steps.steps == 1:
        return f"one step of {duration(steps.median_ns)}"
    runs = f" of {counted(steps.runs, 'run')}" if steps.runs > 1 else ""
    return (
        f"{counted(steps.steps, 'step')}{runs}, median {duration(steps.median_ns)}, "
        f"from {duration(steps.min_ns)} to {duration(steps.max_ns)}"
    )


def _changes(result: Comparison, width: int, show_all: bool) -> RenderableType:
    """A line a change of the program: what it is, and what its operators take on the path, then and now."""
    limits, roomy = _limits_shown(result, width), width >= ROOMY
    times = ("difference", *limits) if result.timed else ()
    table = grid("changed in the program", "ranks", *times, "", right=times)
    shown = result.structural if show_all else result.structural[:TOP_CHANGES]
    who = [shortened(ranges(one.ranks), RANKS) for one in shown]
    room = width - BESIDE_CHANGE - len(limits) * BESIDE_LIMITS - (BAR if roomy else NARROW_BAR) - max(5, *map(len, who))
    for one, ranks in zip(shown, who, strict=True):
        told = (signed(one.contribution_ns), *(_limits(one) for _ in limits)) if times else ()
        bar = _bar(one.contribution_ns, _longest(shown), roomy)
        table.add_row(Text(change_in_words(one, room)), ranks, *told, bar)
    return _with_rest(table, result.structural[len(shown) :], "more change")


def change_in_words(one: Contribution, room: int = NAME) -> str:
    """A change in so many characters or a few more.

    >>> from etgraph.queries.comparison import Contribution
    >>> change = Contribution("all_reduce", "added", 0, 9, 9, 12.0, 70.0, base_bytes=2_000_000, other_bytes=20_000)
    >>> change_in_words(change)
    '+58 × all_reduce, 12 to 70 a step, 2.00 MB to 20.0 kB each'
    >>> change_in_words(Contribution("aten::linear", "removed", 9, 0, -9, 24.0, 0.0))
    '-24 × aten::linear'
    """
    more = one.other_count - one.base_count
    head = f"{'+' if more > 0 else '-'}{_number(abs(more))} × " if more else ""
    told = []
    if one.base_count and one.other_count:
        told.append(f"{_number(one.base_count)} to {_number(one.other_count)} a step" if more else "changed")
        told[-1] += "" if more else f", {_number(one.base_count)} a step"
    each = dict.fromkeys(size(bytes) for bytes in (one.base_bytes, one.other_bytes) if bytes)
    if each:
        told.append(f"{' to '.join(each)} each")
    tail = "".join(f", {text}" for text in told)
    return f"{head}{_name(one.key, max(LEAST_NAME, min(NAME, room - len(head) - len(tail))))}{tail}"


def _name(key: str, room: int) -> str:
    """A name, or the two names of what was renamed, in that many characters."""
    names = key.split(" → ")
    return " → ".join(shortened(name, (room - 3 * (len(names) - 1)) // len(names)) for name in names)


def _contributions(result: Comparison, width: int, show_all: bool) -> RenderableType:
    """The parts that are no change of the program, and what adds up with them to the difference."""
    limits, roomy = _limits_shown(result, width), width >= ROOMY
    others = [one for one in result.contributions if not one.structural]
    table = grid(
        WHAT[result.by], "", "base", "other", "difference", *limits, "",
        right=("base", "other", "difference", *limits),
    )  # fmt: skip
    shown = others if show_all else others[:TOP_PARTS]
    longest = max(_longest(shown), abs(result.unexplained_ns))
    room = width - BESIDE_NAME - len(limits) * BESIDE_LIMITS - (BAR if roomy else NARROW_BAR)
    room = min(NAME, max(LEAST_NAME, room))
    for one in shown:
        table.add_row(
            Text(_name(one.key, room), no_wrap=True), one.status, duration(one.base_ns), duration(one.other_ns),
            signed(one.contribution_ns), *(_limits(one) for _ in limits),
            _bar(one.contribution_ns, longest, roomy),
        )  # fmt: skip
    if rest := others[len(shown) :]:
        more = sum(one.contribution_ns for one in rest)
        table.add_row(Text(f"… and {len(rest):,} more", style="dim"), "", "", "", signed(more))
    table.add_row("unexplained", "", "", "", signed(result.unexplained_ns))
    if changed := [one.contribution_ns for one in result.contributions if one.structural]:
        table.add_row("changed in the program", "", "", "", signed(sum(changed)))
    table.add_row(
        Text("step", style="bold"), "", duration(result.base_ns), duration(result.other_ns),
        Text(signed(result.difference_ns), style="bold"),
    )  # fmt: skip
    return table


def _differences(rows: Sequence[Difference], show_all: bool) -> RenderableType:
    table = grid("differs", "base", "other")
    shown = rows if show_all else rows[:TOP_DIFFERENCES]
    for row in shown:
        values = (shortened(value or "–", LONGEST_VALUE) for value in (row.base, row.other))
        table.add_row(printable(row.what), *values)
    return _with_rest(table, rows[len(shown) :], "more difference")


def _with_rest(table: RenderableType, rest: Sequence[object], what: str) -> RenderableType:
    return Group(table, Text(f"… and {counted(len(rest), what)}; --all shows them", style="dim")) if rest else table


def _longest(rows: Sequence[Contribution]) -> int:
    return max((abs(row.contribution_ns) for row in rows), default=0)


def _bar(ns: int, longest: int, roomy: bool) -> Text:
    fill, colour = _look(ns)
    width = BAR if roomy else NARROW_BAR
    return Text(fill * (max(1, round(width * abs(ns) / longest)) if ns and longest else 0), style=colour)


def _look(ns: int) -> tuple[str, str]:
    return SLOWER if ns > 0 else FASTER


def _limits_shown(result: Comparison, width: int) -> list[str]:
    """The head of the column of intervals, where there are some and there is room for them."""
    return [LIMITS] if result.low_ns is not None and width >= ROOMY else []


def _limits(one: Contribution) -> str:
    if one.low_ns is None or one.high_ns is None:
        return ""
    return f"{signed(one.low_ns)} … {signed(one.high_ns)}"


def _number(count: float) -> str:
    return f"{count:,.0f}" if count == round(count) else f"{count:,.1f}"


def signed(ns: int) -> str:
    """A time with its sign.

    >>> signed(1_500_000), signed(-20), signed(0)
    ('+1.50 ms', '-20 ns', '0 ns')
    """
    return f"{'+' if ns > 0 else '-' if ns < 0 else ''}{duration(abs(ns))}"
