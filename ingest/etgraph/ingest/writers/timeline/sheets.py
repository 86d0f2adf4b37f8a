"""The timeline of one rank: its tracks, the slices on them, and the order in which these begin and end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from etgraph.ingest.writers.timeline.nesting import DEEPEST, levels
from etgraph.ingest.writers.timeline.path import LABEL, Path
from etgraph.ingest.writers.timeline.timed import Timed, among_equals, on_stream
from etgraph.model import Trace
from etgraph.model.columns import Array
from etgraph.model.kernels import COMPILE_FROM

OPERATOR: Final = 0
ANNOTATION: Final = 1
SEGMENT: Final = 2
"""What a slice is a row of: the trace's operators, its annotations, or the critical path."""


@dataclass(frozen=True, slots=True)
class Track:
    """A line of the timeline on which slices nest, of a lane (-1 for none): its own, or a further one.

    `operators` says whether it holds any.
    """

    name: str
    lane: int
    own: bool
    operators: bool


@dataclass(frozen=True)
class Sheet:
    """The slices of one rank, or of the critical path, in the order in which they begin.

    `source` says what a slice is a row of, `track` its position in `tracks`. Times are ns on the export's axis.
    """

    label: str
    rank: int
    tracks: tuple[Track, ...]
    source: Array
    row: Array
    track: Array
    start_ns: Array
    end_ns: Array
    aside: Array
    """Whether a slice had to leave its lane's own track."""

    def __len__(self) -> int:
        return len(self.row)

    def place(self, number: int) -> int:
        """The place among other sheets, if this is the one of some number: the critical path stands first."""
        return number if self.rank >= 0 else 0

    @cached_property
    def order(self) -> tuple[Array, Array]:
        """Slices (by position) as they begin and end, and whether an entry is the end.

        Of one moment, ends of what began before come first, the inner before the outer; then beginnings, the outer
        before the inner. A slice without duration ends right after its beginning.
        """
        count = len(self)
        instant = self.end_ns == self.start_ns
        lasting = np.flatnonzero(~instant)[::-1]
        ending = lasting[np.argsort(self.end_ns[lasting], kind="stable")]
        entries = np.concatenate([[0], np.cumsum(1 + instant)])
        begin = entries[:-1] + np.searchsorted(self.end_ns[ending], self.start_ns, side="right")
        begun = np.searchsorted(self.start_ns, self.end_ns[ending], side="left")
        slices, ends = np.empty(2 * count, dtype=np.int32), np.zeros(2 * count, dtype=bool)
        slices[begin] = np.arange(count)
        for place, which in (
            (begin[instant] + 1, np.flatnonzero(instant)),
            (np.arange(len(ending)) + entries[begun], ending),
        ):
            slices[place] = which
            ends[place] = True
        return slices, ends


def rank_sheets(trace: Trace, timed: Timed) -> Iterator[Sheet]:
    """The sheet of each rank, in order of ranks."""
    annotations = by_rank(trace.annotations["rank"], trace.ranks)
    for rank, rows in trace.rank_rows.items():
        operators = np.arange(rows.start, rows.stop)[timed.operators[rows]]
        marks = annotations[rank]
        yield _sheet(trace, rank, operators, marks[timed.annotations[marks]], timed.shift_ns)


def by_rank(values: Array, ranks: tuple[int, ...]) -> dict[int, Array]:
    """Rows of a table for each rank, in the table's order."""
    order = np.argsort(values, kind="stable")
    ends = [np.searchsorted(values[order], ranks, side=side) for side in ("left", "right")]
    return {rank: order[a:b] for rank, a, b in zip(ranks, *(e.tolist() for e in ends))}


def path_sheet(path: Path, shift_ns: int) -> Sheet:
    """The critical path as a sheet of one track."""
    start, end, count = path.start_ns, path.end_ns, len(path)
    same = np.zeros(count, dtype=np.int64)
    level = levels(same, start, end, same > 0, same - 1, np.array([1]))
    tracks = tuple(
        Track(f"{LABEL}, overlapping {k}" if k else LABEL, -1, k == 0, False) for k in range(1 + level.max(initial=0))
    )
    return Sheet(
        LABEL, -1, tracks, np.full(count, SEGMENT, dtype=np.int8), np.arange(count, dtype=np.int32), level,
        start + shift_ns, end + shift_ns, level > 0,
    )  # fmt: skip


def _sheet(trace: Trace, rank: int, operators: Array, marks: Array, shift: int) -> Sheet:
    o, a = trace.operators, trace.annotations
    source = np.repeat(np.array([OPERATOR, ANNOTATION], dtype=np.int8), [len(operators), len(marks)])
    row = np.concatenate([operators, marks])
    lane = np.concatenate([o["lane"][operators], a["lane"][marks]])
    start = np.concatenate([o["start_ns"][operators], a["start_ns"][marks]])
    end = start + np.concatenate([o["duration_ns"][operators], a["duration_ns"][marks]])
    # What annotates a stream lies beside its kernels, which it does not enclose.
    strips, strip = _strips(trace, lane, source)
    flat = (source == OPERATOR) & on_stream(trace, lane)
    order = np.lexsort((row, source == OPERATOR, among_equals(end, flat), start))
    source, row, strip, start, end = (values[order] for values in (source, row, strip, start, end))
    level = np.empty(len(row), dtype=np.int32)
    grouped = np.argsort(strip, kind="stable")
    parent = _parents(trace, source[grouped], row[grouped], strip[grouped])
    deepest = np.array([1 if stream else DEEPEST for _, stream, _ in strips], dtype=np.int64)
    level[grouped] = levels(
        strip[grouped], start[grouped], end[grouped], source[grouped] == ANNOTATION, parent, deepest,
        large=len(trace) >= COMPILE_FROM,
    )  # fmt: skip
    tracks, track = _tracks(trace, strips, strip, level, source)
    return Sheet(
        f"rank {rank}", rank, tracks, source, row.astype(np.int32), track, start + shift, end + shift, level > 0
    )


def _strips(trace: Trace, lane: Array, source: Array) -> tuple[list[tuple[int, bool, bool]], Array]:
    """Strips of a rank as (lane, whether it is a stream with its operators, whether it holds only annotations).

    Threads come first, then streams, each followed by what annotates it, then what has no lane.
    """
    stream = on_stream(trace, lane)
    beside = (source == ANNOTATION) & (stream | (lane < 0))
    place = np.where(lane < 0, 2, stream).astype(np.int64)
    keys, strip = np.unique(place << 33 | (lane + 1).astype(np.int64) << 1 | beside, return_inverse=True)
    lanes, besides = ((keys & 0x1FFFFFFFF) >> 1) - 1, keys & 1
    flat = (keys >> 33 == 1) & (besides == 0)
    return list(zip(lanes.tolist(), flat.tolist(), (besides == 1).tolist())), strip


def _parents(trace: Trace, source: Array, row: Array, strip: Array) -> Array:
    """Position of the enclosing operator of each slice among these slices, -1 where it is on another strip."""
    own = np.flatnonzero(source == OPERATOR)
    if not len(own):
        return np.full(len(row), -1, dtype=np.int64)
    first = int(row[own].min())
    place = np.full(int(row[own].max()) - first + 1, -1, dtype=np.int64)
    place[row[own] - first] = own
    parent = np.full(len(row), -1, dtype=np.int64)
    wanted = trace.operators["parent"][row[own]] - first
    there = (wanted >= 0) & (wanted < len(place))
    parent[own[there]] = place[wanted[there]]
    return np.where((parent >= 0) & (strip[parent] == strip), parent, -1)


def _tracks(
    trace: Trace, strips: list[tuple[int, bool, bool]], strip: Array, level: Array, source: Array
) -> tuple[tuple[Track, ...], Array]:
    """The tracks that are needed, with names that differ, and each slice's position among them."""
    keys, track = np.unique(strip.astype(np.int64) << 32 | level, return_inverse=True)
    holds = np.zeros(len(keys), dtype=bool)
    holds[track[source == OPERATOR]] = True
    tracks = []
    for key, operators in zip(keys.tolist(), holds.tolist()):
        lane, _, beside = strips[key >> 32]
        k = key & 0xFFFFFFFF
        name = _label(trace, lane) if not beside else f"{_label(trace, lane)}, annotations"
        tracks.append(Track(f"{name}, overlapping {k}" if k else name, lane, k == 0, operators))
    return tuple(tracks), track.astype(np.int32)


def _label(trace: Trace, lane: int) -> str:
    if lane < 0:
        return "no lane"
    label, name = trace.lane_label(lane), trace.lanes.value("name", lane)
    return label if not name or name == label else str(name) if str(name).startswith(label) else f"{label} ({name})"
