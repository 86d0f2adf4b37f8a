"""Which threads and streams of a copy are which of the program: by what they hold, as their numbers differ."""

from __future__ import annotations

from typing import Final

import numpy as np

from etgraph.model.columns import Array
from etgraph.queries.alignment.program import Nodes
from etgraph.queries.alignment.union import Union

COMPARED: Final = 32
"""Lanes that are compared, those that hold most; what lies on others is found only if it lies on one of these."""


def paired_lanes(nodes: Nodes, copy: Array, union: Union) -> Array:
    """For each lane of a copy the union's lane that does the same, or a new number.

    Greedy: the largest lanes first, each with the one of its kind with which it has most names in common.
    """
    own = nodes.lane[copy]
    count = int(own.max(initial=-1)) + 1
    found = np.full(count, -1, dtype=np.int64)
    if count == 1 == len(union.lane_kind) and nodes.lane_kind[copy[0]] == union.lane_kind[0]:
        return np.zeros(1, dtype=np.int64)
    kinds = np.zeros(count, dtype=np.int64)
    kinds[own] = nodes.lane_kind[copy]
    codes = np.concatenate([nodes.tokens.named[copy], nodes.tokens.named[union.node]])
    names, code = np.unique(codes, return_inverse=True)
    mine = _counts(own, code[: len(copy)], count, len(names))
    theirs = _counts(union.lane, code[len(copy) :], len(union.lane_kind), len(names))
    free = np.ones(len(union.lane_kind), dtype=bool)
    for lane in mine:
        fits = [other for other in theirs if free[other] and union.lane_kind[other] == kinds[lane]]
        common = [int(np.minimum(mine[lane], theirs[other]).sum()) for other in fits]
        if max(common, default=0):
            best = fits[int(np.argmax(common))]
            found[lane], free[best] = best, False
    new = np.flatnonzero(found < 0)
    found[new] = len(union.lane_kind) + np.arange(len(new))
    return found


def _counts(lane: Array, code: Array, lanes: int, codes: int) -> dict[int, Array]:
    """How often each of the largest lanes has each name, the largest first."""
    held = np.bincount(lane, minlength=lanes)
    largest = np.argsort(-held, kind="stable")[:COMPARED].tolist()
    return {one: np.bincount(code[lane == one], minlength=codes) for one in largest if held[one]}
