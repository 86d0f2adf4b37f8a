"""Groups that no file names: of the ways in which groups may cover the ranks, the one that the times allow.

True members always overlap, so the true cover is never contradicted; a wrong one soon is. A coarser cover of the same
ranks is right when a part of it waited for another: when it came earlier than any transfer takes, and stayed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from etgraph.ingest.communication.communicators import Communicators, Family, families
from etgraph.ingest.communication.gather import Operators, causal
from etgraph.ingest.communication.members import codes, ordinals
from etgraph.model.columns import Array

WAITS: Final = 2
"""Waits that show one group where several smaller ones would fit the times too."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The communicator of each operator, -1 where none fits or several do; and for each key whether several do."""

    group: Array
    ambiguous: Array


def choose(c: Communicators, ops: Operators, tolerance: int) -> Choice:
    """Find the groups of operators of which no file names one; all of a key (type, size) are taken to have one cover.

    Where several covers fit, one that a key with a clear answer has is taken, if it is the only such. Without any
    declared group the default group, of all ranks, is what a program has, if nothing contradicts it.
    """
    keys = int(ops.key.max(initial=-1)) + 1
    group = np.full(len(ops.key), -1, dtype=np.int64)
    ambiguous = np.zeros(keys, dtype=bool)
    covers: dict[tuple[int, ...], list[Family]] = {}
    open_keys: dict[int, list[Family]] = {}
    clear: dict[int, Family] = {}
    order = np.argsort(ops.key, kind="stable")
    ends = np.searchsorted(ops.key[order], np.arange(keys + 1))
    parts = [order[a:b] for a, b in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)]
    for key, here in enumerate(parts):
        part = ops.take(here)
        ranks = tuple(np.unique(part.rank).tolist())
        known = covers.setdefault(ranks, families(c, ranks)) if ranks not in covers else covers[ranks]
        fitting = [family for family in known if _fits(c, family, part, tolerance)]
        best = _clearest(c, fitting, part)
        if best is not None:
            clear[key] = best
        elif fitting:
            open_keys[key] = fitting
    used = set(clear.values())
    for key, fitting in open_keys.items():
        seen = [family for family in fitting if family in used]
        if len(seen) == 1:
            clear[key] = seen[0]
        elif not c.declared and not seen:
            clear[key] = fitting[0]
        else:
            ambiguous[key] = True
    for key, family in clear.items():
        group[parts[key]] = _of_rank(c, family, ops.rank[parts[key]])
    return Choice(group, ambiguous)


def _of_rank(c: Communicators, family: Family, rank: Array) -> Array:
    """The communicator of a family that each rank belongs to, -1 for none."""
    result = np.full(len(rank), -1, dtype=np.int64)
    for number in family:
        result[np.isin(rank, c.ranks[number])] = number
    return result


def _fits(c: Communicators, family: Family, ops: Operators, tolerance: int) -> bool:
    """Whether all ranks of each group have equally many, and the k-th of each never contradict the times."""
    group = _of_rank(c, family, ops.rank)
    if (group < 0).any():
        return False
    for number in family:
        counts = np.unique(ops.rank[group == number], return_counts=True)[1]
        if len(counts) != len(c.present(number)) or len(np.unique(counts)) > 1:
            return False
    return bool(causal(codes(group, ordinals(ops.rank)), ops, tolerance).all())


def _clearest(c: Communicators, fitting: Sequence[Family], ops: Operators) -> Family | None:
    """The only family that fits, or the one whose groups are seen to wait for all of their members."""
    if len(fitting) == 1:
        return fitting[0]
    if not fitting or not ops.timed.all():
        return None
    for coarse in fitting:
        others = [fine for fine in fitting if fine != coarse]
        if all(_refines(c, fine, coarse) and _waits(c, coarse, fine, ops) >= WAITS for fine in others):
            return coarse
    return None


def _refines(c: Communicators, fine: Family, coarse: Family) -> bool:
    """Whether each group of one family lies within a group of the other."""
    return all(any(set(c.ranks[f]) <= set(c.ranks[g]) for g in coarse) for f in fine)


def _waits(c: Communicators, coarse: Family, fine: Family, ops: Operators) -> int:
    """How often a part of a coarse group came so early that it had ended before the others came, had it not waited.

    The last part to come shows how long a transfer takes at most, whichever of the two families is the true one.
    """
    turn = ordinals(ops.rank)
    whole = codes(_of_rank(c, coarse, ops.rank), turn)
    part = codes(whole, _of_rank(c, fine, ops.rank))
    parts, wholes = int(part.max()) + 1, int(whole.max()) + 1
    came, left = np.full(parts, -(2**62)), np.full(parts, 2**62)
    np.maximum.at(came, part, ops.start)
    np.minimum.at(left, part, ops.end)
    of = np.zeros(parts, dtype=np.int64)
    of[part] = whole
    last = np.full(wholes, -(2**62))
    np.maximum.at(last, of, came)
    is_last = came == last[of]
    longest = int((left - came)[is_last].max(initial=0))
    return int((last[of] - came > longest).sum())
