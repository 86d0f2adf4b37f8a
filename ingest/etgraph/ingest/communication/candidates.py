"""Groups that no file names: of the ways in which groups may cover the ranks, the one that the times allow.

True members always overlap, so the true cover is never contradicted; a wrong one soon is. A coarser cover of the same
ranks is right when a part of it waited for another: when it came earlier than any transfer takes, and stayed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from etgraph.ingest.communication.communicators import Communicators, Family, families
from etgraph.ingest.communication.gather import Operators, causal
from etgraph.ingest.communication.members import codes, ordinals
from etgraph.model.columns import Array

WAITS: Final = 2
"""Waits that show one group where several smaller ones would fit the times too."""


Possible = Callable[[Array], bool]
"""Whether these sets of the operators (-1: none) leave an order in which all ranks can run."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The communicator of each operator, -1 where none fits or several do; and for each key whether several do."""

    group: Array
    ambiguous: Array


def choose(c: Communicators, ops: Operators, tolerance: int, possible: Possible) -> Choice:
    """Find the groups of operators of which no file names one; all of a key (type, size) are taken to have one cover.

    Operators without times are asked whether all ranks can still run. Where several covers fit, one that a key with a
    clear answer has is taken, if it is the only such. Without any declared group the default group, of all ranks, is
    what a program has, if nothing contradicts it.
    """
    keys = int(ops.key.max(initial=-1)) + 1
    group = np.full(len(ops.key), -1, dtype=np.int64)
    ambiguous = np.zeros(keys, dtype=bool)
    covers: dict[tuple[int, ...], list[Family]] = {}
    unclear: dict[int, list[Family]] = {}
    clear: dict[int, Family] = {}
    order = np.argsort(ops.key, kind="stable")
    ends = np.searchsorted(ops.key[order], np.arange(keys + 1))
    parts = [order[a:b] for a, b in pairwise(ends.tolist())]
    for key, here in enumerate(parts):
        part = ops.take(here)
        ranks = tuple(np.unique(part.rank).tolist())
        if ranks not in covers:
            covers[ranks] = families(c, ranks)
        fitting = [family for family in covers[ranks] if _fits(c, family, part, tolerance)]
        if c.declared and not part.timed.all() and len(fitting) > 1:
            fitting = [f for f in fitting if possible(_among(len(group), here, _sets(c, f, part)))]
        best = _clearest(c, fitting, part)
        if best is not None:
            clear[key] = best
        elif fitting:
            unclear[key] = fitting
    used = set(clear.values())
    for key, fitting in unclear.items():
        seen = [family for family in fitting if family in used]
        if len(seen) == 1:
            clear[key] = seen[0]
        elif not c.declared and not seen and c.ranks[fitting[0][0]] == c.world:
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


def _sets(c: Communicators, family: Family, ops: Operators) -> Array:
    """The k-th operators of each group as sets."""
    return codes(_of_rank(c, family, ops.rank), ordinals(ops.rank))


def _among(count: int, here: Array, sets: Array) -> Array:
    result = np.full(count, -1, dtype=np.int64)
    result[here] = sets
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
    return bool(causal(_sets(c, family, ops), ops, tolerance).all())


def _clearest(c: Communicators, fitting: Sequence[Family], ops: Operators) -> Family | None:
    """The only family that fits, or the one whose groups are seen to wait for all of their members.

    One that no file declares must always be seen to wait: what else might fit was not asked.
    """
    timed = bool(ops.timed.all())
    for coarse in fitting if timed else fitting[:1] if len(fitting) == 1 and c.declared else ():
        others = [_of_rank(c, fine, ops.rank) for fine in fitting if fine != coarse]
        if not c.declared:
            others.append(ops.rank)
        whole = _of_rank(c, coarse, ops.rank)
        if all(_refines(part, whole) and _waits(whole, part, ops) >= WAITS for part in others):
            return coarse
    return None


def _refines(part: Array, whole: Array) -> bool:
    """Whether all operators of one part have one whole."""
    return len(np.unique(part)) == len(np.unique(np.stack([part, whole]), axis=1).T)


def _waits(whole_of: Array, part_of: Array, ops: Operators) -> int:
    """How often a part of a group came so early that it had ended before the others came, had it not waited.

    The last part to come shows how long a transfer takes at most, whether the group is the whole or that part.
    """
    whole = codes(whole_of, ordinals(ops.rank))
    part = codes(whole, part_of)
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
