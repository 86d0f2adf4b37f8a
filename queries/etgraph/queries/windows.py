"""Windows: the stretch of a rank's time that a question is asked about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from etgraph.model import Category, LaneKind, Trace
from etgraph.model.columns import Array
from etgraph.model.errors import MissingData, UsageError

Window = Literal["annotation", "device", "launch"]


@dataclass(frozen=True, slots=True)
class Interval:
    """A rank's window in ns of the trace's timeline, and what ends it: a lane, or an operator on a device."""

    rank: int
    start_ns: int
    end_ns: int
    lane: int
    operator: int = -1


Iterations = int | Sequence[int] | None
"""Which steps a question is about: one by its index, several that follow each other, or all (None)."""


def window_of(trace: Trace, rank: int, iteration: Iterations, window: Window) -> Interval:
    """The window of a rank: some iterations, or all of them (None); the rank's operators where it has no iterations.

    `annotation` is the annotation's interval, `device` goes from the first to the last device operator that was
    launched in it, `launch` holds both. Raises MissingData for a rank, iteration or device operators that are not
    there, UsageError for another name of a window, and for iterations with others between them.
    """
    if window not in get_args(Window):
        raise UsageError(f"no window {window!r}: choose annotation, device or launch")
    if not len(trace):
        raise MissingData("the trace holds no operators")
    if rank not in trace.rank_rows:
        raise MissingData(f"no rank {rank}: the trace holds ranks {', '.join(map(str, trace.ranks)) or 'none'}")
    steps = _steps(trace, rank, iteration)
    rows = trace.rank_rows[rank]
    o = trace.operators
    timed = np.flatnonzero(~(o.is_null("start_ns") | o.is_null("duration_ns") | o.is_null("lane"))[rows])
    timed += rows.start
    if not len(timed):
        raise MissingData(
            f"rank {rank} has no operators with measured times on a thread or stream",
            hint="the model's critical path needs durations only: slack(trace), critical-path --model",
        )
    host = _annotation(trace, rank, steps, timed)
    if window == "annotation":
        return host
    device = _device(trace, rank, steps, timed)
    if window == "device":
        return device
    latest = host if host.end_ns >= device.end_ns else device
    return Interval(
        rank, min(host.start_ns, device.start_ns), latest.end_ns, latest.lane, latest.operator
    )  # fmt: skip


def _steps(trace: Trace, rank: int, iteration: Iterations) -> Array:
    """Rows of the rank's iterations that are meant, those with times."""
    i = trace.iterations
    if not len(i):
        if iteration is not None:
            raise MissingData(f"no iteration {iteration}: the trace has no iterations")
        return np.zeros(0, dtype=np.int64)
    own = (i["rank"] == rank) & ~i.is_null("start_ns") & ~i.is_null("end_ns")
    if iteration is None:
        return np.flatnonzero(own)
    held = i["index"][own].tolist()
    wanted = [iteration] if isinstance(iteration, int) else sorted(set(iteration))
    for index in wanted:
        if index not in held:
            raise MissingData(f"no iteration {index} with times on rank {rank}: it has {held or 'none'}")
    if between := [index for index in held if wanted[0] < index < wanted[-1] and index not in wanted]:
        raise UsageError(
            f"iterations {', '.join(map(str, wanted))} have {between[0]} between them, which is not part of the window",
            hint="ask for one iteration, or for some that follow each other",
        )
    return np.flatnonzero(own & np.isin(i["index"], wanted))


def _annotation(trace: Trace, rank: int, steps: Array, timed: Array) -> Interval:
    o, i = trace.operators, trace.iterations
    if len(steps):
        last = int(steps[np.argmax(i["end_ns"][steps])])
        return Interval(
            rank, int(i["start_ns"][steps].min()), int(i["end_ns"][last]), int(i["lane"][last])
        )  # fmt: skip
    final = int(timed[np.argmax(trace.end_ns[timed])])
    lane = int(o["lane"][final])
    on_stream = lane >= 0 and trace.lanes["kind"][lane] == int(LaneKind.STREAM)
    return Interval(
        rank, int(o["start_ns"][timed].min()), int(trace.end_ns[final]), lane, final if on_stream else -1
    )  # fmt: skip


def _device(trace: Trace, rank: int, steps: Array, timed: Array) -> Interval:
    o = trace.operators
    device = timed[o["category"][timed] >= int(Category.KERNEL)]
    if len(steps):
        device = device[np.isin(o["iteration"][device], steps)]
    if not len(device):
        raise MissingData(f"rank {rank} has no device operators in that window", hint="ask with --window annotation")
    last = int(device[np.argmax(trace.end_ns[device])])
    return Interval(
        rank, int(o["start_ns"][device].min()), int(trace.end_ns[last]), int(o["lane"][last]), last
    )  # fmt: skip
