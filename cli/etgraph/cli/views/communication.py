"""Communication for a reader: hotspots as a table, the matrix of ranks as a heat map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Group, RenderableType
from rich.text import Text

from etgraph.cli.units import count, counted, duration, percent, printable, shortened, size
from etgraph.cli.views.tables import grid
from etgraph.model.columns import Array

if TYPE_CHECKING:
    from etgraph.queries import CommunicationMatrix, Hotspots
    from etgraph.queries.hotspots import Hotspot

SHOWN_ROWS = 14
SHOWN_PAIRS = 8
KEY = 44
LEAST_KEY = 14
COLUMN = 9
COLUMNS = {
    "times": 0, "bytes": 0, "total": 0, "waiting": 0, "transfer": 100, "exposed": 0, "critical": 0, "algorithm": 118,
    "bus": 0, "of peak": 0, "tier": 100,
}  # fmt: skip
"""Columns of the hotspots, each with the width of the terminal from which on it is shown."""
RATES = ("algorithm", "bus")
COMPARED = ("of peak", "tier")
"""Columns that only a comparison with a profile fills; they take the room of the rates."""
BESIDE_MAP = 8
MOST_CELLS = 64
SHADES = "░▒▓█"
"""Quarters of the largest cell, from the least to the most."""
NOTHING, UNRECORDED = "·", " "


def hotspots_view(hotspots: Hotspots, title: str, width: int) -> RenderableType:
    """Title, the sum in words, and the rows, costliest first."""
    head = Text(printable(title), style="bold")
    if not hotspots.rows:
        return Group(head, Text("no communication in this window"), Text())
    lines = [Text(_summary(hotspots.rows))]
    if hotspots.profile is not None:
        lines.append(Text(f"bus bandwidth as a part of the peaks of {printable(hotspots.profile)}"))
    table = _hotspots(hotspots.rows, width, compared=hotspots.profile is not None)
    return Group(head, *lines, Text(), table, Text())


def _summary(rows: Sequence[Hotspot]) -> str:
    total, waits = sum(row.total_ns for row in rows), sum(row.wait_ns or 0 for row in rows)
    known = total - sum(row.unmatched_ns for row in rows)
    text = f"{duration(total)} over the ranks"
    if known:
        text += f", {percent(waits / known)} of it waiting" if known == total else (
            f", {percent(waits / known)} waiting of the {duration(known)} whose peers are known"
        )  # fmt: skip
    return text + f"; {percent(sum(row.exposed_ns for row in rows) / total if total else None)} exposed"


def _hotspots(rows: Sequence[Hotspot], width: int, *, compared: bool) -> RenderableType:
    left_out = ("algorithm", "transfer") if compared else COMPARED
    shown = [name for name in COLUMNS if width >= COLUMNS[name] and name not in left_out]
    table = grid("", *shown, right=shown)
    table.columns[0].min_width = LEAST_KEY
    room = max(LEAST_KEY, min(KEY, width - sum(COLUMN + 2 * (name in RATES) for name in shown) - 2))
    for row in rows[:SHOWN_ROWS]:
        cells = _cells(row)
        table.add_row(Text(shortened(row.key, room), no_wrap=True), *(cells[name] for name in shown))
    rest = rows[SHOWN_ROWS:]
    if rest:
        total, exposed, critical, bytes, times = (
            sum(getattr(row, name) for row in rest)
            for name in ("total_ns", "exposed_ns", "critical_ns", "bytes", "count")
        )
        sums = {"times": count(times), "bytes": size(bytes), "total": duration(total)}
        sums |= {"exposed": duration(exposed), "critical": duration(critical)}
        table.add_row(Text(f"… {count(len(rest))} more", style="dim"), *(sums.get(name, "") for name in shown))
    return table


def _cells(row: Hotspot) -> dict[str, str]:
    return {
        "times": count(row.count),
        "bytes": size(row.bytes),
        "total": duration(row.total_ns),
        "waiting": duration(row.wait_ns),
        "transfer": duration(row.transfer_ns),
        "exposed": duration(row.exposed_ns),
        "critical": duration(row.critical_ns),
        "algorithm": _rate(row.algorithm_bandwidth),
        "bus": _rate(row.bus_bandwidth),
        "of peak": percent(row.bus_bandwidth_share),
        "tier": printable(row.tier or "–"),
    }


def _rate(bandwidth: float | None) -> str:
    return "–" if bandwidth is None else f"{size(round(bandwidth))}/s"


def matrix_view(matrix: CommunicationMatrix, title: str, width: int) -> RenderableType:
    """Title, the sum in words, a heat map from senders to receivers, and the pairs that send the most."""
    head = Text(printable(title), style="bold")
    total = int(matrix.bytes.sum())
    about = f"{size(total)} among {counted(len(matrix.ranks), 'rank')}"
    if matrix.unattributed_bytes:
        about += f"; {size(matrix.unattributed_bytes)} more to ranks that are not known"
    parts: list[RenderableType] = [head, Text(about), Text()]
    if total:
        parts += [*_heat_map(matrix, width), Text(), _pairs(matrix), Text()]
    return Group(*parts)


def _heat_map(matrix: CommunicationMatrix, width: int) -> list[RenderableType]:
    """Rows send, columns receive; a cell is one rank or, of many, a block of neighbours."""
    ranks = len(matrix.ranks)
    cells = max(1, min(MOST_CELLS, width - BESIDE_MAP))
    block = -(-ranks // cells)
    heat = _blocks(matrix.bytes, block)
    wide = 2 if 2 * len(heat) <= width - BESIDE_MAP else 1
    most = int(heat.max())
    level = np.where(heat > 0, np.minimum((heat * len(SHADES) - 1) // most, len(SHADES) - 1) if most else 0, -1)
    missing = np.isin(matrix.ranks, matrix.unrecorded_ranks)
    blank = np.logical_and.reduceat(missing, np.arange(0, ranks, block))
    absent = "; a blank one is not recorded" if blank.any() else ""
    lines = [Text(f"each row sends, each column receives{absent}", style="dim")]
    every = max(1, -(-len(heat) // 16))
    for number, row in enumerate(level.tolist()):
        label = str(matrix.ranks[number * block]) if number % every == 0 else ""
        text = Text(f"{label:>5}  ", no_wrap=True)
        empty = UNRECORDED if blank[number] else NOTHING
        text.append("".join((SHADES[shade] if shade >= 0 else empty) * wide for shade in row), style="magenta")
        lines.append(text)
    legend = "  ".join(f"{shade} to {size(most * (number + 1) // len(SHADES))}" for number, shade in enumerate(SHADES))
    scale = "" if block == 1 else f"; a cell is {block} by {block} ranks, a row's label its first rank"
    return [*lines, Text(f"       {NOTHING} nothing  {legend}{scale}")]


def _blocks(values: Array, block: int) -> Array:
    """Sums over square blocks; the last ones may be smaller."""
    starts = np.arange(0, len(values), block)
    return np.add.reduceat(np.add.reduceat(values, starts, axis=0), starts, axis=1)


def _pairs(matrix: CommunicationMatrix) -> RenderableType:
    table = grid("from", "to", "bytes", "transfer", right=("from", "to", "bytes", "transfer"))
    pairs = matrix.pairs
    for row in pairs.slice(0, SHOWN_PAIRS).to_pylist():
        table.add_row(str(row["rank"]), str(row["peer"]), size(row["bytes"]), duration(row["transfer_ns"]))
    rest = pairs.slice(SHOWN_PAIRS)
    if len(rest):
        known = rest.column("transfer_ns").drop_null()
        transfer = sum(known.to_pylist()) if len(known) else None
        more = Text(f"{count(len(rest))} more", style="dim")
        table.add_row(more, "", size(sum(rest.column("bytes").to_pylist())), duration(transfer))
    return table
