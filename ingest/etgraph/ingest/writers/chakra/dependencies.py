"""Which dependencies of a trace stand in which list of a Chakra node."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from etgraph.model import DependencyKind, Trace
from etgraph.model.columns import Array
from etgraph.model.graph import Adjacency, adjacency

LISTS: Final = {
    "ctrl": (
        DependencyKind.CTRL, DependencyKind.CALL, DependencyKind.THREAD, DependencyKind.LAUNCH, DependencyKind.SPAWN,
        DependencyKind.JOIN,
    ),
    "data": (DependencyKind.DATA, DependencyKind.STREAM, DependencyKind.EVENT),
    "others": (DependencyKind.SYNC, DependencyKind.OCCUPANCY, DependencyKind.COMM),
}  # fmt: skip
"""Kinds by list. Control and data dependencies order nodes by their starts; what does not order them so is apart."""


@dataclass(frozen=True, slots=True)
class Lists:
    """For each list the dependencies of every operator, in the order of the table: row of the other end, own row."""

    of: dict[str, Adjacency]
    rows: dict[str, Array]
    between_ranks: int

    @classmethod
    def of_trace(cls, trace: Trace) -> Lists:
        """The lists of a trace; dependencies between ranks, which no file of one rank can hold, are counted."""
        d, rank = trace.dependencies, trace.operators["rank"]
        within = rank[d["src"]] == rank[d["dst"]]
        of, rows = {}, {}
        for name, kinds in LISTS.items():
            rows[name] = np.flatnonzero(within & np.isin(d["kind"], [int(kind) for kind in kinds]))
            of[name] = adjacency(len(trace), d["dst"][rows[name]], d["src"][rows[name]])
        return cls(of, rows, int((~within).sum()))

    def ids(self, name: str, first: int, last: int, node_id: Array) -> list[list[int]]:
        """The ids that each of the operators from `first` to `last` names in a list."""
        offsets, neighbours = self.of[name].offsets, self.of[name].neighbours
        low, high = int(offsets[first]), int(offsets[last])
        listed = node_id[neighbours[low:high]].tolist()
        ends = (offsets[first : last + 1] - low).tolist()
        return [listed[a:b] for a, b in pairwise(ends)]

    def dependencies(self, name: str, operator: int) -> Array:
        """Rows of `dependencies` that an operator has in a list."""
        adjacent = self.of[name]
        return self.rows[name][adjacent.edges[adjacent.offsets[operator] : adjacent.offsets[operator + 1]]]
