"""A critical path for a reader: where the window went, which operators were on it, and how far to trust that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.text import Text

from etgraph.cli.units import count, counted, duration, percent, printable, shortened
from etgraph.cli.views.tables import grid

if TYPE_CHECKING:
    from etgraph.queries import CriticalPath
    from etgraph.queries.critical_path import CategoryShare, OperatorShare, RankShare

TOP_OPERATORS = 10
STRIP = 72
STRIP_OVER_TIME = 48
MOST_RANKS = 12
BAR = 24
NAME = 48
LEAST_NAME = 24
BESIDE_NAME = 36

# Fill character and colour of each category: the characters tell them apart where there is no colour.
LOOKS = {
    "computation": ("█", "green"),
    "communication": ("▓", "magenta"),
    "memory": ("▒", "yellow"),
    "cpu": ("░", "blue"),
    "launch": ("╱", "cyan"),
    "idle": ("·", "red"),
}
UNKNOWN_LOOK = ("?", "white")


def path_view(path: CriticalPath, title: str, width: int) -> RenderableType:
    """Window, split by category, ranks where the path changes between them, top operators, trust."""
    parts: list[RenderableType] = [Text(printable(title), style="bold"), _window(path), Text()]
    if path.window_ns > 0:
        parts += [strip(by_category(path.by_category)), Text()]
    parts += [categories(path.by_category), Text()]
    if path.window_ns > 0:
        parts += [over_time(path), Text()]
    if path.by_operator:
        parts += [operators(path.by_operator, width), Text()]
    return Group(*parts)


def _window(path: CriticalPath) -> Text:
    window = (
        f"window {duration(path.window_ns)}, from {duration(path.start_ns)} to {duration(path.end_ns)} of the trace"
    )
    if path.length_ns != path.window_ns:
        share = path.length_ns / path.window_ns if path.window_ns else 0.0
        window += f"; the path covers {duration(path.length_ns)} of it ({percent(share)})"
    return Text(window)


def by_category(rows: Sequence[CategoryShare]) -> dict[str, int]:
    """Time by category, whatever the detail; for `strip`."""
    sums: dict[str, int] = {}
    for row in rows:
        sums[row.category] = sums.get(row.category, 0) + row.ns
    return sums


def strip(parts: Mapping[str, int], width: int = STRIP) -> Text:
    """One bar in which each part's length is its share, largest first, and a legend under it.

    >>> print(strip({"cpu": 1, "computation": 3}, 8))
    ██████░░
    █ computation 75.0%   ░ cpu 25.0%
    """
    whole = sum(parts.values())
    ordered = sorted((item for item in parts.items() if item[1] > 0), key=lambda item: -item[1])
    cells = {name: ns * width // whole for name, ns in ordered}
    by_remainder = sorted(ordered, key=lambda item: -(item[1] * width % whole))
    for name, _ in by_remainder[: width - sum(cells.values())]:
        cells[name] += 1
    text = Text(no_wrap=True)
    for name, _ in ordered:
        fill, colour = LOOKS.get(name, UNKNOWN_LOOK)
        text.append(fill * cells[name], style=colour)
    text.append("\n")
    for number, (name, ns) in enumerate(ordered):
        fill, colour = LOOKS.get(name, UNKNOWN_LOOK)
        text.append("   " if number else "")
        text.append(fill, style=colour)
        text.append(f" {name} {percent(ns / whole)}")
    text.no_wrap = False
    return text


def categories(rows: Sequence[CategoryShare]) -> RenderableType:
    """One row a category and detail, each with a bar."""
    table = grid("category", "detail", "time", "share", "", right=("time", "share"))
    for row in rows:
        fill, colour = LOOKS.get(row.category, UNKNOWN_LOOK)
        bar = Text(fill * (max(1, round(BAR * row.share)) if row.ns else 0), style=colour)
        table.add_row(row.category, row.detail, duration(row.ns), percent(row.share), bar)
    return table


def over_time(path: CriticalPath) -> RenderableType:
    """When the path was on which rank, and what it was there: a strip for each of the ranks with most of its time."""
    import numpy as np

    table = grid("rank", "the path over time", "time", "share", right=("rank", "time", "share"))
    segments = path.segments
    start, end = (segments[name].to_numpy() for name in ("start_ns", "end_ns"))
    category = np.array(segments["category"].to_pylist())
    rank = segments["rank"].to_numpy()
    edges = np.linspace(path.start_ns, path.end_ns, STRIP_OVER_TIME + 1)
    bounds = np.append(start, end[-1])
    shown = sorted(sorted(path.by_rank, key=lambda row: -row.ns)[:MOST_RANKS], key=lambda row: row.rank)
    spent = {
        (row.rank, name): np.diff(np.interp(edges, bounds, np.append(0, np.cumsum((end - start) * chosen))))
        for row in shown
        for name in dict.fromkeys(LOOKS)
        if (chosen := (rank == row.rank) & (category == name)).any()
    }
    most = np.max(list(spent.values()), axis=0)
    for row in shown:
        strip = Text(no_wrap=True)
        for cell in range(STRIP_OVER_TIME):
            name = next((n for (r, n), ns in spent.items() if r == row.rank and ns[cell] == most[cell] > 0), None)
            fill, colour = LOOKS[name] if name else (" ", "white")
            strip.append(fill, style=colour)
        table.add_row(str(row.rank), strip, duration(row.ns), percent(row.ns / path.window_ns))
    if len(path.by_rank) > len(shown):
        left = sum(row.ns for row in path.by_rank) - sum(row.ns for row in shown)
        more = Text(f"… and {counted(len(path.by_rank) - len(shown), 'more rank')}", style="dim")
        table.add_row("", more, duration(left), percent(left / path.window_ns))
    return table


def ranks(rows: Sequence[RankShare], whole: int) -> RenderableType:
    """Time on the path by rank, and its share of the whole."""
    table = grid("rank", "time on the path", "share", right=("rank", "time on the path", "share"))
    for row in rows:
        table.add_row(str(row.rank), duration(row.ns), percent(row.ns / whole if whole else None))
    return table


def operators(rows: Sequence[OperatorShare], width: int) -> RenderableType:
    """The operators with most time on the path, for a terminal of that width, and the sum of the others."""
    table = grid("operator", "kind", "times", "on the path", "share", right=("times", "on the path", "share"))
    for row in rows[:TOP_OPERATORS]:
        name = Text(shortened(row.name, min(NAME, width - BESIDE_NAME)), no_wrap=True)
        table.add_row(name, str(row.kind), count(row.count), duration(row.ns), percent(row.share))
    rest = rows[TOP_OPERATORS:]
    if rest:
        ns, share = sum(row.ns for row in rest), sum(row.share or 0.0 for row in rest)
        more = Text(f"… and {counted(len(rest), 'more operator')}", style="dim")
        table.add_row(more, "", count(sum(row.count for row in rest)), duration(ns), percent(share))
    return table


def segment_lines(path: CriticalPath, width: int) -> Iterator[str]:
    """All segments in order, one a line; there may be too many for a table that is laid out as a whole."""
    rows = [_cells(row, path.start_ns) for row in path.segments.to_pylist()]
    yield from lines(("start", "time", "rank", "lane", "category", "via", "operator", "source"), rows, width)


def lines(
    headers: tuple[str, ...], rows: Sequence[tuple[str, ...]], width: int, flexible: str = "operator"
) -> Iterator[str]:
    """Rows under their headers, three numbers first; a rank or source that is the same in all is left out.

    The `flexible` column is as narrow as the width asks for.
    """
    widths = [max([len(header), *(len(row[i]) for row in rows)]) for i, header in enumerate(headers)]
    shown = [i for i, header in enumerate(headers) if header not in ("rank", "source") or len({r[i] for r in rows}) > 1]
    operator, numbers = headers.index(flexible), range(3)
    others = sum(widths[i] + 2 for i in shown if i != operator)
    widths[operator] = min(widths[operator], max(LEAST_NAME, width - others))

    def line(cells: tuple[str, ...]) -> str:
        texts = (
            cells[i].rjust(widths[i]) if i in numbers else shortened(cells[i], widths[i]).ljust(widths[i])
            for i in shown
        )
        return "  ".join(texts).rstrip()

    yield line(headers)
    yield "  ".join("─" * widths[i] for i in shown)
    yield from map(line, rows)


def _cells(row: Mapping[str, Any], zero: int) -> tuple[str, ...]:
    """One segment as texts; its start counts from the window's."""
    return (
        f"+{duration(row['start_ns'] - zero)}",
        duration(row["end_ns"] - row["start_ns"]),
        str(row["rank"]),
        printable(str(row["lane"] or "")),
        f"{row['category']}: {row['detail']}",
        str(row["via"] or ""),
        printable(str(row["name"] or "–")),
        printable(str(row["source"] or "")),
    )
