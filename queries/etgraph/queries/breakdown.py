"""Breakdown: how much of its time a rank computes, communicates, copies memory or idles, and what keeps it busy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np

from etgraph.model import Category, Trace, Trust
from etgraph.model.arrivals import arrivals
from etgraph.model.columns import Array
from etgraph.model.errors import UsageError
from etgraph.model.intervals import Spans, union
from etgraph.model.results import Result
from etgraph.model.sums import sum_by
from etgraph.queries.activity import Activity, Stretches, activities, stretches
from etgraph.queries.keys import Keys, families, scopes
from etgraph.queries.trusting import trust_of
from etgraph.queries.windows import Interval, Iterations, Window, left_out, operators_of, window_of, windows_of

By = Literal["family", "scope"]


@dataclass(frozen=True, slots=True)
class WindowBreakdown:
    """One rank's window in ns; `iteration` is an iteration's index, None where the window is more, or no iteration.

    Computation, exposed communication, exposed memory and idle add up to the window. Communication is exposed while the
    rank does not compute, memory copies while it neither computes nor communicates. `overlap_ns` is communication under
    computation; `communication_ns` and `memory_ns` are all of them, hidden or not.
    """

    rank: int
    iteration: int | None
    start_ns: int
    end_ns: int
    computation_ns: int
    exposed_communication_ns: int
    exposed_memory_ns: int
    idle_ns: int
    overlap_ns: int
    communication_ns: int
    memory_ns: int


@dataclass(frozen=True, slots=True)
class BreakdownPart:
    """What the operators of one key and activity take of all windows together.

    `total_ns` sums the operators' own times in the windows, side by side or not. `exposed_ns` gives every moment to one
    key: over all rows it sums to the time in which the ranks are not idle. `share` is that of the windows.
    """

    key: str
    activity: str
    count: int
    total_ns: int
    exposed_ns: int
    share: float


@dataclass(frozen=True, slots=True)
class Breakdown(Result):
    """Where the windows went: one of `windows` a rank (and iteration), and `rows` by key where these were asked for."""

    windows: tuple[WindowBreakdown, ...]
    rows: tuple[BreakdownPart, ...]
    trust: Trust

    FRAME: ClassVar[str] = "shown"
    TABLE: ClassVar[str] = "shown"

    @property
    def shown(self) -> tuple[WindowBreakdown, ...] | tuple[BreakdownPart, ...]:
        """The rows by key where there are any, else the windows."""
        return self.rows or self.windows

    def headline(self) -> str:
        """The answer in a few words."""
        ns = sum(w.end_ns - w.start_ns for w in self.windows)
        computation = sum(w.computation_ns for w in self.windows)
        return f"breakdown, {computation / ns:.1%} computation" if ns else "breakdown of an empty window"


def breakdown(
    trace: Trace,
    *,
    rank: int | None = None,
    iteration: Iterations = None,
    window: Window = "annotation",
    by: By | None = None,
    each: bool = False,
) -> Breakdown:
    """Computation, exposed communication, exposed memory copies and idle time of each rank's window.

    A window is cut out of time: what runs in it counts, whichever iteration launched it. `each` gives a row for every
    iteration of a rank rather than one for all of them. `by` adds what operators of each kernel family, or of each
    scope, take of the windows; operators at work at the same time are told apart by who was first.

    Raises MissingData where the trace has no such rank, iteration or window, UsageError for an unknown `by`, and,
    without `each`, for iterations that do not follow each other.
    """
    if by is not None and by not in get_args(By):
        raise UsageError(f"no breakdown by {by!r}: choose family or scope")
    whole = windows_of(trace, rank, iteration, window, contiguous=not each)
    came = arrivals(trace)
    activity = activities(trace, came)
    keys = None if by is None else (families if by == "family" else scopes)(trace)
    windows: list[WindowBreakdown] = []
    parts: list[tuple[Array, Array, Array]] = []
    busy = stretches(trace, activity, sorted({one.rank for one in whole}))
    for one in whole:
        found = busy[one.rank]
        cut = _each(trace, one, window) if each else [one]
        windows += _windows(trace, found, cut)
        if keys is not None:
            parts.append(_parts(found, cut))
    length = sum(w.end_ns - w.start_ns for w in windows)
    rows = () if keys is None else _rows(keys, activity, parts, length)
    return Breakdown(
        tuple(windows),
        rows,
        trust_of(trace, operators_of(trace, whole), came=came, warnings=_doubts(trace, whole, rank)),
    )


def _doubts(trace: Trace, whole: Sequence[Interval], rank: int | None) -> tuple[str, ...]:
    """Ranks that are left out, and those whose threads only drive a device that was not recorded."""
    o = trace.operators
    drives = np.isin(o["category"], (int(Category.RUNTIME), int(Category.DRIVER)))
    driving = np.setdiff1d(o["rank"][drives], o["rank"][o["category"] >= int(Category.KERNEL)])
    unseen = sorted({one.rank for one in whole if one.rank in driving})
    if not unseen:
        return left_out(trace, whole, rank)
    ranks = f"rank {unseen[0]} drives" if len(unseen) == 1 else f"{len(unseen)} ranks drive"
    told = f"{ranks} a device of which no operator is recorded: what its host does is taken for computation"
    return (*left_out(trace, whole, rank), told)


def _each(trace: Trace, whole: Interval, window: Window) -> list[Interval]:
    """The windows of a rank's iterations, one by one; the whole where it has none."""
    index = trace.iterations["index"]
    found = [window_of(trace, whole.rank, int(index[row]), window) for row in whole.iterations]
    return sorted(found, key=lambda one: one.start_ns) or [whole]


def _windows(trace: Trace, found: Stretches, cut: Sequence[Interval]) -> list[WindowBreakdown]:
    computation, communication, memory = (found.of(activity) for activity in Activity)
    exposed = communication.without(computation)
    exposed_memory = memory.without(_both(computation, communication))
    start, end = np.array([one.start_ns for one in cut]), np.array([one.end_ns for one in cut])
    sums = [s.within(start, end).tolist() for s in (computation, exposed, exposed_memory, communication, memory)]
    return [
        WindowBreakdown(
            one.rank, _iteration(trace, one), one.start_ns, one.end_ns, computes, communicates, copies,
            one.end_ns - one.start_ns - computes - communicates - copies, all_communication - communicates,
            all_communication, all_memory,
        )
        for one, computes, communicates, copies, all_communication, all_memory in zip(cut, *sums, strict=True)
    ]  # fmt: skip


def _iteration(trace: Trace, one: Interval) -> int | None:
    """The index of the iteration that a window is, None where it is all that was recorded, or several."""
    if one.whole or len(one.iterations) != 1:
        return None
    return int(trace.iterations["index"][one.iterations[0]])


def _both(one: Spans, other: Spans) -> Spans:
    return union(np.concatenate([one.start_ns, other.start_ns]), np.concatenate([one.end_ns, other.end_ns]))


def _parts(found: Stretches, cut: Sequence[Interval]) -> tuple[Array, Array, Array]:
    """Of each stretch its operator, how much of it is in the windows, and how much of that it owns.

    Stretches of the same activity own the time by turns: what started first, until it ends. Windows that overlap, as
    those of steps on the device do, each count by themselves.
    """
    total, owned = (np.zeros(len(found.operator), dtype=np.int64) for _ in range(2))
    layers = _layers(cut)
    taken = Spans(total[:0], total[:0])
    for activity in Activity:
        chosen = np.flatnonzero(found.activity == int(activity))
        chosen = chosen[np.argsort(found.start_ns[chosen], kind="stable")]
        if not len(chosen):
            continue
        start, end = found.start_ns[chosen], found.end_ns[chosen]
        reached = np.concatenate([start[:1], np.maximum.accumulate(end)[:-1]])
        first = np.minimum(np.maximum(start, reached), end)
        for windows in layers:
            total[chosen] += windows.within(start, end)
            owned[chosen] += windows.without(taken).within(first, end)
        taken = _both(taken, found.of(activity))
    return found.operator, total, owned


def _layers(cut: Sequence[Interval]) -> list[Spans]:
    """The windows in as few sets as it takes for none to overlap another of its set."""
    layers: list[list[Interval]] = []
    for one in sorted(cut, key=lambda one: one.start_ns):
        free = next((layer for layer in layers if layer[-1].end_ns <= one.start_ns), None)
        if free is None:
            layers.append([one])
        else:
            free.append(one)
    return [
        union(np.array([one.start_ns for one in layer]), np.array([one.end_ns for one in layer])) for layer in layers
    ]


def _rows(
    keys: Keys, activity: Array, parts: Sequence[tuple[Array, Array, Array]], length: int
) -> tuple[BreakdownPart, ...]:
    operator, total, owned = (np.concatenate(columns) for columns in zip(*parts))
    inside = total > 0
    operator, total, owned = operator[inside], total[inside], owned[inside]
    group = keys.code[operator].astype(np.int64) * len(Activity) + activity[operator]
    groups = len(keys.texts) * len(Activity)
    count = np.bincount(group[np.unique(operator, return_index=True)[1]], minlength=groups)
    totals, exposed = sum_by(group, total, groups), sum_by(group, owned, groups)
    rows = [
        BreakdownPart(
            keys.texts[g // len(Activity)], Activity(g % len(Activity)).name.lower(), int(count[g]), int(totals[g]),
            int(exposed[g]), int(exposed[g]) / length,
        )
        for g in np.flatnonzero(count).tolist()
    ]  # fmt: skip
    return tuple(sorted(rows, key=lambda row: (-row.exposed_ns, -row.total_ns, row.key)))


__all__ = ["Breakdown", "BreakdownPart", "WindowBreakdown", "breakdown"]
