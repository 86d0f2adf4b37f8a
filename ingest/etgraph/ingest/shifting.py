"""Moving a trace's times, all of them or each rank's by its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from etgraph.model import Columns, Trace
from etgraph.model.columns import Array

_TIMES = ("start_ns", "end_ns", "time_ns")


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
