"""What a rank is doing over time: computation, communication and memory copies, as stretches of its operators.

On a rank with a device the device's operators are at work, and on the host only communication (gloo, MPI). On a rank
without one its threads compute: the innermost open operator of a thread is at work, if it computes at all.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from etgraph.model import LaneKind, NodeType, Trace
from etgraph.model.arrivals import Arrivals
from etgraph.model.columns import Array
from etgraph.model.intervals import Spans, union
from etgraph.model.kernels import kernel
from etgraph.queries.critical_path import DETAILS, operator_details
from etgraph.queries.windows import rows_of


class Activity(enum.IntEnum):
    """What an operator does; where several are at work at once, the one of the lowest number counts."""

    COMPUTATION = 0
    COMMUNICATION = 1
    MEMORY = 2


NONE = -1
"""The activity of operators that only call others, and of calls of a runtime."""
_OF_CATEGORY = {"computation": Activity.COMPUTATION, "communication": Activity.COMMUNICATION, "memory": Activity.MEMORY}
_OF_DETAIL = np.array([_OF_CATEGORY.get(category, NONE) for category, _ in DETAILS])


@dataclass(frozen=True, slots=True)
class Stretches:
    """Stretches of time of one rank in ns, each with the row of the operator at work and its activity.

    Those of one operator do not overlap each other. Nothing else is promised: lanes run side by side.
    """

    operator: Array
    start_ns: Array
    end_ns: Array
    activity: Array

    def of(self, activity: Activity) -> Spans:
        """When the rank does that, whatever else it does."""
        chosen = self.activity == int(activity)
        return union(self.start_ns[chosen], self.end_ns[chosen])


def activities(trace: Trace, came: Arrivals) -> Array:
    """The activity of every operator, or `NONE`; the categories are those of the critical path."""
    o = trace.operators
    found: Array = _OF_DETAIL[operator_details(trace, np.arange(len(o)), came)]
    copies = np.isin(o["kind"], (int(NodeType.MEM_LOAD), int(NodeType.MEM_STORE)))
    return np.where(copies, int(Activity.MEMORY), found)


def stretches(trace: Trace, activity: Array, ranks: Sequence[int]) -> dict[int, Stretches]:
    """When each operator of those ranks is at work; `activity` is that of every operator of the trace. O(n log n).

    A device operator and a communication operator work from start to end, another host operator while it is the one
    that was opened last of those open on its thread. Operators without times or lane are left out.
    """
    o, lanes = trace.operators, trace.lanes
    rows = np.concatenate([rows_of(trace, rank) for rank in ranks])
    rows = rows[trace.timed[rows]]
    start, end, does = o["start_ns"][rows], trace.end_ns[rows], activity[rows]
    on_thread = np.zeros(len(rows), dtype=bool)
    if len(lanes):
        on_thread = lanes["kind"][o["lane"][rows]] == int(LaneKind.THREAD)
    whole = ((does != NONE) & ~on_thread) | (does == int(Activity.COMMUNICATION))
    operator, first, last = rows[whole], start[whole], end[whole]
    computes = np.unique(o["lane"][rows[(does != NONE) & ~whole]])
    if len(computes):
        there = on_thread & np.isin(o["lane"][rows], computes)
        own, since, until = _at_work_on_threads(rows[there], o["lane"][rows[there]], start[there], end[there])
        works = (activity[own] != NONE) & (activity[own] != int(Activity.COMMUNICATION))
        operator = np.concatenate([operator, own[works]])
        first, last = np.concatenate([first, since[works]]), np.concatenate([last, until[works]])
    some = last > first
    operator, first, last = operator[some], first[some], last[some]
    order = np.argsort(o["rank"][operator], kind="stable")
    columns = [column[order] for column in (operator, first, last, activity[operator])]
    of = o["rank"][columns[0]]
    bounds = zip(np.searchsorted(of, ranks).tolist(), np.searchsorted(of, ranks, side="right").tolist())
    return {rank: Stretches(*(column[a:b] for column in columns)) for rank, (a, b) in zip(ranks, bounds)}


def _at_work_on_threads(rows: Array, lane: Array, start: Array, end: Array) -> tuple[Array, Array, Array]:
    # Of operators that start at once, rows are in order of nesting: the outer one first.
    order = np.lexsort((np.arange(len(rows)), start, lane))
    which, first, last = _innermost(lane[order], start[order], end[order])
    return rows[order][which], first, last


@kernel
def _innermost(lane: Array, start: Array, end: Array) -> tuple[Array, Array, Array]:
    """Each lane's time by the open operator that started last; operators are in order of lane and start."""
    n = len(start)
    which = np.empty(2 * n, dtype=np.int64)
    first, last = np.empty(2 * n, dtype=np.int64), np.empty(2 * n, dtype=np.int64)
    stack = np.empty(n, dtype=np.int64)
    count, depth, t = 0, 0, 0
    for i in range(n + 1):
        same = i < n and i > 0 and lane[i] == lane[i - 1]
        while depth > 0:
            top = stack[depth - 1]
            if same and t >= start[i]:
                break
            until = end[top]
            if same:
                until = min(until, start[i])
            if until > t:
                which[count], first[count], last[count] = top, t, until
                count += 1
                t = until
            if end[top] <= t:
                depth -= 1
        if i < n:
            stack[depth] = i
            depth += 1
            t = start[i]
    return which[:count], first[:count], last[:count]


__all__ = ["NONE", "Activity", "Stretches", "activities", "stretches"]
