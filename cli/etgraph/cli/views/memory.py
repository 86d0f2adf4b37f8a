"""Memory for a reader: the peak, how it came about, the devices, and what held the peak."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from etgraph.cli.units import count, counted, duration, percent, printable, shortened, size
from etgraph.cli.views.tables import grid

if TYPE_CHECKING:
    from etgraph.queries import Memory
    from etgraph.queries.memory import DeviceMemory, Holder

TOP_HOLDERS = 12
TOP_DEVICES = 10
HEIGHT = 8
CHART = 72
LABEL = 9
BAR = 24
BESIDE_NAME = 52
EIGHTHS = " ▁▂▃▄▅▆▇█"


def memory_view(memory: Memory, title: str, width: int) -> RenderableType:
    """Peak, chart and holders of the fullest device, and all devices where there are several."""
    first = memory.devices[0]
    parts: list[RenderableType] = [
        Text(printable(title), style="bold"),
        Text(f"peak {size(first.peak_bytes)} on {first.device} of rank {first.rank}, at {duration(first.peak_ns)}"),
        Text(),
        _chart(memory, first, width),
        Text(),
    ]
    holders = [h for h in memory.holders if (h.rank, h.device) == (first.rank, first.device)]
    if holders:
        parts += [_holders(holders, width), Text()]
    if len(memory.devices) > 1:
        parts += [_devices(memory.devices), Text()]
    return Group(*parts)


def _chart(memory: Memory, device: DeviceMemory, width: int) -> Text:
    rows = [r for r in memory.series.to_pylist() if (r["rank"], r["device"]) == (device.rank, device.device)]
    levels = highest([(r["ns"], r["allocated_bytes"]) for r in rows], min(CHART, width - LABEL - 1))
    lowest = min(levels)
    floor = 0 if 2 * lowest < device.peak_bytes else lowest
    text = Text(no_wrap=True)
    for number, line in enumerate(area(levels, floor, device.peak_bytes, HEIGHT)):
        label = {0: size(device.peak_bytes), HEIGHT - 1: size(floor)}.get(number, "")
        text.append(label.rjust(LABEL) + " ")
        text.append(line + "\n", style="green")
    ends = f"{duration(rows[0]['ns'])} … {duration(rows[-1]['ns'])}"
    text.append(" " * (LABEL + 1) + ends.replace(" … ", " " * max(1, len(levels) - len(ends) + 2)))
    return text


def highest(points: Sequence[tuple[int, int]], columns: int) -> list[int]:
    """The highest level within each of so many equal stretches; a level holds until the next point.

    >>> highest([(0, 1), (5, 9), (6, 2), (8, 3)], 4)
    [1, 1, 9, 3]
    """
    start, end = points[0][0], points[-1][0]
    span = max(end - start, 1)
    inside: list[list[int]] = [[] for _ in range(columns)]
    begins = [False] * columns
    for ns, level in points:
        column = min((ns - start) * columns // span, columns - 1)
        begins[column] |= (ns - start) * columns == column * span
        inside[column].append(level)
    found, held = [], points[0][1]
    for levels, anew in zip(inside, begins):
        found.append(max(levels if anew else [held, *levels]))
        held = levels[-1] if levels else held
    return found


def area(levels: Sequence[int], floor: int, top: int, height: int) -> list[str]:
    """Lines of an area chart, the topmost first.

    >>> area([0, 4, 8, 16], 0, 16, 2)
    ['   █', ' ▄██']
    """
    steps = 8 * height
    filled = [(level - floor) * steps // max(top - floor, 1) if level > floor else 0 for level in levels]
    filled = [max(fill, 1) if level > 0 else 0 for fill, level in zip(filled, levels)]
    return [
        "".join(EIGHTHS[min(max(fill - 8 * line, 0), 8)] for fill in filled) for line in reversed(range(height))
    ]  # fmt: skip


def _holders(holders: Sequence[Holder], width: int) -> RenderableType:
    """What holds the peak, with a bar for each."""
    table = grid("held by", "blocks", "bytes", "share", "", right=("blocks", "bytes", "share"))
    for holder in holders[:TOP_HOLDERS]:
        name = shortened(_name(holder), max(20, width - BESIDE_NAME))
        bar = Text("█" * max(1, round(BAR * holder.share)), style="green" if holder.kind == "operator" else "yellow")
        table.add_row(
            Text(name, no_wrap=True), _blocks(holder.count), size(holder.bytes), percent(holder.share), bar
        )  # fmt: skip
    rest = holders[TOP_HOLDERS:]
    if rest:
        table.add_row(
            Text(f"… and {counted(len(rest), 'more row')}", style="dim"), _blocks(sum(h.count or 0 for h in rest)),
            size(sum(h.bytes for h in rest)), percent(sum(h.share for h in rest)),
        )  # fmt: skip
    return table


def _name(holder: Holder) -> str:
    return holder.key or "(not recorded)" if holder.kind == "operator" else holder.kind


def _blocks(number: int | None) -> str:
    return "–" if number is None else count(number)


def _devices(devices: Sequence[DeviceMemory]) -> RenderableType:
    """One row a rank and device, those with the highest peaks."""
    numbers = ("rank", "peak", "at", "first", "last", "reserved", "allocations")
    table = grid("device", *numbers, right=numbers)
    for device in devices[:TOP_DEVICES]:
        table.add_row(
            device.device, str(device.rank), size(device.peak_bytes), duration(device.peak_ns),
            size(device.start_bytes), size(device.end_bytes), size(device.reserved_bytes), count(device.allocations),
        )  # fmt: skip
    rest = devices[TOP_DEVICES:]
    if rest:
        more = Text(f"… and {count(len(rest))} more", style="dim", no_wrap=True)
        table.add_row(more, "", f"up to {size(max(d.peak_bytes for d in rest))}")
    return table
