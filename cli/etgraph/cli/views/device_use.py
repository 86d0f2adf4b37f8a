"""Devices for a reader: a strip of what limited each over time, why they were idle, and what stalled them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from etgraph.cli.units import count, counted, duration, percent, printable, shortened
from etgraph.cli.views.path import lines
from etgraph.cli.views.tables import ROOMY, grid

if TYPE_CHECKING:
    from etgraph.queries.device_stalls import Stall
    from etgraph.queries.device_use import Device, DeviceUse, Phase, Starved

MOST_DEVICES = 16
TOP = 8
BAR = 24
BESIDE_STRIP = 18
LONGEST_STRIP = 96
BESIDE_STALL = 58
BESIDE_STARVED = 32

# Fill character and colour of each kind of phase; the characters tell them apart where there is no colour.
LOOKS = {
    "device-bound": ("█", "green"),
    "communication-bound": ("▓", "magenta"),
    "launch-bound": ("╱", "cyan"),
    "host-bound": ("░", "blue"),
    "start-up": ("▒", "yellow"),
    "waiting": ("·", "red"),
}
CAUSES = (
    ("busy_ns", "busy", "an operator ran", "green"),
    ("host_ns", "host", "the next launch had not begun", "blue"),
    ("launch_call_ns", "launch call", "the launching call was under way", "cyan"),
    ("launch_latency_ns", "launch latency", "launched, usual latency", "cyan"),
    ("waiting_ns", "waiting", "launched, right after what it waited for", "red"),
    ("before_recording_ns", "before recording", "perhaps at work from before it", "red"),
    ("unexplained_ns", "unexplained", "launched, no recorded cause", "red"),
)


def device_use_view(use: DeviceUse, title: str, width: int) -> RenderableType:
    """Devices, their phases as strips, the sum of why they were idle, stalls, and what hosts did meanwhile."""
    parts: list[RenderableType] = [Text(printable(title), style="bold"), Text()]
    parts += [_devices(use.devices, width), Text(), *_strips(use, width), Text(), _causes(use.devices), Text()]
    if use.stalls:
        parts += [_stalls(use.stalls, width), Text()]
    if use.starved:
        parts += [_starved(use.starved, width), Text()]
    return Group(*parts)


def _shown(devices: Sequence[Device]) -> list[Device]:
    """The devices that there is room for, in order: those that starve most."""
    chosen = sorted(devices, key=lambda one: (-one.starved_share, one.rank))[:MOST_DEVICES]
    return [one for one in devices if one in chosen]


def _devices(devices: Sequence[Device], width: int) -> RenderableType:
    queue = {"queue p50": "queue_p50"} | ({"p95": "queue_p95"} if width >= ROOMY else {})
    numbers = ("rank", "device", "window", "busy", "starved", *queue, "empty")
    table = grid(*numbers, "mostly", right=numbers)
    table.columns[-1].no_wrap = True
    for one in _shown(devices):
        table.add_row(
            str(one.rank), "–" if one.device is None else str(one.device), duration(one.window_ns),
            percent(one.busy_share), percent(one.starved_share),
            *("–" if value is None else count(value) for value in (getattr(one, field) for field in queue.values())),
            percent(one.empty_queue_share), one.verdict,
        )  # fmt: skip
    if len(devices) > MOST_DEVICES:
        window = sum(one.window_ns for one in devices)
        table.add_row(
            "", "", f"{len(devices)} devices", percent(sum(one.busy_ns for one in devices) / window),
            percent(sum(one.host_ns + one.launch_call_ns for one in devices) / window), *([""] * len(queue)), "",
            "all of them",
        )  # fmt: skip
    return table


def _strips(use: DeviceUse, width: int) -> Iterator[Text]:
    """A line for each device: what limited it most in each equal part of its window; and a legend."""
    cells = max(10, min(LONGEST_STRIP, width - BESIDE_STRIP))
    kinds: dict[str, None] = {}
    for one in _shown(use.devices):
        own = [phase for phase in use.phases if (phase.rank, phase.device) == (one.rank, one.device)]
        text = Text(f"{_name(one.rank, one.device)} ".rjust(BESIDE_STRIP - 4), no_wrap=True)
        for kind in _cells(own, one, cells):
            text.append(LOOKS[kind][0], LOOKS[kind][1])
            kinds[kind] = None
        yield text
    legend = Text(" " * (BESIDE_STRIP - 4))
    for number, kind in enumerate(kinds):
        legend.append("   " if number else "")
        legend.append(LOOKS[kind][0], LOOKS[kind][1])
        legend.append(f" {kind}")
    yield legend


def _cells(phases: Sequence[Phase], device: Device, cells: int) -> list[str]:
    """The kind that has most of each equal part of the window."""
    found = []
    place = 0
    for cell in range(cells if device.window_ns else 0):
        start = device.start_ns + device.window_ns * cell // cells
        end = device.start_ns + device.window_ns * (cell + 1) // cells
        while phases[place].end_ns <= start and place + 1 < len(phases):
            place += 1
        share: dict[str, int] = {}
        for phase in phases[place:]:
            if phase.start_ns >= max(end, start + 1):
                break
            lasts = min(phase.end_ns, end) - max(phase.start_ns, start)
            share[phase.kind] = share.get(phase.kind, 0) + max(lasts, 0)
        found.append(max(share, key=lambda kind: share[kind]))
    return found


def _name(rank: int, device: int | None) -> str:
    return f"rank {rank}" if device is None else f"rank {rank}, {device}"


def _causes(devices: Sequence[Device]) -> RenderableType:
    """Where the time of all devices went; the rows add up to their windows."""
    window = sum(one.window_ns for one in devices)
    table = grid("device", "time", "share", "", "", right=("time", "share"))
    for field, name, meaning, colour in CAUSES:
        ns = sum(getattr(one, field) for one in devices)
        if ns:
            share = ns / window
            table.add_row(name, duration(ns), percent(share), Text("█" * max(1, round(BAR * share)), colour), meaning)
        if field == "busy_ns" and (alone := sum(one.communication_ns for one in devices)):
            share = alone / window
            bar = Text("▓" * max(1, round(BAR * share)), "magenta")
            table.add_row("  communication", duration(alone), percent(share), bar, "of it only communication ran")
    return table


def _stalls(stalls: Sequence[Stall], width: int) -> RenderableType:
    """The blocking calls without which most would be gained, and the sum of the others."""
    numbers = ("times", "blocked", "stalled", "to gain")
    table = grid("call", "under", *numbers, right=numbers)
    call, under = (21, max(16, width - BESIDE_STALL))
    for one in stalls[:TOP]:
        table.add_row(
            Text(shortened(one.call, call), no_wrap=True), Text(shortened(_under(one), under), no_wrap=True),
            count(one.count), duration(one.blocked_ns), duration(one.stall_ns), duration(one.gain_ns),
        )  # fmt: skip
    if rest := stalls[TOP:]:
        table.add_row(
            Text(f"… and {counted(len(rest), 'more place')}", style="dim"), "", count(sum(one.count for one in rest)),
            *(duration(sum(getattr(one, field) for one in rest)) for field in ("blocked_ns", "stall_ns", "gain_ns")),
        )  # fmt: skip
    return table


def _under(stall: Stall) -> str:
    """Operator and place of a blocking call in a few words."""
    place = stall.source or (stall.scope or "").rsplit("/", 1)[-1]
    return " in ".join(filter(None, (stall.operator, place.strip("# ")))) or "–"


def _starved(starved: Sequence[Starved], width: int) -> RenderableType:
    """What the launching threads did while their devices had nothing to run."""
    table = grid("host, while a device starved", "times", "time", "share", right=("times", "time", "share"))
    for one in starved[:TOP]:
        name = "between operators" if one.name is None else shortened(one.name, max(24, width - BESIDE_STARVED))
        times = "" if one.name is None else count(one.count)
        table.add_row(Text(name, no_wrap=True), times, duration(one.ns), percent(one.share))
    if rest := starved[TOP:]:
        table.add_row(
            Text(f"… and {counted(len(rest), 'more operator')}", style="dim"), count(sum(one.count for one in rest)),
            duration(sum(one.ns for one in rest)), percent(sum(one.share for one in rest)),
        )  # fmt: skip
    return table


def phase_lines(use: DeviceUse, width: int) -> Iterator[str]:
    """All phases in order, one a line; a start counts from that of the window."""
    start = {(one.rank, one.device): one.start_ns for one in use.devices}
    rows = [
        (
            f"+{duration(phase.start_ns - start[phase.rank, phase.device])}", duration(phase.end_ns - phase.start_ns),
            percent(phase.busy_ns / (phase.end_ns - phase.start_ns)), _name(phase.rank, phase.device), phase.kind,
        )
        for phase in use.phases
    ]  # fmt: skip
    yield from lines(("start", "time", "busy", "device", "kind"), rows, width, flexible="kind")
