"""Memory: how much of each device was in use over time, when most of it, and what held it then."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal, get_args

import numpy as np

from etgraph.model import Category, LaneKind, Trace, Trust
from etgraph.model.columns import Array
from etgraph.model.errors import MissingData, UsageError
from etgraph.model.graph import nearest_above
from etgraph.model.result_tables import row_of
from etgraph.model.results import Result
from etgraph.queries.allocations import CPU, NULL, Pool, pools
from etgraph.queries.grouping import groups_of, key_columns, keys
from etgraph.queries.trusting import trust_of
from etgraph.queries.windows import Interval, Iterations, Window, left_out, windows_of

if TYPE_CHECKING:
    import pyarrow as pa

HolderKey = Literal["name", "scope", "source"]
"""By what of the operator that allocated it memory is told apart."""
HolderKind = Literal["operator", "outside operators", "before the recording", "not recorded"]
_HOW: Final = "record with profile_memory=True, an option of torch.profiler.profile and of etgraph.ingest.record.record"
STRETCHES: Final = 200
"""Stretches of time of which a series keeps the highest, the lowest and the last level, where it has many points."""
_ALLOCATES = re.compile(r"^aten::(?:(?:new_)?empty(?:_|$)|resize(?:_as)?_$)")
"""Operators that only allocate, for the one around them."""

LEVEL: Final = row_of(
    "MemoryLevel", "memory in use on a device from a moment on",
    rank="int64 rank that uses it",
    device="string the device",
    ns="int64 the moment, from the trace's zero",
    allocated_bytes="int64 in use",
    reserved_bytes="int64 held from the device by the allocator; null where it is not recorded",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class DeviceMemory:
    """The memory of one device, as one rank used it in the window. Sizes in bytes.

    `start_bytes` and `end_bytes` are in use at the ends of the window, `reserved_bytes` is the most that the allocator
    held of the device (none: not recorded); allocations and releases are those in the window.
    """

    rank: int
    device: str
    peak_bytes: int
    peak_ns: int
    start_bytes: int
    end_bytes: int
    reserved_bytes: int | None
    allocations: int
    releases: int
    allocated_bytes: int


@dataclass(frozen=True, slots=True)
class Holder:
    """What holds memory of a device at its peak; the holders of a device add up to that.

    `key` tells the operators under which the blocks were allocated (none: not recorded), where `kind` is "operator".
    `count` blocks; none where they are not known. `share` is of the peak.
    """

    rank: int
    device: str
    kind: HolderKind
    key: str | None
    bytes: int
    count: int | None
    share: float


@dataclass(frozen=True, slots=True)
class Memory(Result):
    """Memory in use over time. The peak is that of the fullest device; the host counts only where there is no other.

    `devices` are in order of their peaks, accelerators first, and `holders` in the same order, largest first. `series`
    is an Arrow table with the columns rank, device, ns, allocated_bytes and reserved_bytes (null: not recorded): the
    levels from those moments on.
    """

    peak_bytes: int
    peak_ns: int
    peak_rank: int
    peak_device: str
    devices: tuple[DeviceMemory, ...]
    series: Annotated[pa.Table, LEVEL]
    holders: tuple[Holder, ...]
    trust: Trust

    FRAME: ClassVar[str] = "series"
    TABLE: ClassVar[str] = "holders"

    def headline(self) -> str:
        """The answer in a few words."""
        return f"memory, peak {self.peak_bytes / 1e6:,.1f} MB on {self.peak_device} of rank {self.peak_rank}"


@dataclass(frozen=True, slots=True)
class _Part:
    """The part of a pool that lies in a window: its first event, the one after its last, and the state at the peak.

    `peak` is the position of the event after which most is in use; the one before the first where that is how the
    window begins.
    """

    pool: Pool
    start_ns: int
    end_ns: int
    first: int
    last: int
    peak: int

    def level(self, position: int) -> int:
        """Bytes in use after an event, -1 for before the first."""
        return self.pool.held if position < 0 else int(self.pool.total[position])

    @property
    def peak_bytes(self) -> int:
        return self.level(self.peak)


def memory(
    trace: Trace,
    *,
    rank: int | None = None,
    iteration: Iterations = None,
    window: Window = "annotation",
    by: HolderKey = "name",
) -> Memory:
    """Memory in use in the window, by rank and device, from the allocations and releases that were recorded.

    What is in use after an event is the recorded total or, where there is none, the sum of the events, to which blocks
    count that are released in the recording and were allocated before it. A block is held by the innermost operator
    that was open on its thread when it was allocated, or by the one around it where that only allocates. What is
    released without an allocation in the recording was held by "before the recording" up to then; what the recorded
    totals have beyond all events, by "not recorded".

    Raises MissingData where the rank, the iteration or any memory event is missing, or for a timeline that was not
    measured; UsageError for another `by`.
    """
    if by not in get_args(HolderKey):
        raise UsageError(f"no key {by!r} for what holds memory: choose {', '.join(get_args(HolderKey))}")
    if trace.metadata.timeline != "measured":
        raise MissingData("memory events have measured times only", hint=f"this timeline is {trace.metadata.timeline}")
    windows = windows_of(trace, rank, iteration, window) if len(trace.memory_events) else ()
    by_rank = {one.rank: one for one in windows}
    parts = [_part(pool, by_rank[pool.rank]) for pool in pools(trace, by_rank)]
    if not parts:
        where = "" if rank is None or not windows else f" on rank {rank}"
        raise MissingData(f"no memory events are recorded{where}", hint=_HOW)
    parts.sort(key=lambda part: (part.pool.device_type == CPU, -part.peak_bytes, part.pool.rank, part.pool.label))
    devices = tuple(map(_device, parts))
    fullest = devices[0]
    warnings = [*left_out(trace, windows, rank), *_doubts(parts, by_rank)]
    return Memory(
        fullest.peak_bytes, fullest.peak_ns, fullest.rank, fullest.device, devices, _series(parts),
        tuple(_all_holders(trace, parts, by)),
        trust_of(
            trace, np.zeros(0, dtype=np.int64), explained_share=_known_share(parts[0]), warnings=warnings
        ),
    )  # fmt: skip


def _part(pool: Pool, window: Interval) -> _Part:
    start, end = window.start_ns, window.end_ns
    first, last = np.searchsorted(pool.ns, (start, end)).tolist()
    if not window.iterations:  # all that was recorded, also beside the operators
        first, last = 0, len(pool.ns)
        start, end = min(start, int(pool.ns[0])), max(end, int(pool.ns[-1]))
    levels = np.concatenate([[pool.held if not first else pool.total[first - 1]], pool.total[first:last]])
    return _Part(pool, start, end, first, last, first - 1 + int(np.argmax(levels)))


def _device(part: _Part) -> DeviceMemory:
    pool, inside = part.pool, slice(part.first, part.last)
    size, reserved = pool.size[inside], pool.reserved[inside]
    reserved = reserved[reserved != NULL]
    return DeviceMemory(
        rank=pool.rank,
        device=pool.label,
        peak_bytes=part.peak_bytes,
        peak_ns=part.start_ns if part.peak < part.first else int(pool.ns[part.peak]),
        start_bytes=part.level(part.first - 1),
        end_bytes=part.level(part.last - 1),
        reserved_bytes=int(reserved.max()) if len(reserved) else None,
        allocations=int(np.count_nonzero(size > 0)),
        releases=int(np.count_nonzero(size < 0)),
        allocated_bytes=int(size[size > 0].sum()),
    )


# Over time


def _series(parts: Sequence[_Part]) -> pa.Table:
    import pyarrow as pa

    columns: dict[str, list[Array]] = {"rank": [], "ns": [], "allocated_bytes": [], "reserved_bytes": []}
    labels = []
    for part in parts:
        pool = part.pool
        kept = part.first + _kept(part)
        before = part.first - 1
        columns["ns"].append(np.append(part.start_ns, pool.ns[kept]))
        columns["allocated_bytes"].append(np.append(part.level(before), pool.total[kept]))
        columns["reserved_bytes"].append(np.append(NULL if before < 0 else pool.reserved[before], pool.reserved[kept]))
        columns["rank"].append(np.full(len(kept) + 1, pool.rank))
        labels += [pool.label] * (len(kept) + 1)
    joined = {name: np.concatenate(pieces) for name, pieces in columns.items()}
    reserved = joined["reserved_bytes"]
    return pa.table(
        {
            "rank": joined["rank"],
            "device": pa.array(labels, type=pa.string()),
            "ns": joined["ns"],
            "allocated_bytes": joined["allocated_bytes"],
            "reserved_bytes": pa.array(reserved, mask=reserved == NULL),
        }
    )


def _kept(part: _Part) -> Array:
    """Which events of the window a series keeps: all, or of each stretch the highest, the lowest and the last level.

    The most that was reserved is kept too.
    """
    inside = slice(part.first, part.last)
    level, ns = part.pool.total[inside], part.pool.ns[inside]
    count = len(level)
    if count <= 3 * STRETCHES:
        return np.arange(count)
    stretch = (ns - part.start_ns) // max(-(-(part.end_ns - part.start_ns) // STRETCHES), 1)
    new = np.flatnonzero(np.diff(stretch, prepend=stretch[0] - 1))
    extremes = [np.lexsort((np.arange(count), sign * level, stretch))[new] for sign in (1, -1)]
    lasts = np.append(new[1:], count) - 1
    return np.unique(np.concatenate([*extremes, lasts, [np.argmax(part.pool.reserved[inside])]]))


# At the peak


def _all_holders(trace: Trace, parts: Sequence[_Part], by: HolderKey) -> Iterator[Holder]:
    """What holds the memory at the peak of each part, largest first."""
    alive = [part.pool.alive(part.peak) for part in parts]
    rows = np.concatenate([part.pool.rows[each] for part, each in zip(parts, alive)])
    operators = np.split(_allocating(trace, rows), np.cumsum([len(each) for each in alive])[:-1])
    for part, each, operator in zip(parts, alive, operators):
        yield from _holders(trace, part, each, operator, by)


def _holders(trace: Trace, part: _Part, alive: Array, operator: Array, by: HolderKey) -> list[Holder]:
    """The same of one part: `alive` are its blocks then, each allocated by an operator (-1: none)."""
    pool = part.pool
    size = pool.size[alive]
    told = operator >= 0
    found: list[tuple[HolderKind, str | None, int, int | None]] = []
    if told.any():
        groups = groups_of(*key_columns(trace, operator[told], by))
        texts = keys(trace, operator[told][groups.example], by).to_pylist()
        sums = groups.sums(size[told]).tolist()
        found += [("operator", *row) for row in zip(texts, sums, groups.counts().tolist(), strict=True)]
    if not told.all():
        found.append(("outside operators", None, int(size[~told].sum()), int(np.count_nonzero(~told))))
    before = int(pool.before[part.peak]) if part.peak >= 0 else pool.held
    rest = part.peak_bytes - before - int(size.sum())
    found += [("before the recording", None, before, None)] if before else []
    found += [("not recorded", None, rest, None)] if rest > 0 else []
    found.sort(key=lambda row: (-row[2], row[0], row[1] or ""))
    whole = max(part.peak_bytes, 1)
    return [Holder(pool.rank, pool.label, *row, share=row[2] / whole) for row in found]


def _allocating(trace: Trace, events: Array) -> Array:
    """The operator that holds what each of those memory events allocated, -1 where none was open on its thread."""
    o = trace.operators
    innermost = _open_at(trace, trace.memory_events["lane"][events], trace.memory_events["time_ns"][events])
    calls = o.codes_where("name", _ALLOCATES.match)
    only_allocates = calls[o["name"]] | np.isin(o["category"], (int(Category.RUNTIME), int(Category.DRIVER)))
    meant = nearest_above(o["parent"], ~only_allocates)[innermost]
    return np.where((innermost >= 0) & (meant >= 0), meant, innermost)


def _open_at(trace: Trace, lane: Array, ns: Array) -> Array:
    """For each moment the innermost operator that is open on a thread then, -1 where none is.

    An operator is open from its start to before its end; one without duration is at its start.
    """
    o, end = trace.operators, trace.end_ns
    found = np.full(len(lane), -1, dtype=np.int64)
    timed = ~o.is_null("start_ns") & ~o.is_null("duration_ns")
    for thread in np.unique(lane[lane >= 0]).tolist():
        if trace.lanes["kind"][thread] != int(LaneKind.THREAD):
            continue
        rows = trace.rank_rows.get(int(trace.lanes["rank"][thread]), slice(0, 0))
        mine = np.flatnonzero((o["lane"][rows] == thread) & timed[rows]) + rows.start
        mine = mine[np.argsort(o["start_ns"][mine], kind="stable")]
        asked = np.flatnonzero(lane == thread)
        place = np.searchsorted(o["start_ns"][mine], ns[asked], side="right") - 1
        found[asked[place >= 0]] = mine[place[place >= 0]]
    closed = (found >= 0) & (end[found] <= ns) & (o["start_ns"][found] < ns)
    while closed.any():
        found[closed] = o["parent"][found[closed]]
        closed &= (found >= 0) & (end[found] <= ns)
    return found


def _known_share(part: _Part) -> float | None:
    """The part of the peak whose allocation was recorded."""
    if part.peak_bytes <= 0:
        return None
    known = int(part.pool.known[part.peak]) if part.peak >= 0 else 0
    return min(known / part.peak_bytes, 1.0)


def _doubts(parts: Sequence[_Part], ranks: dict[int, Interval]) -> Iterator[str]:
    """What the events leave open."""
    silent = sorted(set(ranks) - {part.pool.rank for part in parts})
    if silent:
        shown = ", ".join(map(str, silent[:8])) + ("" if len(silent) <= 8 else f" and {len(silent) - 8} more")
        yield f"no memory events on {'rank' if len(silent) == 1 else 'ranks'} {shown}"
    faults = [part.pool.faults for part in parts]
    if not all(fault.totals for fault in faults):
        yield "totals are not recorded: of what was there before the recording, only what is released in it counts"
    if not all(fault.addresses for fault in faults):
        yield "addresses are not recorded: a release is taken for that of the last allocation of its size"
    worst = max(parts, key=lambda part: part.pool.faults.off_by)
    if worst.pool.faults.off_by:
        yield (
            f"recorded totals and the sum of the events differ by up to {worst.pool.faults.off_by:,} bytes "
            f"({worst.pool.label} of rank {worst.pool.rank})"
        )
    if unreleased := sum(fault.unreleased for fault in faults):
        yield f"blocks allocated again without a recorded release: {unreleased:,}"
    if resized := sum(fault.resized for fault in faults):
        yield f"releases of another size than the allocation: {resized:,}"


__all__ = ["DeviceMemory", "Holder", "HolderKey", "Memory", "memory"]
