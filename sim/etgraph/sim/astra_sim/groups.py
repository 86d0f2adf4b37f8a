"""Process groups as ASTRA-sim knows them: numbers above 0 with their ranks in order, 0 for all ranks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from etgraph.model import Trace
from etgraph.model.columns import Array
from etgraph.model.message_sizes import WORLD
from etgraph.sim.astra_sim.documents import Readable, list_of, read_json, shown

EVERYBODY: Final = 0
NOT_A_NUMBER: Final = -1
UNKNOWN: Final = -2
"""What stands for a group that has no number, and for one without members."""
_NUMBER: Final = re.compile(r"\s*([+-]?\d+)")
Groups = Mapping[int, tuple[int, ...]]


def number_of(name: str) -> int:
    """The number that a group's name begins with, 0 for all ranks, -1 for none.

    >>> number_of(""), number_of("7"), number_of("tensor-parallel")
    (0, 7, -1)
    """
    match = _NUMBER.match(name)
    if name in WORLD:
        return EVERYBODY
    return int(match[1]) if match and int(match[1]) > 0 else NOT_A_NUMBER


def read_groups(source: Readable) -> Groups:
    """The groups of a JSON file, or of an object like it. Raises InputError that names file, line and group."""
    document = read_json(source, "names of groups with lists of ranks")
    groups: dict[int, tuple[int, ...]] = {}
    for name, value in document.values.items():
        number = number_of(str(name))
        if number <= 0:
            raise document.error(str(name), repr(name), "a number above 0 as the group's name")
        ranks = list_of(value, int)
        if not ranks or len(set(ranks)) < len(ranks) or min(ranks) < 0:
            raise document.error(str(name), shown(value), "a list of ranks from 0, each once")
        groups[number] = ranks
    return groups


def known_groups(trace: Trace) -> Groups:
    """The groups with a number whose members the trace knows; of several with one number the first."""
    groups: dict[int, tuple[int, ...]] = {}
    for row, ranks in enumerate(trace.group_ranks):
        number = number_of(trace.process_groups.value("name", row) or "")
        if number > 0 and ranks:
            groups.setdefault(number, ranks)
    return groups


@dataclass(frozen=True, slots=True)
class Membership:
    """The group of each operator: its number, and the operator's position among the members, -1 for no member."""

    number: Array
    position: Array


def memberships(trace: Trace, groups: Groups, rows: Array) -> Membership:
    """The groups of those operators; `UNKNOWN` and `NOT_A_NUMBER` are numbers of groups that cannot be used."""
    names = [trace.process_groups.value("name", row) or "" for row in range(len(trace.process_groups))]
    numbers = [number_of(name) for name in names]
    usable = [n if n <= 0 or n in groups else UNKNOWN for n in numbers]
    number = np.array([*usable, EVERYBODY], dtype=np.int64)[trace.operators["group"][rows]]
    rank = trace.operators["rank"][rows]
    position = np.full(len(rows), -1, dtype=np.int64)
    for group in np.unique(number[number > 0]).tolist():
        members: Any = np.array(groups[group])
        order = np.argsort(members)
        mine = np.flatnonzero(number == group)
        at = np.minimum(np.searchsorted(members[order], rank[mine]), len(members) - 1)
        position[mine] = np.where(members[order[at]] == rank[mine], order[at], -1)
    return Membership(number, position)
