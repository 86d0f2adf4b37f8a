"""Dependencies as arrows between slices. An arrow leads on in time: viewers take its earlier end for its beginning."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from etgraph.ingest.writers.timeline.path import Path
from etgraph.ingest.writers.timeline.timed import Timed, among_equals, on_stream
from etgraph.model import DependencyKind, Trace
from etgraph.model.columns import Array
from etgraph.model.graph import adjacency

AT_ONCE: Final = 1 << 16
PATH: Final = len(DependencyKind)
"""Kind of the arrows of the critical path, beside the kinds of dependencies."""
KINDS: Final = (*(kind.name for kind in DependencyKind), "critical path")


@dataclass(frozen=True, slots=True)
class Arrows:
    """Numbers of arrows by node: those of node n are `numbers[offsets[n]:offsets[n + 1]]`."""

    offsets: Array
    numbers: Array

    def of(self, nodes: Array) -> tuple[Array, Array]:
        """How many arrows each of these nodes has, and the numbers of all of them one after another."""
        first = self.offsets[nodes]
        counts = self.offsets[nodes + 1] - first
        ends = np.cumsum(counts)
        total = int(ends[-1]) if len(ends) else 0
        return counts, self.numbers[np.repeat(first - (ends - counts), counts) + np.arange(total)]


@dataclass(frozen=True, slots=True)
class Flows:
    """Arrows by the slices they touch. Node n is row n of the operators; the segments of a path follow.

    `out` are the arrows that leave with the beginning of a node, `into` those that reach its beginning, `late` those
    that reach its end, because it began before the arrow does. Arrow n is row n of the dependencies;
    those of collectives (from the last member to each other one) and of the path follow. `kind` is the position in
    `KINDS` of each.
    """

    out: Arrows
    into: Arrows
    late: Arrows
    kind: Array
    dependencies: int
    backwards: int
    """Arrows that lead from target to source, because the target has ended when the source begins."""


def flows(trace: Trace, timed: Timed, path: Path | None) -> Flows:
    """The arrows of every dependency and collective between operators with times, and of the path."""
    o, d = trace.operators, trace.dependencies
    start, end = o["start_ns"], o["start_ns"] + np.where(timed.operators, o["duration_ns"], 0)
    among = among_equals(end, on_stream(trace, o["lane"]))
    members = _meetings(trace, timed)
    pairs = [np.stack([d["src"], d["dst"]]).astype(np.int32), members]
    kinds = [d["kind"].astype(np.int8), np.full(members.shape[1], int(DependencyKind.COLLECTIVE), dtype=np.int8)]
    process = o["rank"]
    nodes, has = len(trace), timed.operators
    if path is not None:
        start, end = np.concatenate([start, path.start_ns]), np.concatenate([end, path.end_ns])
        among = np.concatenate([among, np.zeros(len(path), dtype=among.dtype)])  # segments are in order
        process = np.concatenate([process, np.full(len(path), np.iinfo(process.dtype).max)])
        has = np.concatenate([has, np.ones(len(path), dtype=bool)])
        pairs.append(_along(nodes, has, path))
        kinds.append(np.full(pairs[-1].shape[1], PATH, dtype=np.int8))
        nodes += len(path)
    (src, dst), kind = np.concatenate(pairs, axis=1), np.concatenate(kinds)
    drawn, late = has[src] & has[dst] & (src != dst), np.zeros(len(src), dtype=bool)
    backwards = 0
    for piece in _pieces(len(src)):
        first, second = src[piece].copy(), dst[piece].copy()
        after = ~_before(first, second, (among, process, start))
        never = after & (start[first] >= end[second])
        src[piece], dst[piece] = np.where(never, second, first), np.where(never, first, second)
        late[piece] = after & ~never
        backwards += int((never & drawn[piece]).sum())
    numbers = np.arange(len(src), dtype=np.uint32)

    def by(ends: Array, chosen: Array) -> Arrows:
        grouped = adjacency(nodes + 1, ends[chosen], numbers[chosen])
        return Arrows(grouped.offsets, grouped.neighbours)

    return Flows(
        by(src, drawn), by(dst, drawn & ~late), by(dst, drawn & late), kind, int(drawn[: len(d)].sum()), backwards
    )


def _pieces(count: int) -> Iterator[slice]:
    return (slice(at, at + AT_ONCE) for at in range(0, count, AT_ONCE))


def _before(first: Array, second: Array, keys: tuple[Array, ...]) -> Array:
    """Whether one node stands before another in an export: by the last of the keys, then by those before it, by row."""
    before: Array = first < second
    for key in keys:
        a, b = key[first], key[second]
        before = np.where(a == b, before, a < b)
    return before


def _meetings(trace: Trace, timed: Timed) -> Array:
    """Arrows of collectives: the member that starts last holds up each of the others."""
    o = trace.operators
    rows = np.flatnonzero((o["collective"] >= 0) & timed.operators)
    rows = rows[np.lexsort((rows, o["start_ns"][rows], o["collective"][rows]))]
    meeting = o["collective"][rows]
    last = np.searchsorted(meeting, meeting, side="right") - 1
    others = last != np.arange(len(rows))
    return np.stack([rows[last[others]], rows[others]]).astype(np.int32)


def _along(nodes: int, has: Array, path: Path) -> Array:
    """Arrows of a path: from each operator to its segments, and from segment to segment.

    An operator begins no later than what the path spends in it, so this is the way that leads on in time.
    """
    segments = np.arange(nodes, nodes + len(path))
    own = np.flatnonzero((path.operator >= 0) & has[path.operator])
    pairs = [np.stack([path.operator[own], segments[own]]), np.stack([segments[:-1], segments[1:]])]
    return np.concatenate(pairs, axis=1).astype(np.int32)
