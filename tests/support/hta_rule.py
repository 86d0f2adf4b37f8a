"""Holistic Trace Analysis' breakdown of a device's time, by its rule and from the file alone.

Its operators are the events with a stream. Of a trace with several steps it drops those that were launched after the
last step began. Names tell communication and memory, the rest is computation. Times in fractions of a microsecond are
rounded, each start up and each end down.
"""

from __future__ import annotations

import gzip
import math
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import msgspec

TYPES = ("COMPUTATION", "COMMUNICATION", "MEMORY")
Interval = tuple[int, int]


class Arguments(msgspec.Struct):
    """What the rule reads of an event's arguments; -1 is as good as none."""

    stream: int = -1
    correlation: int = -1


class Event(msgspec.Struct):
    """What the rule reads of an event; times are the digits of the file."""

    name: str = ""
    cat: str | None = None
    ts: msgspec.Raw = msgspec.Raw(b"")
    dur: msgspec.Raw = msgspec.Raw(b"")
    args: Arguments | None = None


class File(msgspec.Struct):
    """A file of the profiler."""

    traceEvents: list[Event]


@dataclass(frozen=True)
class Kernel:
    """An operator of the device."""

    type: str
    ts: Decimal
    dur: Decimal

    def exact(self) -> Interval:
        """Start and end in ns."""
        return int(self.ts * 1000), int((self.ts + self.dur) * 1000)

    def rounded(self) -> Interval:
        """Start and end in ns as the tool has them: floating point, whose step is 0.25 µs today, then whole µs."""
        start = float(self.ts)
        return math.ceil(start) * 1000, math.floor(start + float(self.dur)) * 1000


def breakdown(file: Path, *, rounded: bool) -> dict[str, float]:
    """All cells of a file's one rank, in µs and per cent; `rounded` as the tool does it, else with exact times."""
    kernels, fractions = _kernels(file)
    interval = Kernel.rounded if rounded and fractions else Kernel.exact
    times = {type: _union(interval(k) for k in kernels if k.type == type) for type in TYPES}
    everything = _union(interval for intervals in times.values() for interval in intervals)
    whole, busy = everything[-1][1] - everything[0][0], _length(everything)
    computes = _length(times["COMPUTATION"])
    together = _together(times)
    cells = {"idle": whole - busy, "compute": computes, "non_compute": busy - computes, "kernel": whole, **together}
    found = {name: ns / 1000 for name, ns in cells.items()}
    if communicates := _length(times["COMMUNICATION"]):
        both = sum(ns for name, ns in together.items() if "COMPUTATION overlapping COMMUNICATION" in name)
        found["comp_comm_overlap_pctg"] = 100 * both / communicates
    return found


@lru_cache(maxsize=1)
def _kernels(file: Path) -> tuple[list[Kernel], bool]:
    """The device operators that count, and whether any time of the file has a fraction."""
    events = msgspec.json.decode(gzip.decompress(file.read_bytes()), type=File, strict=False).traceEvents
    timed = [e for e in events if bytes(e.dur) and bytes(e.ts) and e.cat not in (None, "Trace")]
    kept = _of_the_steps(timed)
    kernels = [
        Kernel(_type(e.name), _number(e.ts), _number(e.dur))
        for e in timed if e.args and e.args.stream != -1 and (kept is None or e.args.correlation in kept)
    ]  # fmt: skip
    return kernels, any(b"." in bytes(e.ts) for e in events)


def _number(digits: msgspec.Raw) -> Decimal:
    return Decimal(bytes(digits).decode())


def _of_the_steps(events: list[Event]) -> set[int] | None:
    """Correlations of what the host launched before the last step; None where there are not several steps."""
    on_host = [e for e in events if e.args is None or e.args.stream == -1]
    steps = [e for e in on_host if e.name.startswith("ProfilerStep")]
    if len({e.name for e in steps}) < 2:
        return None
    last = max(_number(e.ts) for e in steps)
    launches = (e for e in on_host if e.args is not None and e.args.correlation != -1)
    return {-1} | {e.args.correlation for e in launches if e.args is not None and _number(e.ts) < last}


def _type(name: str) -> str:
    if "ncclKernel" in name:
        return "COMMUNICATION"
    return "MEMORY" if "Memcpy" in name or "Memset" in name else "COMPUTATION"


def _union(intervals: Iterable[Interval]) -> list[Interval]:
    found: list[Interval] = []
    for start, end in sorted(intervals):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found


def _length(intervals: list[Interval]) -> int:
    return sum(end - start for start, end in intervals)


def _together(times: dict[str, list[Interval]]) -> dict[str, int]:
    """How long each combination of types runs, and no other one."""
    edges = sorted((t, change, type) for type in TYPES for a, b in times[type] for t, change in ((a, 1), (b, -1)))
    running = dict.fromkeys(TYPES, 0)
    found: dict[str, int] = {}
    for (t, change, type), (until, *_) in pairwise(edges):
        running[type] += change
        names = [name for name in TYPES if running[name] > 0]
        if names and until > t:
            key = " overlapping ".join(names)
            found[key] = found.get(key, 0) + until - t
    return found
