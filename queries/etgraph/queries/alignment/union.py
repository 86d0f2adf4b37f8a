"""The union of aligned programs: every operator that one of them has, once, in order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etgraph.model.columns import Array
from etgraph.queries.alignment.program import Nodes


@dataclass(frozen=True, slots=True)
class Union:
    """Positions of a program, and of each the node that it was first met as.

    `parent` is the position that encloses each, -1 at the top; `lane` the number of its lane, all of one lane's
    positions following each other in `order`; `lane_kind` that lane's kind, one for each lane.
    """

    node: Array
    parent: Array
    lane: Array
    order: Array
    lane_kind: Array

    def __len__(self) -> int:
        return len(self.node)


def of_copy(nodes: Nodes, copy: Array) -> Union:
    """The program of one copy, whose nodes follow each other: position k is its k-th node."""
    parent, lane = nodes.parent[copy], nodes.lane[copy]
    parent = np.where(parent >= 0, parent - (copy[0] if len(copy) else 0), -1)
    lane_kind = np.zeros(int(lane.max(initial=-1)) + 1, dtype=np.int64)
    lane_kind[lane] = nodes.lane_kind[copy]
    return Union(copy, parent, lane, np.argsort(lane, kind="stable"), lane_kind)


def extended(union: Union, nodes: Nodes, copy: Array, to: Array, lane: Array, after: Array) -> tuple[Union, Array]:
    """The union with what a copy has beyond it, and the position of each of the copy's nodes.

    `to` is the position of each node, -1 where the union has none; `lane` the union's lane of each, or a new one's
    number; `after` the place in the union's order after which it stands, -1 before all.
    """
    new = np.flatnonzero(to < 0)
    if not len(new):
        return union, to
    to = to.copy()
    to[new] = len(union) + np.arange(len(new))
    up = nodes.parent[copy[new]]
    parent = np.where(up >= 0, to[np.maximum(up - copy[0], 0)], -1)
    lane_kind = np.zeros(max(len(union.lane_kind), int(lane.max()) + 1), dtype=np.int64)
    lane_kind[lane] = nodes.lane_kind[copy]
    lane_kind[: len(union.lane_kind)] = union.lane_kind
    lanes = np.concatenate([union.lane[union.order], lane[new]])
    place = np.concatenate([np.arange(len(union)), after[new]])
    second = np.concatenate([np.full(len(union), -1), new])
    positions = np.concatenate([union.order, to[new]])
    return Union(
        node=np.concatenate([union.node, copy[new]]),
        parent=np.concatenate([union.parent, parent]),
        lane=np.concatenate([union.lane, lane[new]]),
        order=positions[np.lexsort((second, place, lanes))],
        lane_kind=lane_kind,
    ), to
