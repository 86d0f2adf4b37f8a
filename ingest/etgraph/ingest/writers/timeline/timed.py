"""What of a trace has a place in time, and where on the axis of an export it goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from etgraph.ingest.writers.output import ExportError
from etgraph.ingest.writers.timeline.moments import MOMENTS
from etgraph.ingest.writers.timeline.path import Path
from etgraph.model import Columns, LaneKind, Trace
from etgraph.model.columns import Array
from etgraph.model.errors import MissingData

_LAST: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Timed:
    """Rows with times, and the ns by which an export moves all of them, so that none lies before zero.

    `operators` and `annotations` are true for each row that has a start and a duration.
    """

    operators: Array
    annotations: Array
    shift_ns: int


def timed(trace: Trace, path: Path | None) -> Timed:
    """What has times. Raises MissingData where no operator has any, ExportError where they are too far apart."""
    operators, annotations = _has_times(trace.operators), _has_times(trace.annotations)
    if not operators.any():
        raise MissingData(
            f"none of the {len(trace)} operators of this trace has a start and a duration; a timeline needs them",
            hint="export the graph instead, for example --format networkx",
        )
    spans = [_extent(columns, has) for columns, has in
             ((trace.operators, operators), (trace.annotations, annotations)) if has.any()]  # fmt: skip
    for name in MOMENTS:
        moments = trace.tables[name]["time_ns"]
        spans += [(int(moments.min()), int(moments.max()))] if len(moments) else []
    if path is not None and len(path):
        spans.append((int(path.start_ns.min()), int(path.end_ns.max())))
    first, last = min(first for first, _ in spans), max(last for _, last in spans)
    shift = max(0, -first)
    if last + shift > _LAST:
        raise ExportError(f"times from {first} to {last} ns do not fit a timeline, which takes {_LAST} ns at most")
    return Timed(operators, annotations, shift)


def on_stream(trace: Trace, lane: Array) -> Array:
    """Whether each of these lanes is a stream."""
    if not len(trace.lanes):
        return np.zeros(len(lane), dtype=bool)
    streams: Array = (lane >= 0) & (trace.lanes["kind"][lane] == int(LaneKind.STREAM))
    return streams


def among_equals(end_ns: Array, stream: Array) -> Array:
    """What orders slices that begin at one moment.

    On a thread the longer goes first, because it encloses the others; on a stream the shorter, which the others follow.
    """
    return np.where(stream, end_ns, -end_ns)


def _has_times(columns: Columns) -> Array:
    null = columns.table.column("start_ns").null
    duration: Array = columns["duration_ns"]
    has: Array = (columns["start_ns"] != null) & (duration != null) & (duration >= 0)
    return has


def _extent(columns: Columns, has: Array) -> tuple[int, int]:
    """First start and last end of the rows that have times; an end beyond 64 bits counts as infinitely late."""
    start, duration = columns["start_ns"][has], columns["duration_ns"][has]
    late = (start > _LAST - duration).any()
    return int(start.min()), 2 * _LAST if late else int((start + duration).max())
