"""What changed in the program: operators and collectives that are on one side only, or of other number or size.

An operator without a partner, or with one of another name, shape or size, is a change where its kind (name, shapes and
bytes) occurs more often in every step of its side than in any of the other, on every rank that was taken for the same.
So what only ran in another order, and what comes and goes from step to step, is none. A change takes along what its
operators enclose and launch, and changes of one name are one change, over ranks and steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from etgraph.model import Trace
from etgraph.model.arrivals import communicates
from etgraph.model.columns import Array
from etgraph.model.numbering import distinct
from etgraph.queries.comparison.copies import Texts, extremes
from etgraph.queries.comparison.pairing import Pairing, Partners
from etgraph.queries.comparison.sides import Run, Side
from etgraph.queries.comparison.subtrees import roots_of
from etgraph.queries.comparison.tallies import Class, tally, type_key
from etgraph.queries.keys import types

ARROW = " → "
"""Stands between the two names of what both sides have."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change: what it is called, and the roles of ranks that have it (places in `Pairing.ranks`).

    The counts are of all operators of its name, or collectives of its type, a step and rank on each side, of what was
    renamed only those that changed. The bytes are the mean size of one collective. `work_ns` is the time of the changed
    operators of both sides, a step and rank.
    """

    key: str
    roles: tuple[int, ...]
    base_count: float
    other_count: float
    base_bytes: int | None
    other_bytes: int | None
    work_ns: int


@dataclass(frozen=True, slots=True)
class Structure:
    """The changes, and for every run of either side the number of the change that each operator is part of, or -1."""

    changes: tuple[Change, ...]
    base: tuple[Array, ...]
    other: tuple[Array, ...]


@dataclass(frozen=True, slots=True)
class _Kinds:
    """Names, shapes and bytes of a trace's operators as numbers, the same for all traces."""

    name: Array
    shapes: Array
    bytes: Array


@dataclass(frozen=True, slots=True)
class _Changed:
    """For every operator of a run the root of the change that it is part of, -1 for none."""

    run: Run
    partners: Partners
    root: Array

    @property
    def is_root(self) -> Array:
        """Whether each operator is the root of a change."""
        found: Array = self.root == np.arange(len(self.root))
        return found


def structure_of(base: Side, other: Side, pairing: Pairing) -> Structure:
    """What changed from the base to the other side."""
    kinds = _kinds([run.trace for run in (*base.runs, *other.runs)])
    more = _more(base, other, pairing, kinds)
    changed = [
        [_changed(run, one, grown, kinds) for run, one, grown in zip(side.runs, partners, flags, strict=True)]
        for side, partners, flags in ((base, pairing.base, more[0]), (other, pairing.other, more[1]))
    ]
    known: dict[Class, int] = {}
    of_base = tuple(_numbers(one, changed[1][0], known, backwards=False) for one in changed[0])
    of_other = tuple(_numbers(one, changed[0][0], known, backwards=True) for one in changed[1])
    changes = _changes(base, other, pairing, changed, (of_base, of_other), list(known))
    return Structure(changes, of_base, of_other)


def _kinds(traces: Sequence[Trace]) -> dict[int, _Kinds]:
    """The kinds of every trace, by its identity: one may be on both sides."""
    names, shapes = Texts(), Texts()
    return {
        key: _Kinds(names.of(trace, "name"), shapes.of(trace, "shapes"), trace.operators["comm_bytes"])
        for key, trace in {id(trace): trace for trace in traces}.items()
    }


def _more(base: Side, other: Side, pairing: Pairing, kinds: Mapping[int, _Kinds]) -> tuple[list[Array], list[Array]]:
    """For every run of each side, which operators are of a kind that occurs more often there, in every step."""
    runs = [*zip(base.runs, pairing.base, strict=True), *zip(other.runs, pairing.other, strict=True)]
    columns = []
    for run, partners in runs:
        of = kinds[id(run.trace)]
        columns.append((of.name[run.row], of.shapes[run.row], of.bytes[run.row], partners.role[run.row]))
    kind, count = distinct(*(np.concatenate(parts) for parts in zip(*columns, strict=True)))
    of_runs = np.split(kind, np.cumsum([len(run.row) for run, _ in runs])[:-1])
    some = runs[: len(base.runs)], runs[len(base.runs) :]
    of_sides = of_runs[: len(base.runs)], of_runs[len(base.runs) :]
    (least, most), (other_least, other_most) = (
        extremes(
            np.concatenate(own),
            np.concatenate([run.step for run, _ in runs]),
            np.concatenate([run.trace.operators["rank"][run.row] for run, _ in runs]),
            np.concatenate([partners.role[run.row] for run, partners in runs]),
            count,
            len(side.time_ns),
            pairing.members(place),
        )
        for place, (side, runs, own) in enumerate(zip((base, other), some, of_sides, strict=True))
    )
    found: tuple[list[Array], list[Array]] = [], []
    for runs, own, grown, flags in zip(some, of_sides, (least > other_most, other_least > most), found, strict=True):
        for (run, partners), number in zip(runs, own, strict=True):
            more = np.zeros(len(run.trace), dtype=bool)
            more[run.row] = grown[number] & (partners.role[run.row] >= 0)
            flags.append(more)
    return found


def _changed(run: Run, partners: Partners, more: Array, kinds: Mapping[int, _Kinds]) -> _Changed:
    """The changes of a run; `more` says which operators are of a kind that occurs more often on this side."""
    own, theirs = kinds[id(run.trace)], kinds[id(partners.trace)]
    has = partners.row >= 0
    partner = partners.row[has]
    unlike = partners.asked & ~has
    for mine, its in ((own.name, theirs.name), (own.shapes, theirs.shapes), (own.bytes, theirs.bytes)):
        unlike[has] |= mine[has] != its[partner]
    root = roots_of(run.trace, unlike)
    return _Changed(run, partners, np.where(unlike & more[root], root, -1))


def _numbers(changed: _Changed, theirs: _Changed, known: dict[Class, int], *, backwards: bool) -> Array:
    """The number of the change of every operator of a run; changes that `known` does not have get new ones there."""
    rows = np.flatnonzero(changed.root >= 0)
    roots, place = np.unique(changed.root[rows], return_inverse=True)
    partner = changed.partners.row[roots]
    # A partner that is in no change, or inside one of another name, gives no name to one.
    partner = np.where((partner >= 0) & np.append(theirs.is_root, False)[partner], partner, -1)
    classes = _classes(changed.run.trace, roots, theirs.run.trace, partner, backwards=backwards)
    numbers = np.array([known.setdefault(one, len(known)) for one in classes], dtype=np.int64)
    found = np.full(len(changed.root), -1, dtype=np.int64)
    found[rows] = numbers[place]
    return found


def _classes(trace: Trace, roots: Array, theirs: Trace, partners: Array, *, backwards: bool) -> list[Class]:
    """What the change of each root is called: the type of the collective, or its name and that of its partner."""
    collective = communicates(trace, roots)
    of_type = types(trace, roots)
    found = []
    for place, (root, partner) in enumerate(zip(roots.tolist(), partners.tolist(), strict=True)):
        if collective[place]:
            found.append((True, type_key(of_type.texts[of_type.code[place]])))
            continue
        name = str(trace.operators.value("name", root))
        other = str(theirs.operators.value("name", partner)) if partner >= 0 else name
        found.append((False, renamed(name, other, backwards=backwards)))
    return found


def renamed(name: str, partner: str, *, backwards: bool) -> str:
    """What both sides have by one name or, where they differ, by both; `backwards` where `partner` is the base's.

    >>> renamed("gemm", "nvjet", backwards=False), renamed("gemm", "gemm", backwards=True)
    ('gemm → nvjet', 'gemm')
    """
    if name == partner:
        return name
    return f"{partner}{ARROW}{name}" if backwards else f"{name}{ARROW}{partner}"


def _changes(
    base: Side,
    other: Side,
    pairing: Pairing,
    changed: Sequence[Sequence[_Changed]],
    numbers: Sequence[Sequence[Array]],
    classes: Sequence[Class],
) -> tuple[Change, ...]:
    """How much there is of every change, and how many of its name or type in all."""
    places = {one: place for place, one in enumerate(classes)}
    ranks = [pairing.members(side) for side in (0, 1)]
    concerned = np.zeros((len(classes), len(pairing.ranks)), dtype=bool)
    work = np.zeros((2, len(classes)))
    tallies, roots = [], []
    for place, (side, partners, of, numbered) in enumerate(
        zip((base, other), (pairing.base, pairing.other), changed, numbers, strict=True)
    ):
        steps = len(side.time_ns)
        tallies.append(tally(side, partners, places, ranks[place]))
        count = np.zeros(len(classes))
        for one, number in zip(of, numbered, strict=True):
            rows = one.run.row[number[one.run.row] >= 0]
            known = rows[one.partners.role[rows] >= 0]
            concerned[number[known], one.partners.role[known]] = True
            work[place] += np.bincount(number[rows], _spent(one.run.trace, rows, number), len(classes)) / steps
            count += np.bincount(number[rows[one.is_root[rows]]], minlength=len(classes)) / steps
        roots.append(count)
    found = []
    for at, (_, key) in enumerate(classes):
        roles = np.flatnonzero(concerned[at])
        each = [max(int(ranks[side][roles].sum()), 1) for side in (0, 1)]
        counts = [
            float(roots[side][at]) / each[side] if ARROW in key else tallies[side].a_step(at, roles) for side in (0, 1)
        ]
        sizes = [one.size(at, roles) for one in tallies]
        spent = round(sum(float(work[side, at]) / each[side] for side in (0, 1)))
        found.append(Change(key, tuple(roles.tolist()), counts[0], counts[1], sizes[0], sizes[1], spent))
    return tuple(found)


def _spent(trace: Trace, rows: Array, number: Array) -> Array:
    """The time of each of the operators that no other one of the same change encloses; 0 for the others."""
    above = trace.enclosing[rows]
    inside = (above >= 0) & (number[above] == number[rows])
    return np.where(trace.timed[rows] & ~inside, trace.operators["duration_ns"][rows], 0)
