"""What a rule found: dependencies that the measured times allow, and how many they refuted."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from etgraph.ingest.draft import dependencies
from etgraph.ingest.inference.ready import TOLERANCE_NS
from etgraph.ingest.inference.timeline import Timeline
from etgraph.model import Columns, DependencyKind, Report
from etgraph.model.columns import Array


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rule found: dependencies, its part of the report, and what it explains of when operators start."""

    edges: tuple[Columns, ...] = ()
    report: Report = field(default_factory=Report)

    def __add__(self, other: Finding) -> Finding:
        """Both findings as one."""
        return Finding(self.edges + other.edges, self.report + other.report)

    def with_report(self, report: Report) -> Finding:
        """The same with more in its report."""
        return Finding(self.edges, self.report + report)


def stored(
    t: Timeline, kind: DependencyKind, src: Array, dst: Array, method: str, confidence: float | Array, *,
    inferred: bool = True,
) -> Finding:  # fmt: skip
    """The edges of a rule that the measured times allow; those that they contradict are counted and left out.

    Each pair of operators is stored once.
    """
    pairs = src.astype(np.int64) * max(len(t.start), 1) + dst
    kept = np.sort(np.unique(pairs, return_index=True)[1])
    src, dst = src[kept], dst[kept]
    sure = np.broadcast_to(np.asarray(confidence, dtype=np.float32), len(pairs))[kept]
    allowed = permitted(t.start, t.end, kind, src, dst)
    report = Report().with_count(f"{kind.name}:{method}:contradicted by times", int((~allowed).sum()))
    if not allowed.any():
        return Finding(report=report)
    edges = dependencies(kind, src[allowed], dst[allowed], method, inferred=inferred, confidence=sure[allowed])
    return Finding((edges,), report)


def permitted(start: Array, end: Array, kind: DependencyKind, src: Array, dst: Array) -> Array:
    """Whether measured times allow each edge of one kind. There is no tolerance: clocks of a rank are one.

    An operator that held the device is left before its end, when its last blocks leave room; so OCCUPANCY asks only
    that it was running.
    """
    if kind is DependencyKind.SYNC:
        return np.asarray(end[src] <= end[dst])
    if kind is DependencyKind.SPAWN:
        return np.asarray(start[src] <= start[dst])
    if kind is DependencyKind.OCCUPANCY:
        return np.asarray((start[src] < start[dst]) & (start[dst] <= end[src] + TOLERANCE_NS))
    return np.asarray(end[src] <= start[dst])
