"""What each part of the program contributes: time on the critical paths of both sides, by one key, weighed and rounded.

Every segment of every path is in one column of a table of steps and parts: a change of the program, a key, or what is
not explained. So the parts of a step sum to its time, those of the typical step to its time, and their differences to
the difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from etgraph.model import Trace
from etgraph.model.columns import Array
from etgraph.queries.comparison.estimating import interval, rounded
from etgraph.queries.comparison.pairing import Pairing, Partners
from etgraph.queries.comparison.result import Contribution
from etgraph.queries.comparison.sides import Run, Side
from etgraph.queries.comparison.structure import Structure, renamed
from etgraph.queries.critical_path import DETAILS
from etgraph.queries.keys import UNSCOPED, Keys, scopes

By = Literal["operator", "scope", "category", "source"]
NO_SOURCE = "no source recorded"
OFF_PATH = 0.1
"""What a change's operators count by their time where changes are ranked, beside its time on the path."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The typical step of both sides, part by part; the first part is what is not explained.

    `low_ns` and `high_ns` bound the differences of the parts and, last, that of the whole; None for single steps.
    """

    keys: tuple[str, ...]
    base_ns: Array
    other_ns: Array
    base_count: Array
    other_count: Array
    present: Array
    low_ns: Array | None
    high_ns: Array | None


class _Columns:
    """Numbers of the parts by what they are called; part 0 is what is not explained, then come those known before."""

    def __init__(self, known: Sequence[str] = ()) -> None:
        self.keys = ["unexplained", *known]
        self._numbers: dict[str, int] = {}

    def of(self, key: str) -> int:
        """The number of a part."""
        if key not in self._numbers:
            self._numbers[key] = len(self.keys)
            self.keys.append(key)
        return self._numbers[key]


def parts_of(base: Side, other: Side, pairing: Pairing, structure: Structure, by: By) -> Parts:
    """Both sides in parts: changes of the program first, where it is asked by operator, then the keys."""
    columns = _Columns([change.key for change in structure.changes] if by == "operator" else ())
    tables, counts = [], []
    for side, partners, changed in (
        (base, pairing.base, structure.base), (other, pairing.other, structure.other)
    ):  # fmt: skip
        of_rows = [
            _of_rows(run, one, numbers, columns, by, backwards=side is other)
            for run, one, numbers in zip(side.runs, partners, changed, strict=True)
        ]
        of_segments = _of_segments(side, of_rows, columns, by)
        tables.append((of_segments, side))
        counts.append((of_rows, side))
    width = len(columns.keys)
    base_table, other_table = (_table(place, side, width) for place, side in tables)
    base_count, other_count = (_counts(rows, side, width) for rows, side in counts)
    low, high = _bounds(base, other, base_table, other_table)
    return Parts(
        tuple(columns.keys),
        _typical(base, base_table),
        _typical(other, other_table),
        base_count,
        other_count,
        (base_table != 0).any(axis=0) | (other_table != 0).any(axis=0),
        low,
        high,
    )


def _of_rows(run: Run, partners: Partners, changed: Array, columns: _Columns, by: By, *, backwards: bool) -> Array:
    """The part of every operator of a run; -1 by category, since an operator may be of several on the path."""
    if by == "category":
        return np.full(len(run.trace), -1, dtype=np.int64)
    own, theirs = _keys(run.trace, by), _keys(partners.trace, by)
    partner = (
        np.where(partners.row >= 0, theirs.code[partners.row], -1) if len(theirs.code) else np.full(len(own.code), -1)
    )
    pairs, place = np.unique(own.code * (len(theirs.texts) + 1) + partner + 1, return_inverse=True)
    numbers = []
    for first, second in zip(*divmod(pairs, len(theirs.texts) + 1), strict=True):
        text = own.texts[first]
        numbers.append(columns.of(renamed(text, theirs.texts[second - 1] if second else text, backwards=backwards)))
    found = np.array(numbers, dtype=np.int64)[place]
    return np.where(changed >= 0, changed + 1, found) if by == "operator" else found


def _keys(trace: Trace, by: By) -> Keys:
    """What each operator counts under, before it is compared with its partner."""
    if by == "scope":
        return scopes(trace)
    o, column = trace.operators, "name" if by == "operator" else "source"
    texts = o.texts(column).to_pylist()
    missing = NO_SOURCE if by == "source" else UNSCOPED
    return Keys(np.where(o[column] >= 0, o[column], len(texts)), (*texts, missing))


def _of_segments(side: Side, of_rows: Sequence[Array], columns: _Columns, by: By) -> Array:
    """The part of every segment. A pause is its own part by operator and category, and else that of what it ends at."""
    run = side.run[side.step]
    row = side.row if by in ("operator", "category") else side.ends_at
    names = np.array([columns.of(f"{category}: {detail}") for category, detail in DETAILS])
    found = names[side.detail]
    for number, numbers in enumerate(of_rows if by != "category" else ()):
        here = np.flatnonzero((run == number) & (row >= 0))
        found[here] = numbers[row[here]]
    found[side.unexplained] = 0
    return found


def _table(place: Array, side: Side, width: int) -> Array:
    """Time of every step (rows) in every part (columns)."""
    steps = len(side.time_ns)
    return np.bincount(side.step * width + place, weights=side.ns, minlength=steps * width).reshape(steps, width)


def _typical(side: Side, table: Array) -> Array:
    """Every part of the typical step, in whole ns. What is not explained is the same, whatever it is asked by."""
    parts = side.typical.of(table)
    unexplained = round(float(parts[0]))
    return np.append(unexplained, rounded(parts[1:], round(float(side.typical.of(side.time_ns))) - unexplained))


def _counts(of_rows: Sequence[Array], side: Side, width: int) -> Array:
    """Operators of every part a step and rank: the median over the steps."""
    found = np.zeros((len(side.time_ns), width))
    for run, numbers in zip(side.runs, of_rows, strict=True):
        part = numbers[run.row]
        known = part >= 0
        np.add.at(found, (run.step[known], part[known]), 1)
    median: Array = np.median(found, axis=0) / side.ranks
    return median


def _bounds(base: Side, other: Side, base_table: Array, other_table: Array) -> tuple[Array | None, Array | None]:
    """Limits of the difference of every part and of the whole, where both sides have several steps."""
    if min(len(base.time_ns), len(other.time_ns)) < 2:
        return None, None
    first, second = (
        side.typical.again(np.column_stack([table, side.time_ns]))
        for side, table in ((base, base_table), (other, other_table))
    )
    return interval(second - first)


def contributions_of(parts: Parts, structure: Structure, pairing: Pairing, by: By) -> tuple[Contribution, ...]:
    """The parts that are anything, other than what is not explained: changes first, in their order, then by size."""
    changes = structure.changes if by == "operator" else ()
    first = 1 + len(changes)
    found = []
    for place in np.flatnonzero(parts.present).tolist():
        if place < first:
            continue
        found.append(
            Contribution(
                parts.keys[place], _status(parts, place), *_times(parts, place),
                float(parts.base_count[place]), float(parts.other_count[place]), *limits_of(parts, place),
            )
        )  # fmt: skip
    found.sort(key=lambda one: (-abs(one.contribution_ns), one.key))
    return (*structural_of(parts, structure, pairing), *found) if by == "operator" else tuple(found)


def structural_of(parts: Parts, structure: Structure, pairing: Pairing) -> tuple[Contribution, ...]:
    """The changes of the program, from parts by operator."""
    found = []
    for number, change in enumerate(structure.changes):
        place = number + 1
        base_ns, other_ns, difference = _times(parts, place)
        more = change.other_count - change.base_count
        status = "added" if more > 0 else "removed" if more < 0 else _status(parts, place)
        ranks = tuple(sorted({rank for role in change.roles for rank in pairing.ranks[role][more >= 0]}))
        found.append(
            Contribution(
                change.key, status, base_ns, other_ns, difference, change.base_count, change.other_count,
                *limits_of(parts, place), True, ranks, change.work_ns, change.base_bytes, change.other_bytes,
            )
        )  # fmt: skip
    return tuple(sorted(found, key=_weight))


def _weight(one: Contribution) -> tuple[float, float, str]:
    """By what changes are ranked: what they contribute, and a little for their work that by chance is off the path.

    Those that weigh the same, as all do without times, go by their numbers.
    """
    work = abs(one.contribution_ns) + OFF_PATH * (one.work_ns or 0)
    return -work, -abs(one.other_count - one.base_count), one.key


def _times(parts: Parts, place: int) -> tuple[int, int, int]:
    base, other = int(parts.base_ns[place]), int(parts.other_ns[place])
    return base, other, other - base


def limits_of(parts: Parts, place: int) -> tuple[int | None, int | None]:
    """The limits of a part's difference; of that of the whole at place -1."""
    if parts.low_ns is None or parts.high_ns is None:
        return None, None
    return round(float(parts.low_ns[place])), round(float(parts.high_ns[place]))


def _status(parts: Parts, place: int) -> str:
    base, other, difference = _times(parts, place)
    counted = parts.base_count[place], parts.other_count[place]
    if difference == 0:
        return "same"
    if max(counted) > 0 and min(counted) == 0:
        return "added" if counted[1] else "removed"
    if min(base, other) == 0:
        return "on-path" if other else "off-path"
    return "slower" if difference > 0 else "faster"
