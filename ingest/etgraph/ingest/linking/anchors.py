"""Records of two threads that must be the same ones, and the alignment of what lies between them.

Sequence numbers and names of steps tell which iteration an operator is of; names alone do not, and an alignment takes
the first iteration that fits. So what these identify is fixed first, and only what lies between is aligned.
"""

from __future__ import annotations

import numpy as np

from etgraph.ingest.draft import NULL
from etgraph.ingest.linking.records import Names, Records
from etgraph.ingest.linking.stretches import stretches
from etgraph.model.columns import Array
from etgraph.model.sequences import align_surely, ascending, is_unique, unique_pairs

AGREEING = 0.9
"""Share of the sequence numbers that both threads have that must stand at records of equal names, in equal order."""
FEWEST = 0.05
"""Share of the records with a number, of one thread at least, whose number the other must have."""
SLACK = 64
"""Before the first anchor and after the last, so many records more of one file than of the other are looked at."""


def anchors(
    host: Records, device: Records, names: Names, a: Array, b: Array, difference: int
) -> tuple[Array, Array] | None:
    """Positions in `a` and in `b`, both ascending, of what the numbers identify, else the names of steps; None if none.

    `difference` is by how much the device's sequence numbers are higher.
    """
    found = _by_sequence(host.token[a], host.sequence[a], device.token[b], device.sequence[b], difference)
    return found or _by_step(host.name[a], names.step[host.token[a]], device.name[b], names.step[device.token[b]])


def _by_sequence(
    a: Array, a_sequence: Array, b: Array, b_sequence: Array, difference: int
) -> tuple[Array, Array] | None:
    """Records whose pair of name and number is unique in both; None where too few of the common numbers agree."""
    mine, theirs = np.flatnonzero(a_sequence != NULL), np.flatnonzero(b_sequence != NULL)
    if not len(mine) or not len(theirs):
        return None
    numbers = a_sequence[mine] + difference, b_sequence[theirs]
    low = min(int(number.min()) for number in numbers)
    width = max(int(number.max()) for number in numbers) - low + 1
    tokens = max(int(a.max()), int(b.max())) + 1
    if width > np.iinfo(np.int64).max // tokens:
        return None
    keys = a[mine] * width + numbers[0] - low, b[theirs] * width + numbers[1] - low
    common = np.isin(numbers[0], numbers[1]), np.isin(numbers[1], numbers[0])
    if not common[0].any() or max(mask.mean() for mask in common) < FEWEST:
        return None
    first, second = unique_pairs(*keys)
    at, to = ascending(mine[first], theirs[second])
    # Numbers at which no name is unique say nothing.
    could = min(int((is_common & is_unique(key)).sum()) for is_common, key in zip(common, keys, strict=True))
    return (at, to) if len(at) and len(at) >= AGREEING * could else None


def _by_step(a: Array, a_step: Array, b: Array, b_step: Array) -> tuple[Array, Array] | None:
    """Steps whose full name is unique in both."""
    mine, theirs = np.flatnonzero(a_step), np.flatnonzero(b_step)
    first, second = unique_pairs(a[mine], b[theirs])
    return ascending(mine[first], theirs[second]) if len(first) else None


def align_between(a: Array, b: Array, a_step: Array, b_step: Array, at: Array, to: Array) -> Array:
    """For each token of `a` the position of its partner in `b`, -1 for none: anchors, and what lies between them.

    `a` and `b` are names in full where they are steps'. Before the first anchor and after the last one only what is as
    far from it as in the other file is looked at, no further than the next step, if only one has one there.
    """
    partner = np.full(len(a), -1, dtype=np.int64)
    partner[at] = to
    # Nearly all gaps are as long in both files and hold the same names.
    between = np.searchsorted(at, np.arange(len(a)), side="right") - 1
    inner = np.flatnonzero((between >= 0) & (between < len(at) - 1) & (partner < 0))
    gap = between[inner]
    same = np.diff(at) == np.diff(to)
    different = np.bincount(gap, weights=~same[gap], minlength=len(at)) > 0
    straight = inner[~different[gap]]
    guess = straight + (to - at)[between[straight]]
    unequal = straight[a[straight] != b[guess]]
    different[between[unequal]] = True
    fits = ~different[between[straight]]
    partner[straight[fits]] = guess[fits]
    for number in np.flatnonzero(different).tolist():
        first, last = int(at[number]) + 1, int(at[number + 1])
        below, above = int(to[number]) + 1, int(to[number + 1])
        _fill(partner, align_surely(a[first:last], b[below:above]), first, below)
    first, below = int(at[-1]) + 1, int(to[-1]) + 1
    n, m = _reach(a_step[first:], b_step[below:])
    _fill(partner, _from_here(a[first : first + n], b[below : below + m]), first, below)
    last, above = int(at[0]), int(to[0])
    n, m = _reach(a_step[:last][::-1], b_step[:above][::-1])
    backwards = _from_here(a[last - n : last][::-1], b[above - m : above][::-1])
    if backwards is not None:
        _fill(partner, np.where(backwards >= 0, m - 1 - backwards, -1)[::-1], last - n, above - m)
    return partner


def _from_here(a: Array, b: Array) -> Array | None:
    """Partners of two sequences that begin together, of which the longer one goes on when the shorter one has ended."""
    short, long = (a, b) if len(a) <= len(b) else (b, a)
    found = stretches(short, long, first=0, last=0)
    end = found[0].high if found else len(long)
    if short is a:
        return align_surely(a, b[:end])
    partner = align_surely(a[:end], b)
    return None if partner is None else np.append(partner, np.full(len(a) - end, -1))


def _fill(partner: Array, found: Array | None, first: int, below: int) -> None:
    if found is not None:
        partner[first : first + len(found)] = np.where(found >= 0, found + below, -1)


def _reach(a_step: Array, b_step: Array) -> tuple[int, int]:
    """How many records of both to look at, from an anchor on."""
    n, m = len(a_step), len(b_step)
    if a_step.any() != b_step.any():
        n, m = (int(np.argmax(s)) if s.any() else len(s) for s in (a_step, b_step))
    slack = SLACK + min(n, m) // 50
    return min(n, m + slack), min(m, n + slack)
