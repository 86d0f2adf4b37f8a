"""Alignment of two sequences of tokens: a longest common subsequence, found fast while few edits tell them apart.

E. W. Myers, An O(ND) Difference Algorithm and Its Variations, Algorithmica 1 (1986), with the middle snake of its
section 4b: time O(N + M + D²) as a rule, memory linear. Nothing recurses: boxes that wait stand on a stack.
"""

from __future__ import annotations

import numpy as np

from etgraph.model import kernels
from etgraph.model.columns import Array
from etgraph.model.kernels import kernel

LEAST_EDITS = 256
MOST_EDITS = 20_000
"""Sequences that differ in more than a quarter of their tokens, or in this many, are not aligned."""
_PLAIN_STEPS = 50_000
"""An alignment of so many steps costs less than loading a compiled kernel."""
_NO_LIMIT = 1 << 62


def align(a: Array, b: Array) -> Array | None:
    """For each token of `a` the position of its partner in `b`, -1 for none; None where they differ too much.

    Partners ascend, are equal, and are as many as can be.
    """
    most = min(max((len(a) + len(b)) // 4, LEAST_EDITS), MOST_EDITS)
    partner, left = align_boxes(a, b, np.array([[0, len(a), 0, len(b)]]), most)
    return None if len(left) else partner


def align_boxes(a: Array, b: Array, boxes: Array, most: int, steps: int = _NO_LIMIT) -> tuple[Array, Array]:
    """Alignments of stretches of two sequences: partners in `b` of all tokens of `a`, and the boxes given up.

    Each box is a row (first and end in `a`, first and end in `b`); boxes share no token. One of more than `most`
    edits is given up with nothing aligned in it, and so are those for which the `steps`, of all boxes together, do not
    last; a step is a diagonal that is looked at, or a token that is passed over on it.
    """
    a, b = np.ascontiguousarray(a, dtype=np.int64), np.ascontiguousarray(b, dtype=np.int64)
    boxes = np.ascontiguousarray(boxes, dtype=np.int64)
    if _align.ready or max(len(a), len(b)) >= kernels.COMPILE_FROM:
        partner, done = _align.compiled(a, b, boxes, most, steps)
        return partner, boxes[~done]
    partner, done = _align(a, b, boxes, most, min(steps, _PLAIN_STEPS))
    if not done.all():
        some, now_done = _align.compiled(a, b, boxes[~done], most, steps)
        partner = np.where(some >= 0, some, partner)
        done[~done] = now_done
    return partner, boxes[~done]


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
def _align(a: Array, b: Array, boxes: Array, most: int, steps: int) -> tuple[Array, Array]:
    """Partners, and of each box whether `most` edits, and the steps that were left, were enough.

    `ahead[k % size]` is how far along `a` the furthest path on diagonal k reaches from the box's start, `back` the same
    from its end. Where the two meet lies the middle of a shortest path: what comes before it and after it are boxes.
    """
    partner = np.full(len(a), -1, dtype=np.int64)
    done = np.zeros(len(boxes), dtype=np.bool_)
    longest = 0
    for box in range(len(boxes)):
        longest = max(longest, min(boxes[box, 1] - boxes[box, 0], boxes[box, 3] - boxes[box, 2]))
    size = 2 * min(longest, most // 2 + 2) + 4
    ahead = np.zeros(size, dtype=np.int64)
    back = np.zeros(size, dtype=np.int64)
    # The two boxes after a split share its edits about evenly, so few wait at a time.
    stack = np.zeros((256, 4), dtype=np.int64)
    for box in range(len(boxes)):
        stack[0] = boxes[box]
        waiting = 1
        enough = True
        while waiting > 0 and enough:
            waiting -= 1
            a0, a1, b0, b1 = stack[waiting, 0], stack[waiting, 1], stack[waiting, 2], stack[waiting, 3]
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
                if 2 * d > most + 2 or steps < 0:
                    enough = False
                    break
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
                        steps -= 1 + x - x0
                        opposite = delta - k
                        reach = d - 1 + way
                        if odd == 1 - way and -reach <= opposite <= reach and x + there[opposite % z] >= n:
                            if way == 1:
                                x, y, x0, y0 = n - x0, m - y0, n - x, m - y
                            for i in range(x - x0):
                                partner[a0 + x0 + i] = b0 + y0 + i
                            stack[waiting, 0], stack[waiting, 1] = a0, a0 + x0
                            stack[waiting, 2], stack[waiting, 3] = b0, b0 + y0
                            stack[waiting + 1, 0], stack[waiting + 1, 1] = a0 + x, a1
                            stack[waiting + 1, 2], stack[waiting + 1, 3] = b0 + y, b1
                            waiting += 2
                            found = True
                            break
                    if found:
                        break
                d += 1
        done[box] = enough
        if not enough:
            partner[boxes[box, 0] : boxes[box, 1]] = -1
    return partner, done


def side_by_side(partner: Array, a: Array, b: Array, boxes: Array) -> Array:
    """An alignment as good, in which what only one sequence has stands beside what only the other has, if it can.

    A run of matches between the two is moved by what is left over of one of them, where its tokens allow that: in a row
    of equal tokens, the one that is left is the one at whose place the other sequence has something else.
    """
    found = np.array(partner, dtype=np.int64)
    boxes = np.ascontiguousarray(boxes, dtype=np.int64)
    _gather(found, a, b, boxes)
    back = np.where(found >= 0, len(b) - 1 - found, -1)[::-1].copy()
    ends = np.array([len(a), len(a), len(b), len(b)])
    _gather(back, a[::-1].copy(), b[::-1].copy(), (ends - boxes)[::-1, [1, 0, 3, 2]].copy())
    return np.where(back >= 0, len(b) - 1 - back, -1)[::-1]


@kernel
def _gather(partner: Array, a: Array, b: Array, boxes: Array) -> None:
    """Move what is left over to an earlier place, run by run from the end, wherever the other sequence lacks it there.

    A place is what lies between two runs of matches: `left` tokens of a and `over` tokens of b without partners.
    """
    for box in range(len(boxes)):
        a0, i, b0, j = boxes[box, 0], boxes[box, 1], boxes[box, 2], boxes[box, 3]
        end = i
        while end > a0 and partner[end - 1] < 0:
            end -= 1
        while end > a0:
            left, over = i - end, j - partner[end - 1] - 1
            first = end - 1
            while first > a0 and partner[first - 1] >= 0 and partner[first - 1] == partner[first] - 1:
                first -= 1
            to, length = partner[first], end - first
            before = first
            while before > a0 and partner[before - 1] < 0:
                before -= 1
            left_before = first - before
            over_before = to - (partner[before - 1] + 1 if before > a0 else b0)
            more = left - over
            i, j = first, to
            if more > 0 and over_before > left_before:
                fits = True
                for t in range(length):
                    if a[first + more + t] != b[to + t]:
                        fits = False
                        break
                if fits:
                    partner[first:end] = -1
                    for t in range(length):
                        partner[first + more + t] = to + t
                    i = first + more
            elif more < 0 and left_before > over_before:
                fits = True
                for t in range(length):
                    if a[first + t] != b[to - more + t]:
                        fits = False
                        break
                if fits:
                    for t in range(length):
                        partner[first + t] = to - more + t
                    j = to - more
            end = before


def unique_pairs(a: Array, b: Array) -> tuple[Array, Array]:
    """Positions in both of the keys that each has once."""
    once = [np.flatnonzero(is_unique(keys)) for keys in (a, b)]
    _, first, second = np.intersect1d(a[once[0]], b[once[1]], assume_unique=True, return_indices=True)
    return once[0][first], once[1][second]


def is_unique(keys: Array) -> Array:
    """Whether each key is there once."""
    _, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
    once: Array = counts[inverse] == 1
    return once


def ascending(a: Array, b: Array) -> tuple[Array, Array]:
    """Of pairs as many as ascend in both, ordered; O(n log n)."""
    order = np.argsort(a, kind="stable")
    a, b = a[order], b[order]
    if (np.diff(b) > 0).all():
        return a, b
    # What is above all before it and below all after it is kept in any case.
    after = np.append(np.minimum.accumulate(b[::-1])[::-1][1:], np.iinfo(np.int64).max)
    before = np.append(np.iinfo(np.int64).min, np.maximum.accumulate(b)[:-1])
    kept = (before < b) & (b < after)
    rest = np.flatnonzero(~kept)
    kept[rest[_longest_ascent(np.ascontiguousarray(b[rest], dtype=np.int64))]] = True
    return a[kept], b[kept]


@kernel
def _longest_ascent(values: Array) -> Array:
    """Positions of a longest strictly ascending part of the values, by patience sorting."""
    n = len(values)
    last = np.empty(n, dtype=np.int64)
    before = np.full(n, -1, dtype=np.int64)
    count = 0
    for at in range(n):
        low, high = 0, count
        while low < high:
            middle = (low + high) // 2
            if values[last[middle]] < values[at]:
                low = middle + 1
            else:
                high = middle
        if low > 0:
            before[at] = last[low - 1]
        last[low] = at
        count = max(count, low + 1)
    found = np.empty(count, dtype=np.int64)
    if count > 0:
        at = last[count - 1]
        for place in range(count - 1, -1, -1):
            found[place] = at
            at = before[at]
    return found
