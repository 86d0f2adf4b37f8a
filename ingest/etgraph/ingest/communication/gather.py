"""Which collectives of several ranks are one: by number within the group, else by order, if the times allow it.

Nobody leaves a collective before the last has come. So operators of one rendezvous overlap in pairs, and a set of
which one ends before another starts is none. Without numbers, nor is one whose operators on devices do not end
together. Where the ranks recorded different numbers of operators, a set counts when its members overlap no other
operator of its kind: that is an anchor, and between two anchors order counts again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from etgraph.ingest.communication.members import codes, ordinals
from etgraph.model.columns import Array
from etgraph.model.kernels import kernel

NO_SET: Final = -1
APART_NS: Final = 10_000
APART_SHARE: Final = 50
ANY_TIME: Final = 2**61
"""A tolerance that no times exceed: of ranks whose clocks cannot be compared."""


@dataclass(frozen=True, slots=True)
class Operators:
    """Operators of one or more keys, each key's in order on each rank; `timed` says which have times.

    Those on devices leave a collective together.
    """

    key: Array
    rank: Array
    start: Array
    end: Array
    timed: Array
    device: Array

    def take(self, which: Array) -> Operators:
        """Only some of them."""
        return Operators(*(c[which] for c in (self.key, self.rank, self.start, self.end, self.timed, self.device)))


def causal(sets: Array, ops: Operators, tolerance: int) -> Array:
    """For each set whether no member ends before the last starts; members without times are not asked."""
    count = int(sets.max(initial=-1)) + 1
    last = np.full(count, -(2**62))
    first = np.full(count, 2**62)
    chosen = (sets >= 0) & ops.timed
    np.maximum.at(last, sets[chosen], ops.start[chosen])
    np.minimum.at(first, sets[chosen], ops.end[chosen])
    result: Array = last <= first + tolerance
    return result


def together(sets: Array, ops: Operators, tolerance: int) -> Array:
    """For each set whether its members on devices end together: within 10 µs, or a fiftieth of the longest one.

    The tolerance of the clocks comes on top.
    """
    count = int(sets.max(initial=-1)) + 1
    first, last, longest = np.full(count, 2**62), np.full(count, -(2**62)), np.zeros(count, dtype=np.int64)
    chosen = (sets >= 0) & ops.timed & ops.device
    np.minimum.at(first, sets[chosen], ops.end[chosen])
    np.maximum.at(last, sets[chosen], ops.end[chosen])
    np.maximum.at(longest, sets[chosen], (ops.end - ops.start)[chosen])
    result: Array = last - first <= np.maximum(APART_NS, longest // APART_SHARE) + tolerance
    return result


def meet(sets: Array, ops: Operators, tolerance: int) -> Array:
    """For each set whether times let its members be one rendezvous."""
    result: Array = causal(sets, ops, tolerance) & together(sets, ops, tolerance)
    return result


def by_number(group: Array, number: Array, kind: Array, ops: Operators, tolerance: int) -> tuple[Array, Array]:
    """Sets of equal number within a group; of several with one number on a rank the k-th of each.

    Numbers that agree are recorded, so members need not end together: clocks of devices differ, and causality still
    refutes numbers that are not of one count. Returns the set of each operator, `NO_SET` for none, and which of those
    without would meet against causality or are of different kinds.
    """
    sets = codes(group, number, ordinals(codes(group, number, ops.rank)))
    count = int(sets.max(initial=-1)) + 1
    first = np.full(count, -1, dtype=np.int64)
    first[sets[::-1]] = kind[::-1]
    alike = np.bincount(sets, weights=kind != first[sets], minlength=count) == 0
    good = alike & causal(sets, ops, tolerance)
    return np.where(good[sets], sets, NO_SET), ~good[sets]


def by_order(ops: Operators, wanted: Array, tolerance: int) -> tuple[Array, Array]:
    """Sets of the k-th operator of each rank, for each key; `wanted` is the number of ranks that should have each key.

    Returns the set of each operator, `NO_SET` for none, and which of those without are in keys where all ranks have
    equally many but the k-th of them contradict the times.
    """
    sets = codes(ops.key, ordinals(codes(ops.key, ops.rank)))
    count, keys = int(sets.max(initial=-1)) + 1, int(ops.key.max(initial=-1)) + 1
    key_of = np.zeros(count, dtype=np.int64)
    key_of[sets] = ops.key
    complete = np.bincount(sets, minlength=count) == wanted[key_of]
    even = np.bincount(key_of, weights=~complete, minlength=keys) == 0
    in_time = np.bincount(key_of, weights=~meet(sets, ops, tolerance), minlength=keys) == 0
    result = np.where((even & in_time)[ops.key], sets, NO_SET)
    order = np.argsort(ops.key, kind="stable")
    starts = np.searchsorted(ops.key[order], np.arange(keys + 1))
    for key in np.flatnonzero(~(even & in_time)).tolist():
        here = order[starts[key] : starts[key + 1]]
        ranks, first = np.unique(ops.rank[here], return_index=True)
        if len(ranks) == wanted[key] > 1 and ops.timed[here].all() and tolerance < ANY_TIME:
            part = ops.take(here)
            found = _anchored(np.append(first, len(here)), part.start, part.end, part.device, tolerance)
            result[here] = np.where(found >= 0, count + found, NO_SET)
            count += len(here)
    return result, (result == NO_SET) & (even & ~in_time)[ops.key]


@kernel
def _anchored(first: Array, start: Array, end: Array, device: Array, tolerance: int) -> Array:
    """Sets of operators sorted by rank and start, whose ranks begin at `first`; -1 for operators in none."""
    ranks = len(first) - 1
    result = np.full(len(start), -1, dtype=np.int64)
    fewest = len(start)
    for r in range(ranks):
        fewest = min(fewest, first[r + 1] - first[r])
    place = np.empty((fewest + 2, ranks), dtype=np.int64)
    anchors = 1
    for r in range(ranks):
        place[0, r] = first[r] - 1
    at = first[:-1].copy()
    running = True
    while running:
        last = start[at[0]]
        for r in range(1, ranks):
            last = max(last, start[at[r]])
        left, apart = -np.int64(2**62), np.int64(APART_NS)
        for r in range(ranks):
            if device[at[r]]:
                left = max(left, end[at[r]])
                apart = max(apart, (end[at[r]] - start[at[r]]) // APART_SHARE)
        left -= apart + tolerance
        waits = True
        for r in range(ranks):
            # What ends too early for the others' operators does so for all their later ones.
            if end[at[r]] + tolerance < last or (device[at[r]] and end[at[r]] < left):
                at[r] += 1
                waits = False
                if at[r] == first[r + 1]:
                    running = False
        if not waits:
            continue
        opens, opens_next = np.int64(2**62), np.int64(2**62)
        closes, closes_next = -np.int64(2**62), -np.int64(2**62)
        opener, closer = 0, 0
        for r in range(ranks):
            if start[at[r]] < opens:
                opens_next, opens, opener = opens, start[at[r]], r
            else:
                opens_next = min(opens_next, start[at[r]])
            if end[at[r]] > closes:
                closes_next, closes, closer = closes, end[at[r]], r
            else:
                closes_next = max(closes_next, end[at[r]])
        certain = True
        for r in range(ranks):
            others_open = opens_next if r == opener else opens
            others_close = closes_next if r == closer else closes
            if at[r] > first[r] and end[at[r] - 1] + tolerance >= others_open:
                certain = False
            if at[r] + 1 < first[r + 1] and start[at[r] + 1] <= others_close + tolerance:
                certain = False
        if certain:
            for r in range(ranks):
                place[anchors, r] = at[r]
            anchors += 1
        for r in range(ranks):
            at[r] += 1
            if at[r] == first[r + 1]:
                running = False
    for r in range(ranks):
        place[anchors, r] = first[r + 1]
    sets = 0
    for a in range(anchors):
        between = place[a + 1, 0] - place[a, 0] - 1
        even = True
        for r in range(1, ranks):
            even = even and place[a + 1, r] - place[a, r] - 1 == between
        for k in range(1, between + 1):
            if not even:
                break
            last, soonest = -np.int64(2**62), np.int64(2**62)
            opens, closes, apart = np.int64(2**62), -np.int64(2**62), np.int64(APART_NS)
            for r in range(ranks):
                row = place[a, r] + k
                last = max(last, start[row])
                soonest = min(soonest, end[row])
                if device[row]:
                    opens, closes = min(opens, end[row]), max(closes, end[row])
                    apart = max(apart, (end[row] - start[row]) // APART_SHARE)
            if last > soonest + tolerance or closes - opens > apart + tolerance:
                even = False
        if even:
            for k in range(1, between + 1):
                for r in range(ranks):
                    result[place[a, r] + k] = sets
                sets += 1
        if a + 1 < anchors:
            for r in range(ranks):
                result[place[a + 1, r]] = sets
            sets += 1
    return result
