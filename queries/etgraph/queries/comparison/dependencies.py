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


def dependency_changes(base: Side, other: Side, pairing: Pairing, structure: Structure) -> tuple[Change, ...]:
    """Changes of dependencies by kind and names of both ends, which occur more often in every step of one side.

    Those of operators that are themselves a change are part of that one.
    """
    names = Texts()
    sides = [
        _dependencies(side, partners, numbers, names)
        for side, partners, numbers in (
            (base, pairing.base, structure.base), (other, pairing.other, structure.other)
        )
    ]  # fmt: skip
    what, source, target, role, step, rank = np.concatenate(sides, axis=1)
    if not len(what):
        return ()
    kind, kinds = distinct(what, source, target, role)
    split = sides[0].shape[1]
    of_base, of_other = slice(None, split), slice(split, None)
    (least, most), (other_least, other_most) = (
        extremes(kind[own], step[own], rank[own], role[own], kinds, len(side.time_ns), pairing.members(place))
        for place, (side, own) in enumerate(((base, of_base), (other, of_other)))
    )
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
    """Kind, names of source and target, role, step and rank (rows) of every dependency in a side's steps (columns)."""
    found = [np.zeros((6, 0), dtype=np.int64)]
    for run, one, number in zip(side.runs, partners, numbers, strict=True):
        d, name = run.trace.dependencies, names.of(run.trace, "name")
        step = np.full(len(run.trace), -1, dtype=np.int64)
        step[run.row] = run.step
        own = np.flatnonzero(np.isin(d["kind"], _OF_THE_PROGRAM))
        source, target = d["src"][own], d["dst"][own]
        kept = (step[target] >= 0) & (number[source] < 0) & (number[target] < 0) & (one.role[target] >= 0)
        own, source, target = own[kept], source[kept], target[kept]
        rank = run.trace.operators["rank"][target]
        columns = d["kind"][own], name[source], name[target], one.role[target], step[target], rank
        found.append(np.stack([column.astype(np.int64) for column in columns]))
    return np.concatenate(found, axis=1)
