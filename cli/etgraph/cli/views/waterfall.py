"""Lost time for a reader: a waterfall as bars that hang from each other, and workloads as a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from etgraph.cli.units import counted, duration, flop_rate, percent, printable
from etgraph.cli.views.tables import grid

if TYPE_CHECKING:
    from etgraph.queries.utilization import Utilization
    from etgraph.queries.waterfall import Waterfall, WaterfallRow, Waterfalls

BESIDE_BAR = 46
"""Columns that name, time and share take."""
BAR = 80
LEAST_BAR = 20
WHOLE, LOST, GAINED = "cyan", "red", "green"
LEAST_NAME, NAME = 16, 56
PARTS: dict[str, Callable[[WaterfallRow], float | None]] = {
    "late": lambda row: row.late_ranks,
    "comm": lambda row: row.exposed_communication,
    "host": lambda row: row.host,
    "roofline": lambda row: row.below_roofline,
    "ideal": lambda row: row.ideal,
}
"""What a waterfall says, in parts of what was measured."""
ROOMY, WIDE = 90, 100
"""Widths of the terminal from which on there is room for the utilization, and for the replay's error."""
COLUMN = 10
DOUBTFUL = Text(" !", style="bold red")
DOUBT = "! not replayable: its parts are no measure of what would be gained"


def waterfall_view(waterfall: Waterfall, title: str, width: int) -> RenderableType:
    """Title, the bars from the measured step to the ideal one, and what is made of the peak."""
    parts: list[RenderableType] = [Text(printable(title), style="bold"), Text(_about(waterfall)), Text()]
    if not waterfall.replayable:
        parts += [Text("not replayable: the bars are no measure of what would be gained", style="bold red"), Text()]
    parts += [_bars(waterfall, width), Text()]
    parts += [Text(line) for line in _shares(waterfall)]
    return Group(*parts, Text())


def waterfalls_view(waterfalls: Waterfalls, title: str, width: int) -> RenderableType:
    """Title and a row a workload; a mark tells those that cannot be replayed."""
    columns: dict[str, Callable[[WaterfallRow], float | None]] = (
        {"replay": lambda row: row.replay} if width >= WIDE else {}
    )
    columns |= PARTS
    if width >= ROOMY:
        columns["MFU"] = lambda row: row.model_flops_utilization
    table = grid("", "measured", *columns, right=("measured", *columns))
    room = max(LEAST_NAME, min(NAME, width - COLUMN * (len(columns) + 1)))
    for row in waterfalls.table:
        name = Text(_end_of(row.trace, room - 2), no_wrap=True)
        if not row.replayable:
            name.append_text(DOUBTFUL)
        table.add_row(name, duration(row.measured_ns), *(percent(share(row)) for share in columns.values()))
    parts: list[RenderableType] = [Text(printable(title), style="bold"), Text(), table, Text()]
    if not all(row.replayable for row in waterfalls.table):
        parts += [Text(DOUBT), Text()]
    return Group(*parts)


def _about(one: Waterfall) -> str:
    steps = counted(one.iterations, "step")
    text = f"{steps}, {duration(one.measured_ns)}, over {counted(one.ranks, 'rank')}"
    return text + (f"; peaks of {printable(one.profile)}" if one.profile else "; no peaks to compare with")


def _bars(one: Waterfall, width: int) -> RenderableType:
    """A bar a step, which ends where the one before it begins; what is left of the step is on the left."""
    cells = max(LEAST_BAR, min(BAR, width - BESIDE_BAR))
    most = max([one.measured_ns, *_left(one)])
    table = grid("", "time", "share", "", right=("time", "share"))

    def at(ns: int) -> int:
        return round(cells * ns / most) if most else 0

    def add(name: str, ns: int, since: int, until: int, colour: str) -> None:
        bar = Text(" " * at(since), no_wrap=True)
        bar.append("█" * (at(until) - at(since)) or ("▏" if ns else ""), style=colour)
        share = percent(ns / one.measured_ns) if one.measured_ns else "–"
        table.add_row(Text(name, style="bold" if since == 0 else ""), duration(ns), share, bar)

    add("measured", one.measured_ns, 0, one.measured_ns, WHOLE)
    before = one.measured_ns
    for step, left in zip(one.steps, _left(one)):
        add(step.name, step.ns, min(before, left), max(before, left), LOST if step.ns > 0 else GAINED)
        before = left
    add("ideal", one.ideal_ns, 0, one.ideal_ns, WHOLE)
    return table


def _left(one: Waterfall) -> Iterator[int]:
    """What is left of the step after each cause."""
    left = one.measured_ns
    for step in one.steps:
        left -= step.ns
        yield left


def _shares(one: Waterfall) -> Iterator[str]:
    if one.utilization is not None:
        yield from _utilization(one.utilization)
    for share, what in (
        (one.known_share, "of the computing time is of operators whose work is known"),
        (one.exposed_share, "of the ranks' time is communication without computation"),
        (one.wait_share, "of the communication is waiting for the last rank"),
        (one.bus_bandwidth_share, "of the network's bandwidth is reached"),
    ):
        if share is not None:
            yield f"{percent(share)} {what}"


def _utilization(used: Utilization) -> Iterator[str]:
    """The utilization, and the three shares that it is the product of."""
    peak = f"{flop_rate(used.peak_flops)} ({used.precision})"
    yield f"model flops utilization: {percent(used.share)} of {peak} on {counted(used.ranks, 'rank')}, which is"
    yield f"  {percent(used.computing_share):>6} of the time spent computing"
    yield f"× {percent(used.roofline_share):>6} of its roofline reached meanwhile"
    yield f"× {percent(used.peak_share):>6} of the time on the roofline that flops at the peak take"


def _end_of(reference: str, width: int) -> str:
    """A long reference without its beginning: paths differ at their ends."""
    text = printable(reference)
    return text if len(text) <= width else f"…{text[1 - width :]}"
