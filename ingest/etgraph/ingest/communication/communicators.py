"""Process groups over all ranks: which rows of the table are one group, and who belongs to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import numpy as np

from etgraph.model import Trace, process_group_tables
from etgraph.model.columns import Array, Columns

WORLD: Final = ("", "0")
"""Names of the process group of all ranks."""
MOST_FAMILIES: Final = 64
"""Ways to cover the ranks with disjoint groups that are tried."""
MOST_STEPS: Final = 20_000
"""Steps of the search for them."""
FOUND: Final = -1
"""Row of a group that times or order show."""
UNNAMED: Final = -2
"""Row of a group that the format does not name, and the tables neither."""
Family = tuple[int, ...]
"""Communicators without a common rank."""


@dataclass(slots=True)
class Communicators:
    """Process groups by a number: the row of the table, and the ranks where they are known (else empty).

    `of_row` is the number of each row of the table. Groups found by times alone are added at the end, with row `FOUND`.
    """

    of_row: Array
    row: list[int]
    ranks: list[tuple[int, ...]]
    size: list[int | None]
    world: tuple[int, ...]
    recorded: tuple[int, ...]
    declared: bool
    added: dict[tuple[int, ...], int] = field(default_factory=dict)
    inside: frozenset[int] = field(init=False)

    def __post_init__(self) -> None:
        self.inside = frozenset(self.recorded)

    def add(self, ranks: tuple[int, ...], row: int = FOUND) -> int:
        """The communicator of those ranks that no file names."""
        if ranks not in self.added:
            self.added[ranks] = len(self.row)
            self.row.append(row)
            self.ranks.append(ranks)
            self.size.append(len(ranks))
        return self.added[ranks]

    def present(self, number: int) -> tuple[int, ...]:
        """Its ranks that are recorded; those of all ranks where its members are not known."""
        inside = self.inside
        return tuple(r for r in self.ranks[number] or self.recorded if r in inside)


def communicators(trace: Trace) -> Communicators:
    """The process groups of a trace: rows of one name and the same ranks, whatever else they say, are one.

    A group whose ranks no file tells is the group of all where it has that one's name or size, else the one of its
    name that another file tells, if it is the only one.
    """
    p = trace.process_groups
    recorded = trace.ranks
    size = trace.metadata.world_size
    world = tuple(range(size)) if size and size >= len(recorded) and size < 1 << 20 else tuple(recorded)
    names = [p.value("name", row) or "" for row in range(len(p))]
    sizes = [p.value("size", row) for row in range(len(p))]
    listed = [r if s is None or len(r) == s else () for r, s in zip(trace.group_ranks, sizes, strict=True)]
    by_name: dict[str, set[tuple[int, ...]]] = {}
    for name, ranks in zip(names, listed, strict=True):
        if ranks:
            by_name.setdefault(name, set()).add(tuple(sorted(ranks)))
    known: dict[tuple[str, tuple[int, ...]], int] = {}
    found = Communicators(np.zeros(0, dtype=np.int64), [], [], [], world, recorded, bool(names))
    of_row = []
    for row, (name, ranks, count) in enumerate(zip(names, listed, sizes, strict=True)):
        inside = tuple(sorted(ranks))
        others = by_name.get(name, set())
        if not inside and (name in WORLD or count == len(world)):
            inside = world
        elif not inside and len(others) == 1:
            inside = next(iter(others))
        number = known.setdefault((name, inside), len(known))
        if number == len(found.row):
            found.row.append(row)
            found.ranks.append(inside)
            found.size.append(len(inside) or count)
        of_row.append(number)
    found.of_row = np.array([*of_row, -1], dtype=np.int64)
    return found


def families(c: Communicators, ranks: Sequence[int]) -> list[Family]:
    """Ways in which groups may cover those ranks, coarsest first: by declared groups, else all ranks, blocks, strides.

    Of declared groups those count whose recorded ranks are all among the given ones. At most `MOST_FAMILIES`.
    """
    wanted = frozenset(ranks)
    if not c.declared:
        return _regular(c, wanted)
    fitting: dict[frozenset[int], int] = {}
    for number in range(len(c.row)):
        present = frozenset(c.present(number))
        if c.row[number] >= 0 and c.ranks[number] and present:
            fitting.setdefault(present, number)
    covers: list[Family] = []
    _cover(wanted, sorted(fitting, key=lambda f: (-len(f), sorted(f))), (), fitting, covers)
    return sorted(covers, key=lambda f: (len(f), f))


def _cover(
    left: frozenset[int],
    sets: Sequence[frozenset[int]],
    chosen: Family,
    number: dict[frozenset[int], int],
    found: list[Family],
) -> None:
    """Exact covers of `left`: each step takes a set for its smallest rank, so the depth is the number of groups."""
    waiting = [(left, chosen)]
    with_rank: dict[int, list[frozenset[int]]] = {}
    for one in reversed(sets):
        for rank in one:
            with_rank.setdefault(rank, []).append(one)
    for _ in range(MOST_STEPS):
        if not waiting or len(found) == MOST_FAMILIES:
            break
        left, chosen = waiting.pop()
        if not left:
            found.append(chosen)
            continue
        for one in with_rank.get(min(left), ()):
            if one <= left:
                waiting.append((left - one, (*chosen, number[one])))


def _regular(c: Communicators, wanted: frozenset[int]) -> list[Family]:
    """All ranks, and for each divisor of their number blocks of neighbours and of equal distances.

    Of those that are alike on the wanted ranks only the coarsest; none in which all of these are by themselves.
    """
    world = sorted(set(c.world) | wanted)
    count = len(world)
    found: dict[tuple[tuple[int, ...], ...], None] = {(tuple(world),): None}
    for size in (s for s in range(count - 1, 1, -1) if count % s == 0):
        steps = count // size
        found[tuple(tuple(world[k * size : (k + 1) * size]) for k in range(steps))] = None
        found[tuple(tuple(world[k::steps]) for k in range(steps))] = None
        if len(found) >= MOST_FAMILIES:
            break
    different: dict[frozenset[frozenset[int]], tuple[tuple[int, ...], ...]] = {}
    for family in found:
        different.setdefault(frozenset(frozenset(g) & wanted for g in family) - {frozenset()}, family)
    return [
        tuple(c.add(g) for g in family if wanted & set(g))
        for parts, family in different.items()
        if len(wanted) == 1 or any(len(part) > 1 for part in parts)
    ]


def group_tables(trace: Trace, c: Communicators, used: Array) -> tuple[Columns, Columns, Array]:
    """The tables of groups with those of the added ones that are used; and each communicator's row.

    An added group is named by its ranks. A group that got its ranks here has them in the tables too.
    """
    p = trace.process_groups
    listed = []
    told = {row: c.ranks[number] for number, row in enumerate(c.row) if row >= 0}
    for row, ranks in enumerate(trace.group_ranks):
        group = p.row(row)
        inside = ranks or told.get(row, ())
        size = group["size"] if group["size"] is not None else len(inside) or None
        listed.append((group["name"], group["description"], group["backend"], size, list(inside)))
    rows = list(c.row)
    for number in sorted(set(used.tolist())):
        if number >= 0 and rows[number] == FOUND:
            rows[number] = len(listed)
            ranks = c.ranks[number]
            name = WORLD[-1] if ranks == c.world and not c.declared else _span(ranks)
            listed.append((name, "found by the order and times of its collectives", None, len(ranks),
                           list(ranks)))  # fmt: skip
    groups, inside_groups = process_group_tables(listed)
    return groups, inside_groups, np.maximum(np.array([*rows, -1], dtype=np.int32), -1)


def _span(ranks: Sequence[int]) -> str:
    """Ranks in few words: `ranks 0-3`, `ranks 0,2,4`."""
    whole = all(b - a == 1 for a, b in pairwise(ranks))
    return f"ranks {ranks[0]}-{ranks[-1]}" if whole and len(ranks) > 1 else "ranks " + ",".join(map(str, ranks))
