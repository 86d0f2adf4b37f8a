"""How many operators of a name, or collectives of a type, there are in a step, and of what size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from etgraph.model.arrivals import communicates
from etgraph.model.columns import Array
from etgraph.queries.comparison.pairing import Partners
from etgraph.queries.comparison.sides import Side
from etgraph.queries.keys import types

Class = tuple[bool, str]
"""Whether it is collectives, and their type or the operators' name."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Operators of a side by class and role: how many in each step, their bytes, and how many tell these.

    `ranks` is the number of ranks of each role.
    """

    count: Array
    bytes: Array
    sized: Array
    ranks: Array

    def a_step(self, number: int, roles: Array) -> float:
        """How many of a class there are a step and rank of those roles: the median over the steps."""
        return float(np.median(self.count[number, roles].sum(axis=0))) / max(int(self.ranks[roles].sum()), 1)

    def size(self, number: int, roles: Array) -> int | None:
        """The mean size of one, None where none is recorded."""
        count = int(self.sized[number, roles].sum())
        return round(self.bytes[number, roles].sum() / count) if count else None


def tally(side: Side, partners: Sequence[Partners], numbers: Mapping[Class, int], ranks: Array) -> Tally:
    """The operators of those classes, by their numbers; `ranks` is the number of ranks of each role."""
    width = len(numbers), len(ranks)
    found = Tally(np.zeros((*width, len(side.time_ns))), np.zeros(width), np.zeros(width), ranks)
    for run, one in zip(side.runs, partners, strict=True):
        o, rows = run.trace.operators, run.row
        names = [numbers.get((False, text), -1) for text in o.texts("name").to_pylist()]
        number = np.array([*names, -1])[o["name"][rows]]
        talks = np.flatnonzero(communicates(run.trace, rows))
        of_type = types(run.trace, rows[talks])
        number[talks] = np.array([*(numbers.get((True, type_key(text)), -1) for text in of_type.texts), -1])[
            of_type.code
        ]
        role, size = one.role[rows], o["comm_bytes"][rows]
        known = (number >= 0) & (role >= 0)
        np.add.at(found.count, (number[known], role[known], run.step[known]), 1)
        known &= size >= 0
        np.add.at(found.bytes, (number[known], role[known]), size[known])
        np.add.at(found.sized, (number[known], role[known]), 1)
    return found


def type_key(text: str) -> str:
    """What a change of collectives of a type is called.

    >>> type_key("ALL_REDUCE")
    'all_reduce'
    """
    return text.lower()
