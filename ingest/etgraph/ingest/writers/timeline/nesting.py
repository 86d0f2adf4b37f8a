"""Which of a lane's intervals can share a track, on which one may only enclose another or follow it."""

from __future__ import annotations

import numpy as np

from etgraph.model.columns import Array
from etgraph.model.kernels import kernel

DEEPEST = 512
"""Intervals that may enclose each other on a track; Perfetto's trace processor drops what is deeper."""


def levels(
    strip: Array, start: Array, end: Array, yields: Array, parent: Array, deepest: Array, *, large: bool = False
) -> Array:
    """The track of each interval within its strip: 0 the strip's own, 1 and up tracks for what does not nest there.

    Intervals are sorted by strip and start, and those of one start so that what encloses comes first. `parent` is the
    position of the interval that called this one, -1 for none: who called what is kept together. Where two cross, the
    one that `yields` makes way, else the later one. `deepest` is how many intervals of each strip may enclose each
    other; 1 forbids any overlap. `large` says that these are a part of so many that compiling pays.
    """
    crossing, further = (_crossing.compiled, _further.compiled) if large else (_crossing, _further)
    off = crossing(strip, start, end, yields, parent, deepest)
    level = np.zeros(len(strip), dtype=np.int32)
    if off.any():
        further(np.flatnonzero(off), strip, start, end, parent, deepest, level)
    return level


@kernel
def _crossing(strip: Array, start: Array, end: Array, yields: Array, parent: Array, deepest: Array) -> Array:
    """Whether an interval has to leave the strip's own track."""
    off = np.zeros(len(strip), dtype=np.bool_)
    stack = np.empty(len(strip), dtype=np.int64)
    depth = 0
    for i in range(len(strip)):
        if i == 0 or strip[i] != strip[i - 1]:
            depth = 0
        while depth > 0 and end[stack[depth - 1]] <= start[i]:
            depth -= 1
        p = parent[i]
        if p >= 0 and off[p] and end[p] > start[i]:
            off[i] = True
            continue
        under = depth
        while under > 0 and end[stack[under - 1]] < end[i] and yields[stack[under - 1]] and not yields[i]:
            under -= 1
        if under >= deepest[strip[i]] or (under > 0 and end[stack[under - 1]] < end[i]):
            off[i] = True
            continue
        while depth > under:
            depth -= 1
            off[stack[depth]] = True
        stack[depth] = i
        depth += 1
    return off


@kernel
def _further(off: Array, strip: Array, start: Array, end: Array, parent: Array, deepest: Array, level: Array) -> None:
    """Fill `level` of the intervals `off` the own track: their parent's, else the first on which they nest."""
    below = np.empty(len(strip), dtype=np.int64)
    depth = np.zeros(len(strip), dtype=np.int64)
    top = np.full(len(off) + 1, -1, dtype=np.int64)
    count = 0
    for n in range(len(off)):
        i = off[n]
        if n == 0 or strip[i] != strip[off[n - 1]]:
            count = 0
        first = 0
        if parent[i] >= 0 and 0 < level[parent[i]] <= count:
            first = level[parent[i]] - 1
        for attempt in range(count + 1):
            k = attempt - 1
            if attempt == 0:
                k = first
            if k == count:
                break
            while top[k] >= 0 and end[top[k]] <= start[i]:
                top[k] = below[top[k]]
            if top[k] < 0 or (end[top[k]] >= end[i] and depth[top[k]] < deepest[strip[i]]):
                break
            k = count
        if k == count:
            count += 1
            top[k] = -1
        below[i] = top[k]
        depth[i] = 1 if top[k] < 0 else depth[top[k]] + 1
        top[k] = i
        level[i] = k + 1
