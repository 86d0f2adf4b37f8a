"""Whose work it is: an operator and those inside it must not count the same work twice.

The innermost operator whose semantics are known has the work, because it is the one that ran: `aten::linear` calls
`aten::addmm`, and the kernel is the latter's. So an operator leaves its work to those inside it, at any depth, that
have some of their own in its family or in one that it yields to; its own is 0 then. It does not yield to helpers of
another kind: an `aten::addmm` that copies its bias first keeps its product, and the copy keeps its bytes.
"""

from __future__ import annotations

import numpy as np

from etgraph.ingest.draft import NULL
from etgraph.ingest.work.families import FAMILIES, NUMBER, WRAPPERS
from etgraph.model.columns import Array
from etgraph.model.kernels import kernel

_ROUNDS = 64
_YIELDS = np.array([sum(1 << NUMBER[name] for name in family.yields_to) for family in FAMILIES] + [0], dtype=np.int64)


def owned(parent: Array, family: Array, flops: Array, size: Array) -> None:
    """Set the work of operators to 0 where others inside them have it, and of empty wrappers to null; in place.

    `family` is the number of each operator's family, -1 for none.
    """
    works = ((flops != NULL) & (flops > 0)) | ((size != NULL) & (size > 0))
    inside = _families_inside(parent, np.where(works, np.left_shift(1, family.astype(np.int64) & 63), 0))
    yields = works & ((inside & _YIELDS[family]) != 0)
    flops[yields] = size[yields] = 0
    has_inside = np.zeros(len(parent), dtype=bool)
    has_inside[parent[parent >= 0]] = True
    empty = (family == WRAPPERS) & ~has_inside
    flops[empty] = size[empty] = NULL


def _families_inside(parent: Array, bits: Array) -> Array:
    """For each operator the bits of all operators inside it, at any depth.

    Each round hands what is new to the parents, so an operator is visited at most once for each bit it gains. What is
    nested deeper than any program's own calls is handed up row by row.
    """
    inside = np.zeros(len(parent), dtype=np.int64)
    rows = np.flatnonzero(bits)
    carried = bits[rows]
    for _ in range(_ROUNDS):
        if not len(rows):
            break
        rows, carried = parent[rows], carried[parent[rows] >= 0]
        rows = rows[rows >= 0]
        new = (carried & ~inside[rows]) != 0
        rows, carried = rows[new], carried[new]
        np.bitwise_or.at(inside, rows, carried)
        rows = np.unique(rows)
        carried = inside[rows]
    _climb(parent, rows, carried, inside)
    return inside


@kernel
def _climb(parent: Array, rows: Array, carried: Array, inside: Array) -> None:
    for i in range(len(rows)):
        above = parent[rows[i]]
        while above >= 0 and carried[i] & ~inside[above]:
            inside[above] |= carried[i]
            above = parent[above]
