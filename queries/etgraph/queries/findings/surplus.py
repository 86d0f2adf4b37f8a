"""Surplus operators: what one rank does in a step that another one does not, in order."""

from __future__ import annotations

import numpy as np

from etgraph.model.columns import Array
from etgraph.queries.findings.measured import Measured

AHEAD = 4
"""So many operators in a row, or all that are left, must be the same again for two ranks to be back in step."""
LEAST_SHARE = 0.002
"""Surplus operators that take less of the step than this are no reason to be late."""


def surplus(measured: Measured, rank: int, other: int) -> Array:
    """Rows of the outermost operators of a rank's steps that the other rank has none of, where it is at that place."""
    o = measured.trace.operators
    found = []
    for step in measured.steps:
        mine, theirs = (_outermost(measured, one, step) for one in (rank, other))
        extra = _beyond(_keys(measured, mine), _keys(measured, theirs))
        missing = _beyond(_keys(measured, theirs), _keys(measured, mine))
        # What each lacks of the other is another order, not more of anything.
        if o["duration_ns"][theirs[missing]].sum() < o["duration_ns"][mine[extra]].sum() / 2:
            found.append(mine[extra])
    rows = np.concatenate(found) if found else np.zeros(0, dtype=np.int64)
    if o["duration_ns"][rows].sum() < LEAST_SHARE * measured.lengths.sum():
        return rows[:0]
    return rows


def _outermost(measured: Measured, rank: int, step: int | None) -> Array:
    """The outermost operators of a rank's step on its threads in order of time, without communication."""
    o, i = measured.trace.operators, measured.trace.iterations
    chosen = measured.inside & (o["rank"] == rank) & (o["parent"] < 0) & ~measured.on_device
    if step is not None:
        chosen &= np.where(o["iteration"] >= 0, i["index"][o["iteration"]], -1) == step
    rows = np.flatnonzero(chosen)
    rows = rows[~measured.communicates(rows)]
    ordered: Array = rows[np.argsort(o["start_ns"][rows], kind="stable")]
    return ordered


def _keys(measured: Measured, rows: Array) -> list[tuple[int, int]]:
    """What makes two operators alike: their names and shapes."""
    o = measured.trace.operators
    return list(zip(o["name"][rows].tolist(), o["shapes"][rows].tolist()))


def _beyond(mine: list[tuple[int, int]], theirs: list[tuple[int, int]]) -> list[int]:
    """Places of mine that theirs has nothing for.

    Both are gone through side by side; where they differ, mine goes on to where it is the same as theirs again.
    """
    found: list[int] = []
    i = j = 0
    ahead: dict[tuple[tuple[int, int], ...], list[int]] = {}
    for place in range(len(mine) - 1, -1, -1):
        ahead.setdefault(tuple(mine[place : place + AHEAD]), []).append(place)  # descending
    while i < len(mine) and j < len(theirs):
        if mine[i] == theirs[j]:
            i, j = i + 1, j + 1
            continue
        places = ahead.get(tuple(theirs[j : j + AHEAD]), [])
        while places and places[-1] < i:
            places.pop()
        if places:
            found += range(i, places[-1])
            i = places[-1]
        else:
            j += 1
    found += range(i, len(mine)) if j >= len(theirs) else ()
    return found
