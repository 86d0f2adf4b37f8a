"""What an alignment leaves: operators that only one of two traces has, what they take, and why that may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from etgraph.model import Category, Trace
from etgraph.model.columns import Array
from etgraph.model.sums import sum_by
from etgraph.queries.alignment.alignment import Alignment
from etgraph.queries.alignment.program import enclosing_or_launching
from etgraph.queries.alignment.tokens import tokens_of
from etgraph.queries.calls import own_times

NO_RANK: Final = "no counterpart of its rank"
INSIDE: Final = "inside an operator that is not aligned"
NO_NAME: Final = "no operator of that name on the other side"
NO_PLACE: Final = "more of that name, or in another place, than on the other side"
REASONS: Final = (NO_RANK, INSIDE, NO_NAME, NO_PLACE)


@dataclass(frozen=True, slots=True)
class Unaligned:
    """Operators of one side ("base" or "other"), lane ("host" or "device"), name and reason; own time in ns."""

    side: str
    lane: str
    name: str
    reason: str
    count: int
    ns: int


def unaligned(base: Trace, other: Trace, alignment: Alignment) -> tuple[Unaligned, ...]:
    """The operators of two traces that an alignment of them leaves, in groups, those that take most time first."""
    names = [np.unique(tokens_of(trace).named[at >= 0]) for trace, at in
             ((base, alignment.base), (other, alignment.other))]  # fmt: skip
    found = [
        *_of_side("base", base, alignment.removed, alignment.alone[0], names[1]),
        *_of_side("other", other, alignment.added, alignment.alone[1], names[0]),
    ]
    return tuple(sorted(found, key=lambda row: (-row.ns, -row.count, row.side, row.name)))


def _of_side(side: str, trace: Trace, rows: Array, alone: tuple[int, ...], known: Array) -> list[Unaligned]:
    if not len(rows):
        return []
    o = trace.operators
    left = np.zeros(len(o), dtype=bool)
    left[rows] = True
    above = enclosing_or_launching(trace)[rows]
    reason = np.select(
        [np.isin(o["rank"][rows], alone), (above >= 0) & left[above], ~np.isin(tokens_of(trace).named[rows], known)],
        [0, 1, 2],
        3,
    )
    device = (o["category"][rows] >= int(Category.KERNEL)).astype(np.int64)
    key = (o["name"][rows].astype(np.int64) * 2 + device) * len(REASONS) + reason
    keys, group = np.unique(key, return_inverse=True)
    count, ns = np.bincount(group), sum_by(group, own_times(trace)[rows], len(keys))
    return [
        Unaligned(
            side,
            "device" if one // len(REASONS) % 2 else "host",
            o.texts("name")[one // len(REASONS) // 2].as_py(),
            REASONS[one % len(REASONS)],
            int(count[k]),
            int(ns[k]),
        )
        for k, one in enumerate(keys.tolist())
    ]


__all__ = ["Unaligned", "unaligned"]
