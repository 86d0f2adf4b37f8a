"""How long steps take on another timeline of their trace: by the work that had been done when they began and ended.

Where the host is taken out of a step, its annotation ends before the devices do. So a step ends when all has ended
that had ended by the end of its measured window, and begins when that has which had ended by its start: between two
steps of a run that is the time from the one's end to the other's, whoever limits it.

`etgraph.sim.steps` measures steps by another rule: there they move with the operators of the annotation's own thread,
as `Trace.with_times` moves windows. That has a derivative by every operator and is what a what-if's interval is of, but
a step whose host is taken out would hardly last. This rule takes work of other threads and devices into a step's end.
"""

from __future__ import annotations

import numpy as np

from etgraph.model import Trace
from etgraph.model.columns import Array
from etgraph.queries.windows import Interval, Iterations, Window, rows_of, runs_of, windows_of
from etgraph.sim.rank_times import works


def step_ns(
    trace: Trace,
    moved: Trace,
    *,
    rank: int | None = None,
    iteration: Iterations = None,
    window: Window = "annotation",
    pauses: bool = True,
) -> int:
    """The length in ns of a measured trace's window, from its earliest start to its latest end, on `moved`'s timeline.

    On the trace's own timeline it is that of the window itself; runs of steps that have others between them are added
    up. With `pauses`, what a host lets pass between the window's ends and its first and last operator there belongs to
    the step, as `Trace.with_times` keeps it; without, it does not. Raises what `windows_of` raises. O(operators).
    """
    counted = works(trace) & trace.timed & moved.timed
    total = 0
    for run in runs_of(trace, rank, iteration):
        measured, there = (windows_of(each, rank, run, window) for each in (trace, moved))
        ends = [
            _ends(trace, moved, one, other if pauses else None, counted) for one, other in zip(measured, there)
        ]  # fmt: skip
        total += max(end for _, end in ends) - min(start for start, _ in ends)
    return total


def _ends(trace: Trace, moved: Trace, one: Interval, other: Interval | None, counted: Array) -> tuple[int, int]:
    """Start and end of a rank's window on the other timeline, where `other` is its window by the annotation."""
    rows = rows_of(trace, one.rank)
    rows = rows[counted[rows]]
    done = trace.end_ns[rows]
    before, inside = rows[done <= one.start_ns], rows[(done > one.start_ns) & (done <= one.end_ns)]
    never = np.iinfo(np.int64).min
    start, end = (int(moved.end_ns[which].max(initial=never)) for which in (before, inside))
    if other is not None:
        start, end = max(start, other.start_ns), max(end, other.end_ns)
    elif not len(before):
        start = int(moved.operators["start_ns"][inside].min(initial=one.start_ns))
    return start, max(start, end)


__all__ = ["step_ns"]
