"""Calls: what operators enclose, and what of their time is their own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etgraph.model import Trace
from etgraph.model.columns import Array
from etgraph.model.intervals import union
from etgraph.model.kernels import kernel


@dataclass(frozen=True, slots=True)
class CallTrees:
    """Operators in an order in which each stands right before all that it encloses, at any depth.

    `place` is each operator's position in that order, `after` the position behind the last one that it encloses.
    """

    order: Array
    place: Array
    after: Array

    def sums(self, values: Array) -> Array:
        """For each operator the sum of the values of itself and of all that it encloses."""
        total = np.concatenate([[0], np.cumsum(values[self.order])])
        found: Array = total[self.after] - total[self.place]
        return found

    def outermost(self, rows: Array, key: Array) -> Array:
        """Whether each of the rows is enclosed by none of them that has the same key (integers, one a row)."""
        n = len(self.order)
        both = np.sort(key.astype(np.int64) * (n + 1) + self.place[rows])
        # Trees of one key after another on one line, so that one running maximum serves all of them.
        ends = both + (self.after - self.place)[self.order[both % (n + 1)]]
        inside = np.maximum.accumulate(ends)[:-1] > both[1:]
        outer = np.ones(n, dtype=bool)
        outer[self.order[both[1:][inside] % (n + 1)]] = False
        found: Array = outer[rows]
        return found


def call_trees(trace: Trace) -> CallTrees:
    """The trees that `parent` makes of a trace's operators, O(n log n)."""
    return forest(trace.operators["parent"])


def forest(parent: Array) -> CallTrees:
    """The trees that parents (-1 at the top) make of rows, siblings in order; those that form a circle hold nothing."""
    n = len(parent)
    first, following = np.full(n, -1, dtype=np.int64), np.full(n, -1, dtype=np.int64)
    siblings = np.argsort(parent, kind="stable")
    above = parent[siblings]
    new = np.diff(above, prepend=-2) != 0
    following[siblings[:-1][~new[1:]]] = siblings[1:][~new[1:]]
    oldest = siblings[new & (above >= 0)]
    first[parent[oldest]] = oldest
    root = int(siblings[0]) if n and above[0] < 0 else -1
    place, after = _preorder(root, parent, first, following)
    unreached = np.flatnonzero(place < 0)
    place[unreached] = n - len(unreached) + np.arange(len(unreached))
    after[unreached] = place[unreached] + 1
    order = np.empty(n, dtype=np.int64)
    order[place] = np.arange(n)
    return CallTrees(order, place, after)


@kernel
def _preorder(root: int, parent: Array, first: Array, following: Array) -> tuple[Array, Array]:
    """Place and end of all that is reached from the first root, by first children and following siblings."""
    place = np.full(len(parent), -1, dtype=np.int64)
    after = np.full(len(parent), -1, dtype=np.int64)
    count = 0
    v = root
    while v >= 0:
        place[v] = count
        count += 1
        if first[v] >= 0:
            v = first[v]
            continue
        while v >= 0:
            after[v] = count
            if following[v] >= 0:
                v = following[v]
                break
            v = parent[v]
    return place, after


def own_times(trace: Trace) -> Array:
    """How long each operator was the innermost open one of its thread, in ns; of device operators the duration.

    What outlives an operator around it counts up to that one's end, so that own times never overlap and add up to the
    time in which threads were busy. Without start times, the durations of what is enclosed are taken off, down to 0.
    An operator without a duration has 0. O(n log n).
    """
    o = trace.operators
    parent = o["parent"]
    known = ~o.is_null("duration_ns")
    timed = known & ~o.is_null("start_ns")
    duration = np.where(known, o["duration_ns"], 0)
    inner = np.flatnonzero((parent >= 0) & known)
    inner = inner[known[parent[inner]]]
    placed = timed[inner] & timed[parent[inner]]
    start = np.where(timed, o["start_ns"], 0)
    end = _clipped(parent, np.where(timed, trace.end_ns, np.iinfo(np.int64).max))
    start = np.minimum(start, end)
    own = np.where(timed, end - start, duration)
    beside = inner[~placed]
    np.subtract.at(own, parent[beside], duration[beside])
    inner = inner[placed]
    around = parent[inner]
    # One line on which each enclosing operator has a stretch of its own length.
    room = np.zeros(len(parent), dtype=np.int64)
    room[around] = end[around] - start[around]
    stretch = np.cumsum(room) - room
    shift = stretch[around] - start[around]
    limits = stretch[around], stretch[around] + room[around]
    covered = union(np.clip(start[inner] + shift, *limits), np.clip(end[inner] + shift, *limits))
    enclosing = np.flatnonzero(room)
    own[enclosing] -= covered.within(stretch[enclosing], (stretch + room)[enclosing])
    return np.maximum(own, 0)


def _clipped(parent: Array, end: Array) -> Array:
    """The least end of each operator and those around it, by doubling the distance that is looked up."""
    jump = parent.astype(np.int64)
    for _ in range(len(parent).bit_length() + 1):
        inner = np.flatnonzero(jump >= 0)
        if not len(inner):
            break
        end[inner] = np.minimum(end[inner], end[jump[inner]])
        jump[inner] = jump[jump[inner]]
    return end
