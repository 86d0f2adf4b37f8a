"""Lost time: from the measured step, cause after cause taken away, to the ideal one.

Each cause is taken away by an edit of the replayed step (`etgraph.sim.idealised`), on top of those before it, and costs
what the step gets shorter by: measured → as replayed → no late ranks → communication overlapped → no host → operators
at their roofline. The order matters, since what is hidden behind one cause shows when that is gone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from etgraph.model import Trace, Trust
from etgraph.model.arrivals import NULL, Arrivals, arrivals, communicates
from etgraph.model.cancelling import check
from etgraph.model.columns import Array
from etgraph.model.meetings import meetings
from etgraph.model.results import Result
from etgraph.queries.activity import Activity, Stretches, activities, stretches
from etgraph.queries.step_time import step_ns
from etgraph.queries.tiers import against_tiers
from etgraph.queries.trusting import trust_of
from etgraph.queries.utilization import Reached, Utilization, reached, utilization
from etgraph.queries.windows import Interval, Iterations, Window, left_out, operators_of, windows_of
from etgraph.sim.idealised import at_roofline, overlapped, without_host, without_late_ranks
from etgraph.sim.profiles import Profile
from etgraph.sim.profiles.recognising import recognised
from etgraph.sim.proof import ENOUGH_SHARE, verdict
from etgraph.sim.replay import judged_plan, run_plan
from etgraph.sim.replay.plan import Plan

REPLAY, LATE, EXPOSED, HOST, ROOFLINE = STEPS = (
    "replay", "late ranks", "exposed communication", "host", "below roofline",
)  # fmt: skip
"""Names of the steps, in their order."""
MEASURED, IDEAL = "measured", "ideal"
MOST_KNOWN = 0.95
"""Where the work of less of the computing time is known, the answer says so."""


@dataclass(frozen=True, slots=True)
class LostTime:
    """What one cause costs the step, in ns."""

    name: str
    ns: int


@dataclass(frozen=True, slots=True)
class Waterfall(Result):
    """One workload's lost time: `measured_ns` less all `steps` is `ideal_ns`. Shares are 0 to 1, None where unknown.

    The step `replay` is the error of the replay, not lost time: what the measured window is longer than the replayed
    one. A step below 0 is one that its cause made shorter. There is no step `below roofline` without a profile, and
    where no operator's work is known.
    Where `replayable` is False, the trace does not record enough for the steps to mean anything.

    `measured_ns` is the length of the whole window, `iterations` the number of steps in it (1 where the trace has
    none). `exposed_share` is the part of the ranks' time in which they communicate and do not compute, `wait_share` the
    part of the communication time, where peers are known, before the last one came, `bus_bandwidth_share` what was
    reached of the bandwidth of the profile's network. `profile` is the name of the profile whose peaks were taken,
    `known_share` the part of the computing time that is of operators whose work is known: all others stay as long as
    measured. `utilization` explains `model_flops_utilization`.
    """

    trace: str
    measured_ns: int
    steps: tuple[LostTime, ...]
    ideal_ns: int
    model_flops_utilization: float | None
    exposed_share: float | None
    wait_share: float | None
    bus_bandwidth_share: float | None
    trust: Trust
    iterations: int = 1
    ranks: int = 1
    replayable: bool = True
    profile: str | None = None
    known_share: float | None = None
    utilization: Utilization | None = None

    FRAME: ClassVar[str] = "bars"
    TABLE: ClassVar[str] = "bars"

    @property
    def bars(self) -> tuple[LostTime, ...]:
        """The measured time, all steps, and the ideal one."""
        return (LostTime(MEASURED, self.measured_ns), *self.steps, LostTime(IDEAL, self.ideal_ns))

    def headline(self) -> str:
        """The answer in a few words."""
        ideal = f", {self.ideal_ns / self.measured_ns:.1%} of it ideal" if self.measured_ns else ""
        return f"lost time of a window of {self.measured_ns / 1e6:.3f} ms{ideal}"


@dataclass(frozen=True, slots=True)
class Waterfalls(Result):
    """The waterfalls of several workloads, one a row."""

    rows: tuple[Waterfall, ...]
    trust: Trust

    FRAME: ClassVar[str] = "table"
    TABLE: ClassVar[str] = "table"

    @property
    def table(self) -> tuple[WaterfallRow, ...]:
        """The rows as shares of what was measured."""
        return tuple(map(normalised, self.rows))

    def headline(self) -> str:
        """The answer in a few words."""
        return f"lost time of {len(self.rows)} workloads"


@dataclass(frozen=True, slots=True)
class WaterfallRow:
    """A waterfall whose steps are parts of `measured_ns`; None for one that is not known."""

    trace: str
    measured_ns: int
    replay: float | None
    late_ranks: float | None
    exposed_communication: float | None
    host: float | None
    below_roofline: float | None
    ideal: float | None
    model_flops_utilization: float | None
    replayable: bool


def waterfall(
    trace: Trace,
    *,
    rank: int | None = None,
    iteration: Iterations = None,
    window: Window = "annotation",
    profile: Profile | None = None,
) -> Waterfall:
    """What the window of a trace loses to late ranks, exposed communication, the host, and operators below their peak.

    Without a profile the built-in one of the device that the trace names is taken, where there is one. The window is
    that of one rank or of all, while all ranks are replayed. Raises MissingData where the trace has no such rank,
    iteration or window, or no measured times.
    """
    named = profile is not None
    profile = profile or recognised(trace.metadata.device_model)
    windows = windows_of(trace, rank, iteration, window, contiguous=False)
    rows = operators_of(trace, windows)
    came = arrivals(trace)
    busy = stretches(trace, activities(trace, came), sorted({one.rank for one in windows}))
    on = None if profile is None else reached(trace, rows, busy, profile)
    plan, unexplained = judged_plan(trace)
    length = partial(step_ns, trace, rank=rank, iteration=iteration, window=window)
    measured = left = length(trace)
    steps: list[LostTime] = []
    for name, changed, pauses in _causes(plan, profile if on is not None and on.known_share else None):
        check()
        before, left = left, length(run_plan(changed), pauses=pauses)
        steps.append(LostTime(name, before - left))
    computing, exposed, whole = _shares(windows, busy)
    used = None
    if profile is not None and on is not None:
        used = utilization(
            trace, rows, step_ns=measured, computing_ns=computing, ranks=len(busy), on=on, profile=profile
        )
    wait, bus = _communication(trace, rows, came, profile)
    warnings = [
        *left_out(trace, windows, rank),
        *_of_causes(trace, rows, came, unexplained),
        *_of_peaks(trace, profile, on, named=named),
    ]
    return Waterfall(
        trace=trace.trace_id,
        measured_ns=measured,
        steps=tuple(steps),
        ideal_ns=left,
        model_flops_utilization=None if used is None else used.share,
        exposed_share=exposed / whole if whole else None,
        wait_share=wait,
        bus_bandwidth_share=bus,
        trust=trust_of(trace, rows, came=came, explained_share=max(0.0, 1 - unexplained), warnings=warnings),
        iterations=max(1, len({int(trace.iterations["index"][row]) for one in windows for row in one.iterations})),
        ranks=len(busy),
        replayable=unexplained <= ENOUGH_SHARE,
        profile=None if profile is None else profile.name,
        known_share=None if on is None else on.known_share,
        utilization=used,
    )


def _causes(plan: Plan, profile: Profile | None) -> Iterator[tuple[str, Plan, bool]]:
    """The steps' names, each with the plan without all causes so far, and whether the host's pauses still count."""
    edits: list[tuple[str, Callable[[Plan], Plan]]] = [
        (LATE, without_late_ranks), (EXPOSED, overlapped), (HOST, without_host),
    ]  # fmt: skip
    if profile is not None:
        edits.append((ROOFLINE, lambda plan: at_roofline(plan, profile)))
    yield REPLAY, plan, True
    host = True
    for name, edit in edits:
        plan, host = edit(plan), host and name != HOST
        yield name, plan, host


def normalised(one: Waterfall) -> WaterfallRow:
    """A waterfall as parts of its measured time."""
    parts = {bar.name: bar.ns / one.measured_ns for bar in one.bars} if one.measured_ns else {}
    return WaterfallRow(
        trace=one.trace,
        measured_ns=one.measured_ns,
        replay=parts.get(REPLAY),
        late_ranks=parts.get(LATE),
        exposed_communication=parts.get(EXPOSED),
        host=parts.get(HOST),
        below_roofline=parts.get(ROOFLINE),
        ideal=parts.get(IDEAL),
        model_flops_utilization=one.model_flops_utilization,
        replayable=one.replayable,
    )


def together(rows: Sequence[Waterfall]) -> Waterfalls:
    """Several waterfalls as one answer, whose trust is the least of theirs and says of how many each warning is."""
    trusts = [row.trust for row in rows]
    shares = [trust.explained_share for trust in trusts if trust.explained_share is not None]
    told = Counter(warning for trust in trusts for warning in trust.warnings)
    trust = Trust(
        min(shares, default=None),
        sum(trust.unmatched_collectives for trust in trusts),
        sum(trust.weak_links for trust in trusts),
        tuple(text if len(rows) == 1 else f"{text} ({times} of {len(rows)} traces)" for text, times in told.items()),
    )
    return Waterfalls(tuple(rows), trust)


def _shares(windows: Sequence[Interval], busy: dict[int, Stretches]) -> tuple[int, int, int]:
    """How long the ranks compute in their windows, how long they communicate without, and the length of these."""
    computing = exposed = whole = 0
    for one in windows:
        computes, moves = (
            busy[one.rank].of(which).clipped(one.start_ns, one.end_ns)
            for which in (Activity.COMPUTATION, Activity.COMMUNICATION)
        )
        computing += computes.ns
        exposed += moves.without(computes).ns
        whole += one.end_ns - one.start_ns
    return computing, exposed, whole


def _communication(
    trace: Trace, rows: Array, came: Arrivals, profile: Profile | None
) -> tuple[float | None, float | None]:
    """The share of waiting in the communication whose peers are known, and that of the network's bandwidth."""
    met = meetings(trace, came)
    chosen = np.isin(met.operator, rows) & trace.timed[met.operator]
    known = chosen & (met.wait_ns != NULL)
    spent = trace.operators["duration_ns"][met.operator[known]].sum()
    wait = float(met.wait_ns[known].sum() / spent) if spent else None
    if profile is None or not profile.tiers:
        return wait, None
    seen = np.unique(met.meeting[chosen])
    compared = against_tiers(trace, met, seen, np.zeros(len(seen), dtype=np.int64), profile)
    return wait, compared.by_key[0].bus_bandwidth_share if compared.by_key else None


def _of_causes(trace: Trace, rows: Array, came: Arrivals, unexplained: float) -> Iterator[str]:
    """What keeps the steps from being what they say."""
    if unexplained > ENOUGH_SHARE:
        yield f"{verdict(unexplained)}; the steps are no measure of what would be gained"
    meets = rows[communicates(trace, rows)]
    if len(meets) and not came.met[meets].any():
        yield "no peers are recorded: waiting for late ranks counts as communication"


def _of_peaks(trace: Trace, profile: Profile | None, on: Reached | None, *, named: bool) -> Iterator[str]:
    """Whose peaks were taken, and what stays as long as measured."""
    if profile is None:
        device = trace.metadata.device_model
        what = f"no built-in profile is of {device}" if device else "the trace names no device"
        yield f"{what}: without a profile operators stay as long as measured, also in the ideal step"
        return
    if not named:
        yield f"peaks are those of {profile.name}, built in for {trace.metadata.device_model}"
    if on is not None and on.known_share < MOST_KNOWN:
        yield f"{1 - on.known_share:.0%} of the computing time is of unknown work, which stays as long as measured"


__all__ = ["STEPS", "LostTime", "Waterfall", "WaterfallRow", "Waterfalls", "normalised", "together", "waterfall"]
