"""Windows: the stretch of a rank's time that a question is asked about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from operator import index as integer
from typing import Literal, get_args

import numpy as np

from etgraph.model import Category, LaneKind, Trace
from etgraph.model.columns import Array
from etgraph.model.errors import MissingData, UsageError

Window = Literal["annotation", "device", "launch"]
_NONE = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Interval:
    """A rank's window in ns of the trace's timeline, and what ends it: a lane, or an operator on a device.

    `iterations` are the rows of the iterations that are meant (none where the rank has no iterations), and `whole` says
    whether these are all that the rank has.
    """

    rank: int
    start_ns: int
    end_ns: int
    lane: int
    operator: int = -1
    iterations: tuple[int, ...] = ()
    whole: bool = True


Iterations = int | Sequence[int] | None
"""Which steps a question is about: one by its index, several by theirs, or all (None)."""


def indices_of(iteration: Iterations) -> tuple[int, ...] | None:
    """Indices of the steps that are meant, ascending; None for all of them.

    Raises UsageError for what is not an index, and where steps are asked for and none is named.
    """
    if iteration is None:
        return None
    asked = list(iteration) if isinstance(iteration, Iterable) else [iteration]
    try:
        named = {integer(step) for step in asked if not isinstance(step, bool)}
    except TypeError:
        named = set()
    if not named or any(isinstance(step, bool) for step in asked):
        raise UsageError(f"iteration: found {iteration!r}, expected the index of a step, or those of some")
    return tuple(sorted(named))


def runs_of(trace: Trace, rank: int | None, iteration: Iterations) -> tuple[Iterations, ...]:
    """The steps that are meant, cut wherever another step, of that rank or of any, lies between them."""
    wanted = indices_of(iteration)
    return (None,) if wanted is None else tuple(_runs(wanted, _held(trace, rank)))


def check_contiguous(trace: Trace, rank: int | None, iteration: Iterations) -> None:
    """Raise UsageError where another step, of that rank or of any, lies between those that are meant."""
    if len(runs_of(trace, rank, iteration)) > 1:
        raise _apart(indices_of(iteration) or (), _held(trace, rank))


def window_of(trace: Trace, rank: int, iteration: Iterations, window: Window) -> Interval:
    """The window of a rank: some iterations, or all of them (None); the rank's operators where it has no iterations.

    `annotation` is the annotation's interval, `device` goes from the first to the last device operator that was
    launched in it, `launch` holds both. Raises MissingData for a rank, iteration or device operators that are not
    there, UsageError for another name of a window, and for iterations with others between them.
    """
    return _of_rank(trace, rank, iteration, window, contiguous=True)[0]


def _of_rank(
    trace: Trace, rank: int, iteration: Iterations, window: Window, *, contiguous: bool, times: bool = True
) -> tuple[Interval, ...]:
    if window not in get_args(Window):
        raise UsageError(f"no window {window!r}: choose annotation, device or launch")
    if not len(trace):
        raise MissingData("the trace holds no operators")
    if rank not in trace.rank_rows:
        raise MissingData(f"no rank {rank}: the trace holds ranks {', '.join(map(str, trace.ranks)) or 'none'}")
    without = not times and not trace.timed.any()
    stretches = _steps(trace, rank, iteration, without_times=without)
    if contiguous and len(stretches) > 1:
        raise _apart(indices_of(iteration) or (), _held(trace, rank))
    return tuple(
        replace(
            Interval(rank, 0, 0, -1) if without else _interval(trace, rank, steps, window),
            iterations=tuple(steps.tolist()),
            whole=iteration is None,
        )
        for steps in stretches
    )


def windows_of(
    trace: Trace,
    rank: int | None,
    iteration: Iterations,
    window: Window,
    *,
    contiguous: bool = True,
    times: bool = True,
) -> tuple[Interval, ...]:
    """The windows of one rank or, without `rank`, of every rank that has one, in order of ranks; at least one.

    A rank has one window or, where its steps need not be `contiguous`, one for each run of steps that follow each
    other. Where no `times` are needed, a trace without any has windows of no length, to which the operators of their
    steps belong. Raises what `window_of` raises; where ranks are not named, only when none of them has a window.
    """
    if rank is not None or not trace.ranks:
        return _of_rank(trace, rank or 0, iteration, window, contiguous=contiguous, times=times)
    found: list[Interval] = []
    failures = []
    for one in trace.ranks:
        try:
            found += _of_rank(trace, one, iteration, window, contiguous=contiguous, times=times)
        except MissingData as failure:
            failures.append(failure)
    if not found:
        raise failures[0]
    return tuple(found)


def rows_of(trace: Trace, rank: int) -> Array:
    """Rows of a rank's operators."""
    rows = trace.rank_rows[rank]
    return np.arange(rows.start, rows.stop)


def operators_of(trace: Trace, windows: Sequence[Interval]) -> Array:
    """Rows of the operators that belong to the windows: those of their iterations, by launch, wherever they run.

    An operator that belongs to no iteration belongs to the window in which it starts; of a rank without iterations,
    all operators belong.
    """
    o = trace.operators
    belongs = np.zeros(len(trace), dtype=bool)  # windows of the device overlap: an operator may be in two of them
    for one in windows:
        rows = rows_of(trace, one.rank)
        if one.iterations:
            step, start = o["iteration"][rows], o["start_ns"][rows]
            inside = (start >= one.start_ns) & (start < one.end_ns)
            rows = rows[np.isin(step, one.iterations) | ((step < 0) & inside)]
        belongs[rows] = True
    return np.flatnonzero(belongs)


def left_out(trace: Trace, windows: Sequence[Interval], rank: int | None) -> tuple[str, ...]:
    """A warning that names the ranks without such a window, where all were asked for; else none."""
    missing = sorted(set(trace.ranks) - {one.rank for one in windows}) if rank is None else []
    if not missing:
        return ()
    shown = ", ".join(map(str, missing[:8])) + ("" if len(missing) <= 8 else f" and {len(missing) - 8} more")
    return (f"{'rank' if len(missing) == 1 else 'ranks'} {shown} left out, without operators in such a window",)


def on_lanes(trace: Trace, windows: Sequence[Interval], ns: Sequence[int], otherwise: int) -> Array:
    """A moment for each lane: the one that is given with the window of its rank, `otherwise` where that has none."""
    ranks = np.array([one.rank for one in windows])
    order = np.argsort(ranks, kind="stable")
    place = np.searchsorted(ranks[order], trace.lanes["rank"], side="right") - 1
    own = order[np.maximum(place, 0)]
    return np.where((place >= 0) & (ranks[own] == trace.lanes["rank"]), np.array(ns)[own], otherwise)


def _interval(trace: Trace, rank: int, steps: Array, window: Window) -> Interval:
    if not trace.timed[trace.rank_rows[rank]].any():
        raise MissingData(
            f"rank {rank} has no operators with measured times on a thread or stream",
            hint="the model's critical path needs durations only: slack(trace), critical-path --model",
        )
    host = _annotation(trace, rank, steps)
    if window == "annotation":
        return host
    device = _device(trace, rank, steps)
    if window == "device":
        return device
    latest = host if host.end_ns >= device.end_ns else device
    return Interval(
        rank, min(host.start_ns, device.start_ns), latest.end_ns, latest.lane, latest.operator
    )  # fmt: skip


def _steps(trace: Trace, rank: int, iteration: Iterations, *, without_times: bool = False) -> list[Array]:
    """Rows of the rank's iterations that are meant, in runs that follow each other; those with times, unless told."""
    i, wanted = trace.iterations, indices_of(iteration)
    if not len(i):
        if wanted is not None:
            raise MissingData(f"no iteration {', '.join(map(str, wanted))}: the trace has no iterations")
        return [np.zeros(0, dtype=np.int64)]
    rows = trace.iteration_rows.get(rank, _NONE)
    rows = rows[trace.iterations_timed[rows] | without_times]
    if wanted is None:
        return [rows]
    order = np.argsort(i["index"][rows], kind="stable")
    held = i["index"][rows[order]]
    first, end = _places(wanted, held)
    missing = np.flatnonzero(first == end)
    if len(missing):
        raise MissingData(
            f"no iteration {wanted[missing[0]]}{'' if without_times else ' with times'} on rank {rank}: "
            f"it has {held.tolist() or 'none'}"
        )
    return [np.sort(rows[order[first[one] : end[last - 1]]]) for one, last in _stretches(first, end)]


def _held(trace: Trace, rank: int | None) -> list[int]:
    """Indices of the steps of a rank, or of all ranks."""
    if rank is None:
        return list(trace.iteration_indices)
    held: list[int] = trace.iterations["index"][trace.iteration_rows.get(rank, _NONE)].tolist()
    return held


def _runs(wanted: Sequence[int], held: Sequence[int]) -> list[tuple[int, ...]]:
    """The indices wanted, ascending, cut wherever another one that is held lies between them."""
    return [tuple(wanted[one:last]) for one, last in _stretches(*_places(wanted, np.sort(held)))]


def _places(wanted: Sequence[int], held: Array) -> tuple[Array, Array]:
    """From where to where each index that is wanted lies among those that are held, both ascending."""
    return np.searchsorted(held, wanted, side="left"), np.searchsorted(held, wanted, side="right")


def _stretches(first: Array, end: Array) -> Iterator[tuple[int, int]]:
    """From which to which of the places others lie between none of them."""
    cuts = (np.flatnonzero(first[1:] > end[:-1]) + 1).tolist()
    return pairwise([0, *cuts, len(first)])


def _apart(wanted: Sequence[int], held: Sequence[int]) -> UsageError:
    between = min(step for step in held if wanted[0] < step < wanted[-1] and step not in wanted)
    return UsageError(
        f"iterations {', '.join(map(str, wanted))} have {between} between them, which is not part of the window",
        hint="ask for one iteration, or for some that follow each other; breakdown --each has a row for each",
    )


def _timed(trace: Trace, rank: int) -> Array:
    """Rows of a rank's operators that have times."""
    rows = rows_of(trace, rank)
    return rows[trace.timed[rows]]


def _annotation(trace: Trace, rank: int, steps: Array) -> Interval:
    o, i = trace.operators, trace.iterations
    if len(steps):
        last = int(steps[np.argmax(i["end_ns"][steps])])
        lane = int(i["lane"][last])
        if lane < 0:  # not recorded: that of what the step did last
            timed = _timed(trace, rank)
            own = timed[np.isin(o["iteration"][timed], steps)]
            own = own if len(own) else timed
            return _ending(trace, rank, int(i["start_ns"][steps].min()), int(i["end_ns"][last]), own)
        return Interval(rank, int(i["start_ns"][steps].min()), int(i["end_ns"][last]), lane)
    timed = _timed(trace, rank)
    return _ending(trace, rank, int(o["start_ns"][timed].min()), int(trace.end_ns[timed].max()), timed)


def _ending(trace: Trace, rank: int, start_ns: int, end_ns: int, rows: Array) -> Interval:
    """The interval that ends on the lane of those rows' last operator."""
    final = int(rows[np.argmax(trace.end_ns[rows])])
    lane = int(trace.operators["lane"][final])
    on_stream = trace.lanes["kind"][lane] == int(LaneKind.STREAM)
    return Interval(rank, start_ns, end_ns, lane, final if on_stream else -1)


def _device(trace: Trace, rank: int, steps: Array) -> Interval:
    o, timed = trace.operators, _timed(trace, rank)
    device = timed[o["category"][timed] >= int(Category.KERNEL)]
    if len(steps):
        device = device[np.isin(o["iteration"][device], steps)]
    if not len(device):
        raise MissingData(f"rank {rank} has no device operators in that window", hint="ask with --window annotation")
    last = int(device[np.argmax(trace.end_ns[device])])
    return Interval(
        rank, int(o["start_ns"][device].min()), int(trace.end_ns[last]), int(o["lane"][last]), last
    )  # fmt: skip
