"""Groups of rows: what the rows have in common as a key, and sums and percentiles of each group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from etgraph.model import TABLES, NodeType, Trace
from etgraph.model.columns import Array
from etgraph.model.numbering import renumbered
from etgraph.model.sums import sum_by

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
        total = sum_by(of, values, self.count)
        given = np.bincount(of, minlength=self.count) > 0
        if len(values) and max(int(values.max()), -int(values.min())) * len(values) >= 2**63:
            given &= np.bincount(of, weights=np.abs(values.astype(np.float64)), minlength=self.count) < 2.0**63
        return np.where(given, total, NULL)

    def percentiles(self, values: Array, shares: tuple[int, ...]) -> tuple[Array, ...]:
        """Nearest-rank percentiles of what is not `NULL`: the least value that so many per cent do not exceed.

        0 is the minimum. `NULL` for a group without values.
        """
        known = values != NULL
        ordered = np.append(_sorted_within(self.of[known], values[known]), NULL)
        count = np.bincount(self.of[known], minlength=self.count)
        first = np.cumsum(count) - count
        found = []
        for share in shares:
            at = np.maximum((share * count + 99) // 100 - 1, 0)
            found.append(ordered[np.where(count > 0, first + at, -1)])
        return tuple(found)


def _sorted_within(groups: Array, values: Array) -> Array:
    """The values in order of groups and, within each, of size."""
    if not len(values):
        return values
    low = int(values.min())
    span = int(values.max()) - low + 1
    if (int(groups.max()) + 1) * span < 2**63:  # both in one integer sort several times as fast
        found: Array = np.sort(groups * span + (values - low)) % span + low
        return found
    return values[np.lexsort((values, groups))]


def groups_of(*columns: Array) -> Groups:
    """Rows with the same values (integers of 0 or more) in all of the columns are one group."""
    code = np.zeros(len(columns[0]), dtype=np.int64)
    count = 1
    for column in columns:
        width = int(column.max()) + 1 if len(column) else 1
        code, count = renumbered(code * width + column, count * width)
    example = np.zeros(count if len(code) else 0, dtype=np.int64)
    example[code[::-1]] = np.arange(len(code))[::-1]
    return Groups(code, len(example), example)


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
