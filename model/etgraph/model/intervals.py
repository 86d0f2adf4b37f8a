"""Sets of moments: the union of intervals, what two sets share, and how much of an interval lies in a set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etgraph.model.columns import Array


@dataclass(frozen=True, slots=True)
class Spans:
    """Disjoint intervals in order of time, none of which touches the next; ns, each with its start and without its end.

    >>> union(np.array([5, 0, 8]), np.array([9, 3, 12])).ns
    10
    """

    start_ns: Array
    end_ns: Array

    @property
    def ns(self) -> int:
        """Their whole length."""
        return int((self.end_ns - self.start_ns).sum())

    def within(self, start_ns: Array, end_ns: Array) -> Array:
        """How much of each of those intervals lies in the set, in ns."""
        lengths = np.concatenate([[0], np.cumsum(self.end_ns - self.start_ns)])

        def until(moment: Array) -> Array:
            at = np.searchsorted(self.start_ns, moment, side="right")
            if not len(self.start_ns):
                return np.zeros(len(at), dtype=np.int64)
            beyond = np.where(at > 0, np.maximum(self.end_ns[np.maximum(at - 1, 0)] - moment, 0), 0)
            found: Array = lengths[at] - beyond
            return found

        return until(end_ns) - until(start_ns)

    def clipped(self, start_ns: int, end_ns: int) -> Spans:
        """The part of the set from one moment to another."""
        start, end = np.maximum(self.start_ns, start_ns), np.minimum(self.end_ns, end_ns)
        some = end > start
        return Spans(start[some], end[some])

    def common(self, other: Spans) -> Spans:
        """What is in both sets."""
        return _covered(self, other, both=True)

    def without(self, other: Spans) -> Spans:
        """What is in this set and not in the other."""
        return _covered(self, other, both=False)


def union(start_ns: Array, end_ns: Array) -> Spans:
    """All moments that lie in one of the intervals, which may overlap and be empty. O(n log n)."""
    some = end_ns > start_ns
    order = np.argsort(start_ns[some], kind="stable")
    start, end = start_ns[some][order], end_ns[some][order]
    if not len(start):
        return Spans(start, end)
    reached = np.maximum.accumulate(end)
    first = np.flatnonzero(np.concatenate([[True], start[1:] > reached[:-1]]))
    last = np.concatenate([first[1:], [len(start)]]) - 1
    return Spans(start[first], reached[last])


def _covered(one: Spans, other: Spans, *, both: bool) -> Spans:
    """The parts of `one` in which `other` is present or absent, by counting starts and ends over time."""
    if not len(one.start_ns):
        return one
    edges = np.concatenate([one.start_ns, one.end_ns, other.start_ns, other.end_ns])
    mine = np.concatenate([np.ones(len(one.start_ns)), -np.ones(len(one.end_ns)), np.zeros(2 * len(other.start_ns))])
    theirs = np.concatenate(
        [np.zeros(2 * len(one.start_ns)), np.ones(len(other.start_ns)), -np.ones(len(other.end_ns))]
    )
    order = np.argsort(edges, kind="stable")
    moments, first = np.unique(edges[order], return_index=True)
    last = np.concatenate([first[1:], [len(edges)]]) - 1
    inside = np.cumsum(mine[order])[last] > 0
    present = np.cumsum(theirs[order])[last] > 0
    chosen = np.flatnonzero(inside & (present == both))
    return union(moments[chosen], moments[np.minimum(chosen + 1, len(moments) - 1)])
