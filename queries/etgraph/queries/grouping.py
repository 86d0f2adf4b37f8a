"""Groups of rows: what the rows have in common as a key, and sums and percentiles of each group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from etgraph.model import TABLES, NodeType, Trace
from etgraph.model.columns import Array

if TYPE_CHECKING:
    import pyarrow as pa

By = Literal["name", "kind", "scope", "shape", "source"]
"""What operators are grouped by. `shape` is the name with the dims and dtypes of the inputs."""
NULL = TABLES["operators"].column("flops").null


@dataclass(frozen=True, slots=True)
class Groups:
    """Rows by group: the group of each row, how many groups there are, and one row of each as its example."""

    of: Array
    count: int
    example: Array

    def counts(self) -> Array:
        """Rows of each group."""
        return np.bincount(self.of, minlength=self.count)

    def sums(self, values: Array) -> Array:
        """Sums of the integers that are not `NULL`, exact beyond 2⁵³.

        `NULL` where a group has none, and where the sum is beyond what an integer of 64 bits holds.
        """
        known = values != NULL
        of, values = self.of[known], values[known]
        total = np.zeros(self.count, dtype=np.int64)
        np.add.at(total, of, values)
        size = np.bincount(of, weights=np.abs(values.astype(np.float64)), minlength=self.count)
        some = np.bincount(of, minlength=self.count) > 0
        return np.where(some & (size < 2.0**63), total, NULL)

    def percentiles(self, values: Array, shares: tuple[int, ...]) -> tuple[Array, ...]:
        """Nearest-rank percentiles of what is not `NULL`: the least value that so many per cent do not exceed.

        0 is the minimum. `NULL` for a group without values.
        """
        known = np.flatnonzero(values != NULL)
        order = known[np.lexsort((values[known], self.of[known]))]
        ordered = np.append(values[order], NULL)
        count = np.bincount(self.of[known], minlength=self.count)
        first = np.cumsum(count) - count
        found = []
        for share in shares:
            at = np.maximum((share * count + 99) // 100 - 1, 0)
            found.append(ordered[np.where(count > 0, first + at, len(order))])
        return tuple(found)


def groups_of(*columns: Array) -> Groups:
    """Rows with the same values (integers of 0 or more) in all of the columns are one group."""
    code = np.zeros(len(columns[0]), dtype=np.int64)
    example = np.zeros(0, dtype=np.int64)
    count = 1
    for column in columns:
        width = int(column.max()) + 1 if len(column) else 1
        _, example, code = np.unique(code * width + column, return_index=True, return_inverse=True)
        count = len(example)
    return Groups(code, count, example)


def key_columns(trace: Trace, rows: Array, by: By) -> tuple[Array, ...]:
    """Columns of `groups_of` that make one key of each row; 0 is a key that is not recorded."""
    o = trace.operators
    if by == "kind":
        _, code = np.unique(o["kind"][rows], return_inverse=True)
        return (code,)
    if by == "shape":
        return o["name"][rows] + 1, o["shapes"][rows] + 1
    return (o[by][rows] + 1,)


def keys(trace: Trace, rows: Array, by: By) -> pa.Array:
    """The keys of those rows as texts, null where it is not recorded."""
    import pyarrow as pa
    import pyarrow.compute as pc

    o = trace.operators

    def texts(column: str) -> pa.Array:
        codes = o[column][rows]
        return o.texts(column).take(pa.array(codes, mask=codes < 0))

    if by == "kind":
        names = {int(kind): kind.name for kind in NodeType}
        return pa.array([names.get(kind, str(kind)) for kind in o["kind"][rows].tolist()], type=pa.string())
    if by == "shape":
        return pc.binary_join_element_wise(texts("name"), texts("shapes"), " ", null_handling="skip")
    return texts(by)
