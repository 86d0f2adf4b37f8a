"""New operators in a recorded trace: a call that waits for the device, or a collective on the ranks' main threads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from etgraph.model import DependencyKind, Trace
from etgraph.model.columns import Array, Columns


def with_operators(trace: Trace, like: Array, after: Array, values: Mapping[str, Any]) -> tuple[Trace, Array, Array]:
    """The trace with a copy of each operator `like` behind operator `after`, its next sibling on the same thread.

    `values` replaces columns of the copies. They start when `after` ends, and take no time. Returns the trace, the rows
    of the copies, and for each old row the new one.
    """
    o, n, count = trace.operators, len(trace), len(like)
    rank = o["rank"][after]
    order = np.concatenate([np.arange(n), np.arange(n, n + count)])
    ranks = np.concatenate([o["rank"], rank])
    place = np.lexsort((order, ranks))
    moved = np.empty(n + count, dtype=np.int64)
    moved[place] = np.arange(n + count)
    operators = o.take(np.concatenate([np.arange(n), like])[place])
    new = moved[n:]
    index = operators["index"].copy()
    for one in np.unique(rank).tolist():
        own = new[rank == one]
        index[own] = o["index"][trace.rank_rows[one]].max() + 1 + np.arange(len(own))
    changed: dict[str, Array] = {"index": index}
    parent = operators["parent"].copy()
    parent[parent >= 0] = moved[parent[parent >= 0]]
    parent[new] = np.where(o["parent"][after] >= 0, moved[o["parent"][after]], -1)
    changed["parent"] = parent
    copied = {name: o[name][after] for name in ("rank", "lane", "iteration", "scope")}
    copied |= {"start_ns": trace.end_ns[after], "duration_ns": np.zeros(count, dtype=np.int64), **values}
    for name, numbers in copied.items():
        column = operators[name].copy()
        column[new] = numbers
        changed[name] = column
    d = trace.dependencies
    dependencies = d.replace({"src": _rows(moved[d["src"]]), "dst": _rows(moved[d["dst"]])})
    found = replace(trace, operators=operators.replace(changed), dependencies=dependencies)
    parents = o["parent"][after]
    inside = parents >= 0
    sides = [(moved[after], new, DependencyKind.THREAD), (moved[parents[inside]], new[inside], DependencyKind.CALL)]
    follows = np.flatnonzero((d["kind"] == int(DependencyKind.THREAD)) & np.isin(d["src"], after))
    back = {int(row): int(one) for row, one in zip(after, new, strict=True)}
    behind = np.array([back[int(row)] for row in d["src"][follows]], dtype=np.int64)
    sides.append((behind, moved[d["dst"][follows]], DependencyKind.THREAD))
    for src, dst, kind in sides:
        found = with_dependencies(found, src, dst, kind)
    return found, new, moved[:n]


def with_dependencies(trace: Trace, src: Array, dst: Array, kind: DependencyKind) -> Trace:
    """The trace with more dependencies of a kind."""
    if not len(src):
        return trace
    d = trace.dependencies
    some = np.flatnonzero(d["kind"] == int(kind))
    like = d.take(np.full(len(src), some[0] if len(some) else 0))
    more = like.replace({"src": _rows(src), "dst": _rows(dst), "kind": np.full(len(src), int(kind), dtype=np.int8)})
    return replace(trace, dependencies=Columns.concat([d, more]))


def with_collectives(trace: Trace, members: Sequence[Array]) -> Trace:
    """The trace with one collective more for each of those sets of operators, each a copy of its members' own."""
    o = trace.operators
    collective = o["collective"].copy()
    like = np.array([collective[rows[0]] for rows in members])
    for number, rows in enumerate(members):
        collective[rows] = len(trace.collectives) + number
    collectives = Columns.concat([trace.collectives, trace.collectives.take(like)])
    return replace(trace, operators=o.replace({"collective": collective}), collectives=collectives)


def _rows(numbers: Array) -> Array:
    return np.asarray(numbers, dtype=np.int32)


__all__ = ["with_collectives", "with_dependencies", "with_operators"]
