"""Moving a trace's times, all of them or each rank's by its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np

from etgraph.model import Columns, Trace
from etgraph.model.columns import Array

FARTHEST_NS: Final = 2**61
"""Times of one trace lie this far from its zero at most, 73 years: then sums and differences fit into 64 bits."""
YEAR_NS: Final = 365.25 * 86_400 * 10**9
_TIMES = ("start_ns", "end_ns", "time_ns")


def farthest(trace: Trace) -> int:
    """How far from the trace's zero the farthest of its times is, in nanoseconds."""
    ends = [0]
    for columns in trace.tables.values():
        for name in _TIMES:
            if name in columns.filled:
                times = columns[name][~columns.is_null(name)]
                ends += [abs(int(end)) for end in (times.min(), times.max())] if len(times) else []
    return max(ends)


def move(trace: Trace, by: Callable[[Columns], int | Array]) -> Trace:
    """The trace with its times later by so many nanoseconds; `by` tells it of a table, as a number or one a row."""
    moved: dict[str, Columns] = {}
    for name, columns in trace.tables.items():
        times = [time for time in _TIMES if time in columns.filled]
        if times:
            later = by(columns)
            null = {time: columns.is_null(time) for time in times}
            moved[name] = columns.replace({t: np.where(null[t], columns[t], columns[t] + later) for t in times})
    return replace(trace, **moved)  # type: ignore[arg-type]
