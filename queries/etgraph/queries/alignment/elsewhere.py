"""What an alignment in order leaves: moved among what one operator encloses, to another one, renamed, or replaced."""

from __future__ import annotations

import numpy as np

from etgraph.model.columns import Array
from etgraph.model.sequences import unique_pairs
from etgraph.queries.alignment.fit import DEEPEST, Fit, Match, around, exposed, left, tokens, under
from etgraph.queries.alignment.in_order import anywhere, between, by_number, gaps
from etgraph.queries.alignment.tokens import Class, mixed


def moved(fit: Fit, token: Array, *, whole: bool = False) -> None:
    """What stands elsewhere under the same operator: in order as far as that goes, then one of a sort after another.

    `whole`: tokens tell of all inside, which is then aligned too.
    """
    for turn in (anywhere, anywhere, by_number):
        rest = exposed(fit)
        found = turn(fit, rest, under(fit, rest, token), Match.MOVED) if rest else 0
        if not found:
            return
        if whole:
            _inside(fit, rest.node[fit.to[rest.node] >= 0], Match.MOVED)


def _inside(fit: Fit, tops: Array, how: Match) -> None:
    """Align all that equal trees hold, node by node."""
    size = fit.nodes.size[fit.copy[tops]]
    shift = np.arange(int(size.sum())) - np.repeat(np.cumsum(size) - size, size)
    node = np.repeat(tops, size) + shift
    position = _position_of(fit, np.repeat(fit.union.node[fit.to[tops]], size) + shift)
    free = (fit.to[node] < 0) & (position >= 0) & (fit.of[position] < 0)
    fit.take(node[free], position[free], how)


def _position_of(fit: Fit, node: Array) -> Array:
    """The position that was first met as that node, -1 for none."""
    order = np.argsort(fit.union.node, kind="stable")
    at = np.minimum(np.searchsorted(fit.union.node, node, sorter=order), len(order) - 1)
    found: Array = np.where(fit.union.node[order[at]] == node, order[at], -1)
    return found


def below(fit: Fit) -> None:
    """What is left under operators that are aligned, level by level: by name and dims, then by name."""
    for token in (fit.nodes.tokens.shaped, fit.nodes.tokens.named):
        for _ in range(DEEPEST):
            rest = exposed(fit)
            inner = rest.where(fit.parent[rest.node] >= 0, fit.union.parent[rest.position] >= 0)
            if not inner or not anywhere(fit, inner, under(fit, inner, token), Match.UNDER_SAME):
                break


def moved_far(fit: Fit) -> None:
    """Trees of several operators that are left on both sides once, under whichever operator."""
    rest = exposed(fit)
    several = rest.where(*(size > 1 for size in tokens(fit, rest, fit.nodes.size)))
    one, two = unique_pairs(*tokens(fit, several, fit.nodes.tree))
    if len(one):
        fit.take(several.node[one], several.position[two], Match.MOVED_FAR)
        _inside(fit, several.node[one], Match.MOVED_FAR)


def as_many(fit: Fit) -> None:
    """Operators of one name of which as many, and more than one, are left under the same operator on both sides."""
    rest = exposed(fit)
    keys = under(fit, rest, fit.nodes.tokens.named)
    _, code, count = np.unique(np.concatenate(keys), return_inverse=True, return_counts=True)
    mine = np.bincount(code[: len(rest.node)], minlength=len(count))
    equal = (mine * 2 == count) & (mine > 1)
    some = equal[code[: len(rest.node)]], equal[code[len(rest.node) :]]
    by_number(fit, rest.where(*some), (keys[0][some[0]], keys[1][some[1]]), Match.UNDER_SAME)


def around_the_same(fit: Fit) -> None:
    """Renamed levels: of what is left, what encloses most of the same operators on both sides."""
    inner = np.flatnonzero((fit.to >= 0) & (fit.parent >= 0) & (fit.to[fit.parent] < 0))
    node, position = fit.parent[inner], fit.union.parent[fit.to[inner]]
    kind = fit.nodes.tokens.kind
    some = (position >= 0) & (fit.of[position] < 0)
    some &= kind[fit.copy[node]] == kind[fit.union.node[position]]
    pair, votes = np.unique(node[some] * len(fit.union) + position[some], return_counts=True)
    pair = pair[np.argsort(-votes, kind="stable")]
    node, position = pair // len(fit.union), pair % len(fit.union)
    best = _first(node) & _first(position)
    fit.take(node[best], position[best], Match.RENAMED)


def _first(values: Array) -> Array:
    """Whether each value is there for the first time."""
    found = np.zeros(len(values), dtype=bool)
    found[np.unique(values, return_index=True)[1]] = True
    return found


def renamed(fit: Fit) -> None:
    """Operators of other names in the same place.

    On a host those of the same dims or, without dims, the only ones that are left in their place; on a device those of
    one family.
    """
    kind, dims = fit.nodes.tokens.kind, fit.nodes.tokens.dims
    host, sized = kind <= Class.RECORD, dims != 0
    for chosen, token in ((host & sized, mixed(kind, dims)), (kind >= Class.KERNEL, fit.nodes.tokens.family)):
        rest = left(fit)
        rest = rest.where(*tokens(fit, rest, chosen))
        if rest:
            between(fit, rest, under(fit, rest, kind, token), Match.RENAMED)
    rest = exposed(fit)
    rest = rest.where(*tokens(fit, rest, host & ~sized))
    if rest:
        rest = rest.where(*map(_only, gaps(fit, rest)))
        between(fit, rest, under(fit, rest, kind), Match.RENAMED)


def _only(label: Array) -> Array:
    """Whether each is the only one of its label."""
    _, inverse, count = np.unique(label, return_inverse=True, return_counts=True)
    single: Array = count[inverse] == 1
    return single


def launched(fit: Fit) -> None:
    """Device operators and the calls behind them, by the operator that they are under and their order there."""
    kind, family = fit.nodes.tokens.kind, fit.nodes.tokens.family
    for token in (fit.nodes.tokens.named, family, kind):
        rest = left(fit)
        rest = rest.where(*tokens(fit, rest, kind >= Class.CALL))
        rest = rest.where(*(above >= 0 for above in around(fit, rest)))
        if rest:
            anywhere(fit, rest, under(fit, rest, kind, token), Match.LAUNCHED)


__all__ = ["around_the_same", "as_many", "below", "launched", "moved", "moved_far", "renamed"]
