"""Which ranks do the same, in one trace and across two: by what their programs consist of, not by their numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from etgraph.model.columns import Array
from etgraph.queries.alignment.program import Copies, Nodes
from etgraph.queries.alignment.tokens import Class

SAME_ROLE: Final = 0.97
"""Ranks of one trace are of one role where so much of their programs is in common."""
COUNTERPART: Final = 0.55
"""Roles of two traces are taken for the same where so much is: a changed model, but not the stage of a pipeline."""


@dataclass(frozen=True, slots=True)
class Roles:
    """For every copy the number of its role; which ranks were paired, and how much the least alike pair has in common.

    `alone` are the ranks of either side without a counterpart.
    """

    of: Array
    pairs: tuple[tuple[int, int], ...]
    alone: tuple[tuple[int, ...], tuple[int, ...]]
    least_common: float


def roles_of(nodes: Nodes, copies: Copies) -> Roles:
    """The roles of the ranks of both sides; each rank is compared with one of each role of its side, not with all."""
    who = np.unique(np.stack([copies.side, copies.rank], axis=1), axis=0)
    which = {(side, rank): at for at, (side, rank) in enumerate(who.tolist())}
    of_copy = np.array([which[key] for key in zip(copies.side.tolist(), copies.rank.tolist(), strict=True)])
    counts = _counts(nodes, copies, of_copy, len(who))
    role = np.full(len(who), -1, dtype=np.int64)
    heads: tuple[list[int], list[int]] = ([], [])
    for at, (side, _) in enumerate(who.tolist()):
        fits = [head for head in heads[side] if _common(counts[at], counts[head]) >= SAME_ROLE]
        role[at] = role[fits[0]] if fits else at
        if not fits:
            heads[side].append(at)
    common = np.array([[_common(counts[a], counts[b]) for b in heads[1]] for a in heads[0]])
    only = len(heads[0]) == len(heads[1]) == 1
    met = {*_best(common), *((a, b) for b, a in _best(common.T))}
    met = {(a, b) for a, b in met if only or common[a, b] >= COUNTERPART}
    joined = {head: head for head in (*heads[0], *heads[1])}
    for a, b in sorted(met):
        one, two = joined[heads[0][a]], joined[heads[1][b]]
        joined = {head: (one if to == two else to) for head, to in joined.items()}
    role = np.array([joined[int(r)] for r in role])
    content = _content(copies, of_copy, len(who))
    pairs: list[tuple[int, int]] = []
    alone: tuple[list[int], list[int]] = ([], [])
    for one_role in np.unique(role).tolist():
        sides = [np.flatnonzero((role == one_role) & (who[:, 0] == side)) for side in (0, 1)]
        if len(sides[0]) and len(sides[1]):
            pairs += [(int(who[a, 1]), int(who[b, 1])) for a, b in _pairs(sides[0], sides[1], content, who)]
        for side in (0, 1):
            if not len(sides[1 - side]):
                alone[side].extend(who[sides[side], 1].tolist())
    return Roles(
        role[of_copy], tuple(sorted(pairs)), (tuple(alone[0]), tuple(alone[1])),
        min((float(common[a, b]) for a, b in met), default=0.0),
    )  # fmt: skip


def _best(common: Array) -> Iterator[tuple[int, int]]:
    """For each row the column with the highest value."""
    if common.size:
        yield from ((row, int(column)) for row, column in enumerate(common.argmax(axis=1)))


def _counts(nodes: Nodes, copies: Copies, of_copy: Array, ranks: int) -> Array:
    """How often each rank has each name of its host's operators (of a device's where there are no others), a step."""
    copy = np.repeat(np.arange(len(copies)), np.diff(copies.first))
    inside = copies.part[copy] == 0
    chosen = inside & np.isin(nodes.tokens.kind, (Class.HOST, Class.HOST_COMMUNICATION))
    if len(np.unique(copies.side[copy[chosen]])) < 2:
        chosen = inside if inside.any() else np.ones(len(copy), dtype=bool)
    names, code = np.unique(nodes.tokens.named[chosen], return_inverse=True)
    table = np.zeros((ranks, len(names)))
    np.add.at(table, (of_copy[copy[chosen]], code), 1)
    steps = np.bincount(of_copy[copies.part == 0], minlength=ranks)
    found: Array = table / np.maximum(steps, 1)[:, None]
    return found


def _common(a: Array, b: Array) -> float:
    """The part of two counts that is in both: 1 for equal ones (Dice's coefficient)."""
    whole = float(a.sum() + b.sum())
    return 2 * float(np.minimum(a, b).sum()) / whole if whole else 1.0


def _content(copies: Copies, of_copy: Array, ranks: int) -> Array:
    """A number for what each rank runs in all its copies."""
    found = np.zeros(ranks, dtype=np.uint64)
    np.add.at(found, of_copy, copies.content.view(np.uint64))
    return found


def _pairs(a: Array, b: Array, content: Array, who: Array) -> list[tuple[int, int]]:
    """Every rank of either side with one of the other: of equal programs first, and of equal numbers, then in order."""
    left, right = a.tolist(), b.tolist()
    pairs: list[tuple[int, int]] = []
    number = who[:, 1]
    for key in ((content, number), (content,), (number,), ()):
        waiting: dict[tuple[int, ...], list[int]] = {}
        for y in reversed(right):
            waiting.setdefault(tuple(int(column[y]) for column in key), []).append(y)
        for x in left:
            fits = waiting.get(tuple(int(column[x]) for column in key))
            if fits:
                pairs.append((x, fits.pop()))
        left, right = (sorted(set(rest) - set(done)) for rest, done in
                       zip((left, right), zip(*pairs, strict=True) if pairs else ((), ()), strict=True))  # fmt: skip
    pairs += [(x, int(b[at % len(b)])) for at, x in enumerate(left)]
    pairs += [(int(a[at % len(a)]), y) for at, y in enumerate(right)]
    return pairs
