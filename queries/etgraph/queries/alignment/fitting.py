"""One copy of a program against the union of those before it: which of its operators are which.

First in order: a longest common subsequence of what each lane runs, operators before what they enclose, so that a level
that one side has more leaves what is inside where it is. All that is known of an operator counts first, with all that
is around it; between what that finds, less and less does. Then what is left is looked for elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etgraph.model.columns import Array
from etgraph.model.sequences import ascending
from etgraph.queries.alignment.elsewhere import (
    around_the_same,
    as_many,
    below,
    launched,
    moved,
    moved_far,
    renamed,
)
from etgraph.queries.alignment.fit import Fit, Match, begin
from etgraph.queries.alignment.in_order import beside, in_order
from etgraph.queries.alignment.program import Nodes
from etgraph.queries.alignment.union import Union, of_copy


@dataclass(frozen=True, slots=True)
class Known:
    """Nodes of a copy whose positions are known from one that is like it, and how."""

    node: Array
    position: Array
    how: Array
    ordered: Array
    given_up: int


def like(nodes: Nodes, copy: Array, near: Array, positions: Array) -> Known:
    """What of a copy is known from one before it, whose nodes are at those positions."""
    fit = fitted(nodes, copy, of_copy(nodes, near))
    node = np.flatnonzero(fit.to >= 0)
    return Known(node, positions[fit.to[node]], fit.how[node], fit.ordered[node], fit.given_up)


def fitted(nodes: Nodes, copy: Array, union: Union, known: Known | None = None) -> Fit:
    """The positions in a union of the nodes of a copy, beyond those that are known."""
    fit = begin(nodes, copy, union)
    if known is not None:
        _take_known(fit, known)
    if (fit.to < 0).any() and (fit.of < 0).any():
        _find(fit)
    return fit


def _take_known(fit: Fit, known: Known) -> None:
    fit.to[known.node], fit.of[known.position], fit.how[known.node] = known.position, known.node, known.how
    fit.given_up = known.given_up
    ordered = known.ordered & (fit.lane[known.node] == fit.union.lane[known.position])
    places, _ = ascending(fit.place_of[known.node[ordered]], fit.place_to[known.position[ordered]])
    fit.ordered[fit.mine[places]] = True


def _find(fit: Fit) -> None:
    nodes, exact, shaped, named = fit.nodes, fit.nodes.tokens.exact, fit.nodes.tokens.shaped, fit.nodes.tokens.named
    if in_order(fit, nodes.path, Match.IDENTICAL):
        beside(fit)
    in_order(fit, nodes.shaped_in_named, Match.IN_PLACE)
    in_order(fit, shaped, Match.IN_PLACE)
    moved(fit, nodes.tree, whole=True)
    moved(fit, exact)
    in_order(fit, nodes.loose_path, Match.NAME_IN_PLACE)
    in_order(fit, named, Match.NAME_IN_PLACE)
    below(fit)
    moved_far(fit)
    around_the_same(fit)
    below(fit)
    renamed(fit)
    below(fit)
    as_many(fit)
    launched(fit)
