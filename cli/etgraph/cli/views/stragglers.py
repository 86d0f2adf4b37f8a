"""Stragglers for a reader: the answer in words, its patterns, the ranks, and the costliest rendezvous."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from etgraph.cli.units import count, counted, duration, percent, printable, ranges, shortened, size
from etgraph.cli.views.tables import grid

if TYPE_CHECKING:
    from etgraph.queries.stragglers import Cause, LateRendezvous, Pattern, RankLateness, Stragglers

TOP_RANKS = 10
TOP_RENDEZVOUS = 8
BAR = 20
SUMMED = ("times_last", "wait_caused_ns", "wait_ns")
LEAST_CAUSE = 24
BESIDE_CAUSE = 42
ROOMY = 100


def stragglers_view(result: Stragglers, title: str, width: int) -> RenderableType:
    """Summary, waiting, patterns, ranks by the waiting that they cause, and the rendezvous that cost most."""
    parts: list[RenderableType] = [Text(printable(title), style="bold"), Text(printable(result.summary) + "."), Text()]
    if result.judged:
        parts += [_waiting(result), Text()]
    if result.patterns:
        parts += [_patterns(result.patterns), Text()]
    if result.wait_ns:
        parts += [_ranks(result.by_rank, result.wait_ns), Text(), _costliest(result, width), Text()]
    return Group(*parts)


def _waiting(result: Stragglers) -> Text:
    told = (
        f"{counted(result.judged, 'rendezvous', 'rendezvous')}: {duration(result.wait_ns)} of waiting, "
        f"{percent(result.wait_share)} of the {duration(result.communication_ns)} that ranks spent in communication"
    )
    return Text(told + (f"; {count(result.unjudged)} not judged" if result.unjudged else ""))


def _patterns(rows: Sequence[Pattern]) -> RenderableType:
    table = grid("pattern", "ranks", "waiting", "share", "what speaks for it", right=("waiting", "share"))
    table.columns[0].no_wrap = True
    for row in rows:
        who = ranges(row.ranks) if row.ranks else "–"
        told = printable(row.evidence)
        table.add_row(row.pattern, shortened(who, 12), duration(row.wait_ns), percent(row.share), told)
    return table


def _ranks(rows: Sequence[RankLateness], waiting: int) -> RenderableType:
    """The ranks that cause most, and the sum of the others."""
    names = ("rank", "last", "causes", "share", "waits")
    table = grid(*names, "", right=names)
    ordered = sorted(rows, key=lambda row: -row.wait_caused_ns)
    for row in ordered[:TOP_RANKS]:
        share = row.wait_caused_ns / waiting
        bar = Text("█" * (max(1, round(BAR * share)) if row.wait_caused_ns else 0), style="red")
        last = f"{count(row.times_last)} of {count(row.rendezvous)}"
        table.add_row(
            str(row.rank), last, duration(row.wait_caused_ns), percent(share), duration(row.wait_ns), bar
        )  # fmt: skip
    if rest := ordered[TOP_RANKS:]:
        last, caused, waits = (sum(getattr(row, name) for row in rest) for name in SUMMED)
        more = Text(f"{count(len(rest))} more", style="dim")
        table.add_row(more, count(last), duration(caused), percent(caused / waiting), duration(waits))
    return table


def _costliest(result: Stragglers, width: int) -> RenderableType:
    """The rendezvous to which most of the waiting goes back, and the sum of the others."""
    roomy = width >= ROOMY
    stepped = len({row.iteration for row in result.collectives}) > 1
    names = ["#", "type", *(["size"] if roomy else []), *(["step"] if stepped else []), "last", "waiting", "goes back"]
    table = grid(*names, "the late rank's path", right={*names} - {"type"})
    table.columns[1].no_wrap = True
    ordered = sorted(result.collectives, key=lambda row: (-row.blamed_ns, -row.waited_ns))
    types = max(len(row.type) for row in ordered[:TOP_RENDEZVOUS])
    room = max(LEAST_CAUSE, width - BESIDE_CAUSE - types - (9 if roomy else 0) - (6 if stepped else 0))
    for row in ordered[:TOP_RENDEZVOUS]:
        table.add_row(
            str(row.index), row.type, *([size(row.bytes)] if roomy else []),
            *(["–" if row.iteration is None else str(row.iteration)] if stepped else []),
            str(row.last_rank), duration(row.waited_ns), duration(row.blamed_ns),
            Text(_why(row.cause, room), no_wrap=True),
        )  # fmt: skip
    if rest := ordered[TOP_RENDEZVOUS:]:
        empty = [""] * (len(names) - 4)
        sums = (duration(sum(getattr(row, name) for row in rest)) for name in ("waited_ns", "blamed_ns"))
        table.add_row("", Text(f"… {count(len(rest))} more", style="dim"), *empty, *sums, "")
    return table


def _why(cause: Sequence[Cause], room: int) -> str:
    """What the late rank did most beyond the others, or at all where there is nobody to compare it with."""
    if not cause:
        return "–"
    top = max(cause, key=lambda row: (row.excess_ns or 0, row.ns))
    more = f" (+{duration(top.excess_ns)})" if top.excess_ns is not None and top.excess_ns > 0 else ""
    time = f" {duration(top.ns)}{more}"
    return shortened(top.name or top.detail, max(room - len(time), 1)) + time


def rendezvous_lines(result: Stragglers, width: int) -> Iterator[str]:
    """All rendezvous in order of time, one a line; there may be too many for a table that is laid out as a whole."""
    headers = ("came last at", "#", "type", "group", "step", "ranks", "last", "waiting", "transfer", "goes back")
    rows = [_cells(row) for row in result.collectives]
    shown = [i for i, name in enumerate(headers) if name not in ("group", "step") or len({row[i] for row in rows}) > 1]
    widths = [max([len(name), *(len(row[i]) for row in rows)]) for i, name in enumerate(headers)]
    room = max(LEAST_CAUSE, width - sum(widths[i] + 2 for i in shown))

    def line(cells: Sequence[str], path: str) -> str:
        texts = (
            cells[i].ljust(widths[i]) if headers[i] in ("type", "group") else cells[i].rjust(widths[i]) for i in shown
        )
        return "  ".join([*texts, path]).rstrip()

    if rows:
        yield line(headers, "the late rank's path")
        yield "  ".join("─" * length for length in [*(widths[i] for i in shown), room])
    for cells, row in zip(rows, result.collectives):
        yield line(cells, _why(row.cause, room))


def _cells(row: LateRendezvous) -> tuple[str, ...]:
    return (
        duration(row.last_ns), str(row.index), row.type, shortened(row.group or "–", 16),
        "–" if row.iteration is None else str(row.iteration), shortened(ranges(row.ranks), 16), str(row.last_rank),
        duration(row.waited_ns), duration(row.transfer_ns), duration(row.blamed_ns),
    )  # fmt: skip


__all__ = ["rendezvous_lines", "stragglers_view"]
