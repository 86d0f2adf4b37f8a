"""The model's critical path for a reader: how long it is, how much slack there is beside it, and what lies on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.text import Text

from etgraph.cli.units import count, counted, duration, percent, printable
from etgraph.cli.views.path import BAR, by_category, categories, lines, operators, ranks, strip
from etgraph.cli.views.tables import grid

if TYPE_CHECKING:
    from etgraph.queries import Slack
    from etgraph.queries.slack import SlackBand


def slack_view(slack: Slack, title: str, width: int) -> RenderableType:
    """Length, operators without slack, slack of the others, what the path is made of, top operators."""
    parts: list[RenderableType] = [Text(printable(title), style="bold"), *_summary(slack), Text()]
    if slack.by_slack:
        parts += [_bands(slack), Text()]
    if slack.by_category:
        parts += [strip(by_category(slack.by_category)), Text(), categories(slack.by_category), Text()]
    if len(slack.by_rank) > 1:
        parts += [ranks(slack.by_rank, slack.length_ns), Text()]
    if slack.by_operator:
        parts += [operators(slack.by_operator, width), Text()]
    return Group(*parts)


def _summary(slack: Slack) -> Iterator[Text]:
    length = f"length {duration(slack.length_ns)}"
    if slack.measured_ns:
        length += f", {percent(slack.length_ns / slack.measured_ns)} of the {duration(slack.measured_ns)} measured"
    yield Text(length)
    total = sum(band.count for band in slack.by_slack)
    if total:
        share = percent(slack.critical_count / total)
        yield Text(f"{count(slack.critical_count)} of {counted(total, 'operator')} have no slack ({share})")


def _bands(slack: Slack) -> RenderableType:
    """How many operators have how much slack, a bar for each band."""
    table = grid("slack", "operators", "share", "", right=("slack", "operators", "share"))
    total = sum(band.count for band in slack.by_slack)
    for band in slack.by_slack:
        share = band.count / total
        colour = "blue" if band.from_ns else "red"
        table.add_row(_band(band), count(band.count), percent(share), Text("█" * max(1, round(BAR * share)), colour))
    return table


def _band(band: SlackBand) -> str:
    if not band.from_ns:
        return "none"
    if band.to_ns is None:
        return f"{duration(band.from_ns)} or more"
    return f"under {duration(band.to_ns)}"


def chain_lines(slack: Slack, width: int) -> Iterator[str]:
    """The operators of the path in order, one a line; times are the model's. Nothing where there is no path."""
    rows = [_cells(row) for row in slack.segments.to_pylist()]
    if not rows:
        yield "the path has no length, and so no segments"
        return
    yield from lines(("start", "time", "rank", "lane", "kind", "via", "operator"), rows, width)


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        f"+{duration(row['start_ns'])}",
        duration(row["end_ns"] - row["start_ns"]),
        str(row["rank"]),
        printable(str(row["lane"] or "")),
        printable(row["kind"]),
        str(row["via"] or ""),
        printable(row["name"]),
    )
