"""Operators in groups for a reader: one table for devices, one for hosts, costliest first, the rest summed up."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.text import Text

from etgraph.cli.units import byte_rate, count, counted, duration, flop_rate, percent, printable, shortened
from etgraph.cli.views.tables import ROOMY, grid

if TYPE_CHECKING:
    from etgraph.queries import Operators

LEAST_NAME = 20
MOST_NAME = 60
NOT_RECORDED = "(not recorded)"

Row = Mapping[str, Any]
Cell = Callable[[Row], str]


def operators_view(answer: Operators, title: str, width: int, *, limit: int | None) -> RenderableType:
    """Totals, then the rows of each lane; without `limit` all of them."""
    rows = answer.rows.to_pylist()
    parts: list[RenderableType] = [Text(printable(title), style="bold"), Text("; ".join(_totals(answer, rows)))]
    if answer.profile is not None:
        parts.append(Text(f"shares of the peaks of {printable(answer.profile)}"))
    host = _host_cells(rows, width) if answer.profile is None else _compared_cells(width)
    for lane, cells in (("device", _device_cells(width)), ("host", host)):
        mine = [row for row in rows if row["lane"] == lane]
        if mine:
            parts += [Text(), _table(f"{lane}, by {answer.by}", mine, cells, width, limit)]
    return Group(*parts, Text())


def _totals(answer: Operators, rows: Sequence[Row]) -> Iterator[str]:
    for lane, ns in (("device", answer.device_ns), ("host", answer.host_ns)):
        mine = [row for row in rows if row["lane"] == lane]
        if mine:
            number = counted(sum(row["count"] for row in mine), "operator")
            known = any(row["self_ns"] is not None for row in mine)
            yield f"{lane}: {number}, {duration(ns)} of their own" if known else f"{lane}: {number}"


def _device_cells(width: int) -> dict[str, Cell]:
    cells: dict[str, Cell] = {
        "times": lambda row: count(row["count"]),
        "time": lambda row: duration(row["self_ns"]),
        "share": lambda row: percent(row["share"]),
        "median": lambda row: duration(row["p50_ns"]),
        "95 %": lambda row: duration(row["p95_ns"]),
    }
    if width >= ROOMY:
        cells["most"] = lambda row: duration(row["max_ns"])
    return cells


def _host_cells(rows: Sequence[Row], width: int) -> dict[str, Cell]:
    """What a terminal of that width has room for, without columns that would be empty."""
    cells: dict[str, Cell] = {
        "times": lambda row: count(row["count"]),
        "own": lambda row: duration(row["self_ns"]),
        "share": lambda row: percent(row["share"]),
        "total": lambda row: duration(row["total_ns"]),
    }
    known = {name for row in rows for name in ("device_ns", "flops_per_s", "bytes_per_s") if row[name]}
    if "device_ns" in known:
        cells["device"] = lambda row: duration(row["device_ns"])
    if width >= ROOMY or "device_ns" not in known:
        cells["median"] = lambda row: duration(row["p50_ns"])
    if width >= ROOMY and "flops_per_s" in known:
        cells["flops"] = lambda row: flop_rate(row["flops_per_s"])
    if width >= ROOMY and "bytes_per_s" in known:
        cells["bytes"] = lambda row: byte_rate(row["bytes_per_s"])
    return cells


def _compared_cells(width: int) -> dict[str, Cell]:
    """Rows of the host beside the peaks of a profile: how fast their work was done, and what of that is possible."""
    cells: dict[str, Cell] = {
        "times": lambda row: count(row["count"]),
        "own": lambda row: duration(row["self_ns"]),
        "share": lambda row: percent(row["share"]),
    }
    if width >= ROOMY:
        cells["device"] = lambda row: duration(row["device_ns"])
    return cells | {
        "of flops": lambda row: percent(row["flops_share"]),
        "of bytes": lambda row: percent(row["bytes_share"]),
        "bound": lambda row: row["bound"] or "–",
        "roofline": lambda row: percent(row["roofline_share"]),
    }


def _table(head: str, rows: Sequence[Row], cells: Mapping[str, Cell], width: int, limit: int | None) -> RenderableType:
    shown, rest = (rows, []) if limit is None else (rows[:limit], rows[limit:])
    lines = [[cell(row) for cell in cells.values()] for row in shown]
    if rest:
        lines.append([_sum(name, rest) for name in cells])
    beside = sum(max(len(name), *(len(line[i]) for line in lines)) + 2 for i, name in enumerate(cells))
    room = min(MOST_NAME, max(LEAST_NAME, width - beside))
    table = grid(head, *cells, right=cells)
    for row, line in zip(shown, lines):
        table.add_row(Text(shortened(_readable(row["key"] or NOT_RECORDED), room), no_wrap=True), *line)
    if rest:
        table.add_row(Text(f"… and {counted(len(rest), 'more row')}", style="dim"), *lines[-1])
    return table


def _readable(key: str) -> str:
    """A key whose shapes are dims alone, without inputs that have none; the types are left to JSON.

    >>> _readable('aten::mm {"dims":[[2,3],[3,4],[]],"types":["float","float","Scalar"]}')
    'aten::mm 2x3 3x4'
    """
    name, brace, shapes = key.partition(' {"dims":')
    if not brace:
        return key
    try:
        dims = json.loads('{"dims":' + shapes)["dims"]
    except ValueError:
        return key
    if not isinstance(dims, list):
        return key
    return " ".join([name, *filter(None, map(_dims, dims))])


def _dims(dims: Any) -> str:
    if not isinstance(dims, list):
        return str(dims)
    if any(isinstance(each, list) for each in dims):
        return f"[{' '.join(filter(None, map(_dims, dims)))}]"
    return "x".join(map(str, dims))


def _sum(name: str, rows: Sequence[Row]) -> str:
    """The sum of a column that adds up over rows, nothing for the others."""
    if name == "times":
        return count(sum(row["count"] for row in rows))
    if name in ("time", "own"):
        return duration(_known(row["self_ns"] for row in rows))
    if name == "share":
        return percent(_known(row["share"] for row in rows))
    return ""


def _known(values: Iterable[Any]) -> Any:
    """The sum of what is known, None where nothing is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None
