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
from typing import Any

import msgspec

TYPES = ("COMPUTATION", "COMMUNICATION", "MEMORY")
Interval = tuple[int, int]


class Arguments(msgspec.Struct):
    """What the rule reads of an event's arguments; -1 is as good as none."""

    stream: int = -1
    correlation: int = -1


class Event(msgspec.Struct):
    """What the rule reads of an event; times keep their digits."""

    name: str = ""
    cat: str | None = None
    ts: Decimal | None = None
    dur: Decimal | None = None
    args: Any = None


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
    timed = [e for e in events if e.dur is not None and e.cat not in (None, "Trace")]
    arguments = [msgspec.convert(e.args or {}, Arguments, strict=False) for e in timed]
    kept = _of_the_steps(timed, arguments)
    kernels = [
        Kernel(_type(e.name), e.ts or Decimal(0), e.dur or Decimal(0))
        for e, a in zip(timed, arguments) if a.stream != -1 and (kept is None or a.correlation in kept)
    ]  # fmt: skip
    return kernels, any(e.ts is not None and "." in str(e.ts) for e in events)


def _of_the_steps(events: list[Event], arguments: list[Arguments]) -> set[int] | None:
    """Correlations of what the host launched before the last step; None where there are not several steps."""
    on_host = [(e, a) for e, a in zip(events, arguments) if a.stream == -1 and e.ts is not None]
    steps = [e for e, _ in on_host if e.name.startswith("ProfilerStep")]
    if len({e.name for e in steps}) < 2:
        return None
    last = max(e.ts for e in steps if e.ts is not None)
    return {a.correlation for e, a in on_host if e.ts is not None and e.ts < last}


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
