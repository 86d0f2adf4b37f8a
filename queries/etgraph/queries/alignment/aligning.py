"""Alignment: the operators of two traces, of all their ranks and iterations, at positions of one program."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from etgraph.model import Category, Trace
from etgraph.model.columns import Array
from etgraph.queries.alignment.alignment import AlignedTime, Alignment
from etgraph.queries.alignment.counterparts import COUNTERPART, Roles, roles_of
from etgraph.queries.alignment.fit import Fit, Match
from etgraph.queries.alignment.fitting import fitted, like
from etgraph.queries.alignment.ordering import guide
from etgraph.queries.alignment.program import OUTSIDE, Copies, Nodes, programs
from etgraph.queries.alignment.union import extended, of_copy
from etgraph.queries.calls import own_times
from etgraph.queries.windows import indices_of

Ranks = int | Sequence[int] | None
"""Which ranks a question is about: one, some, or all (None)."""


def align(
    base: Trace,
    other: Trace,
    *,
    base_ranks: Ranks = None,
    other_ranks: Ranks = None,
    base_iterations: int | Sequence[int] | None = None,
    other_iterations: int | Sequence[int] | None = None,
) -> Alignment:
    """Which operators of two traces are the same: by lanes' kinds, what encloses or launches them, name, dims, order.

    Each rank's iteration is a copy of a program. Copies of ranks that do the same, of all iterations asked for (None:
    all, and what is outside of them), are aligned one after another with the union of those before. The most frequent
    copy comes first, whichever side it is of, so that `align(b, a)` mirrors `align(a, b)`. About linear in the
    operators, and in the square of what differs, which is bounded; no times are looked at, but for the shares.

    Raises MissingData for ranks and iterations that are not there, UsageError where no operator is asked about.
    """
    ranks = [None if asked is None else tuple(np.atleast_1d(asked).tolist()) for asked in (base_ranks, other_ranks)]
    iterations = [indices_of(asked) for asked in (base_iterations, other_iterations)]
    nodes, copies = programs((base, other), ranks, iterations)
    roles = roles_of(nodes, copies)
    position, match, given_up = _positions(nodes, copies, roles)
    shift = int(np.searchsorted(copies.side, 1))
    border = int(copies.first[shift])
    sides = []
    for trace, own in ((base, slice(None, border)), (other, slice(border, None))):
        at = np.full(len(trace), -1, dtype=np.int64)
        at[nodes.row[own]] = position[own]
        sides.append(at)
    common = np.ones(len(match), dtype=bool)
    for at in sides:
        common &= np.bincount(at[at >= 0], minlength=len(match)) > 0
    times = [_time(trace, at, common) for trace, at in zip((base, other), sides, strict=True)]
    return Alignment(
        base=sides[0],
        other=sides[1],
        positions=len(match),
        ranks=roles.pairs,
        iterations=_iterations(copies),
        match=match,
        alone=roles.alone,
        base_time=times[0],
        other_time=times[1],
        warnings=tuple(_told(roles, given_up)),
    )


def _positions(nodes: Nodes, copies: Copies, roles: Roles) -> tuple[Array, Array, int]:
    """The position of every node, of every position the least sure match, and how many stretches differed too much."""
    position = np.full(len(nodes.row), -1, dtype=np.int64)
    matches, count, given_up = [], 0, 0
    kinds = np.stack([copies.part, roles.of], axis=1)
    for kind in np.unique(kinds, axis=0):
        own = np.flatnonzero((kinds == kind).all(axis=1))
        content, example, which, often = np.unique(
            copies.content[own], return_index=True, return_inverse=True, return_counts=True
        )
        each = [copies.nodes(int(own[at])) for at in example]
        steps = guide([nodes.tokens.exact[copy] for copy in each], often, content)
        first = steps[0][0]
        union, found = of_copy(nodes, each[first]), {first: np.arange(len(each[first]))}
        match = np.full(len(union), int(Match.IDENTICAL), dtype=np.int8)
        for one, near in steps[1:]:
            # Where the union has no more than the copy that is most like this one, it is that copy.
            alone = len(each[near]) == len(union)
            known = None if alone else like(nodes, each[one], each[near], found[near])
            fit = fitted(nodes, each[one], union, known)
            given_up += fit.given_up
            union, found[one] = extended(union, nodes, each[one], fit.to, fit.lane, _after(fit))
            match = np.append(match, np.full(len(union) - len(match), int(Match.IDENTICAL), dtype=np.int8))
            match[found[one]] = np.maximum(match[found[one]], fit.how)
        number = np.empty(len(union), dtype=np.int64)
        number[union.order] = count + np.arange(len(union))
        for copy_row, one in zip(own.tolist(), which.tolist(), strict=True):
            position[copies.nodes(copy_row)] = number[found[one]]
        matches.append(match[union.order])
        count += len(union)
    return position, np.concatenate(matches), given_up


def _after(fit: Fit) -> Array:
    """For each node of a copy the place in the union's order of the last one before it that is aligned in order."""
    start = np.searchsorted(fit.union.lane[fit.theirs], fit.lane[fit.mine]) - 1
    placed = np.where(fit.ordered[fit.mine], fit.place_to[np.maximum(fit.to[fit.mine], 0)], start)
    after = np.empty(len(fit.mine), dtype=np.int64)
    after[fit.mine] = np.maximum.accumulate(placed)
    return after


def _iterations(copies: Copies) -> tuple[tuple[int, int], ...]:
    """Iterations of both sides in order, one with one, as far as both have some."""
    sides = [np.unique(copies.iteration[(copies.side == side) & (copies.part == 0)]).tolist() for side in (0, 1)]
    pairs = zip(*sides, strict=False)
    return tuple((a, b) for a, b in pairs if OUTSIDE not in (a, b))


def _time(trace: Trace, at: Array, common: Array) -> AlignedTime:
    own = own_times(trace)
    device = trace.operators["category"] >= int(Category.KERNEL)
    asked = at >= 0
    aligned = asked & np.append(common, False)[at]
    return AlignedTime(*(int(own[rows].sum()) for rows in
                         (asked & ~device, aligned & ~device, asked & device, aligned & device)))  # fmt: skip


def _told(roles: Roles, given_up: int) -> list[str]:
    told = []
    for ranks, whose in zip(roles.alone, ("base", "other"), strict=True):
        if ranks:
            shown = ", ".join(map(str, ranks[:8])) + ("" if len(ranks) <= 8 else f" and {len(ranks) - 8} more")
            who, has = ("rank", "has") if len(ranks) == 1 else ("ranks", "have")
            told.append(f"{who} {shown} of the {whose} trace {has} no counterpart")
    if roles.pairs and roles.least_common < COUNTERPART:
        told.append(f"the programs of paired ranks have only {roles.least_common:.0%} of their operators in common")
    if given_up:
        told.append(
            f"{given_up} stretches differ too much to be aligned exactly: by what is rare in them, and by number"
        )
    return told
