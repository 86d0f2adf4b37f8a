"""Where a short sequence lies in a long one, and where else it could: iterations, layers or loops that are alike.

The short one is cut out of the long one and both are edited a little, so the place is where fewest edits (a token
inserted, deleted or replaced) make a stretch of the long one of it; what is left over at both ends of that costs
nothing. Furthest reaching paths by number of edits: G. M. Landau, U. Vishkin, Fast Parallel and Serial Approximate
String Matching, Journal of Algorithms 10 (1989); about O(length of the long one), as diagonals that are not alike soon
end, and the length times the edits on those that are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from etgraph.model.columns import Array
from etgraph.model.kernels import kernel
from etgraph.model.sequences import MOST_EDITS, align

ALIKE: Final = 4
"""One token in so many may be edited; more, and it is no place."""
NOTHING_ALIKE: Final = 2
"""Where one token in so many is another one, little is alike; but a short sequence may be edited that much."""
EARLY: Final = 64
"""Edits that are allowed wherever they are; beyond them a path that has more than its share so far is given up."""
BEHIND: Final = 1024
"""Tokens by which a path may be behind another one on a near diagonal and still be followed."""
DECISIVE: Final = 3.0
"""Another place is excluded by so many standard deviations of the difference, if edits hit both places alike."""
MOST: Final = 256
"""Places that are kept."""
_PLAIN: Final = 4_000
"""Up to so many tokens and edits a search costs less than loading a compiled kernel."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of the long sequence, from `low` to before `high`, and the edits between it and the short one."""

    low: int
    high: int
    edits: int


def stretches(short: Array, long: Array, *, first: int = 0, last: int | None = None) -> list[Stretch]:
    """The place with fewest edits, and after it those that are nearly as good; none where nothing is alike.

    `first` and `last` limit where in `long` a place may begin. Places that are nearly as good share no pair of tokens
    with the best one, and have so few more edits that edits of the long sequence alone may have made the difference.
    Two sequences that are equal lie nowhere else, however much they repeat.
    """
    short, long = (np.ascontiguousarray(tokens, dtype=np.int64) for tokens in (short, long))
    if not len(short) or not len(long):
        return []
    if np.array_equal(short, long):
        return [Stretch(0, len(long), 0)]
    end = len(long) if last is None else last
    most = min(len(short) // ALIKE, MOST_EDITS // 2)
    search = _search.compiled if len(long) + len(short) * most > _PLAIN else _search.python
    rows = search(short, long, np.full(len(short), -1), first, end, most, 0)
    if not len(rows):
        return []
    # Of as many edits those are better that insert into the short sequence: they leave more pairs of tokens.
    best = Stretch(*rows[np.argmax(rows[:, 1] - rows[:, 0])].tolist())
    partner = align(short, long[best.low : best.high])
    if partner is None:
        return []
    undecided = min((len(short) - 1) // NOTHING_ALIKE, best.edits + _undecided(best.edits))
    others = search(short, long, np.where(partner >= 0, partner + best.low, -1), first, end, undecided, undecided)
    found = [best]
    for other in (Stretch(*row) for row in others.tolist()):
        # One that begins or ends where another one does is that one, with other edits at its other end.
        if all(other.low != place.low and other.high != place.high for place in found[1:]):
            found.append(other)
    return found


def _undecided(edits: int) -> int:
    """How many more edits another place may have than the best one, and yet be the right one."""
    # The most d for which d < DECISIVE * sqrt(edits + (edits + d)).
    variance = DECISIVE**2
    return math.ceil((variance + math.sqrt(variance**2 + 8 * variance * edits)) / 2) - 1


@kernel
def _search(short: Array, long: Array, forbidden: Array, first: int, last: int, most: int, further: int) -> Array:
    """Rows of first and end position in `long` and edits, fewest edits first, `further` edits beyond the best one.

    Token i of `short` may not be the one at `forbidden[i]` of `long`. Of ends that are reached from one place by
    edits at the end alone, only the best is kept.
    """
    n, m = len(short), len(long)
    size = m + n + 3
    gone = -np.int64(2**40)
    # Of each diagonal, the difference of positions plus n + 1: rows reached, and where it began.
    reached = np.full(size, gone)
    before = np.full(size, gone)
    origin = np.full(size, -1)
    origin_before = np.full(size, -1)
    seen = np.full(size, -1)
    # The furthest row on each 64 diagonals.
    top = np.full(size // 64 + 3, gone)
    alive = np.arange(first, min(last, m) + 1) + n + 1
    ends = np.empty((MOST, 3), dtype=np.int64)
    count = 0
    limit = most
    for edits in range(most + 1):
        if edits > limit:
            break
        following = np.empty(3 * len(alive) if edits else len(alive), dtype=np.int64)
        waiting = 0
        for number in range(len(alive)):
            for side in range(3):
                if edits == 0 and side > 0:
                    break
                k = alive[number] + (side - 1 if edits else 0)
                if k < 1 or k >= size - 1 or seen[k] == edits:
                    continue
                seen[k] = edits
                if edits == 0:
                    row, start = np.int64(0), k - n - 1
                else:
                    row, start = before[k] + 1, origin_before[k]
                    if before[k + 1] + 1 > row:
                        row, start = before[k + 1] + 1, origin_before[k + 1]
                    if before[k - 1] > row:
                        row, start = before[k - 1], origin_before[k - 1]
                column = row + k - n - 1
                if row < 0 or row > n or column > m or column < 0:
                    continue
                while row < n and column < m and short[row] == long[column] and forbidden[row] != column:
                    row += 1
                    column += 1
                if row < n and row < ALIKE * (edits - EARLY):
                    continue
                reached[k], origin[k] = row, start
                top[k // 64 + 1] = max(top[k // 64 + 1], row)
                following[waiting] = k
                waiting += 1
        kept = 0
        for number in range(waiting):
            k = following[number]
            if reached[k] == n:
                if limit == most:
                    limit = min(most, edits + further)
                explained = False
                for e in range(count):
                    if edits >= ends[e, 2] + abs(k - 1 - ends[e, 1]):
                        explained = True
                        break
                if not explained and count < len(ends):
                    ends[count, 0], ends[count, 1], ends[count, 2] = origin[k], k - 1, edits
                    count += 1
                # What ends here goes nowhere else.
                reached[k] = gone
        for number in range(len(alive)):
            before[alive[number]] = gone
        for number in range(waiting):
            k = following[number]
            block = k // 64 + 1
            if reached[k] >= max(top[block - 1], top[block], top[block + 1]) - BEHIND:
                before[k], origin_before[k] = reached[k], origin[k]
                following[kept] = k
                kept += 1
            reached[k] = gone
        for number in range(len(alive)):
            block = alive[number] // 64 + 1
            top[block - 1 : block + 2] = gone
        alive = following[:kept]
        if kept == 0:
            break
    return ends[:count]
