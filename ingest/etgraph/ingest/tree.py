"""The tree of nodes that enclose each other, walked without recursion; `parent` holds rows, -1 for roots."""

from __future__ import annotations

import numpy as np

from etgraph.model.columns import Array
from etgraph.model.kernels import kernel


def visits(parent: Array) -> tuple[Array, Array]:
    """For each row when a walk through the tree enters it and when it leaves its last descendant; -1 on a cycle.

    Children are visited in order of their rows, so `enter[a] <= enter[b] <= leave[a]` says that a encloses b.
    """
    count = len(parent)
    by_parent = np.argsort(parent, kind="stable").astype(np.int32)
    children = np.bincount(parent + 1, minlength=count + 1)
    offsets = np.concatenate([[0], np.cumsum(children)]).astype(np.int32)
    return _visits(by_parent, offsets)


@kernel
def _visits(by_parent: Array, offsets: Array) -> tuple[Array, Array]:
    count = len(by_parent)
    enter = np.full(count, -1, dtype=np.int32)
    leave = np.full(count, -1, dtype=np.int32)
    stack = np.empty(count + 1, dtype=np.int32)
    following = offsets[:-1].copy()
    clock = 0
    depth = 1
    stack[0] = -1
    while depth > 0:
        v = stack[depth - 1]
        if following[v + 1] < offsets[v + 2]:
            child = by_parent[following[v + 1]]
            following[v + 1] += 1
            enter[child] = clock
            clock += 1
            stack[depth] = child
            depth += 1
        else:
            depth -= 1
            if v >= 0:
                leave[v] = clock - 1
    return enter, leave


def cycle(parent: Array, enter: Array) -> Array:
    """Rows of one cycle, outermost first as far as that means anything; empty where every row was entered."""
    missed = np.flatnonzero(enter < 0)
    if not len(missed):
        return missed
    seen: dict[int, int] = {}
    row = int(missed[0])
    while row not in seen:
        seen[row] = len(seen)
        row = int(parent[row])
    return np.array([r for r, at in seen.items() if at >= seen[row]][::-1], dtype=np.int64)


def nearest(parent: Array, enter: Array, flagged: Array, *, itself: bool) -> Array:
    """The nearest flagged row around each row, the row itself included or not; -1 where there is none."""
    return _nearest(parent, np.argsort(enter), flagged, itself)


@kernel
def _nearest(parent: Array, order: Array, flagged: Array, itself: bool) -> Array:
    around = np.full(len(parent), -1, dtype=np.int32)
    for i in range(len(order)):
        v = order[i]
        p = parent[v]
        if itself and flagged[v]:
            around[v] = v
        elif p >= 0:
            around[v] = p if flagged[p] and not itself else around[p]
    return around
