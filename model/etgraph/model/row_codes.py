"""Rows of several columns as one number each, so that what sorts and joins numbers sorts and joins rows."""

from __future__ import annotations

import numpy as np

from etgraph.model.columns import Array


def row_codes(*columns: Array) -> Array:
    """A number for each row, the same for rows that are equal in every column, from 0 without gaps.

    Column by column, since NumPy sorts numbers some ten times as quickly as rows. O(n log n) a column.

    >>> row_codes(np.array([0, 0, 1, 0]), np.array([7, 9, 7, 7])).tolist()
    [0, 1, 2, 0]
    """
    code = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        own = np.unique(column, return_inverse=True)[1]
        code = np.unique(code * (int(own.max(initial=0)) + 1) + own, return_inverse=True)[1]
    return code
