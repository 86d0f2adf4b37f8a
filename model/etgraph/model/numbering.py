"""Numbers without gaps: codes of combinations of values, as small as they can be."""

from __future__ import annotations

from typing import Final

import numpy as np

from etgraph.model.columns import Array

_DENSE: Final = 1 << 16
"""A table of so many numbers costs nothing."""


def renumbered(code: Array, limit: int) -> tuple[Array, int]:
    """The same order of codes (below the limit) without gaps, and how many there are."""
    if limit > _DENSE + 4 * len(code):
        values, code = np.unique(code, return_inverse=True)
        return code, len(values)
    used = np.zeros(limit, dtype=bool)
    used[code] = True
    return (np.cumsum(used) - 1)[code], int(np.count_nonzero(used))


def distinct(*columns: Array) -> tuple[Array, int]:
    """The number of each row's combination of integers, ascending, and how many combinations there are. O(n log n).

    >>> distinct(np.array([0, 0, 1, 0]), np.array([7, 9, 7, 7]))[0].tolist()
    [0, 1, 2, 0]
    """
    code, count = np.zeros(len(columns[0]), dtype=np.int64), 1
    for column in columns:
        least, most = (int(column.min()), int(column.max())) if len(column) else (0, 0)
        if most - least <= _DENSE + 4 * len(column) and most < 2**63:
            place, width = column.astype(np.int64) - least, most - least + 1
        else:
            values, place = np.unique(column, return_inverse=True)
            width = len(values)
        code, count = renumbered(code * width + place, count * width)
    return code, count
