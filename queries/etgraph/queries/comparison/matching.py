"""Operators of a side and what is at their place on the other side, by the alignment of the traces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etgraph.model import Trace
from etgraph.model.columns import Array
from etgraph.queries.alignment import Alignment
from etgraph.queries.comparison.occurrences import align
from etgraph.queries.comparison.sides import Run, Side

_UNPAIRED = -1


@dataclass(frozen=True, slots=True)
class Match:
    """A run against one of the other side, with an entry an operator of the run.

    `partner` is the row of an operator of `against` at the same place of the program, -1 where there is none; `asked`
    says whether a partner was looked for at all. `pair` numbers the pairs of ranks that were taken for the same, -1 for
    a rank that the other side does not have.
    """

    against: Trace
    partner: Array
    asked: Array
    pair: Array


@dataclass(frozen=True, slots=True)
class Matches:
    """A match for every run of either side. `ranks` are the pairs of ranks."""

    base: tuple[Match, ...]
    other: tuple[Match, ...]
    ranks: tuple[tuple[int, int], ...]


def matches_of(base: Side, other: Side) -> Matches:
    """Every run of a side is aligned with the first one of the other side."""
    whole, ranks = _both(base.runs[0], other.runs[0])
    first = (base.runs[0], other.runs[0])
    return Matches(
        (whole[0], *(_both(run, first[1])[0][0] for run in base.runs[1:])),
        (whole[1], *(_both(first[0], run)[0][1] for run in other.runs[1:])),
        ranks,
    )


def _both(base: Run, other: Run) -> tuple[tuple[Match, Match], tuple[tuple[int, int], ...]]:
    """Matches of both runs with each other, and the pairs of ranks."""
    found = _aligned(base, other)
    pairs = found.ranks or tuple((rank, rank) for rank in base.trace.ranks if rank in other.trace.ranks)
    of_base = _pairs(base.trace, [first for first, _ in pairs])
    of_other = _pairs(other.trace, [second for _, second in pairs])
    return (
        Match(other.trace, _partners(found.base, of_base, found.other, of_other), found.base >= 0, of_base),
        Match(base.trace, _partners(found.other, of_other, found.base, of_base), found.other >= 0, of_other),
    ), pairs


def _aligned(base: Run, other: Run) -> Alignment:
    """The alignment, asked in one order whichever is the base: the way back then says the opposite of the way there."""
    if (other.trace.trace_id, other.iterations or ()) < (base.trace.trace_id, base.iterations or ()):
        back = align(other.trace, base.trace, base_iterations=other.iterations, other_iterations=base.iterations)
        return Alignment(back.other, back.base, back.positions, tuple((second, first) for first, second in back.ranks))
    return align(base.trace, other.trace, base_iterations=base.iterations, other_iterations=other.iterations)


def _pairs(trace: Trace, ranks: list[int]) -> Array:
    """The number of the pair that every operator's rank is in."""
    found = np.full(len(trace), _UNPAIRED, dtype=np.int64)
    for number, rank in enumerate(ranks):
        found[trace.rank_rows[rank]] = number
    return found


def _partners(position: Array, pair: Array, others: Array, other_pair: Array) -> Array:
    """For every operator the first of the others at its position: of its pair of ranks, of any where it is in none."""
    width = max(int(pair.max(initial=0)), int(other_pair.max(initial=0))) + 2
    found = _first(position * width + pair + 1, others * width + other_pair + 1, others >= 0)
    anywhere = _first(position, others, others >= 0)
    found = np.where(pair == _UNPAIRED, anywhere, found)
    return np.where(position >= 0, found, -1)


def _first(keys: Array, others: Array, allowed: Array) -> Array:
    """The first row of the others with each key, -1 where there is none."""
    rows = np.flatnonzero(allowed)
    known, first = np.unique(others[rows], return_index=True)
    if not len(known):
        return np.full(len(keys), -1, dtype=np.int64)
    place = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    return np.where(known[place] == keys, rows[first[place]], -1)
