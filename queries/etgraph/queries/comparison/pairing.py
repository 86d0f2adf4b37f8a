"""Operators of a side and their partners on the other side, by the alignment of the traces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from etgraph.model import Trace
from etgraph.model.columns import Array
from etgraph.queries.alignment import Alignment, align
from etgraph.queries.comparison.sides import Run, Side

_ALONE = -1


@dataclass(frozen=True, slots=True)
class Partners:
    """The partners of a run's operators in a trace of the other side, with an entry an operator.

    `row` is an operator of `trace` at the same place of the program, -1 where there is none; `asked` says whether one
    was looked for. `role` is that of the operator's rank, -1 where the other side has no such rank.
    """

    trace: Trace
    row: Array
    asked: Array
    role: Array


@dataclass(frozen=True, slots=True)
class Pairing:
    """Partners for every run of either side, and how far the traces could be aligned.

    A role is what ranks of both sides were taken for the same in: in `ranks`, those of the base and those of the other.
    """

    base: tuple[Partners, ...]
    other: tuple[Partners, ...]
    ranks: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]
    aligned_share: float
    warnings: tuple[str, ...]

    def members(self, side: int) -> Array:
        """How many ranks of the base (0) or of the other side (1) have each role."""
        return np.array([len(ranks[side]) for ranks in self.ranks], dtype=np.int64)


def pairing_of(base: Side, other: Side, rank: int | None) -> Pairing:
    """Every run of a side is aligned with the first one of the other side; on one rank only where it is asked."""
    first = (base.runs[0], other.runs[0])
    whole = _aligned(*first, rank)
    of_base = [whole, *(_aligned(run, first[1], rank) for run in base.runs[1:])]
    of_other = [whole, *(_aligned(first[0], run, rank) for run in other.runs[1:])]
    roles = roles_of(whole.ranks)
    told = [warning for one in (*of_base, *of_other[1:]) for warning in one.warnings]
    return Pairing(
        tuple(_partners(run, first[1], one, roles)[0] for run, one in zip(base.runs, of_base, strict=True)),
        tuple(_partners(first[0], run, one, roles)[1] for run, one in zip(other.runs, of_other, strict=True)),
        roles,
        min(one.aligned_share for one in (*of_base, *of_other)),
        tuple(dict.fromkeys(told)),
    )


def _aligned(base: Run, other: Run, rank: int | None) -> Alignment:
    return align(
        base.trace, other.trace, base_ranks=rank, other_ranks=rank,
        base_iterations=base.iterations, other_iterations=other.iterations,
    )  # fmt: skip


def roles_of(pairs: Sequence[tuple[int, int]]) -> tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]:
    """Ranks of both sides that pairs join, directly or by others.

    >>> roles_of([(0, 0), (1, 0), (2, 2)])
    (((0, 1), (0,)), ((2,), (2,)))
    """
    roles: list[tuple[set[int], set[int]]] = []
    for base, other in pairs:
        joined = [role for role in roles if base in role[0] or other in role[1]]
        roles = [role for role in roles if role not in joined]
        roles.append(({base}.union(*(role[0] for role in joined)), {other}.union(*(role[1] for role in joined))))
    return tuple(sorted((tuple(sorted(base)), tuple(sorted(other))) for base, other in roles))


def _partners(
    base: Run, other: Run, found: Alignment, roles: Sequence[tuple[tuple[int, ...], tuple[int, ...]]]
) -> tuple[Partners, Partners]:
    """What an alignment says of both of its runs."""
    role = [_roles(run.trace, [ranks[side] for ranks in roles]) for side, run in enumerate((base, other))]
    row = _first(found.base, role[0], found.other, role[1]), _first(found.other, role[1], found.base, role[0])
    return (
        Partners(other.trace, row[0], found.base >= 0, role[0]),
        Partners(base.trace, row[1], found.other >= 0, role[1]),
    )


def _roles(trace: Trace, ranks: Sequence[Sequence[int]]) -> Array:
    """The role of every operator's rank."""
    found = np.full(len(trace), _ALONE, dtype=np.int64)
    for role, some in enumerate(ranks):
        for rank in some:
            if rank in trace.rank_rows:
                found[trace.rank_rows[rank]] = role
    return found


def _first(position: Array, role: Array, others: Array, other_role: Array) -> Array:
    """For every operator the first of the others at its position: of its rank's role, of any where this is alone."""
    width = max(int(role.max(initial=0)), int(other_role.max(initial=0))) + 2
    allowed = np.flatnonzero(others >= 0)
    found = _at(position * width + role + 1, (others * width + other_role + 1)[allowed], allowed)
    alone = np.flatnonzero(role == _ALONE)
    found[alone] = _at(position[alone], others[allowed], allowed)
    return np.where(position >= 0, found, -1)


def _at(keys: Array, known: Array, rows: Array) -> Array:
    """The first of the rows that are known by each key, -1 where none is."""
    known, first = np.unique(known, return_index=True)
    if not len(known):
        return np.full(len(keys), -1, dtype=np.int64)
    place = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    return np.where(known[place] == keys, rows[first[place]], -1)
