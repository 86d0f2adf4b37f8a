"""Process groups as ASTRA-sim's communicators: all ranks, or a number above 0 with the ranks in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from etgraph.ingest.writers.astra_sim.order import some_ranks
from etgraph.ingest.writers.output import ExportError
from etgraph.model import Columns, Trace, process_group_tables
from etgraph.model.columns import Array
from etgraph.model.message_sizes import WORLD

MOST: Final = 500
"""Numbers from here on repeat the message tags of others: a tag is the number times 10⁶, modulo 5 × 10⁸."""

_ALL: Final = 0
_UNKNOWN: Final = -1


@dataclass(frozen=True, slots=True)
class Communicators:
    """The communicators of a trace by a code: `code` and `size` of each operator's (-1 and 0: its members are unknown).

    Process groups of one name and the same members have one code; 0 is the default group, of all ranks. `rows`
    are the rows of the process groups by code. `guessed` says which operators record no group, while there are several.
    """

    world: int
    code: Array
    size: Array
    members: Mapping[int, tuple[int, ...]]
    names: Mapping[int, str]
    rows: Mapping[int, int]
    guessed: Array
    trace: Trace

    def without_guesses(self) -> Communicators:
        """The same, with unknown members where no group is recorded though the trace has several."""
        code = np.where(self.guessed, _UNKNOWN, self.code)
        size = np.where(self.guessed, 0, self.size)
        return replace(self, code=code, size=size, guessed=np.zeros_like(self.guessed))

    def check(self, operators: Array) -> None:
        """Raise ExportError where the group of one of these operators has a rank that the trace lacks."""
        for code in np.unique(self.code[operators]).tolist():
            absent = [rank for rank in self.members[code] if not 0 <= rank < self.world]
            if absent:
                raise ExportError(
                    f"{self.names[code]}: {some_ranks(absent)} of it not in the trace, which has {self.world}",
                    hint="give the files of all ranks, in one folder",
                )

    def numbered(
        self, collectives: Array, number_all: bool
    ) -> tuple[Array, tuple[Columns, Columns], dict[int, tuple[int, ...]]]:
        """The process group of each operator, its tables, and the file of communicators; only what is used.

        A name that is a number above 0 stays, if no other group has it. Groups of all ranks are none, unless they are
        to have a number, which is then one for all of them. Raises ExportError where the numbers do not suffice.
        """
        used = np.unique(self.code[collectives]).tolist()
        everyone = [code for code in used if len(self.members[code]) == self.world]
        parts = [code for code in used if code not in everyone]
        wanted = {code: self._recorded(code) for code in parts}
        times = list(wanted.values())
        number = {code: n for code, n in wanted.items() if 0 < n < MOST and times.count(n) == 1}
        taken = set(number.values())
        free = (n for n in range(1, MOST) if n not in taken)
        for code in parts:
            if code not in number:
                number[code] = self._next(free, code)
        if number_all and everyone:
            number |= dict.fromkeys(everyone, self._next(free, everyone[0]))
        members = {n: tuple(range(self.world)) if c in everyone else self.members[c] for c, n in number.items()}
        order = sorted(members)
        code_of = {n: code for code, n in reversed(number.items())}
        p = self.trace.process_groups
        tables = process_group_tables(
            [
                (
                    str(n),
                    p.value("description", self.rows[code_of[n]]) if code_of[n] else None,
                    p.value("backend", self.rows[code_of[n]]) if code_of[n] else None,
                    len(members[n]),
                    members[n],
                )
                for n in order
            ]
        )
        row = np.full(max(self.members, default=0) + 2, -1, dtype=np.int32)
        for code, n in number.items():
            row[code] = order.index(n)
        group = np.full(len(self.code), -1, dtype=np.int32)
        group[collectives] = row[self.code[collectives]]
        return group, tables, {n: members[n] for n in order}

    def _next(self, free: Iterator[int], code: int) -> int:
        number = next(free, None)
        if number is None:
            raise ExportError(
                f"{self.names[code]}: no number is left for it, as ASTRA-sim tells only {MOST - 1} groups apart",
                hint="export a part of the trace in which fewer process groups are used",
            )
        return number

    def _recorded(self, code: int) -> int:
        name = self.trace.process_groups.value("name", self.rows[code]) or ""
        return int(name) if name.isdecimal() and len(name) < 10 else 0


def communicators(trace: Trace, operators: Columns, ranks: int) -> Communicators:
    """The communicators of a trace with that many ranks; `operators` are those that are asked about."""
    p = trace.process_groups
    everyone = tuple(range(ranks))
    members: dict[int, tuple[int, ...]] = {_ALL: everyone}
    names, rows = {_ALL: "the group of all ranks"}, {_ALL: -1}
    known: dict[tuple[str, tuple[int, ...]], int] = {}
    code_of = []
    for row, inside in enumerate(trace.group_ranks):
        name, size = p.value("name", row) or "", p.value("size", row)
        if (size is not None and len(inside) != size) or not inside or len(set(inside)) != len(inside):
            inside = everyone if size == ranks else ()
        if not inside:
            code_of.append(_UNKNOWN)
            continue
        default = name in WORLD and sorted(inside) == list(everyone)
        one = _ALL if default else known.setdefault((name, inside), len(known) + 1)
        if one not in members:
            members[one], names[one], rows[one] = inside, f"group {name!r} of {some_ranks(inside)}", row
        code_of.append(one)
    group = operators["group"]
    code = np.where(group >= 0, np.array([*code_of, _UNKNOWN], dtype=np.int64)[group], _ALL)
    sizes = np.array([*(len(members[c]) for c in sorted(members)), 0], dtype=np.int64)
    parts = any(len(inside) != ranks for inside in members.values())
    return Communicators(ranks, code, sizes[code], members, names, rows, (group < 0) & parts, trace)
