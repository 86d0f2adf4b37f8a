"""Operators in groups: what they cost on host and device, how that is spread, and what work they achieve in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal, get_args

import numpy as np

from etgraph.model import Category, Trace, Trust
from etgraph.model.columns import Array
from etgraph.model.errors import MissingData, UsageError
from etgraph.model.graph import nearest_above
from etgraph.model.launching import launching_calls
from etgraph.model.result_tables import row_of
from etgraph.model.results import Result
from etgraph.queries.calls import call_trees, own_times
from etgraph.queries.grouping import NULL, By, Groups, groups_of, key_columns, keys
from etgraph.queries.rooflines import against_peaks, rooflines
from etgraph.queries.trusting import trust_of
from etgraph.queries.windows import Iterations, Window, indices_of, left_out, operators_of, windows_of

if TYPE_CHECKING:
    import pyarrow as pa

    from etgraph.sim.profiles import Profile

Lane = Literal["host", "device"]
"""Where an operator ran: on a thread of the host, or on a device."""
SHOWN_SHARE = 0.005
"""A part of the time that a warning tells of."""

GROUP: Final = row_of(
    "OperatorGroup", "operators of one key and lane; null is what is not known",
    key="string what they have in common; null where it is not recorded",
    lane="string host or device",
    count="int64 how many there are",
    total_ns="int64 time inside them, what they enclose included",
    self_ns="int64 time inside them without what they enclose",
    device_ns="int64 of host operators: time of the device operators launched under them",
    mean_ns="int64 mean time of one",
    min_ns="int64 time of the shortest",
    p50_ns="int64 median time of one",
    p95_ns="int64 time that 95 % of them do not exceed",
    max_ns="int64 time of the longest",
    flops="int64 floating-point operations",
    bytes="int64 unique bytes read and written",
    flops_per_s="double floating-point operations per second of the time in which they were done",
    bytes_per_s="double bytes per second of the time in which they were moved",
    share="double part of their lane's own time",
    flops_share="double part of the device's peak that they reach in flop/s",
    bytes_share="double part of the device's peak that they reach in bytes/s",
    bound="string what a roofline says limits them: compute or memory",
    roofline_share="double part of what the roofline allows that they reach",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Operators(Result):
    """Operators grouped by `by`, those with most own time first.

    `host_ns` and `device_ns` are the own times of all that was asked for on each side. `rows` is an Arrow table with
    the columns key (null: not recorded), lane ("host" or "device"), count, total_ns, self_ns, device_ns, mean_ns,
    min_ns, p50_ns, p95_ns, max_ns, flops, bytes, flops_per_s, bytes_per_s, share, and what a profile adds: flops_share,
    bytes_share (parts of the device's peaks), bound ("compute" or "memory") and roofline_share; null is what is not
    known. `profile` is the name of the profile, None without one.
    """

    by: str
    host_ns: int
    device_ns: int
    rows: Annotated[pa.Table, GROUP]
    trust: Trust
    profile: str | None = None

    FRAME: ClassVar[str] = "rows"
    TABLE: ClassVar[str] = "rows"

    def headline(self) -> str:
        """The answer in a few words."""
        return f"operators by {self.by}, {self.host_ns / 1e6:.3f} ms on hosts, {self.device_ns / 1e6:.3f} ms on devices"


@dataclass(frozen=True, slots=True)
class _Facts:
    """Of all operators of a trace: whether it is a device's, duration (`NULL`: none), own time, the call behind it.

    `asked` are the rows of the operators that the question is about, on both lanes; `launched` are those of them that
    ran on a device for a known time after a known call.
    """

    trace: Trace
    asked: Array
    device: Array
    duration: Array
    own: Array
    call: Array
    launched: Array


def operators(
    trace: Trace,
    *,
    rank: int | None = None,
    iteration: Iterations = None,
    window: Window = "annotation",
    by: By = "name",
    lane: Lane | None = None,
    profile: Profile | None = None,
) -> Operators:
    """Operators of the window in groups of one key and lane: how many, what they took, what work they did how fast.

    `total_ns` is the time inside them, what they enclose included; one inside another of the same group adds nothing.
    `self_ns` is without what they enclose, so that it adds up, and `share` is its part of the lane's. `device_ns` of
    host operators is the time of the device operators launched under them, at any depth, each once a group. Percentiles
    are nearest-rank, over all executions. Rates divide work by the time in which it was done: by that of the device
    operators launched under the operator, or, where the rank has no device, by own times; in both cases without what
    operators inside it with work of their own took. With a profile they are compared with the peaks of its device.

    A trace without start times is taken as a whole. Raises MissingData where there is no such rank or iteration, or
    nothing on that lane; UsageError for a key or lane that does not exist.
    """
    if by not in get_args(By):
        raise UsageError(f"no key {by!r} to group by: choose {', '.join(get_args(By))}")
    if lane is not None and lane not in get_args(Lane):
        raise UsageError(f"no lane {lane!r}: choose host or device")
    trace, asked, warnings = _asked(trace, rank, iteration, window)
    facts = _facts(trace, asked)
    rows = asked if lane is None else asked[facts.device[asked] == (lane == "device")]
    if not len(rows):
        where = f"on the {lane} " if lane else ""
        raise MissingData(f"no operators {where}in that window", hint="leave --lane or --iteration out")
    groups = groups_of(*key_columns(trace, rows, by), facts.device[rows].astype(np.int64))
    spent = _times_of_work(facts, rows)
    columns = _times(facts, rows, groups) | _work(facts, rows, groups, spent)
    if profile is not None:
        columns |= against_peaks(groups, rows, spent, rooflines(trace, profile))
        warnings += _above(columns, profile)
    on_device = facts.device[rows[groups.example]]
    host_ns, device_ns = (int(facts.own[asked[facts.device[asked] == on]].sum()) for on in (False, True))
    whole = np.where(on_device, device_ns, host_ns)
    known = (whole > 0) & (columns["self_ns"] != NULL)
    columns["share"] = np.where(known, columns["self_ns"] / np.maximum(whole, 1), np.nan)
    warnings += [*_doubts(facts, rows, by), *_beyond(trace, rows, groups, columns)]
    table = _table(keys(trace, rows[groups.example], by), on_device, columns)
    name = None if profile is None else profile.name
    return Operators(by, host_ns, device_ns, table, trust_of(trace, rows, warnings=warnings), name)


def _asked(trace: Trace, rank: int | None, iteration: Iterations, window: Window) -> tuple[Trace, Array, list[str]]:
    """The trace to look at, the rows that are asked for, and what is to be said of ranks that have none."""
    if len(trace) and trace.operators.is_null("start_ns").all():
        part = trace if rank is None else trace.select_ranks([rank])
        if (steps := indices_of(iteration)) is not None:
            part = part.select_iterations(steps)
        return part, np.arange(len(part)), ["no operator has a start time: the window is all that was recorded"]
    windows = windows_of(trace, rank, iteration, window, contiguous=False)
    return trace, operators_of(trace, windows), list(left_out(trace, windows, rank))


def _facts(trace: Trace, asked: Array) -> _Facts:
    o = trace.operators
    device, duration = o["category"] >= int(Category.KERNEL), o["duration_ns"]
    call = launching_calls(trace)
    launched = asked[(call[asked] >= 0) & (duration[asked] != NULL)]
    return _Facts(trace, asked, device, duration, own_times(trace), call, launched)


def _times(facts: _Facts, rows: Array, groups: Groups) -> dict[str, Array]:
    """Count and times of each group."""
    trees = call_trees(facts.trace)
    outer = trees.outermost(rows, groups.of)
    duration = facts.duration[rows]
    lasts = duration != NULL
    counted = groups.sums(np.where(lasts, duration, NULL))
    number = np.bincount(groups.of[lasts], minlength=groups.count)
    least, median, high, most = groups.percentiles(duration, (0, 50, 95, 100))
    direct = np.zeros(len(facts.device), dtype=np.int64)
    np.add.at(direct, facts.call[facts.launched], facts.duration[facts.launched])
    under = np.where(outer, trees.sums(direct)[rows], 0)
    launches = np.full(groups.count, len(facts.launched) > 0) & ~facts.device[rows[groups.example]]
    return {
        "count": groups.counts(),
        "total_ns": groups.sums(np.where(lasts, np.where(outer, duration, 0), NULL)),
        "self_ns": groups.sums(np.where(lasts, facts.own[rows], NULL)),
        "device_ns": np.where(launches, groups.sums(under), NULL),
        "mean_ns": np.where(counted != NULL, (counted + number // 2) // np.maximum(number, 1), NULL),
        "min_ns": least,
        "p50_ns": median,
        "p95_ns": high,
        "max_ns": most,
    }


def _times_of_work(facts: _Facts, rows: Array) -> dict[str, Array]:
    """Time in which each row did its flops, its bytes, and either of them."""
    o = facts.trace.operators
    works = {"flops": o["flops"] > 0, "bytes": o["bytes"] > 0}
    works["either"] = works["flops"] | works["bytes"]
    return {name: _spent(facts, ~facts.device & does)[rows] for name, does in works.items()}


def _work(facts: _Facts, rows: Array, groups: Groups, times: dict[str, Array]) -> dict[str, Array]:
    """Flops and bytes of each group, and how many of them a second; NaN where that is not known."""
    o = facts.trace.operators
    columns: dict[str, Array] = {name: groups.sums(o[name][rows]) for name in ("flops", "bytes")}
    for name in ("flops", "bytes"):
        work, spent = o[name][rows], times[name]
        done = spent > 0
        sums = (np.bincount(groups.of[done], values[done], groups.count) for values in (work, spent))
        with np.errstate(invalid="ignore"):
            columns[f"{name}_per_s"] = np.divide(*sums) * 1e9
    return columns


def _spent(facts: _Facts, works: Array) -> Array:
    """Time in which each operator that works did its work, in ns: what is under it and under no other inside it."""
    spent = np.zeros(len(works), dtype=np.int64)
    if not works.any():
        return spent
    o = facts.trace.operators
    worker = nearest_above(o["parent"], works)
    on_devices = np.isin(o["rank"], np.unique(o["rank"][facts.device]))
    launched = facts.launched
    host = facts.asked[~facts.device[facts.asked] & ~on_devices[facts.asked]]
    for at, time in ((worker[facts.call[launched]], facts.duration[launched]), (worker[host], facts.own[host])):
        np.add.at(spent, at[at >= 0], time[at >= 0])
    return spent


def _above(columns: dict[str, Array], profile: Profile) -> Iterator[str]:
    """That operators were faster than the device can be, so that something is not what it seems."""
    above = sum(int(np.count_nonzero(columns[name] > 1)) for name in ("flops_share", "bytes_share", "roofline_share"))
    if above:
        yield (
            f"{above:,} shares are above the peaks of {profile.name}: another device was recorded, data came from "
            "caches, or fp32 was computed as tf32"
        )


def _doubts(facts: _Facts, rows: Array, by: By) -> Iterator[str]:
    """What keeps the answer from being whole."""
    missing = int(np.count_nonzero(facts.duration[rows] == NULL))
    if missing:
        yield f"{missing:,} of {len(rows):,} operators have no duration, and add none"
    device = facts.asked[facts.device[facts.asked]]
    whole, launched = int(facts.own[device].sum()), int(facts.own[facts.launched].sum())
    if launched < whole and not facts.device[rows].all():
        yield f"{1 - launched / whole:.1%} of the device time has no known launch, and is under no host operator"
    if by in ("scope", "source"):
        unknown = rows[facts.trace.operators.is_null(by)[rows]]
        own, lost = int(facts.own[rows].sum()), int(facts.own[unknown].sum())
        if lost > SHOWN_SHARE * own or len(unknown) == len(rows):
            yield f"{lost / own if own else 1:.1%} of the time is of operators without a recorded {by}"


def _beyond(trace: Trace, rows: Array, groups: Groups, columns: dict[str, Array]) -> Iterator[str]:
    """Which sums are too large to be given."""
    for name in ("flops", "bytes"):
        known = np.bincount(groups.of[trace.operators[name][rows] != NULL], minlength=groups.count) > 0
        if (columns[name][known] == NULL).any():
            yield f"sums of {name} beyond 64 bits are left out"


def _table(key: pa.Array, on_device: Array, columns: dict[str, Array]) -> pa.Table:
    """The rows of the answer in order, from columns in order of the groups."""
    import pyarrow as pa

    lane = pa.array(np.where(on_device, "device", "host"))
    bound = columns.pop("memory_bound", None)
    given = {name: _nullable(values) for name, values in columns.items()}
    nothing = pa.nulls(len(key), pa.float64())
    peaks = {
        "flops_share": given.pop("flops_share", nothing),
        "bytes_share": given.pop("bytes_share", nothing),
        "bound": pa.nulls(len(key), pa.string()) if bound is None else _bounds(bound),
        "roofline_share": given.pop("roofline_share", nothing),
    }
    table = pa.table({"key": key, "lane": lane} | given | peaks)
    by_time: list[tuple[str, str]] = [(name, "descending") for name in ("self_ns", "device_ns", "count")]
    return table.sort_by([*by_time, ("key", "ascending"), ("lane", "ascending")])


def _bounds(memory_bound: Array) -> pa.Array:
    """What bounds each group, in words."""
    import pyarrow as pa

    return pa.array(np.where(memory_bound > 0, "memory", "compute"), mask=np.isnan(memory_bound))


def _nullable(values: Array) -> pa.Array:
    import pyarrow as pa

    return pa.array(values, mask=np.isnan(values) if values.dtype.kind == "f" else values == NULL)


__all__ = ["By", "Lane", "Operators", "operators"]
