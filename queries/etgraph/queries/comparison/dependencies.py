"""Dependencies that were added or removed between operators that are the same on both sides."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from etgraph.model import DependencyKind
from etgraph.model.columns import Array
from etgraph.model.numbering import distinct
from etgraph.queries.comparison.copies import Texts, extremes
from etgraph.queries.comparison.pairing import Pairing, Partners
from etgraph.queries.comparison.sides import Side
from etgraph.queries.comparison.structure import Change, Structure

_OF_THE_PROGRAM = (DependencyKind.CTRL, DependencyKind.DATA, DependencyKind.EVENT)
"""Kinds that the program asks for. Others follow from nesting and order, or from when something ran."""
_LONGEST_CHAIN = 16
"""Changed operators in a row that a dependency is followed through."""
_MOST_AT_ONCE = 1_000_000


def dependency_changes(base: Side, other: Side, pairing: Pairing, structure: Structure) -> tuple[Change, ...]:
    """Changes of dependencies by kind and names of both ends, which occur more often in every step of one side.

    Those of operators that are themselves a change are part of that one. What waits for something through such
    operators has to wait for it without them, too: that is no dependency more. Data dependencies that were inferred
    are left out: allocators use memory again, not in the same order in every run, so that an equal program has others.
    """
    names = Texts()
    sides = [
        _dependencies(side, partners, numbers, names)
        for side, partners, numbers in (
            (base, pairing.base, structure.base), (other, pairing.other, structure.other)
        )
    ]  # fmt: skip
    what, source, target, role, step, rank, through = np.concatenate(sides, axis=1)
    if not len(what):
        return ()
    kind, kinds = distinct(what, source, target, role)
    of_side = np.arange(len(what)) < sides[0].shape[1]
    of_base, of_other = of_side & (through == 0), ~of_side & (through == 0)

    def often(place: int, own: Array) -> tuple[Array, Array]:
        steps = len((base, other)[place].time_ns)
        return extremes(kind[own], step[own], rank[own], role[own], kinds, steps, pairing.members(place))

    (least, _), (other_least, _) = often(0, of_base), often(1, of_other)
    (_, most), (_, other_most) = often(0, of_side), often(1, ~of_side)
    example = np.zeros(kinds, dtype=np.int64)
    example[kind] = np.arange(len(kind))
    texts = list(names.known)
    merged: dict[str, list[int]] = {}
    for one in np.flatnonzero((least > other_most) | (other_least > most)).tolist():
        at = example[one]
        key = f"{texts[target[at]]} waits for {texts[source[at]]} ({DependencyKind(what[at]).name})"
        merged.setdefault(key, []).append(one)
    changes = []
    for key, some in merged.items():
        roles = np.unique(role[example[some]])
        first, second = (
            float(np.isin(kind[own], some).sum()) / len(side.time_ns) / max(int(pairing.members(place)[roles].sum()), 1)
            for place, (side, own) in enumerate(((base, of_base), (other, of_other)))
        )
        changes.append(Change(key, tuple(roles.tolist()), first, second, None, None, 0))
    return tuple(changes)


def _dependencies(side: Side, partners: Sequence[Partners], numbers: Sequence[Array], names: Texts) -> Array:
    """Every dependency in a side's steps, and those through operators that are a change (columns).

    Rows are the kind, the names of source and target, role, step, rank, and whether it is through such operators.
    """
    found = [np.zeros((7, 0), dtype=np.int64)]
    for run, one, number in zip(side.runs, partners, numbers, strict=True):
        d, name = run.trace.dependencies, names.of(run.trace, "name")
        step = np.full(len(run.trace), -1, dtype=np.int64)
        step[run.row] = run.step
        asked = np.isin(d["kind"], _OF_THE_PROGRAM) & ~((d["kind"] == int(DependencyKind.DATA)) & d["inferred"])
        asked &= (step[d["dst"]] >= 0) & (one.role[d["dst"]] >= 0)
        kind, source, target = d["kind"][asked], d["src"][asked], d["dst"][asked]
        direct = (number[source] < 0) & (number[target] < 0)
        both = (kind[direct], source[direct], target[direct]), _through(kind, source, target, number >= 0)
        for through, (of, start, end) in enumerate(both):
            rank = run.trace.operators["rank"][end]
            columns = of, name[start], name[end], one.role[end], step[end], rank, np.full(len(of), through)
            found.append(np.stack([column.astype(np.int64) for column in columns]))
    return np.concatenate(found, axis=1)


def _through(kind: Array, source: Array, target: Array, changed: Array) -> tuple[Array, Array, Array]:
    """Dependencies, by the last one's kind, of operators that are no change on others, through some that are one."""
    order = np.argsort(target, kind="stable")
    by_target, sources = target[order], source[order]
    on = changed[source] & ~changed[target]
    kind, at, target = kind[on], source[on], target[on]
    found = []
    for _ in range(_LONGEST_CHAIN):
        if not 0 < len(at) <= _MOST_AT_ONCE:
            break
        first, end = (np.searchsorted(by_target, at, side) for side in ("left", "right"))
        each = np.repeat(np.arange(len(at)), end - first)
        before = sources[np.arange(len(each)) - np.repeat(np.cumsum(end - first) - end, end - first)]
        step = np.unique(np.stack([kind[each], before, target[each]]).astype(np.int64), axis=1)
        found.append(step[:, ~changed[step[1]]])
        kind, at, target = step[:, changed[step[1]]]
    every = np.unique(np.concatenate(found, axis=1), axis=1) if found else np.zeros((3, 0), dtype=np.int64)
    return every[0], every[1], every[2]
