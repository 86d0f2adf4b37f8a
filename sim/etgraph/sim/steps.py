"""The steps of a run on any timeline: from when to when each lasts, on each rank and over all of them.

A step moves with the operators of its annotation's thread, so that one operator opens and one closes it: that is what
derivatives are taken by. `etgraph.queries.step_time` goes by all work that had been done by the window's ends instead,
for timelines on which the thread no longer says how long a step takes, such as those of a host that takes no time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from etgraph.model import Trace
from etgraph.model.columns import Array
from etgraph.model.errors import MissingData
from etgraph.sim.rank_times import works


@dataclass(frozen=True, slots=True)
class Steps:
    """Steps, an entry each: of iterations by rank, else the whole of each rank.

    `rank` and `iteration` (its index, -1: the whole) name them. A step moves with its operators: it begins `lead_ns`
    before the first start, and ends `trail_ns` after the last end, of `rows[first[k]:first[k + 1]]`.
    """

    rank: Array
    iteration: Array
    rows: Array
    first: Array
    lead_ns: Array
    trail_ns: Array

    def __len__(self) -> int:
        return len(self.rank)

    def on(self, start_ns: Array, end_ns: Array) -> Extents:
        """From when to when each lasts on a timeline; starts and ends of all operators in ns."""
        start, end = start_ns[self.rows], end_ns[self.rows]
        begin, until = np.minimum.reduceat(start, self.first), np.maximum.reduceat(end, self.first)
        of = np.repeat(np.arange(len(self)), np.diff(np.append(self.first, len(self.rows))))
        opens, closes = (
            self.rows[hits[np.searchsorted(of[hits], np.arange(len(self)))]]
            for hits in (np.flatnonzero(start == begin[of]), np.flatnonzero(end == until[of]))
        )
        return Extents(self.rank, self.iteration, begin - self.lead_ns, until + self.trail_ns, opens, closes)


@dataclass(frozen=True, slots=True)
class Extents:
    """From when to when steps last in ns; `opens` and `closes` are the rows of the operators that say so."""

    rank: Array
    iteration: Array
    start_ns: Array
    end_ns: Array
    opens: Array
    closes: Array

    @property
    def length_ns(self) -> Array:
        """How long each step takes."""
        return self.end_ns - self.start_ns

    def together(self) -> Extents:
        """Each iteration over all ranks: from the earliest start to the latest end; its rank is -1."""
        opens = np.lexsort((self.start_ns, self.iteration))
        closes = np.lexsort((-self.end_ns, self.iteration))
        iteration, place = np.unique(self.iteration[opens], return_index=True)
        first, last = opens[place], closes[place]
        return Extents(
            np.full(len(iteration), -1), iteration, self.start_ns[first], self.end_ns[last], self.opens[first],
            self.closes[last],
        )  # fmt: skip


def steps_of(trace: Trace, rank: int | None = None, iterations: Sequence[int] | None = None) -> Steps:
    """The steps of a measured trace, of one rank and some iterations or of all; they move as `Trace.with_times` says.

    Raises MissingData for a rank or an iteration that is not there, and where nothing lasts.
    """
    o, i = trace.operators, trace.iterations
    if rank is not None and rank not in trace.ranks:
        raise MissingData(f"no rank {rank}: the trace holds ranks {', '.join(map(str, trace.ranks)) or 'none'}")
    if iterations is not None and not len(i):
        raise MissingData(f"no iteration {', '.join(map(str, iterations))}: the trace has no iterations")
    if len(i):
        counted = ~i.is_null("start_ns") & ~i.is_null("end_ns") & (i["end_ns"] > i["start_ns"])
        chosen = counted & (np.isin(i["index"], iterations) if iterations is not None else True)
        rows = np.flatnonzero(trace.timed & (o["iteration"] >= 0))
        of = o["iteration"][rows]
        own = (o["lane"][rows] >= 0) & (o["lane"][rows] == i["lane"][of])
        has_own = np.bincount(of[own], minlength=len(i)) > 0
        rows = rows[(own | ~has_own[of]) & chosen[of]]
        step = o["iteration"][rows]
        found = _steps(rows, step, i["rank"], i["index"])
        measured = found.on(o["start_ns"], trace.end_ns)
        row = step[np.argsort(step, kind="stable")][found.first]
        found = replace(found, lead_ns=measured.start_ns - i["start_ns"][row],
                        trail_ns=i["end_ns"][row] - measured.end_ns)  # fmt: skip
        missing = sorted(set(iterations or ()) - set(found.iteration.tolist()))
        if missing:
            raise MissingData(f"no iteration {missing[0]} with times: the trace has {_held(trace)}")
    else:
        rows = np.flatnonzero(trace.timed & works(trace))
        place = np.searchsorted(trace.ranks, o["rank"][rows])
        found = _steps(rows, place, np.array(trace.ranks), np.full(len(trace.ranks), -1))
    if rank is not None:
        found = _of_rank(found, rank)
    if not len(found):
        raise MissingData("the trace has nothing that lasts" if rank is None else f"rank {rank} has no step with times")
    return found


def _held(trace: Trace) -> str:
    return ", ".join(map(str, trace.iteration_indices)) or "none"


def _steps(rows: Array, step: Array, rank: Array, iteration: Array) -> Steps:
    """Steps of those rows by number; `rank` and `iteration` are looked up by it."""
    order = np.argsort(step, kind="stable")
    number, first = np.unique(step[order], return_index=True)
    nothing = np.zeros(len(number), dtype=np.int64)
    return Steps(rank[number], iteration[number].astype(np.int64), rows[order], first, nothing, nothing)


def _of_rank(steps: Steps, rank: int) -> Steps:
    kept = np.flatnonzero(steps.rank == rank)
    ends = np.append(steps.first[1:], len(steps.rows))
    size = ends[kept] - steps.first[kept]
    rows = np.concatenate([np.zeros(0, dtype=np.int64), *(steps.rows[steps.first[k] : ends[k]] for k in kept.tolist())])
    return Steps(
        steps.rank[kept], steps.iteration[kept], rows, np.cumsum(size) - size, steps.lead_ns[kept],
        steps.trail_ns[kept],
    )  # fmt: skip


__all__ = ["Extents", "Steps", "steps_of"]
