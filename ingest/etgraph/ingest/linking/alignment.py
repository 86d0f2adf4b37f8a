"""Alignment of two sequences of tokens: a longest common subsequence, found fast while few edits tell them apart.

E. W. Myers, An O(ND) Difference Algorithm and Its Variations, Algorithmica 1 (1986), with the middle snake of its
section 4b: time O(N + M + D²) as a rule, memory linear. Nothing recurses: boxes that wait stand on a stack.
"""

from __future__ import annotations

import numpy as np

from etgraph.model.columns import Array
from etgraph.model.kernels import kernel
from etgraph.model.schema import LinkMethod

LEAST_EDITS = 256
MOST_EDITS = 20_000
"""Sequences that differ in more than a quarter of their tokens, or in this many, are not aligned."""
_PLAIN_EDITS = 128
"""Up to so many edits an alignment costs less than loading a compiled kernel."""
_BY_DISTANCE = (LinkMethod.ALIGNED_1, LinkMethod.ALIGNED_2, LinkMethod.ALIGNED_4, LinkMethod.ALIGNED_8,
                LinkMethod.ALIGNED_16)  # fmt: skip
_DISTANCES = (1, 2, 4, 8, 16)


def align(a: Array, b: Array) -> Array | None:
    """For each token of `a` the position of its partner in `b`, -1 for none; None where they differ too much.

    Partners ascend, are equal, and are as many as can be.
    """
    a, b = np.ascontiguousarray(a, dtype=np.int64), np.ascontiguousarray(b, dtype=np.int64)
    most = min(max((len(a) + len(b)) // 4, LEAST_EDITS), MOST_EDITS)
    partner, done = _align(a, b, min(most, _PLAIN_EDITS))
    if not done and most > _PLAIN_EDITS:
        partner, done = _align.compiled(a, b, most)
    return partner if done else None


def align_surely(a: Array, b: Array) -> Array | None:
    """The same, less the tokens of `a` that have another partner, or none, in an alignment that is as good.

    The alignment that takes everything as early as it can is compared with the one that takes it as late.
    """
    first = align(a, b)
    if first is None or (len(a) == len(b) and (first >= 0).all()):
        return first
    # What an alignment finds at both ends it takes first; a token that is nowhere else closes the one.
    early, late = align(a, np.append(b, -1)), align(a[::-1], np.append(b[::-1], -1))
    if early is None or late is None:
        return first
    late = np.where(late >= 0, len(b) - 1 - late, -1)[::-1]
    return np.where(early == late, early, -1)


@kernel
def _align(a: Array, b: Array, most: int) -> tuple[Array, bool]:
    """Partners, and whether `most` edits were enough.

    `ahead[k % size]` is how far along `a` the furthest path on diagonal k reaches from the box's start, `back` the same
    from its end. Where the two meet lies the middle of a shortest path: what comes before it and after it are boxes.
    """
    partner = np.full(len(a), -1, dtype=np.int64)
    size = 2 * min(len(a), len(b), most // 2 + 2) + 4
    ahead = np.zeros(size, dtype=np.int64)
    back = np.zeros(size, dtype=np.int64)
    # The two boxes after a split share its edits about evenly, so few wait at a time.
    boxes = np.zeros((256, 4), dtype=np.int64)
    boxes[0, 1] = len(a)
    boxes[0, 3] = len(b)
    waiting = 1
    while waiting > 0:
        waiting -= 1
        a0, a1, b0, b1 = boxes[waiting, 0], boxes[waiting, 1], boxes[waiting, 2], boxes[waiting, 3]
        while a0 < a1 and b0 < b1 and a[a0] == b[b0]:
            partner[a0] = b0
            a0 += 1
            b0 += 1
        while a0 < a1 and b0 < b1 and a[a1 - 1] == b[b1 - 1]:
            a1 -= 1
            b1 -= 1
            partner[a1] = b1
        n, m = a1 - a0, b1 - b0
        if n == 0 or m == 0:
            continue
        delta = n - m
        odd = (n + m) % 2
        z = min(2 * min(n, m) + 4, size)
        ahead[:z] = 0
        back[:z] = 0
        found = False
        d = 0
        while not found:
            if 2 * d > most + 2:
                return partner, False
            for way in range(2):
                low = -(d - 2 * max(0, d - m))
                high = d - 2 * max(0, d - n)
                for k in range(low, high + 1, 2):
                    here, there = (ahead, back) if way == 0 else (back, ahead)
                    below, above = here[(k - 1) % z], here[(k + 1) % z]
                    if k == -d or (k != d and below < above):
                        x = above
                    else:
                        x = below + 1
                    y = x - k
                    x0, y0 = x, y
                    if way == 0:
                        while x < n and y < m and a[a0 + x] == b[b0 + y]:
                            x += 1
                            y += 1
                    else:
                        while x < n and y < m and a[a1 - 1 - x] == b[b1 - 1 - y]:
                            x += 1
                            y += 1
                    here[k % z] = x
                    opposite = delta - k
                    reach = d - 1 + way
                    if odd == 1 - way and -reach <= opposite <= reach and x + there[opposite % z] >= n:
                        if way == 1:
                            x, y, x0, y0 = n - x0, m - y0, n - x, m - y
                        for i in range(x - x0):
                            partner[a0 + x0 + i] = b0 + y0 + i
                        boxes[waiting, 0], boxes[waiting, 1] = a0, a0 + x0
                        boxes[waiting, 2], boxes[waiting, 3] = b0, b0 + y0
                        boxes[waiting + 1, 0], boxes[waiting + 1, 1] = a0 + x, a1
                        boxes[waiting + 1, 2], boxes[waiting + 1, 3] = b0 + y, b1
                        waiting += 2
                        found = True
                        break
                if found:
                    break
            d += 1
    return partner, True


def methods(partner: Array, count: int) -> Array:
    """The `LinkMethod` of each token by how far it is from where its run of matches ends; -1 without a partner.

    A run goes on while both sequences step by one; that both begin or end there ends none. `count` is the other
    sequence's length.
    """
    position = np.arange(len(partner))
    goes_on = (partner[1:] == partner[:-1] + 1) & (partner[:-1] >= 0)
    starts = np.flatnonzero(np.concatenate([[True], ~goes_on])) if len(partner) else position
    run = np.cumsum(np.bincount(starts, minlength=len(partner))) - 1
    ends = np.append(starts[1:], len(partner)) - 1
    far = np.iinfo(np.int64).max
    behind = np.where((starts[run] == 0) & (partner == position), far, position - starts[run] + 1)
    before = (ends[run] == len(partner) - 1) & (partner - position == count - len(partner))
    ahead = np.where(before, far, ends[run] - position + 1)
    grade = np.searchsorted(_DISTANCES, np.minimum(behind, ahead), side="right") - 1
    return np.where(partner < 0, np.int8(-1), np.array(_BY_DISTANCE, dtype=np.int8)[grade])


def regraded(method: Array, wrong: Array) -> Array:
    """The methods of a thread's links when some are known to be wrong: no surer than how near these are.

    Where a link is wrong an alignment is off, so a run of matches ends there as it does where there is no match.
    """
    at = np.flatnonzero(wrong)
    if not len(at):
        return method
    position = np.arange(len(method))
    after = np.searchsorted(at, position)
    behind = position - at[np.maximum(after - 1, 0)]
    ahead = at[np.minimum(after, len(at) - 1)] - position
    near = np.searchsorted(_DISTANCES, np.maximum(np.minimum(np.abs(behind), np.abs(ahead)), 1), side="right") - 1
    grades = np.array(_BY_DISTANCE, dtype=np.int8)
    order = np.argsort(grades)
    own = order[np.minimum(np.searchsorted(grades, method, sorter=order), len(grades) - 1)]
    return np.where(np.isin(method, grades), grades[np.minimum(own, near)], method)
