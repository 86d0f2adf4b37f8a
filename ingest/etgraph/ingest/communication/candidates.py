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
from etgraph.ingest.communication.gather import Operators, meet
from etgraph.ingest.communication.members import codes, ordinals
from etgraph.model.columns import Array

WAITS: Final = 4
"""Waits of parts of a group, at `FEWEST` of its collectives or more, that show it to be one."""


FEWEST: Final = 3
"""Operators of a rank from which its groups may be told."""
Possible = Callable[[Array], bool]
"""Whether these sets of the operators (-1: none) leave an order in which all ranks can run."""


@dataclass(frozen=True, slots=True)
class Covers:
    """Ways to cover some ranks by groups, in order; of each, by place of a rank among the recorded ones, its
    communicator (-1 for none) and the place of its group's first rank; and which covers are finer than which.

    `finer[i, j]` says that each group of cover j lies within one of cover i.
    """

    families: Sequence[Family]
    group: Array
    first: Array
    finer: Array


@dataclass(frozen=True, slots=True)
class Choice:
    """The communicator of each operator, -1 where none fits or several do; and for each key whether several do."""

    group: Array
    ambiguous: Array


def choose(c: Communicators, ops: Operators, tolerance: int, possible: Possible) -> Choice:
    """Find the groups of operators of which no file names one; all of a key (type, size) are taken to have one cover.

    Operators without times are asked whether all ranks can still run. A cover that fits alone, though the key has too
    few operators to show it, is taken where a key with a clear answer has it and some part of a group waits. Without
    any declared group the default group, of all ranks, is what a program has, if nothing contradicts it and all ranks
    are there to do so.
    """
    keys = int(ops.key.max(initial=-1)) + 1
    group = np.full(len(ops.key), -1, dtype=np.int64)
    ambiguous = np.zeros(keys, dtype=bool)
    covers: dict[tuple[int, ...], Covers] = {}
    unclear: dict[int, list[Family]] = {}
    clear: dict[int, Family] = {}
    order = np.argsort(ops.key, kind="stable")
    ends = np.searchsorted(ops.key[order], np.arange(keys + 1))
    parts = [order[a:b] for a, b in pairwise(ends.tolist())]
    place = np.searchsorted(np.array(c.recorded), ops.rank)
    for key, here in enumerate(parts):
        part = ops.take(here)
        ranks = tuple(np.unique(part.rank).tolist())
        if ranks not in covers:
            covers[ranks] = _covers(c, families(c, ranks))
        those, at, turn = covers[ranks], place[here], ordinals(part.rank)
        fitting = [i for i in range(len(those.families)) if _fits(those, i, at, turn, part, tolerance)]
        if c.declared and not part.timed.all() and len(fitting) > 1:
            fitting = [i for i in fitting if possible(_among(len(group), here, codes(those.group[i][at], turn)))]
        best = _clearest(c, those, fitting, at, part)
        if best is not None:
            clear[key] = those.families[best]
        elif fitting:
            unclear[key] = [those.families[i] for i in fitting]
    used = set(clear.values())
    default = _default(c, [clear[k] if k in clear else (unclear.get(k) or [()])[0] for k in range(keys)], used, ops)
    for key, left in unclear.items():
        few = ops.take(parts[key])
        known = len(left) == 1 and left[0] in used and (c.declared or c.world == c.recorded)
        if known and _waits(_of_rank(c, left[0], few.rank), few.rank, few, waits=1, turns=1):
            clear[key] = left[0]
        elif default is not None:
            clear[key] = default
        else:
            ambiguous[key] = True
    for key, family in clear.items():
        group[parts[key]] = _of_rank(c, family, ops.rank[parts[key]])
    bare = np.flatnonzero(~ops.timed)
    if len(bare) and not _explains_all(group[bare], ops.take(bare)):
        ambiguous[np.unique(ops.key[bare[group[bare] >= 0]])] = True
        group[bare] = -1
    return Choice(group, ambiguous)


def _default(c: Communicators, coarsest: Sequence[Family], used: set[Family], ops: Operators) -> Family | None:
    """The cover by all ranks, where it fits every key, no other is seen, and times could have contradicted it.

    All keys together must show that the ranks wait for each other, unless no smaller groups could cover them.
    """
    if c.declared or len(set(coarsest)) != 1 or not coarsest[0] or c.ranks[coarsest[0][0]] != c.world:
        return None
    if not ops.timed.all() or not (used or c.world == c.recorded):
        return None
    divides = any(len(c.world) % size == 0 for size in range(2, len(c.world)))
    seen = used or not divides or _waits(np.zeros_like(ops.rank), ops.rank, ops)
    return coarsest[0] if seen else None


def _explains_all(group: Array, ops: Operators) -> bool:
    """Whether all operators have a group, and its ranks come to their collectives in one order whatever the type.

    Order alone is believed only where nothing is left over: a program issues one sequence for each group.
    """
    if (group < 0).any():
        return False
    place = codes(group, ordinals(codes(group, ops.rank)))
    first = np.zeros(int(place.max(initial=-1)) + 1, dtype=np.int64)
    first[place[::-1]] = ops.key[::-1]
    return bool((ops.key == first[place]).all())


def _covers(c: Communicators, found: Sequence[Family]) -> Covers:
    """What is asked of covers for each key, worked out once."""
    group = np.stack([_of_recorded(c, family) for family in found] or [np.zeros(0, dtype=np.int64)])
    first = np.empty_like(group)
    for i, row in enumerate(group):
        _, at, inverse = np.unique(row, return_index=True, return_inverse=True)
        first[i] = at[inverse]
    covered = group >= 0
    finer = [
        [bool((row[own] == row)[inside].all()) for own, inside in zip(first, covered, strict=True)] for row in group
    ]
    return Covers(found, group, first, np.array(finer, dtype=bool))


def _of_recorded(c: Communicators, family: Family) -> Array:
    """The communicator of a family that each recorded rank belongs to, -1 for none."""
    recorded = np.array(c.recorded)
    number_of = np.full(len(recorded), -1, dtype=np.int64)
    for number in family:
        number_of[np.searchsorted(recorded, c.present(number))] = number
    return number_of


def _of_rank(c: Communicators, family: Family, rank: Array) -> Array:
    """The communicator of a family that each rank belongs to, -1 for none."""
    return _of_recorded(c, family)[np.searchsorted(np.array(c.recorded), rank)]


def _among(count: int, here: Array, sets: Array) -> Array:
    result = np.full(count, -1, dtype=np.int64)
    result[here] = sets
    return result


def _fits(covers: Covers, i: int, place: Array, turn: Array, ops: Operators, tolerance: int) -> bool:
    """Whether all ranks of each group have equally many, and the times let the k-th of each be one.

    `place` is that of each operator's rank, and `turn` its number on it.
    """
    group = covers.group[i][place]
    if (group < 0).any():
        return False
    counts = np.bincount(place, minlength=covers.group.shape[1])
    if (counts != counts[covers.first[i]])[covers.group[i] >= 0].any():
        return False
    return bool(meet(codes(group, turn), ops, tolerance).all())


def _clearest(c: Communicators, covers: Covers, fitting: Sequence[int], place: Array, ops: Operators) -> int | None:
    """The cover whose groups are seen to wait for all members, whatever else fits; without times the only one.

    One that fits alone must be seen to wait too: few operators fit by chance, where the true groups were not asked.
    """
    count = len(np.unique(place))
    if not ops.timed.all():
        return fitting[0] if len(fitting) == 1 and c.declared and len(place) >= FEWEST * count else None
    for coarse in fitting:
        whole = covers.group[coarse][place]
        if len(fitting) == 1 and len(np.unique(whole)) == count:
            return coarse
        others = [fine for fine in fitting if fine != coarse]
        if not covers.finer[coarse][others].all():
            continue
        parts = (place, *(covers.group[fine][place] for fine in others))
        if all(_waits(whole, part, ops) for part in parts):
            return coarse
    return None


def _waits(whole_of: Array, part_of: Array, ops: Operators, *, waits: int = WAITS, turns: int = FEWEST) -> bool:
    """Whether parts of groups often came so early that they had ended before the others came, had they not waited.

    That is so many `waits`, at so many `turns` or more.

    The last part to come shows how long a transfer takes at most, whether the group is the whole or that part.
    """
    turn = codes(ops.key, ordinals(codes(ops.key, ops.rank)))
    whole = codes(whole_of, turn)
    part = codes(whole, part_of)
    parts, wholes = int(part.max()) + 1, int(whole.max()) + 1
    came, left = np.full(parts, -(2**62)), np.full(parts, 2**62)
    np.maximum.at(came, part, ops.start)
    np.minimum.at(left, part, ops.end)
    of, turn_of = np.zeros(parts, dtype=np.int64), np.zeros(parts, dtype=np.int64)
    of[part], turn_of[part] = whole, turn
    last = np.full(wholes, -(2**62))
    np.maximum.at(last, of, came)
    is_last = came == last[of]
    longest = int((left - came)[is_last].max(initial=0))
    early = last[of] - came > longest
    return int(early.sum()) >= waits and len(np.unique(turn_of[early])) >= turns
