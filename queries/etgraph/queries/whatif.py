"""What-if: the step of a run that is changed, and how much of the step hangs on each operator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal, get_args

import numpy as np

from etgraph.model import Trace, Trust
from etgraph.model.arrivals import Arrivals, arrivals
from etgraph.model.columns import Array
from etgraph.model.errors import UsageError
from etgraph.model.result_tables import row_of
from etgraph.model.results import Result
from etgraph.queries.critical_path import DETAILS, operator_details
from etgraph.queries.keys import Keys, scopes
from etgraph.queries.trusting import trust_of
from etgraph.queries.windows import Iterations, indices_of
from etgraph.sim.predict import Predictor
from etgraph.sim.replay import measured_plan
from etgraph.sim.sensitivity import Sensitivity, sensitivity
from etgraph.sim.what_if import RankStep, what_if
from etgraph.sim.what_if.applying import edit_of
from etgraph.sim.what_if.buckets import awaited
from etgraph.sim.what_if.declared import (
    Buckets,
    Change,
    Collective,
    LaunchLatency,
    Merge,
    Overlap,
    QueueDepth,
    Remove,
    Scale,
    Split,
    Work,
    in_words,
)
from etgraph.sim.what_if.distribution import DRAWS, MOST_DRAWS

if TYPE_CHECKING:
    import pyarrow as pa

    from etgraph.sim.profiles import Profile

By = Literal["name", "scope", "category"]
"""What operators are grouped by; categories are those of the critical path."""
LAUNCH = "launch"
"""The category of launch latencies, which are of no operator."""
OPERATOR: Final = row_of(
    "OperatorSensitivity", "how much of the step hangs on an operator",
    rank="int32 rank of the operator",
    index="int32 the operator's number within its rank",
    name="string the operator's name",
    own_ns="int64 its own time: without what it encloses, of communication the transfer",
    critical_ns="int64 how much longer all steps would be if it took twice as long, as far as that is linear",
    step_per_ns="double what each nanosecond less of it saves of a step",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class GroupSensitivity:
    """How much of the step hangs on operators of one key; times are ns of a step.

    `own_ns` is the operators' own time: without what they enclose, of communication the transfer, once a collective.
    `critical_ns` is that part of it that the step would be longer if all of them took twice as long, as far as that is
    linear; `step_per_ns` is the ratio: what each nanosecond less of them saves.
    """

    key: str
    count: int
    own_ns: int
    critical_ns: int
    step_per_ns: float


@dataclass(frozen=True, slots=True)
class WhatIf(Result):
    """The median step of a run with changes, in ns: over all ranks that were asked for, and on each of them.

    `low_ns` to `high_ns` is the 90 % interval of the median of as many other steps, `cost_low_ns` to `cost_high_ns` the
    part of it that comes from what the changes cost. `replay_error` is the mean relative
    error of the steps when they are replayed without changes. `sensitivities` are of the run as it was measured,
    largest first; `operators` is an Arrow table with the same for every operator: rank, index, name, own_ns,
    critical_ns (over all the steps) and step_per_ns. `changes` are those that were asked for, in words.
    """

    changes: tuple[str, ...]
    measured_ns: int
    replay_ns: int
    predicted_ns: int
    low_ns: int
    high_ns: int
    cost_low_ns: int
    cost_high_ns: int
    steps: int
    ranks: tuple[RankStep, ...]
    draws: int
    replay_error: float
    by: str
    sensitivities: tuple[GroupSensitivity, ...]
    operators: Annotated[pa.Table, OPERATOR]
    profile: str | None
    trust: Trust

    FRAME: ClassVar[str] = "sensitivities"
    TABLE: ClassVar[str] = "sensitivities"

    @property
    def change(self) -> float:
        """Predicted against measured, relative and signed."""
        return (self.predicted_ns - self.measured_ns) / self.measured_ns if self.measured_ns else 0.0

    def headline(self) -> str:
        """The answer in a few words."""
        return f"what-if, {self.measured_ns / 1e6:.3f} ms → {self.predicted_ns / 1e6:.3f} ms ({self.change:+.1%})"


def whatif(
    trace: Trace,
    changes: Sequence[Change] = (),
    *,
    profile: Profile | None = None,
    rank: int | None = None,
    iteration: Iterations = None,
    by: By = "name",
    draws: int = DRAWS,
    seed: int = 0,
) -> WhatIf:
    """The median step of a measured run with changes, one after another, first of all the hardware of a profile.

    Over all ranks a step lasts from the earliest start to the latest end; with `rank` it is that rank's. What a change
    adds costs what its like was measured to cost, drawn `draws` times. The derivatives of the measured run's step come
    from one pass back over its replay; where causes tie they are one-sided, see `etgraph.sim.sensitivity`.

    O(draws · replay). Raises MissingData for a trace without times, a rank or an iteration that is not there, and for
    costs that the trace has no like of; UsageError for a pattern that names no operator, with those that come nearest,
    for an unknown `by`, and for fewer draws than one or more than `MOST_DRAWS`.
    """
    if by not in get_args(By):
        raise UsageError(f"no sensitivities by {by!r}: choose {', '.join(get_args(By))}")
    if not 1 <= draws <= MOST_DRAWS:
        raise UsageError(f"found {draws} draws, expected 1 to {MOST_DRAWS:,}")
    steps = indices_of(iteration)
    edit = edit_of(trace, changes)
    doubts: list[str] = []
    if profile is not None:
        on_profile, trust = Predictor(trace).plan_on(profile)
        doubts += trust.warnings
        if any(isinstance(change, (Collective, Work, Buckets)) for change in changes):
            doubts.append("what the changes add costs what its like did on the hardware that was measured")
        changed, edit = edit, lambda plan, draw: changed(on_profile(plan), draw)
    found = what_if(trace, edit, draws=draws, seed=seed, rank=rank, iterations=steps)
    felt = sensitivity(awaited(measured_plan(trace)), rank, steps)
    if felt.ties:
        events = "event" if felt.ties == 1 else "events"
        doubts.append(f"at {felt.ties:,} {events} of the path causes tie: there sensitivities are one-sided")
    whole, came, inside = found.whole, arrivals(trace), _inside(trace, felt, rank, steps)
    told = trust_of(
        trace, inside, came=came, explained_share=found.trust.explained_share,
        warnings=[*found.trust.warnings, *doubts],
    )  # fmt: skip
    return WhatIf(
        tuple(map(in_words, changes)), whole.measured_ns, whole.replay_ns, whole.predicted_ns, whole.low_ns,
        whole.high_ns, whole.cost_low_ns, whole.cost_high_ns, whole.steps, found.ranks, found.draws,
        found.replay_error, by, _groups(trace, felt, inside, by, came), _operators(trace, felt),
        None if profile is None else profile.name, told,
    )  # fmt: skip


def _inside(trace: Trace, felt: Sensitivity, rank: int | None, steps: tuple[int, ...] | None) -> Array:
    """Rows of the operators of those steps, and of others that these hang on."""
    o, i = trace.operators, trace.iterations
    belongs = np.ones(len(trace), dtype=bool) if rank is None else o["rank"] == rank
    if len(i):
        wanted = np.append(np.isin(i["index"], steps) if steps is not None else np.ones(len(i), dtype=bool), False)
        belongs &= wanted[o["iteration"]]
    return np.flatnonzero(trace.timed & (belongs | (felt.critical_ns != 0)))


def _groups(trace: Trace, felt: Sensitivity, rows: Array, by: By, came: Arrivals) -> tuple[GroupSensitivity, ...]:
    keys = _keys(trace, rows, by, came)
    count = len(keys.texts)
    per_step = 1 / felt.steps
    # What members of a collective share is one time.
    own = np.bincount(keys.code, weights=(felt.own_ns / felt.members)[rows], minlength=count) * per_step
    critical = np.bincount(keys.code, weights=felt.critical_ns[rows], minlength=count) * per_step
    operators = np.bincount(keys.code, minlength=count)
    found = [
        GroupSensitivity(text, number, round(ns), round(on_path), on_path / ns)
        for text, number, ns, on_path in zip(keys.texts, operators.tolist(), own.tolist(), critical.tolist())
        if ns > 0
    ]
    if by == "category" and felt.latency_ns:
        own_ns, critical_ns = felt.latency_ns * per_step, felt.latency_critical_ns * per_step
        share = critical_ns / own_ns
        found.append(GroupSensitivity(LAUNCH, felt.launches, round(own_ns), round(critical_ns), share))
    return tuple(sorted(found, key=lambda group: (-group.critical_ns, -group.own_ns, group.key)))


def _keys(trace: Trace, rows: Array, by: By, came: Arrivals) -> Keys:
    """The key of each of those operators."""
    o = trace.operators
    if by == "category":
        names = tuple(dict.fromkeys(category for category, _ in DETAILS))
        place = np.array([names.index(category) for category, _ in DETAILS])
        return Keys(place[operator_details(trace, rows, came)], names)
    if by == "scope":
        found = scopes(trace)
        return Keys(found.code[rows], found.texts)
    return Keys(o["name"][rows], tuple(o.texts("name").to_pylist()))


def _operators(trace: Trace, felt: Sensitivity) -> pa.Table:
    import pyarrow as pa
    import pyarrow.compute as pc

    o = trace.operators
    return pa.table(
        {
            "rank": pa.array(o["rank"]),
            "index": pa.array(o["index"]),
            "name": pc.take(o.texts("name"), pa.array(o["name"], mask=o["name"] < 0)),
            "own_ns": pa.array(felt.own_ns),
            "critical_ns": pa.array(np.rint(felt.critical_ns).astype(np.int64)),
            "step_per_ns": pa.array(felt.step_per_ns),
        }
    )


__all__ = [
    "Buckets",
    "By",
    "Change",
    "Collective",
    "GroupSensitivity",
    "LaunchLatency",
    "Merge",
    "Overlap",
    "QueueDepth",
    "RankStep",
    "Remove",
    "Scale",
    "Split",
    "WhatIf",
    "Work",
    "whatif",
]
