"""Which rank the others wait for: the waiting that goes back to each rank, step by step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etgraph.model.arrivals import arrivals
from etgraph.model.columns import Array
from etgraph.model.sums import sum_by
from etgraph.queries.blame import lateness
from etgraph.queries.findings.measured import Measured
from etgraph.queries.rendezvous import rendezvous

SURE = 4.0
"""Lateness is a rank's own, not chance, where its mean over the steps is so many times the error of that mean."""
FEW = 3
"""Fewer steps tell nothing about chance."""


@dataclass(frozen=True, slots=True)
class Blamed:
    """Waiting by step (rows) and rank (columns, in the order of `ranks`) in ns: what goes back to the rank."""

    ranks: tuple[int, ...]
    ns: Array

    @property
    def share(self) -> Array:
        """The part of all waiting that goes back to each rank."""
        total = self.ns.sum()
        return np.asarray(self.ns.sum(axis=0) / total) if total else np.zeros(len(self.ranks))

    def beyond_chance(self, rank: int) -> bool:
        """Whether that rank (by its column) is later than the mean of the others in more than chance of steps.

        True where there are too few steps to tell.
        """
        if len(self.ns) < FEW:
            return True
        others = np.delete(self.ns, rank, axis=1).mean(axis=1)
        more = self.ns[:, rank] - others
        error = more.std(ddof=1) / np.sqrt(len(more))
        return bool(more.mean() > SURE * error)


def blamed(measured: Measured) -> Blamed:
    """Follow the waiting at the steps' meetings back to the ranks that caused it; see `etgraph.queries.blame`."""
    trace, o = measured.trace, measured.trace.operators
    met = rendezvous(trace, measured.windows, arrivals(trace))
    late = lateness(trace, met)
    ranks = trace.ranks
    step = o["iteration"][met.row[met.late]]
    index = np.where(step >= 0, trace.iterations["index"][step], -1) if len(trace.iterations) else step
    place = np.zeros(len(index), dtype=np.int64)
    if measured.asked is not None:
        place = np.searchsorted(np.array(measured.steps), index)
    inside = (place < len(measured.steps)) & ((index >= 0) | (measured.asked is None))
    column = np.searchsorted(ranks, o["rank"][met.row[met.late]])
    cell = place * len(ranks) + column
    ns = sum_by(cell[inside], late.blamed_ns[inside], len(measured.steps) * len(ranks))
    return Blamed(ranks, ns.reshape(len(measured.steps), len(ranks)))
