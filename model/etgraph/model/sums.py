"""Sums by group."""

from __future__ import annotations

import numpy as np

from etgraph.model.columns import Array

_EXACT = 2**53
"""Integers below this are exact as floating-point numbers, in which sums by group are several times as fast."""


def sum_by(group: Array, values: Array, groups: int) -> Array:
    """Sums of integers by group, exact beyond 2⁵³ too.

    >>> sum_by(np.array([1, 1, 3]), np.array([2, 3, 4]), 4).tolist()
    [0, 5, 0, 4]
    """
    if len(values) and len(values) * max(int(values.max()), -int(values.min())) < _EXACT:
        return np.bincount(group, weights=values, minlength=groups).astype(np.int64)
    found = np.zeros(groups, dtype=np.int64)
    np.add.at(found, group, values)
    return found
