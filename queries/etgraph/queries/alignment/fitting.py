"""One copy of a program against the union of those before it: which of its operators are which, and how that is told.

First in order: a longest common subsequence of what each lane runs, operators before what they enclose, so that a level
that one side has more leaves what is inside where it is. All that is known of an operator counts first, with all that is
around it; between what that finds, less and less does. Then what is left is looked for elsewhere: moved to another
place under the same operator, to another operator, renamed in its place, or launched by the same operator.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from etgraph.model.columns import Array
from etgraph.model.graph import nearest_above
from etgraph.model.sequences import align_boxes, ascending, side_by_side, unique_pairs
from etgraph.queries.alignment.lanes import paired_lanes
from etgraph.queries.alignment.program import Nodes
from etgraph.queries.alignment.tokens import Class, mixed
from etgraph.queries.alignment.union import Union, of_copy

EDITS: Final = 8_000
STEPS: Final = 60_000_000
"""Stretches that take more edits, or a pass that takes more steps, are aligned by what is rare in them."""
ROUNDS: Final = 64
"""How many levels of enclosing operators are gone down through to find what moved."""


class Match(enum.IntEnum):
    """How an operator was found to be one of another trace, the surest first."""

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
    """What is known so far. `to`: each node's position, -1 for none; `of`: each position's node of the copy.

    Nodes and positions have places in two sequences, lane by lane: `mine` and `theirs` hold them in order, `lane` is
    each node's lane in the union. `ordered` are the nodes whose positions ascend along the sequences.
    """

    nodes: Nodes
    copy: Array
    union: Union
    lane: Array
    mine: Array
    theirs: Array
    parent: Array
    to: Array
    of: Array
    how: Array
    ordered: Array
    place_of: Array
    place_to: Array
    lanes: Array
    given_up: int = 0
    _ancestors: tuple[Array, Array] | None = field(default=None)

    def take(self, node: Array, position: Array, how: Match, *, ordered: bool = False) -> None:
        """Nodes of the copy that are at those positions."""
        self.to[node], self.of[position], self.how[node] = position, node, int(how)
        if ordered:
            self.ordered[node] = True
        self._ancestors = None

    def ancestors(self) -> tuple[Array, Array]:
        """Of every node, and of every position, the position of the nearest one around it that is at one; -1: none."""
        if self._ancestors is None:
            mine = nearest_above(self.parent, self.to >= 0)
            above = np.where(mine >= 0, self.to[np.maximum(mine, 0)], -1)
            self._ancestors = above, nearest_above(self.union.parent, self.of >= 0)
        return self._ancestors


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
    fit = _begin(nodes, copy, union)
    if known is not None:
        _take_known(fit, known)
    if (fit.to < 0).any() and (fit.of < 0).any():
        _fill(fit)
    return fit


def _take_known(fit: Fit, known: Known) -> None:
    fit.to[known.node], fit.of[known.position], fit.how[known.node] = known.position, known.node, known.how
    fit.given_up = known.given_up
    ordered = known.ordered & (fit.lane[known.node] == fit.union.lane[known.position])
    places, _ = ascending(fit.place_of[known.node[ordered]], fit.place_to[known.position[ordered]])
    fit.ordered[fit.mine[places]] = True


def _fill(fit: Fit) -> None:
    nodes = fit.nodes
    exact, shaped, named = nodes.tokens.exact, nodes.tokens.shaped, nodes.tokens.named
    above = nodes.parent
    around = np.where(above >= 0, named[np.maximum(above, 0)], 0)
    if _in_order(fit, nodes.path, Match.IDENTICAL):
        _beside(fit)
    _in_order(fit, mixed(around, shaped), Match.IN_PLACE)
    _in_order(fit, shaped, Match.IN_PLACE)
    _moved(fit, nodes.tree, Match.MOVED, whole=True)
    _moved(fit, exact, Match.MOVED)
    _in_order(fit, mixed(nodes.loose_path), Match.NAME_IN_PLACE)
    _in_order(fit, named, Match.NAME_IN_PLACE)
    _below(fit)
    _moved_far(fit)
    _around_the_same(fit)
    _below(fit)
    _renamed(fit)
    _below(fit)
    _launched(fit)


def _begin(nodes: Nodes, copy: Array, union: Union) -> Fit:
    lanes = paired_lanes(nodes, copy, union)
    lane = lanes[nodes.lane[copy]]
    mine = np.argsort(lane, kind="stable")
    known = np.arange(len(union.lane_kind))
    limits = [
        np.searchsorted(values, known, side=side)
        for values in (lane[mine], union.lane[union.order])
        for side in ("left", "right")
    ]
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
        parent=np.where(parent >= 0, parent - copy[0], -1),
        to=np.full(len(copy), -1, dtype=np.int64),
        of=np.full(len(union), -1, dtype=np.int64),
        how=np.zeros(len(copy), dtype=np.int8),
        ordered=np.zeros(len(copy), dtype=bool),
        place_of=place_of,
        place_to=place_to,
        lanes=np.stack(limits, axis=1) if len(known) else np.zeros((0, 4), dtype=np.int64),
    )


def _gaps(fit: Fit) -> Array:
    """Stretches of both sequences between what is aligned in order: rows of first and end in each."""
    node = np.flatnonzero(fit.ordered)
    a, b = fit.place_of[node], fit.place_to[fit.to[node]]
    starts = np.concatenate([fit.lanes[:, [0, 2]], np.stack([a + 1, b + 1], axis=1)])
    ends = np.concatenate([fit.lanes[:, [1, 3]], np.stack([a, b], axis=1)])
    starts = starts[np.lexsort((starts[:, 1], starts[:, 0]))]
    ends = ends[np.lexsort((ends[:, 1], ends[:, 0]))]
    boxes = np.stack([starts[:, 0], ends[:, 0], starts[:, 1], ends[:, 1]], axis=1)
    found: Array = boxes[(boxes[:, 1] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 2])]
    return found


def _labels(first: Array, end: Array, count: int) -> Array:
    """For each place of a sequence the number of the stretch that it is in, -1 for none."""
    found = np.full(count, -1, dtype=np.int64)
    length = end - first
    at = np.repeat(first - (np.cumsum(length) - length), length) + np.arange(int(length.sum()))
    found[at] = np.repeat(np.arange(len(first)), length)
    return found


def _in_order(fit: Fit, token: Array, how: Match, *, anywhere: bool = False, where: Array | None = None) -> int:
    """Align what is left, between what is aligned in order, or `anywhere`, as one sequence; how many that found.

    `token` has a number for every node of both traces; `where` says which nodes of those may be aligned.
    """
    if not (fit.to < 0).any() or not (fit.of < 0).any():
        return 0
    if anywhere:
        box_a, box_b = np.zeros(len(fit.copy), dtype=np.int64), np.zeros(len(fit.union), dtype=np.int64)
    else:
        boxes = _gaps(fit)
        box_a = _labels(boxes[:, 0], boxes[:, 1], len(fit.mine))
        box_b = _labels(boxes[:, 2], boxes[:, 3], len(fit.theirs))
    return _aligned(fit, (token[fit.copy], token[fit.union.node]), (box_a, box_b), how, ordered=not anywhere)


def _aligned(
    fit: Fit, tokens: tuple[Array, Array], boxes: tuple[Array, Array], how: Match, *, ordered: bool,
    where: tuple[Array, Array] | None = None,
) -> int:  # fmt: skip
    """Longest common subsequences of what is left in each box; tokens are by node and position, boxes by place."""
    a = np.flatnonzero((boxes[0] >= 0) & (fit.to[fit.mine] < 0))
    b = np.flatnonzero((boxes[1] >= 0) & (fit.of[fit.theirs] < 0))
    if where is not None:
        a, b = a[where[0][fit.mine[a]]], b[where[1][fit.theirs[b]]]
    if not len(a) or not len(b):
        return 0
    keys = np.concatenate([
        mixed(boxes[0][a], tokens[0][fit.mine[a]]), mixed(boxes[1][b], tokens[1][fit.theirs[b]])
    ])  # fmt: skip
    _, code = np.unique(keys, return_inverse=True)
    one, two = code[: len(a)], code[len(a) :]
    # What only one side has is no part of a common subsequence, and would only count as edits.
    count = int(code.max()) + 1
    both = (np.bincount(one, minlength=count) > 0) & (np.bincount(two, minlength=count) > 0)
    a, b, one, two = a[both[one]], b[both[two]], one[both[one]], two[both[two]]
    if not len(a):
        return 0
    found = _common(fit, one, two, _boxes(boxes[0][a], boxes[1][b]))
    some = np.flatnonzero(found >= 0)
    fit.take(fit.mine[a[some]], fit.theirs[b[found[some]]], how, ordered=ordered)
    return len(some)


def _boxes(a: Array, b: Array) -> Array:
    """Rows of first and end in both of each label's stretch, labels ascending in both."""
    labels = np.intersect1d(a, b)
    sides = [np.searchsorted(values, labels, side=side) for values in (a, b) for side in ("left", "right")]  # type: ignore[call-overload]
    return np.stack(sides, axis=1)


def _beside(fit: Fit) -> None:
    """Let what is left of the copy stand beside what is left of the union, where several alignments are as good."""
    if not np.array_equal(fit.ordered, fit.to >= 0) or fit.ordered.all():
        return
    partner = np.where(fit.to[fit.mine] >= 0, fit.place_to[np.maximum(fit.to[fit.mine], 0)], -1)
    path = fit.nodes.path
    moved = side_by_side(partner, path[fit.copy[fit.mine]], path[fit.union.node[fit.theirs]], fit.lanes)
    if np.array_equal(moved, partner):
        return
    fit.to[:], fit.of[:], fit.how[:] = -1, -1, int(Match.NONE)
    fit.ordered[:] = False
    some = np.flatnonzero(moved >= 0)
    fit.take(fit.mine[some], fit.theirs[moved[some]], Match.IDENTICAL, ordered=True)


def _common(fit: Fit, a: Array, b: Array, boxes: Array) -> Array:
    """Partners in `b` of the codes `a`, box by box; in boxes that differ too much, of what is rare in both first."""
    found, rest = align_boxes(a, b, boxes, EDITS, STEPS)
    if not len(rest):
        return found
    fit.given_up += len(rest)
    for box in rest.tolist():
        first, below = box[0], box[2]
        one, two = a[first : box[1]], b[below : box[3]]
        at, to = ascending(*unique_pairs(one, two))
        if not len(at):
            at, to = ascending(*unique_pairs(_numbered(one), _numbered(two)))
        found[first + at] = below + to
        starts = np.stack([np.append(-1, at) + 1, np.append(-1, to) + 1], axis=1)
        ends = np.stack([np.append(at, len(one)), np.append(to, len(two))], axis=1)
        between = np.stack([starts[:, 0], ends[:, 0], starts[:, 1], ends[:, 1]], axis=1)
        more, left = align_boxes(one, two, between, EDITS, STEPS // len(rest))
        inner = np.flatnonzero(more >= 0)
        found[first + inner] = below + more[inner]
        for piece in left.tolist():
            at, to = ascending(*unique_pairs(_numbered(one[piece[0] : piece[1]]), _numbered(two[piece[2] : piece[3]])))
            found[first + piece[0] + at] = below + piece[2] + to
    return found


def _numbered(codes: Array) -> Array:
    """Codes that say how many equal ones are before, so that each is there once."""
    order = np.argsort(codes, kind="stable")
    ordered = codes[order]
    number = np.empty(len(codes), dtype=np.int64)
    number[order] = np.arange(len(codes)) - np.searchsorted(ordered, ordered)
    return mixed(codes, number)


def _everywhere(fit: Fit) -> tuple[Array, Array]:
    return np.zeros(len(fit.copy), dtype=np.int64), np.zeros(len(fit.union), dtype=np.int64)


def _exposed(fit: Fit) -> tuple[Array, Array]:
    """Whether each node, and each position, is left while what is around it is not."""
    free_a, free_b = fit.to < 0, fit.of < 0
    up_a, up_b = fit.parent, fit.union.parent
    return (
        free_a & ((up_a < 0) | ~free_a[np.maximum(up_a, 0)]),
        free_b & ((up_b < 0) | ~free_b[np.maximum(up_b, 0)]),
    )


def _under(fit: Fit, token: Array) -> tuple[Array, Array]:
    """Tokens of nodes and positions that say under which position each is."""
    mine, theirs = fit.ancestors()
    return mixed(mine, token[fit.copy]), mixed(theirs, token[fit.union.node])


def _moved(fit: Fit, token: Array, how: Match, *, whole: bool = False) -> None:
    """What stands elsewhere under the same operator: in order as far as that goes, then one of a sort after another.

    `whole`: tokens tell of all inside, which is then aligned too.
    """
    for turn in range(3):
        where = _exposed(fit)
        if not where[0].any() or not where[1].any():
            return
        before = fit.to < 0
        if turn < 2:
            found = _aligned(fit, _under(fit, token), _everywhere(fit), how, ordered=False, where=where)
        else:
            found = _by_number(fit, _under(fit, token), how, where)
        if whole and found:
            _inside(fit, np.flatnonzero(before & (fit.to >= 0)), how)
        if not found:
            return


def _by_number(fit: Fit, tokens: tuple[Array, Array], how: Match, where: tuple[Array, Array]) -> int:
    """The k-th of a token with the k-th."""
    a, b = np.flatnonzero(where[0][fit.mine]), np.flatnonzero(where[1][fit.theirs])
    a, b = fit.mine[a], fit.theirs[b]
    one, two = unique_pairs(_numbered(tokens[0][a]), _numbered(tokens[1][b]))
    fit.take(a[one], b[two], how)
    return len(one)


def _inside(fit: Fit, tops: Array, how: Match) -> None:
    """All that equal trees hold, node by node."""
    size = fit.nodes.size[fit.copy[tops]]
    shift = np.arange(int(size.sum())) - np.repeat(np.cumsum(size) - size, size)
    node = np.repeat(tops, size) + shift
    position = _position_of(fit, np.repeat(fit.union.node[fit.to[tops]], size) + shift)
    free = (fit.to[node] < 0) & (position >= 0)
    free[free] = fit.of[position[free]] < 0
    fit.take(node[free], position[free], how)


def _position_of(fit: Fit, node: Array) -> Array:
    """The position whose first node is one of those, -1 for none."""
    order = np.argsort(fit.union.node, kind="stable")
    at = np.minimum(np.searchsorted(fit.union.node, node, sorter=order), len(order) - 1)
    found: Array = np.where(fit.union.node[order[at]] == node, order[at], -1)
    return found


def _below(fit: Fit) -> None:
    """What is left under operators that are aligned, level by level: by dims and name, then by name."""
    for token in (fit.nodes.tokens.shaped, fit.nodes.tokens.named):
        for _ in range(ROUNDS):
            where = _exposed(fit)
            above = [np.where(up >= 0, up, 0) for up in (fit.parent, fit.union.parent)]
            inner = where[0] & (fit.parent >= 0), where[1] & (fit.union.parent >= 0)
            inner = inner[0] & (fit.to[above[0]] >= 0), inner[1] & (fit.of[above[1]] >= 0)
            if not _aligned(fit, _under(fit, token), _everywhere(fit), Match.UNDER_SAME, ordered=False, where=inner):
                break


def _moved_far(fit: Fit) -> None:
    """Trees that are left on both sides, and of which there is one on each: under another operator."""
    where = _exposed(fit)
    a, b = np.flatnonzero(where[0]), np.flatnonzero(where[1])
    a, b = a[fit.nodes.size[fit.copy[a]] > 1], b[fit.nodes.size[fit.union.node[b]] > 1]
    one, two = unique_pairs(fit.nodes.tree[fit.copy[a]], fit.nodes.tree[fit.union.node[b]])
    if len(one):
        fit.take(a[one], b[two], Match.MOVED_FAR)
        _inside(fit, a[one], Match.MOVED_FAR)


def _around_the_same(fit: Fit) -> None:
    """Renamed levels: of what is left, what encloses most of the same operators on both sides."""
    inner = np.flatnonzero((fit.to >= 0) & (fit.parent >= 0))
    node, position = fit.parent[inner], fit.union.parent[fit.to[inner]]
    some = (position >= 0) & (fit.to[node] < 0)
    some[some] = fit.of[position[some]] < 0
    node, position = node[some], position[some]
    if not len(node):
        return
    kinds = fit.nodes.tokens.kind
    pair, votes = np.unique(node * len(fit.union) + position, return_counts=True)
    node, position = pair // len(fit.union), pair % len(fit.union)
    same = kinds[fit.copy[node]] == kinds[fit.union.node[position]]
    node, position, votes = node[same], position[same], votes[same]
    order = np.lexsort((position, node, -votes))
    node, position = node[order], position[order]
    first = np.zeros(len(node), dtype=bool)
    first[np.unique(node, return_index=True)[1]] = True
    second = np.zeros(len(node), dtype=bool)
    second[np.unique(position, return_index=True)[1]] = True
    fit.take(node[first & second], position[first & second], Match.RENAMED)


def _renamed(fit: Fit) -> None:
    """Operators of other names in the same place: of the same dims; or without dims, the only ones left there."""
    boxes = _gaps(fit)
    labels = (
        _labels(boxes[:, 0], boxes[:, 1], len(fit.mine)),
        _labels(boxes[:, 2], boxes[:, 3], len(fit.theirs)),
    )
    nodes, kind, dims = fit.nodes, fit.nodes.tokens.kind, fit.nodes.tokens.dims
    host = kind <= Class.RECORD
    plain = [host[n] & (dims[n] != 0) for n in (fit.copy, fit.union.node)]
    _aligned(
        fit, _under(fit, mixed(kind, dims)), labels, Match.RENAMED, ordered=True, where=(plain[0], plain[1])
    )  # fmt: skip
    bare = [host[n] & (dims[n] == 0) for n in (fit.copy, fit.union.node)]
    exposed = _exposed(fit)
    single = (
        exposed[0] & bare[0] & _only(labels[0][fit.place_of], exposed[0]),
        exposed[1] & bare[1] & _only(labels[1][fit.place_to], exposed[1]),
    )
    _aligned(fit, _under(fit, kind), labels, Match.RENAMED, ordered=True, where=single)
    device = [(kind[n] >= Class.KERNEL) for n in (fit.copy, fit.union.node)]
    _aligned(
        fit, _under(fit, mixed(kind, nodes.tokens.family)), labels, Match.RENAMED, ordered=True,
        where=(device[0], device[1]),
    )  # fmt: skip


def _only(label: Array, free: Array) -> Array:
    """Whether each is the only free one of its label."""
    count = np.bincount(label[free & (label >= 0)], minlength=int(label.max(initial=-1)) + 1)
    found: Array = free & (label >= 0) & (np.append(count, 0)[label] == 1)
    return found


def _launched(fit: Fit) -> None:
    """Device operators, and the calls around them, by the operator that launched them and their order under it."""
    kind, family = fit.nodes.tokens.kind, fit.nodes.tokens.family
    below = [(kind[n] >= Class.CALL) & (above >= 0) for n, above in
             zip((fit.copy, fit.union.node), fit.ancestors(), strict=True)]  # fmt: skip
    for token in (mixed(kind, fit.nodes.tokens.named), mixed(kind, family), kind):
        _aligned(fit, _under(fit, token), _everywhere(fit), Match.LAUNCHED, ordered=False, where=(below[0], below[1]))
