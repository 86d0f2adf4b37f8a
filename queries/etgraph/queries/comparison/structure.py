"""What changed in the program: operators and collectives that are on one side only, or of other number or size.

An operator without a partner, or with one of another name, shape or size, is a change where its kind (name, shapes and
bytes) occurs more or less often in every step of one side than in every step of the other, on the same rank. So what
only ran in another order, and what comes and goes from step to step, is none. A change takes along what its operators
enclose and launch, and changes of one name are one change, over ranks and steps.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from etgraph.model import Category, DependencyKind, Trace
from etgraph.model.arrivals import communicates
from etgraph.model.columns import Array
from etgraph.model.launching import launching_calls
from etgraph.model.numbering import distinct
from etgraph.queries.comparison.matching import Match, Matches
from etgraph.queries.comparison.sides import Run, Side
from etgraph.queries.keys import types

_WRAPPER = re.compile(
    r"^(?:c10d|_c10d_functional|torch_ccl|oneccl_bindings\w*)::|^(?:nccl|gloo|mpi|ucc):|^record_param_comms"
)
"""Host operators that do nothing but hand a collective to its library."""


ARROW = " → "
"""Stands between the two names of what both sides have."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change: what it is called and on which pairs of ranks it is.

    The counts are of all operators of its name, or collectives of its type, a step and rank on each side, the bytes the
    mean size of these; `work_ns` is the time of the changed operators of both sides, a step and rank.
    """

    key: str
    collective: bool
    pairs: tuple[int, ...]
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


@dataclass(slots=True)
class _Texts:
    """Numbers of texts, the same for all traces."""

    known: dict[str, int] = field(default_factory=dict)

    def of(self, trace: Trace, column: str) -> Array:
        """The number of the text of every operator, -1 for none."""
        texts = trace.operators.texts(column).to_pylist()
        to_number = np.array([*(self.known.setdefault(text, len(self.known)) for text in texts), -1], dtype=np.int64)
        return to_number[trace.operators[column]]


@dataclass(frozen=True, slots=True)
class _Marked:
    """A run whose operators are numbered by what they are: name, shapes and bytes; `altered` unlike their partner."""

    name: Array
    shapes: Array
    bytes: Array


def structure_of(base: Side, other: Side, matches: Matches) -> Structure:
    """What changed from the base to the other side."""
    names, shapes = _Texts(), _Texts()
    marked: dict[int, _Marked] = {}
    for run in (*base.runs, *other.runs):
        if id(run.trace) not in marked:
            marked[id(run.trace)] = _Marked(
                names.of(run.trace, "name"), shapes.of(run.trace, "shapes"),
                run.trace.operators["comm_bytes"].astype(np.int64),
            )  # fmt: skip
    more = _more(base, other, matches, marked)
    sides = []
    known: dict[tuple[bool, str], int] = {}
    for side, match, grown in ((base, matches.base, more[0]), (other, matches.other, more[1])):
        sides.append(
            tuple(
                _changed(run, of, rows, marked, known, backwards=side is other)
                for run, of, rows in zip(side.runs, match, grown, strict=True)
            )
        )
    changes = _changes(base, other, matches, sides[0], sides[1], list(known))
    return Structure(changes, sides[0], sides[1])


def _more(base: Side, other: Side, matches: Matches, marked: dict[int, _Marked]) -> tuple[list[Array], list[Array]]:
    """For every run of each side, which operators are of a kind that occurs more often there, in every step."""
    runs = [*zip(base.runs, matches.base), *zip(other.runs, matches.other)]
    columns = [
        np.concatenate(parts)
        for parts in zip(
            *(
                (mark.name[run.row], mark.shapes[run.row], mark.bytes[run.row], match.pair[run.row])
                for run, match in runs
                for mark in (marked[id(run.trace)],)
            ),
            strict=True,
        )
    ]
    kind, kinds = distinct(*columns)
    cuts = np.cumsum([0] + [len(run.row) for run, _ in runs])
    split = len(base.runs)
    least, most = [], []
    for side, first, last in ((base, 0, split), (other, split, len(runs))):
        own = kind[cuts[first] : cuts[last]]
        step = np.concatenate([run.step for run in side.runs])
        low, high = _extremes(own, step, kinds, len(side.time_ns))
        least.append(low)
        most.append(high)
    grown = (least[0] > most[1], least[1] > most[0])
    paired = columns[3] >= 0
    found: tuple[list[Array], list[Array]] = ([], [])
    for number, (run, _) in enumerate(runs):
        side = int(number >= split)
        part = slice(cuts[number], cuts[number + 1])
        flags = np.zeros(len(run.trace), dtype=bool)
        flags[run.row] = grown[side][kind[part]] & paired[part]
        found[side].append(flags)
    return found


def _extremes(kind: Array, step: Array, kinds: int, steps: int) -> tuple[Array, Array]:
    """How often each kind occurs in a step: at least, and at most."""
    both, count = np.unique(kind * steps + step, return_counts=True)
    of = both // steps
    least, most = np.full(kinds, np.iinfo(np.int64).max), np.zeros(kinds, dtype=np.int64)
    np.minimum.at(least, of, count)
    np.maximum.at(most, of, count)
    least[np.bincount(of, minlength=kinds) < steps] = 0
    return least, most


def _changed(
    run: Run, match: Match, grown: Array, marked: dict[int, _Marked], known: dict[tuple[bool, str], int], *,
    backwards: bool,
) -> Array:  # fmt: skip
    """The number of the change that each operator of a run is part of; new changes get new numbers in `known`."""
    trace, own, theirs = run.trace, marked[id(run.trace)], marked[id(match.against)]
    partner = np.maximum(match.partner, 0)
    unlike = match.asked & (match.partner < 0)
    if len(match.against):
        for column in ("name", "shapes", "bytes"):
            unlike |= (match.partner >= 0) & (getattr(own, column) != getattr(theirs, column)[partner])
    root = _roots(trace, unlike)
    rows = np.flatnonzero(unlike & grown[root])
    roots, place = np.unique(root[rows], return_inverse=True)
    numbers = [known.setdefault(key, len(known)) for key in _keys(trace, match, roots, backwards=backwards)]
    found = np.full(len(trace), -1, dtype=np.int64)
    if len(rows):
        found[rows] = np.array(numbers)[place]
    return found


def _roots(trace: Trace, some: Array) -> Array:
    """For every one of some operators the outermost around it, or around its launch, that is one of them too.

    A collective is the root of its own, and of the calls around it that only hand it on.
    """
    o = trace.operators
    above = np.where(o["category"] >= int(Category.KERNEL), launching_calls(trace), trace.enclosing)
    collective = communicates(trace, np.arange(len(trace)))
    d = trace.dependencies
    spawns = np.flatnonzero((d["kind"] == int(DependencyKind.SPAWN)) & collective[d["dst"]])
    orphan = spawns[above[d["dst"][spawns]] < 0]
    above[d["dst"][orphan]] = d["src"][orphan]

    own = np.arange(len(trace))
    inside = some & (above >= 0) & ~collective
    inside[inside] = some[above[inside]]
    up = np.where(inside, above, own)
    hands_on = np.isin(o["category"], (int(Category.RUNTIME), int(Category.DRIVER)))
    hands_on |= o.codes_where("name", lambda name: _WRAPPER.search(name) is not None)[o["name"]]
    held = np.flatnonzero(collective & some)
    at = above[held]
    while len(at):
        on = (at >= 0) & some[at] & hands_on[at] & ~collective[at]
        held, at = held[on], at[on]
        up[at] = held
        at = above[at]
    while True:
        further = up[up]
        if np.array_equal(further, up):
            return up
        up = further


def _keys(trace: Trace, match: Match, roots: Array, *, backwards: bool) -> list[tuple[bool, str]]:
    """Whether each root is a collective, and what its change is called: the type of the collective, or the names."""
    o, others = trace.operators, match.against.operators
    collective = communicates(trace, roots)
    of_type = types(trace, roots)
    found = []
    for place, root in enumerate(roots.tolist()):
        if collective[place]:
            found.append((True, of_type.texts[of_type.code[place]].lower()))
            continue
        name, partner = str(o.value("name", root)), int(match.partner[root])
        found.append((False, renamed(name, str(others.value("name", partner)) if partner >= 0 else name, backwards)))
    return found


def renamed(name: str, partner: str, backwards: bool) -> str:
    """The name of what both sides have, from a side's name and that of its partner; `backwards` from the other side."""
    if name == partner:
        return name
    return f"{partner}{ARROW}{name}" if backwards else f"{name}{ARROW}{partner}"


def _changes(
    base: Side,
    other: Side,
    matches: Matches,
    of_base: Sequence[Array],
    of_other: Sequence[Array],
    keys: Sequence[tuple[bool, str]],
) -> tuple[Change, ...]:
    """The facts of every change: how much there is of it, and how many of its name or type there are in all."""
    classes = [[(collective, name) for name in key.split(ARROW)] for collective, key in keys]
    numbers = {one: number for number, one in enumerate(dict.fromkeys(one for some in classes for one in some))}
    concerned = np.zeros((len(keys), len(matches.ranks)), dtype=bool)
    work = np.zeros(len(keys))
    tallies = []
    for side, match, of in ((base, matches.base, of_base), (other, matches.other, of_other)):
        tallies.append(_tally(side, match, numbers, len(matches.ranks)))
        for run, one, changed in zip(side.runs, match, of, strict=True):
            rows = run.row[changed[run.row] >= 0]
            paired = one.pair[rows] >= 0
            concerned[changed[rows[paired]], one.pair[rows[paired]]] = True
            spent = np.bincount(changed[rows], weights=_own_work(run.trace, rows, changed), minlength=len(keys))
            work += spent / len(side.time_ns)
    found = []
    for number, (collective, key) in enumerate(keys):
        pairs = np.flatnonzero(concerned[number])
        own = [numbers[one] for one in classes[number]]
        count = [
            float(np.median(tally.count[np.ix_(own, pairs)].sum(axis=(0, 1)))) / max(len(pairs), 1) for tally in tallies
        ]
        size = [_mean(tally.bytes[own][:, pairs].sum(), tally.sized[own][:, pairs].sum()) for tally in tallies]
        share = round(float(work[number]) / max(len(pairs), 1))
        found.append(Change(key, collective, tuple(pairs.tolist()), count[0], count[1], size[0], size[1], share))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Tally:
    """Operators of a side by name or type and pair of ranks: how many a step, their bytes, and how many have these."""

    count: Array
    bytes: Array
    sized: Array


def _tally(side: Side, matches: Sequence[Match], numbers: Mapping[tuple[bool, str], int], pairs: int) -> _Tally:
    steps, width = len(side.time_ns), len(numbers)
    found = _Tally(np.zeros((width, pairs, steps)), np.zeros((width, pairs)), np.zeros((width, pairs)))
    for run, match in zip(side.runs, matches, strict=True):
        o, rows = run.trace.operators, run.row
        names = np.array([*(numbers.get((False, text), -1) for text in o.texts("name").to_pylist()), -1])
        number = names[o["name"][rows]]
        talks = np.flatnonzero(communicates(run.trace, rows))
        of_type = types(run.trace, rows[talks])
        number[talks] = np.array([*(numbers.get((True, text.lower()), -1) for text in of_type.texts), -1])[of_type.code]
        pair, size = match.pair[rows], o["comm_bytes"][rows]
        known = (number >= 0) & (pair >= 0)
        np.add.at(found.count, (number[known], pair[known], run.step[known]), 1)
        known &= size >= 0
        np.add.at(found.bytes, (number[known], pair[known]), size[known])
        np.add.at(found.sized, (number[known], pair[known]), 1)
    return found


def _mean(total: float, count: float) -> int | None:
    return round(total / count) if count else None


def _own_work(trace: Trace, rows: Array, numbers: Array) -> Array:
    """The time of each operator that none of the same change encloses; 0 for the others."""
    above = trace.enclosing[rows]
    inside = (above >= 0) & (numbers[above] == numbers[rows])
    return np.where(trace.timed[rows] & ~inside, trace.operators["duration_ns"][rows], 0)
