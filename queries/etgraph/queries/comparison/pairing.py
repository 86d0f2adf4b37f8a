"""Operators of a side and their partners on the other side, by the alignment of the traces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etgraph.model import Trace
from etgraph.model.columns import Array
from etgraph.queries.alignment import Alignment, align
from etgraph.queries.comparison.sides import Run, Side

_UNPAIRED = -1


@dataclass(frozen=True, slots=True)
class Partners:
    """The partners of a run's operators in a trace of the other side, with an entry an operator.

    `row` is an operator of `trace` at the same place of the program, -1 where there is none; `asked` says whether one
    was looked for. `pair` numbers the pairs of ranks that were taken for the same, -1 where a rank has no such.
    """

    trace: Trace
    row: Array
    asked: Array
    pair: Array


@dataclass(frozen=True, slots=True)
class Pairing:
    """Partners for every run of either side, the pairs of ranks, and how far the traces could be aligned."""

    base: tuple[Partners, ...]
    other: tuple[Partners, ...]
    ranks: tuple[tuple[int, int], ...]
    aligned_share: float
    warnings: tuple[str, ...]


def pairing_of(base: Side, other: Side, rank: int | None) -> Pairing:
    """Every run of a side is aligned with the first one of the other side; on one rank only where it is asked."""
    first = (base.runs[0], other.runs[0])
    whole = _aligned(*first, rank)
    of_base = [whole, *(_aligned(run, first[1], rank) for run in base.runs[1:])]
    of_other = [whole, *(_aligned(first[0], run, rank) for run in other.runs[1:])]
    told = [warning for one in (*of_base, *of_other[1:]) for warning in one.warnings]
    return Pairing(
        tuple(_partners(run, first[1], one)[0] for run, one in zip(base.runs, of_base, strict=True)),
        tuple(_partners(first[0], run, one)[1] for run, one in zip(other.runs, of_other, strict=True)),
        whole.ranks,
        min(one.aligned_share for one in (*of_base, *of_other)),
        tuple(dict.fromkeys(told)),
    )


def _aligned(base: Run, other: Run, rank: int | None) -> Alignment:
    return align(
        base.trace, other.trace, base_ranks=rank, other_ranks=rank,
        base_iterations=base.iterations, other_iterations=other.iterations,
    )  # fmt: skip


def _partners(base: Run, other: Run, found: Alignment) -> tuple[Partners, Partners]:
    """What an alignment says of both of its runs."""
    pair = [
        _pairs(run.trace, ranks) for run, ranks in zip((base, other), zip(*found.ranks, strict=True), strict=True)
    ] or [np.full(len(run.trace), _UNPAIRED) for run in (base, other)]
    row = _first(found.base, pair[0], found.other, pair[1]), _first(found.other, pair[1], found.base, pair[0])
    return (
        Partners(other.trace, row[0], found.base >= 0, pair[0]),
        Partners(base.trace, row[1], found.other >= 0, pair[1]),
    )


def _pairs(trace: Trace, ranks: tuple[int, ...]) -> Array:
    """The number of the pair that every operator's rank is in."""
    found = np.full(len(trace), _UNPAIRED, dtype=np.int64)
    for number, rank in enumerate(ranks):
        found[trace.rank_rows[rank]] = number
    return found


def _first(position: Array, pair: Array, others: Array, other_pair: Array) -> Array:
    """For every operator the first of the others at its position: of its pair of ranks, of any where it is in none."""
    width = max(int(pair.max(initial=0)), int(other_pair.max(initial=0))) + 2
    allowed = np.flatnonzero(others >= 0)
    there = _at(position * width + pair + 1, (others * width + other_pair + 1)[allowed], allowed)
    anywhere = _at(position, others[allowed], allowed)
    return np.where(position >= 0, np.where(pair == _UNPAIRED, anywhere, there), -1)


def _at(keys: Array, known: Array, rows: Array) -> Array:
    """The first of the rows that are known by each key, -1 where none is."""
    known, first = np.unique(known, return_index=True)
    if not len(known):
        return np.full(len(keys), -1, dtype=np.int64)
    place = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    return np.where(known[place] == keys, rows[first[place]], -1)
