"""Which dependencies of a trace stand in which list of a Chakra node."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from etgraph.ingest.chakra.document import LISTS
from etgraph.model import Trace
from etgraph.model.columns import Array
from etgraph.model.graph import Adjacency, adjacency


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

    def flat(self, name: str, first: int, last: int, node_id: Array) -> tuple[Array, Array]:
        """The ids that the operators from `first` to `last` name in a list, and where those of each begin and end."""
        ends = self.of[name].offsets[first : last + 1]
        return node_id[self.of[name].neighbours[ends[0] : ends[-1]]], ends - ends[0]

    def ids(self, name: str, first: int, last: int, node_id: Array) -> list[list[int]]:
        """The ids that each of the operators from `first` to `last` names in a list."""
        return _cut(*self.flat(name, first, last, node_id))

    def of_each(self, name: str, first: int, last: int, values: Array) -> list[list[int]]:
        """What a value a dependency is for those that each of the operators from `first` to `last` has in a list."""
        ends = self.of[name].offsets[first : last + 1]
        return _cut(values[self.rows[name][self.of[name].edges[ends[0] : ends[-1]]]], ends - ends[0])


def _cut(values: Array, ends: Array) -> list[list[int]]:
    listed = values.tolist()
    return [listed[a:b] for a, b in pairwise(ends.tolist())]
