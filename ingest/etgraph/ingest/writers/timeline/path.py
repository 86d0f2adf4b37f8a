"""A critical path as it comes to a timeline: segments, and the operators that they are of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from etgraph.model import Trace
from etgraph.model.columns import Array
from etgraph.model.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa

LABEL: Final = "critical path"
"""What the path's process and track are called."""
_TEXTS: Final = ("category", "detail", "lane", "via")
COLUMNS: Final = ("rank", "index", "name", "start_ns", "end_ns", *_TEXTS)
"""What a table of segments must have; `name` and `index` are null in pauses."""

Coded = tuple[Array, "pa.StringArray"]
"""Codes, -1 for null, and the texts they are positions in."""


@dataclass(frozen=True, slots=True)
class Path:
    """Segments in order of time. `operator` is the row of the operator a segment is of, -1 for none in the trace.

    `name` is the operator's, in a pause what the pause is; `rank` and `index` are -1 where there is none.
    """

    start_ns: Array
    end_ns: Array
    operator: Array
    rank: Array
    index: Array
    name: Coded
    texts: Mapping[str, Coded]

    def __len__(self) -> int:
        return len(self.start_ns)


def path_of(trace: Trace, segments: pa.Table) -> Path:
    """The path that a table of segments tells. Raises UsageError where a column is missing."""
    import pyarrow as pa

    missing = [name for name in COLUMNS if name not in segments.column_names]
    if missing:
        raise UsageError(f"the segments of a path need a column {missing[0]!r}, found {segments.column_names}")
    start, end, rank, index = (_numbers(segments, name) for name in ("start_ns", "end_ns", "rank", "index"))
    texts = {name: _coded(segments, name) for name in _TEXTS}
    (name, names), (detail, details) = _coded(segments, "name"), texts["detail"]
    called = np.where(name < 0, len(names) + detail, name)
    order = np.lexsort((end, start))
    return Path(
        start[order], np.maximum(start, end)[order], _rows(trace, rank, index)[order], rank[order], index[order],
        (called[order], pa.concat_arrays([names, details])),
        {key: (codes[order], values) for key, (codes, values) in texts.items()},
    )  # fmt: skip


def _numbers(segments: pa.Table, name: str) -> Array:
    import pyarrow as pa

    values = segments.column(name).cast(pa.int64()).fill_null(-1).combine_chunks()
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.int64).reshape(-1)


def _coded(segments: pa.Table, name: str) -> Coded:
    import pyarrow as pa

    column = segments.column(name).cast(pa.string()).combine_chunks().dictionary_encode()
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks() if column.num_chunks else pa.array([], pa.string()).dictionary_encode()
    codes = column.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return np.asarray(codes, dtype=np.int64), column.dictionary.cast(pa.string())


def _rows(trace: Trace, rank: Array, index: Array) -> Array:
    """Rows of the operators with those keys, -1 where there is none; operators are sorted by rank and index."""
    if not len(trace):
        return np.full(len(rank), -1)
    keys = trace.operators["rank"].astype(np.int64) << 32 | trace.operators["index"].astype(np.int64)
    wanted = rank << 32 | index
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where((rank >= 0) & (index >= 0) & (keys[at] == wanted), at, -1)
