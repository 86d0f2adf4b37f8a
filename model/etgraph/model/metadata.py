"""What a trace says about itself: origin, hardware, clocks, and the report of how it was read."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Source:
    """One file that a trace was read from. `bytes` and `sha256` are of its decompressed content."""

    name: str
    format: str
    rank: int
    bytes: int
    sha256: str
    rank_from: str = ""
    document: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ignored:
    """A file beside the traces that is none of them, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Report:
    """How the files became a graph: counts of what was found, linked and left, warnings in words, files left out.

    `pairs` says for each rank whose host and device file were linked what these are of each other: "same process and
    iteration", "other iteration", "other process" or "unknown".
    """

    host_operators: int = 0
    linked_operators: int = 0
    device_operators: int = 0
    launched_device_operators: int = 0
    collectives_matched: int = 0
    collectives_unmatched: int = 0
    dangling_dependencies: int = 0
    pairs: dict[int, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    ignored: tuple[Ignored, ...] = ()

    def __add__(self, other: Report) -> Report:
        """Sums of the counts, warnings and files left out of both without repeats."""
        names = ("host_operators", "linked_operators", "device_operators", "launched_device_operators",
                 "collectives_matched", "collectives_unmatched", "dangling_dependencies")  # fmt: skip
        counts = dict(self.counts)
        for key, value in other.counts.items():
            counts[key] = counts.get(key, 0) + value
        warnings = tuple(dict.fromkeys(self.warnings + other.warnings))
        sums = {name: getattr(self, name) + getattr(other, name) for name in names}
        ignored = tuple(dict.fromkeys(self.ignored + other.ignored))
        return Report(**sums, pairs=self.pairs | other.pairs, counts=counts, warnings=warnings, ignored=ignored)

    def with_count(self, name: str, value: int, warning: str = "") -> Report:
        """One more count, left out when zero, with a warning to go with it."""
        return self + Report(counts={name: value}, warnings=(warning,) if warning else ()) if value else self


@dataclass(frozen=True, slots=True)
class Metadata:
    """Facts of the whole trace.

    `zero_ns` is the trace's zero in the recorded clock (Unix time where the profiler used it, else None or its own
    origin); `clock_offsets_ns` holds for each rank what was added to its times; `timeline` is "measured" or says
    which simulation or edit the times come from.
    """

    sources: tuple[Source, ...] = ()
    world_size: int | None = None
    device_model: str | None = None
    start_time: str | None = None
    zero_ns: int | None = None
    clock_offsets_ns: dict[int, int] = field(default_factory=dict)
    timeline: str = "measured"
    options: dict[str, Any] = field(default_factory=dict)
    report: Report = field(default_factory=Report)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, as kept by the stores."""
        import msgspec

        document: dict[str, Any] = msgspec.to_builtins(self, str_keys=True)
        return document

    @staticmethod
    def from_json(document: dict[str, Any]) -> Metadata:
        """The inverse of `to_json`."""
        import msgspec

        return msgspec.convert(document, Metadata, strict=False)

    def with_report(self, report: Report) -> Metadata:
        """The same facts with another report."""
        return replace(self, report=report)
