"""Sums by group."""

from __future__ import annotations

import numpy as np

from etgraph.model.columns import Array


def sum_by(group: Array, values: Array, groups: int) -> Array:
    """Sums of integers by group, exact beyond 2⁵³ too.

    >>> sum_by(np.array([1, 1, 3]), np.array([2, 3, 4]), 4).tolist()
    [0, 5, 0, 4]
    """
    found = np.zeros(groups, dtype=np.int64)
    np.add.at(found, group, values)
    return found
