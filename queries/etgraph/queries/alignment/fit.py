"""What is known of one copy of a program against the union of those before it, and what is left of both."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

import numpy as np

from etgraph.model.columns import Array
from etgraph.queries.alignment.lanes import paired_lanes
from etgraph.queries.alignment.program import Nodes
from etgraph.queries.alignment.tokens import mixed
from etgraph.queries.alignment.union import Union

DEEPEST: Final = 64
"""So many levels of enclosing operators are looked through for one that is aligned."""


class Match(enum.IntEnum):
    """How an operator was found to be one of another trace, the surest first.

    `IDENTICAL`: all that is known of it and of what is around it, in order; `IN_PLACE`: name and dims, in order;
    `NAME_IN_PLACE`: the name, in order; `UNDER_SAME`: the name, under the same operator; `MOVED`: all that is known of
    it, elsewhere under the same operator; `MOVED_FAR`: the same, with all inside, under another one; `RENAMED`: another
    name in the same place; `LAUNCHED`: a device operator, or call, under the operator that launched both.
    """

    NONE = 0
    IDENTICAL = 1
    IN_PLACE = 2
    NAME_IN_PLACE = 3
    UNDER_SAME = 4
    MOVED = 5
    MOVED_FAR = 6
    RENAMED = 7
    LAUNCHED = 8


@dataclass(slots=True)
class Fit:
    """Nodes of a copy at positions of a union. `to`: each node's position, `of`: each position's node; -1 for none.

    Nodes and positions stand in two sequences, lane by lane: `mine` and `theirs` are those in order, `place_of` and
    `place_to` their places in it, `lane` is each node's lane in the union. `ordered` are the nodes whose positions
    ascend along the sequences. `parent` is the node around each node. `given_up` counts stretches that differ too much.
    """

    nodes: Nodes
    copy: Array
    union: Union
    lane: Array
    mine: Array
    theirs: Array
    place_of: Array
    place_to: Array
    parent: Array
    to: Array
    of: Array
    how: Array
    ordered: Array
    given_up: int = 0

    def take(self, node: Array, position: Array, how: Match, *, ordered: bool = False) -> None:
        """Let nodes of the copy be at those positions."""
        self.to[node], self.of[position], self.how[node] = position, node, int(how)
        if ordered:
            self.ordered[node] = True


@dataclass(frozen=True, slots=True)
class Left:
    """Nodes and positions that are left, both in order."""

    node: Array
    position: Array

    def __bool__(self) -> bool:
        return bool(len(self.node) and len(self.position))

    def where(self, nodes: Array, positions: Array) -> Left:
        """Those for which both masks say so."""
        return Left(self.node[nodes], self.position[positions])


def begin(nodes: Nodes, copy: Array, union: Union) -> Fit:
    """Nothing known but which lanes do the same."""
    lane = paired_lanes(nodes, copy, union)[nodes.lane[copy]]
    mine = np.argsort(lane, kind="stable")
    parent = nodes.parent[copy]
    place_of, place_to = np.empty(len(copy), dtype=np.int64), np.empty(len(union), dtype=np.int64)
    place_of[mine], place_to[union.order] = np.arange(len(copy)), np.arange(len(union))
    return Fit(
        nodes=nodes,
        copy=copy,
        union=union,
        lane=lane,
        mine=mine,
        theirs=union.order,
        place_of=place_of,
        place_to=place_to,
        parent=np.where(parent >= 0, parent - copy[0], -1),
        to=np.full(len(copy), -1, dtype=np.int64),
        of=np.full(len(union), -1, dtype=np.int64),
        how=np.zeros(len(copy), dtype=np.int8),
        ordered=np.zeros(len(copy), dtype=bool),
    )


def left(fit: Fit) -> Left:
    """All that is left."""
    return Left(fit.mine[fit.to[fit.mine] < 0], fit.theirs[fit.of[fit.theirs] < 0])


def exposed(fit: Fit) -> Left:
    """What is left while what is around it is not."""
    return (rest := left(fit)).where(_is_exposed(rest.node, fit.parent, fit.to),
                                     _is_exposed(rest.position, fit.union.parent, fit.of))  # fmt: skip


def _is_exposed(rows: Array, parent: Array, found: Array) -> Array:
    above = parent[rows]
    shown: Array = (above < 0) | (found[above] >= 0)
    return shown


def tokens(fit: Fit, rest: Left, token: Array) -> tuple[Array, Array]:
    """The tokens of what is left."""
    return token[fit.copy[rest.node]], token[fit.union.node[rest.position]]


def around(fit: Fit, rest: Left) -> tuple[Array, Array]:
    """Of what is left the position of the nearest operator around that is aligned, -1 for none."""
    mine = _nearest(fit.parent[rest.node], fit.parent, fit.to)
    return np.where(mine >= 0, fit.to[mine], -1), _nearest(fit.union.parent[rest.position], fit.union.parent, fit.of)


def _nearest(above: Array, parent: Array, found: Array) -> Array:
    for _ in range(DEEPEST):
        lost = np.flatnonzero((above >= 0) & (found[above] < 0))
        if not len(lost):
            return above
        above[lost] = parent[above[lost]]
    return np.where((above >= 0) & (found[above] >= 0), above, -1)


def under(fit: Fit, rest: Left, *columns: Array) -> tuple[Array, Array]:
    """Tokens of what is left that also say under which position it is."""
    mine, theirs = around(fit, rest)
    node, position = fit.copy[rest.node], fit.union.node[rest.position]
    return mixed(mine, *(c[node] for c in columns)), mixed(theirs, *(c[position] for c in columns))
