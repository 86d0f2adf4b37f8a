"""Communication hotspots: which collectives cost the most, and how much of that is waiting, exposed or critical."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

import numpy as np

from etgraph.model import Trace, Trust
from etgraph.model.arrivals import NULL, Arrivals
from etgraph.model.columns import Array
from etgraph.model.errors import MissingData, UsageError
from etgraph.model.meetings import Meetings, bus_factors, meetings
from etgraph.model.results import Result
from etgraph.model.sums import sum_by
from etgraph.queries.activity import Activity, activities, stretches
from etgraph.queries.critical_path import Ground, ground_of, time_on_path
from etgraph.queries.keys import Keys, groups, scopes, sizes, types
from etgraph.queries.tiers import NOT_COMPARED, Compared, Reached, against_tiers
from etgraph.queries.trusting import trust_of
from etgraph.queries.windows import Interval, Iterations, Window, left_out, operators_of, runs_of, windows_of

if TYPE_CHECKING:
    from etgraph.sim.profiles import Profile

By = Literal["type", "group", "size", "scope"]


@dataclass(frozen=True, slots=True)
class Hotspot:
    """Collectives and messages of one key. Times are ns summed over the ranks, bandwidths bytes/s.

    `count` and `bytes` are of collectives, not of their members; `bytes` leaves out those of unknown size. `total_ns`
    is `wait_ns`, `transfer_ns` and `unmatched_ns`, the time of operators whose peers are not recorded: the first two
    are None where there is nothing else. `exposed_ns` is that part of `total_ns` in which the rank did not compute,
    `critical_ns` what lies on the measured critical path, one for each run of steps that follow each other. The
    bandwidths are those of whole collectives, None where no size is known or nothing was transferred.

    With a profile: `tier`, the tier (or tiers) of its network that the groups span, `peak_bandwidth` of one device in
    it, over several tiers weighted by bytes, and `bus_bandwidth_share`, the part of it that was reached. None without,
    and where a group spans more devices than the profile has.
    """

    key: str
    count: int
    bytes: int
    total_ns: int
    transfer_ns: int | None
    wait_ns: int | None
    unmatched_ns: int
    exposed_ns: int
    critical_ns: int
    algorithm_bandwidth: float | None
    bus_bandwidth: float | None
    tier: str | None = None
    peak_bandwidth: float | None = None
    bus_bandwidth_share: float | None = None


@dataclass(frozen=True, slots=True)
class Hotspots(Result):
    """The hotspots, costliest first. `profile` is the name of the profile, None without one."""

    rows: tuple[Hotspot, ...]
    trust: Trust
    profile: str | None = None

    FRAME: ClassVar[str] = "rows"
    TABLE: ClassVar[str] = "rows"

    def headline(self) -> str:
        """The answer in a few words."""
        return f"communication hotspots, {sum(row.total_ns for row in self.rows) / 1e6:.3f} ms over the ranks"


def hotspots(
    trace: Trace,
    *,
    rank: int | None = None,
    iteration: Iterations = None,
    window: Window = "annotation",
    by: By = "type",
    profile: Profile | None = None,
) -> Hotspots:
    """Collectives and messages of the window, grouped by type, process group, class of size or scope; costliest first.

    A rank waits from its own start to the last member's start; the rest of its operator is transfer. Algorithm
    bandwidth is Σ size / Σ transfer time of the collectives (from the last start to the last end), bus bandwidth the
    same with each size times the factor of nccl-tests' PERFORMANCE.md. With a profile, bus bandwidth is compared with
    that of the innermost tier which joins the group, rank r being the profile's device r.

    Operators belong to the window by launch, and count with their whole time. No rows where the window has no
    communication. Raises MissingData where the trace has no such rank, iteration or window, or no measured times;
    UsageError for an unknown `by`.
    """
    if by not in get_args(By):
        raise UsageError(f"no hotspots by {by!r}: choose type, group, size or scope")
    windows = windows_of(trace, rank, iteration, window, contiguous=False)
    inside = operators_of(trace, windows)
    ground = ground_of(trace)
    came = ground.came
    met = meetings(trace, came)
    timed = ~(trace.operators.is_null("start_ns") | trace.operators.is_null("duration_ns"))[met.operator]
    chosen = np.flatnonzero(np.isin(met.operator, inside) & timed)
    critical, doubts = _critical(ground, rank, runs_of(trace, rank, iteration) if len(chosen) else (), window)
    keys = _keys(trace, met, by)
    seen = np.unique(met.meeting[chosen])
    compared = Compared() if profile is None else against_tiers(trace, met, seen, keys.code[seen], profile)
    exposed = exposed_ns(trace, met.operator[chosen], windows, came)
    rows = _rows(trace, met, chosen, keys, exposed, critical, compared.by_key)
    warnings = [*left_out(trace, windows, rank), *_unknown(trace, met, chosen), *doubts, *compared.warnings]
    trust = trust_of(trace, inside, came=came, warnings=warnings)
    return Hotspots(rows, trust, None if profile is None else profile.name)


def _keys(trace: Trace, met: Meetings, by: By) -> Keys:
    """The key of each meeting: that of its first operator."""
    if by == "size":
        return sizes(met.bytes)
    if by == "scope":
        of_operators = scopes(trace)
        return Keys(of_operators.code[met.first], of_operators.texts)
    return types(trace, met.first) if by == "type" else groups(trace, met.first)


def exposed_ns(trace: Trace, rows: Array, windows: Sequence[Interval], came: Arrivals) -> Array:
    """How much of each of those operators, which communicate, its rank spent without computing."""
    exposed = trace.operators["duration_ns"][rows].astype(np.int64)
    rank = trace.operators["rank"][rows]
    if not len(rows):
        return exposed
    busy = stretches(trace, activities(trace, came), sorted({one.rank for one in windows}))
    for one, stretch in busy.items():
        own = np.flatnonzero(rank == one)
        start, end = trace.operators["start_ns"][rows[own]], trace.end_ns[rows[own]]
        exposed[own] -= stretch.of(Activity.COMPUTATION).within(start, end)
    return exposed


def _critical(ground: Ground, rank: int | None, runs: Sequence[Iterations], window: Window) -> tuple[Array, list[str]]:
    """Time of every operator of the trace on the critical paths of those runs of steps, and what to say of these."""
    trace = ground.trace
    found = np.zeros(len(trace), dtype=np.int64)
    doubts: dict[str, None] = {}
    if not runs:
        return found, []
    for run in runs:
        try:
            path = ground.path(rank, run, window)
        except MissingData as missing:
            doubts[f"critical path: {missing.message}"] = None
            continue
        found += time_on_path(trace, path)
        known = trace.metadata.report.warnings
        doubts |= {f"critical path: {told}": None for told in path.trust.warnings if told not in known}
    return found, list(doubts)


def _rows(
    trace: Trace,
    met: Meetings,
    chosen: Array,
    keys: Keys,
    exposed: Array,
    critical: Array,
    reached: Mapping[int, Reached],
) -> tuple[Hotspot, ...]:
    rows, meeting, wait = met.operator[chosen], met.meeting[chosen], met.wait_ns[chosen]
    key, count = keys.code[meeting], len(keys.texts)
    duration = trace.operators["duration_ns"][rows]
    known = wait != NULL

    seen = np.unique(meeting)
    of, size, took = keys.code[seen], met.bytes[seen], met.transfer_ns[seen]
    sized = size != NULL
    moved = (size > 0) & (took > 0)
    factor = bus_factors(trace.operators["comm_type"][met.first[seen]], met.ranks[seen])
    columns = {
        "count": np.bincount(of, minlength=count),
        "bytes": sum_by(of[sized], size[sized], count),
        "total": sum_by(key, duration, count),
        "transfer": sum_by(key[known], (duration - wait)[known], count),
        "wait": sum_by(key[known], wait[known], count),
        "unmatched": sum_by(key[~known], duration[~known], count),
        "exposed": sum_by(key, exposed, count),
        "critical": sum_by(key, critical[rows], count),
    }
    matched = np.bincount(key[known], minlength=count) > 0
    took_all = np.bincount(of[moved], weights=took[moved], minlength=count) / 1e9
    moved_all = np.bincount(of[moved], weights=size[moved], minlength=count)
    on_bus = np.bincount(of[moved], weights=(size * factor)[moved], minlength=count)
    found = [
        Hotspot(
            keys.texts[k],
            int(columns["count"][k]), int(columns["bytes"][k]), int(columns["total"][k]),
            int(columns["transfer"][k]) if matched[k] else None,
            int(columns["wait"][k]) if matched[k] else None,
            int(columns["unmatched"][k]), int(columns["exposed"][k]), int(columns["critical"][k]),
            float(moved_all[k] / took_all[k]) if took_all[k] else None,
            float(on_bus[k] / took_all[k]) if took_all[k] else None,
            *reached.get(k, NOT_COMPARED),
        )
        for k in np.flatnonzero(columns["count"]).tolist()
    ]  # fmt: skip
    return tuple(sorted(found, key=lambda row: (-row.total_ns, row.key)))


def _unknown(trace: Trace, met: Meetings, chosen: Array) -> list[str]:
    """What the rows leave out, in words."""
    seen = np.unique(met.meeting[chosen])
    told = []
    unmatched = met.wait_ns[chosen] == NULL
    if unmatched.any():
        duration = trace.operators["duration_ns"][met.operator[chosen]]
        share = duration[unmatched].sum() / max(duration.sum(), 1)
        told.append(f"of {share:.1%} of the communication time it is not known how much of it is waiting")
    unsized = np.count_nonzero(met.bytes[seen] == NULL)
    if unsized:
        told.append(f"{unsized} of {len(seen)} collectives and messages count no bytes: their size is not recorded")
    return told


__all__ = ["Hotspot", "Hotspots", "hotspots"]
