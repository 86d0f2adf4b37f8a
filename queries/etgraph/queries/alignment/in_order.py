"""Operators aligned in order: longest common subsequences of what is left, everywhere or between what is aligned.

What differs too much for that is aligned by what is rare in it.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from etgraph.model.columns import Array
from etgraph.model.sequences import align_boxes, ascending, side_by_side, unique_pairs
from etgraph.queries.alignment.fit import Fit, Left, Match, left, tokens
from etgraph.queries.alignment.tokens import mixed

EDITS: Final = 2_000
STEPS: Final = 60_000_000
"""Stretches that take more edits, or all that take more steps at a time, are cut first at what is rare in them."""


def in_order(fit: Fit, token: Array, how: Match) -> int:
    """Align what is left between what is aligned in order, by a token of every node; how many that found."""
    rest = left(fit)
    return between(fit, rest, tokens(fit, rest, token), how) if rest else 0


def between(fit: Fit, rest: Left, keys: tuple[Array, Array], how: Match) -> int:
    """Align longest common subsequences of what is left in each gap, in order; how many that found."""
    return _align(fit, rest, keys, gaps(fit, rest), how, ordered=True) if rest else 0


def anywhere(fit: Fit, rest: Left, keys: tuple[Array, Array], how: Match) -> int:
    """Align a longest common subsequence of what is left, wherever it stands; how many that found."""
    nowhere = np.zeros_like(rest.node), np.zeros_like(rest.position)
    return _align(fit, rest, keys, nowhere, how, ordered=False) if rest else 0


def by_number(fit: Fit, rest: Left, keys: tuple[Array, Array], how: Match) -> int:
    """Align the k-th of a key with the k-th of it; how many that found."""
    one, two = unique_pairs(_numbered(keys[0]), _numbered(keys[1]))
    fit.take(rest.node[one], rest.position[two], how)
    return len(one)


def gaps(fit: Fit, rest: Left) -> tuple[Array, Array]:
    """Of what is left a number of the gap, between what is aligned in order, in which it stands; both ascend."""
    lanes = int(max(fit.lane.max(initial=0), fit.union.lane.max(initial=0))) + 1
    a = np.flatnonzero(fit.ordered[fit.mine])
    b = fit.place_to[fit.to[fit.mine[a]]]
    mine, theirs = np.searchsorted(a, fit.place_of[rest.node]), np.searchsorted(b, fit.place_to[rest.position])
    return mine * lanes + fit.lane[rest.node], theirs * lanes + fit.union.lane[rest.position]


def _align(
    fit: Fit, rest: Left, keys: tuple[Array, Array], label: tuple[Array, Array], how: Match, *, ordered: bool
) -> int:
    both = np.concatenate([mixed(label[side], keys[side]) for side in (0, 1)])
    _, code = np.unique(both, return_inverse=True)
    a, b = code[: len(rest.node)], code[len(rest.node) :]
    # What only one side has is no part of a common subsequence, and would only count as edits.
    count = int(code.max()) + 1
    shared = (np.bincount(a, minlength=count) > 0) & (np.bincount(b, minlength=count) > 0)
    one, two = np.flatnonzero(shared[a]), np.flatnonzero(shared[b])
    if not len(one):
        return 0
    partner = _common(fit, a[one], b[two], _boxes(label[0][one], label[1][two]))
    some = np.flatnonzero(partner >= 0)
    fit.take(rest.node[one[some]], rest.position[two[partner[some]]], how, ordered=ordered)
    return len(some)


def _boxes(a: Array, b: Array) -> Array:
    """Rows of first and end in both of each label's stretch, labels ascending in both."""
    labels = np.intersect1d(a, b)
    ends = [
        np.searchsorted(a, labels, side="left"), np.searchsorted(a, labels, side="right"),
        np.searchsorted(b, labels, side="left"), np.searchsorted(b, labels, side="right"),
    ]  # fmt: skip
    return np.stack(ends, axis=1)


def _common(fit: Fit, a: Array, b: Array, boxes: Array) -> Array:
    """Partners in `b` of the codes `a`, box by box; boxes that differ much are cut at what both have once.

    What differs too much even then is aligned by how often each code came before.
    """
    found, rest = align_boxes(a, b, boxes, EDITS, STEPS)
    for a0, a1, b0, b1 in rest.tolist():
        one, two = a[a0:a1], b[b0:b1]
        at, to = _rare(one, two)
        found[a0 + at] = b0 + to
        starts = np.append(-1, at) + 1, np.append(-1, to) + 1
        inner = np.stack([starts[0], np.append(at, len(one)), starts[1], np.append(to, len(two))], axis=1)
        more, left_over = align_boxes(one, two, inner, EDITS, STEPS // len(rest))
        some = np.flatnonzero(more >= 0)
        found[a0 + some] = b0 + more[some]
        fit.given_up += len(left_over)
        for c0, c1, d0, d1 in left_over.tolist():
            at, to = ascending(*unique_pairs(_numbered(one[c0:c1]), _numbered(two[d0:d1])))
            found[a0 + c0 + at] = b0 + d0 + to
    return found


def _rare(a: Array, b: Array) -> tuple[Array, Array]:
    """Pairs that ascend: of codes that both have once, alone or with what follows, whichever are most."""
    best = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    for length in (0, 1, 2, 4):
        if length:  # codes with as many more after them
            a, b = (mixed(codes, np.append(codes[length:], np.full(min(length, len(codes)), -1))) for codes in (a, b))
        found = ascending(*unique_pairs(a, b))
        if len(found[0]) > len(best[0]):
            best = found
    return best if len(best[0]) else ascending(*unique_pairs(_numbered(a), _numbered(b)))


def _numbered(codes: Array) -> Array:
    """Codes that say how many equal ones are before, so that each is there once."""
    order = np.argsort(codes, kind="stable")
    ordered = codes[order]
    number = np.empty(len(codes), dtype=np.int64)
    number[order] = np.arange(len(codes)) - np.searchsorted(ordered, ordered)
    return mixed(codes, number)


def beside(fit: Fit) -> None:
    """Let what is left of the copy stand beside what is left of the union, where several alignments are as good.

    Levels that one side alone has are not counted: what is inside them is what the other side has too.
    """
    if not np.array_equal(fit.ordered, fit.to >= 0) or fit.ordered.all():
        return
    mine, theirs = fit.copy[fit.mine], fit.union.node[fit.theirs]
    kept = ~_extra_levels(fit, mine, theirs, fit.to[fit.mine]), ~_extra_levels(fit, theirs, mine, fit.of[fit.theirs])
    node, position = fit.mine[kept[0]], fit.theirs[kept[1]]
    place = np.cumsum(kept[1]) - 1
    partner = np.where(fit.to[node] >= 0, place[fit.place_to[fit.to[node]]], -1)
    path, lanes = fit.nodes.path, np.arange(len(fit.union.lane_kind))
    boxes = [
        np.searchsorted(values, lanes, side=side) for values in (fit.lane[node], fit.union.lane[position])
        for side in ("left", "right")
    ]  # fmt: skip
    found = side_by_side(partner, path[fit.copy[node]], path[fit.union.node[position]], np.stack(boxes, axis=1))
    changed = np.flatnonzero(found != partner)
    was, now = changed[partner[changed] >= 0], changed[found[changed] >= 0]
    fit.of[position[partner[was]]] = fit.to[node[changed]] = -1
    fit.ordered[node[changed]], fit.how[node[changed]] = False, int(Match.NONE)
    fit.take(node[now], position[found[now]], Match.IDENTICAL, ordered=True)


def _extra_levels(fit: Fit, mine: Array, theirs: Array, found: Array) -> Array:
    """Whether each of some nodes is left, encloses others, and is of a name that the other nodes have not."""
    named = fit.nodes.tokens.named
    left_over = np.flatnonzero((found < 0) & (fit.nodes.size[mine] > 1))
    extra = np.zeros(len(mine), dtype=bool)
    extra[left_over[~np.isin(named[mine[left_over]], named[theirs])]] = True
    return extra
