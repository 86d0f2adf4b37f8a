"""Rows by recorded identifier: sorting them once, finding one that occurs twice, looking many up."""

from __future__ import annotations

import numpy as np

from etgraph.model.columns import Array


def sorting(ids: Array) -> Array | None:
    """Rows in order of their ids, equal ones in order of rows; None where they ascend already."""
    if len(ids) < 2 or bool((ids[1:] > ids[:-1]).all()):
        return None
    return np.argsort(ids, kind="stable")


def twice(ids: Array, by_id: Array | None) -> tuple[int, int] | None:
    """The first two rows of the smallest id that several rows have."""
    if by_id is None:
        return None
    same = np.flatnonzero(ids[by_id[1:]] == ids[by_id[:-1]])
    return (int(by_id[same[0]]), int(by_id[same[0] + 1])) if len(same) else None


def rows_of(wanted: Array, ids: Array, by_id: Array | None) -> Array:
    """The row of each wanted id, -1 where no row has it; `by_id` is what `sorting` gives for the ids."""
    if not len(ids):
        return np.full(len(wanted), -1, dtype=np.int64)
    found = np.minimum(np.searchsorted(ids, wanted, sorter=by_id), len(ids) - 1)
    if by_id is not None:
        found = by_id[found]
    return np.where(ids[found] == wanted, found, -1)
