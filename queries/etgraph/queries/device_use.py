"""Device use: how much of the time each device works, and whether the host lets it starve, and where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Final

import numpy as np

from etgraph.model import Category, Trace, Trust
from etgraph.model.columns import Array
from etgraph.model.errors import MissingData
from etgraph.model.intervals import union
from etgraph.model.result_tables import row_of
from etgraph.model.results import Result
from etgraph.queries.device_idle import BEFORE, CALL, HOST, LATENCY, UNEXPLAINED, WAITING, Idle, idle_of
from etgraph.queries.device_phases import KINDS, Phases, phases_of
from etgraph.queries.device_stalls import Stall, blocking_calls, grouped, stalls_of
from etgraph.queries.device_work import Depth, Work, queue_depth, work_of
from etgraph.queries.trusting import trust_of
from etgraph.queries.windows import Interval, Iterations, Window, left_out, rows_of, windows_of

if TYPE_CHECKING:
    import pyarrow as pa

SLICES = 60
"""Equal parts of the window for which depth and use are told."""

SLICE: Final = row_of(
    "DeviceSlice", "one of the equal parts of a device's window",
    rank="int32 rank of the device",
    device="int32 ordinal of the device",
    start_ns="int64 start from the trace's zero",
    end_ns="int64 end from the trace's zero",
    busy_share="double part of it in which the device was busy",
    depth_mean="double operators that were launched and not started, over time; null where no launch is recorded",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Device:
    """One device of a rank in the window; times in ns. Busy and the six causes of idleness add up to the window.

    `communication_ns` is the part of `busy_ns` in which only communication ran. `starved_share` is the part of the
    window in which nothing was launched that could have run (`host_ns` and `launch_call_ns`). The queue's depth counts
    operators that are launched and not started, over time; its figures are None where no launch is recorded.
    `verdict` is the kind of phase that takes most of the window.
    """

    rank: int
    device: int | None
    start_ns: int
    end_ns: int
    window_ns: int
    busy_ns: int
    busy_share: float
    communication_ns: int
    host_ns: int
    launch_call_ns: int
    launch_latency_ns: int
    waiting_ns: int
    before_recording_ns: int
    unexplained_ns: int
    starved_share: float
    queue_mean: float | None
    queue_p50: int | None
    queue_p95: int | None
    queue_max: int | None
    empty_queue_share: float | None
    verdict: str


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch in which one thing limits a device."""

    rank: int
    device: int | None
    kind: str
    start_ns: int
    end_ns: int
    busy_ns: int


@dataclass(frozen=True, slots=True)
class Starved:
    """What a host was doing while a device had nothing launched that it could run.

    `name` is that of the innermost operator on the thread that launched next; None stands for time between operators.
    """

    name: str | None
    count: int
    ns: int
    share: float


@dataclass(frozen=True, slots=True)
class DeviceUse(Result):
    """Devices in order of rank, their phases in order of time, stalling calls and what starved them, worst first.

    `slices` is an Arrow table of equal parts of each device's window with the columns rank, device, start_ns, end_ns,
    busy_share, depth_mean (null where no launch is recorded).
    """

    devices: tuple[Device, ...]
    phases: tuple[Phase, ...]
    stalls: tuple[Stall, ...]
    starved: tuple[Starved, ...]
    slices: Annotated[pa.Table, SLICE]
    trust: Trust

    FRAME: ClassVar[str] = "devices"
    TABLE: ClassVar[str] = "devices"

    def headline(self) -> str:
        """The answer in a few words."""
        window = sum(device.window_ns for device in self.devices)
        busy = sum(device.busy_ns for device in self.devices)
        return f"device use, {busy / window if window else 0.0:.1%} busy"


def device_use(
    trace: Trace, *, rank: int | None = None, iteration: Iterations = None, window: Window = "annotation"
) -> DeviceUse:
    """How busy each device was in its rank's window, and why it was idle when it was.

    All that ran on the device at that time counts, whichever step it belongs to. A gap is told by the operator that
    ends it: whether its launch was late, or what else held it. Raises MissingData where the trace has no such rank or
    iteration, or where none of its ranks has operators on a device.
    """
    windows = windows_of(trace, rank, iteration, window)
    by_rank = {one.rank: one for one in windows}
    works = work_of(trace, tuple(by_rank))
    if not works:
        who = f"rank {rank} has" if rank is not None else "no rank of the trace has"
        raise MissingData(
            f"{who} {'no ' if rank is not None else ''}operators on a device",
            hint="its operators run on the host: critical-path and breakdown tell where their time goes",
        )
    calls, ready = blocking_calls(trace)
    launched_by = _devices_of_calls(trace, works, calls)
    devices, phases, stalls, hosts = [], [], [], []
    for number, work in enumerate(works):
        start, end = by_rank[work.rank].start_ns, by_rank[work.rank].end_ns
        idle, depth = idle_of(work, start, end), queue_depth(work)
        cut = phases_of(trace, work, idle, depth, start, end)
        devices.append(_device(work, idle, depth, cut, start, end))
        phases += _phases(work, cut)
        own = launched_by == number
        stalls.append(stalls_of(trace, work, idle, calls[own], ready[own], start, end))
        hosts.append((work, idle))
    return DeviceUse(
        tuple(devices), tuple(phases), grouped(trace, stalls), _starved(trace, hosts), _slices(works, by_rank),
        _trust(trace, works, windows, rank, devices),
    )  # fmt: skip


def _devices_of_calls(trace: Trace, works: Sequence[Work], calls: Array) -> Array:
    """For each call the place of the device that it is about: the one that its rank used last before it returned."""
    rank, end = trace.operators["rank"][calls], trace.end_ns[calls]
    found = np.full(len(calls), -1, dtype=np.int64)
    used = np.full(len(calls), np.iinfo(np.int64).min)
    for number, work in enumerate(works):
        own = np.flatnonzero(rank == work.rank)
        issued = np.sort(np.where(work.call >= 0, work.issued_ns, work.start_ns))
        place = np.searchsorted(issued, end[own], side="right") - 1
        last = np.where(place >= 0, issued[np.maximum(place, 0)], np.iinfo(np.int64).min)
        better = (found[own] < 0) | (last > used[own])
        found[own[better]], used[own[better]] = number, last[better]
    return found


def _device(work: Work, idle: Idle, depth: Depth, cut: Phases, start: int, end: int) -> Device:
    window = end - start
    ns = idle.ns.sum(axis=0).tolist()
    busy, computes = work.busy.clipped(start, end), work.only(~work.communicates).clipped(start, end)
    by_kind = np.bincount(cut.kind, weights=cut.end_ns - cut.start_ns, minlength=len(KINDS))
    recorded = bool((work.call >= 0).any())
    mean, p50, p95, most, empty = _depths(depth, start, end) if recorded and window > 0 else (None,) * 5
    return Device(
        work.rank, work.device, start, end, window, busy.ns, busy.ns / window if window else 0.0, busy.ns - computes.ns,
        ns[HOST], ns[CALL], ns[LATENCY], ns[WAITING], ns[BEFORE], ns[UNEXPLAINED],
        (ns[HOST] + ns[CALL]) / window if window else 0.0, mean, p50, p95, most, empty, KINDS[int(np.argmax(by_kind))],
    )  # fmt: skip


def _depths(depth: Depth, start: int, end: int) -> tuple[float, int, int, int, float]:
    """Mean, median, 95th percentile and maximum of the depth over time, and the share of time at 0."""
    moments = np.unique(np.clip(np.append(depth.start_ns, [start, end]), start, end))
    length, value = np.diff(moments), depth.at(moments[:-1])
    order = np.argsort(value, kind="stable")
    reached = np.cumsum(length[order])
    p50, p95 = (
        int(value[order][np.searchsorted(reached, share * (end - start), side="left")]) for share in (0.5, 0.95)
    )
    mean = float((value * length).sum() / (end - start))
    return mean, p50, p95, int(value.max()), float(length[value == 0].sum() / (end - start))


def _phases(work: Work, cut: Phases) -> list[Phase]:
    busy = work.busy.within(cut.start_ns, cut.end_ns)
    columns = (cut.kind, cut.start_ns, cut.end_ns, busy)
    return [
        Phase(work.rank, work.device, KINDS[kind], start, end, ran)
        for kind, start, end, ran in zip(*(column.tolist() for column in columns))
    ]


def _starved(trace: Trace, found: Sequence[tuple[Work, Idle]]) -> tuple[Starved, ...]:
    """What launching threads did while their device had nothing to run, by name."""
    o = trace.operators
    lane, parent = o["lane"], o["parent"]
    names = len(o.texts("name"))
    sums, count = np.zeros(names, dtype=np.int64), np.zeros(names, dtype=np.int64)
    total = 0
    for work, idle in found:
        total += int(idle.starved_ns.sum())
        thread = _launching_thread(trace, work, idle)
        rows, first = rows_of(trace, work.rank), trace.rank_rows[work.rank].start
        inside = np.zeros(len(rows), dtype=np.int64)
        rows = rows[trace.timed[rows] & (o["category"][rows] < int(Category.KERNEL)) & np.isin(lane[rows], thread)]
        for one in np.unique(thread[thread >= 0]).tolist():
            own = rows[lane[rows] == one]
            mine = thread == one
            spans = union(idle.bounds[mine, HOST], idle.bounds[mine, CALL + 1])
            inside[:] = 0
            inside[own - first] = spans.within(o["start_ns"][own], trace.end_ns[own])
            within = inside.copy()
            nested = own[parent[own] >= 0]
            np.subtract.at(within, parent[nested] - first, inside[nested - first])
            spent = np.maximum(within[own - first], 0)
            np.add.at(sums, o["name"][own], spent)
            np.add.at(count, o["name"][own], spent > 0)
    texts = o.texts("name")
    told = [
        Starved(texts[code].as_py(), int(count[code]), int(sums[code]), int(sums[code]) / total)
        for code in np.flatnonzero(sums).tolist()
    ]
    rest = total - int(sums.sum())
    if rest > 0:
        told.append(Starved(None, 0, rest, rest / total))
    return tuple(sorted(told, key=lambda row: (-row.ns, row.name or "")))


def _launching_thread(trace: Trace, work: Work, idle: Idle) -> Array:
    """For each gap the thread that launched what ends it; that of the device's last launch where nothing does."""
    launched = work.call[work.call >= 0]
    if not len(launched):
        return np.full(len(idle.next), -1)
    lane = trace.operators["lane"]
    last = launched[np.argmax(trace.operators["start_ns"][launched])]
    call = np.where(idle.next >= 0, work.call[idle.next], last)
    return np.where(call >= 0, lane[call], -1)


def _slices(works: Sequence[Work], by_rank: dict[int, Interval]) -> pa.Table:
    import pyarrow as pa

    parts = []
    for work in works:
        window = by_rank[work.rank]
        edges = np.linspace(window.start_ns, window.end_ns, SLICES + 1).astype(np.int64)
        edges = np.unique(edges)
        length = np.diff(edges)
        busy = work.busy.within(edges[:-1], edges[1:])
        recorded = bool((work.call >= 0).any())
        depth = _mean_depth(work, edges) if recorded else np.zeros(len(length))
        parts.append(
            pa.table(
                {
                    "rank": pa.array(np.full(len(length), work.rank, dtype=np.int32)),
                    "device": pa.array([work.device] * len(length), pa.int32()),
                    "start_ns": pa.array(edges[:-1]),
                    "end_ns": pa.array(edges[1:]),
                    "busy_share": pa.array(busy / length),
                    "depth_mean": pa.array(depth, mask=np.full(len(length), not recorded)),
                }
            )
        )
    return pa.concat_tables(parts)


def _mean_depth(work: Work, edges: Array) -> Array:
    """Mean depth between the edges: the time that operators spent launched and not started, by the time that passed."""
    pending = (work.call >= 0) & (work.start_ns > work.issued_ns)
    until = np.zeros(len(edges), dtype=np.float64)
    for moments, sign in ((np.sort(work.issued_ns[pending]), 1), (np.sort(work.start_ns[pending]), -1)):
        place = np.searchsorted(moments, edges)
        sums = np.concatenate([[0], np.cumsum(moments - edges[0])])
        until += sign * (place * (edges - edges[0]) - sums[place])
    mean: Array = np.diff(until) / np.diff(edges)
    return mean


def _trust(
    trace: Trace, works: Sequence[Work], windows: Sequence[Interval], rank: int | None, devices: Sequence[Device]
) -> Trust:
    with_device = [one for one in windows if one.rank in {work.rank for work in works}]
    warnings = list(left_out(trace, with_device, rank))
    number = sum(len(work.call) for work in works)
    unknown = sum(int((work.call < 0).sum()) for work in works)
    if unknown:
        warnings.append(
            f"{unknown:,} of {number:,} device operators have no recorded launch: the queue's depth is without them"
        )
    total = sum(device.window_ns for device in devices)
    unexplained = sum(device.unexplained_ns for device in devices)
    rows = np.concatenate([work.row for work in works])
    return trust_of(trace, rows, explained_share=1 - unexplained / total if total else None, warnings=warnings)


__all__ = ["Device", "DeviceUse", "Phase", "Stall", "Starved", "device_use"]
