"""A measured trace as findings look at it: its steps, its plan, its critical path, and who issues communication."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from etgraph.model import Category, Trace
from etgraph.model.arrivals import communicates
from etgraph.model.columns import Array
from etgraph.model.intervals import Spans, union
from etgraph.queries.critical_path import CriticalPath, Ground, ground_of, time_on_path
from etgraph.queries.device_work import MOST_LATENCY_NS
from etgraph.queries.findings.bounds import BOUND_SHARE, bound_of
from etgraph.queries.windows import Interval, Iterations, Window, indices_of, operators_of, runs_of, windows_of
from etgraph.sim.profiles import Profile
from etgraph.sim.proof import mean_relative_error
from etgraph.sim.replay import judged_plan, run_plan
from etgraph.sim.replay.peers import issues_of
from etgraph.sim.replay.plan import Plan
from etgraph.sim.what_if.buckets import awaited


@dataclass(frozen=True)
class Measured:
    """A trace, the part of it that is asked about, and its plan. Lengths of steps are ns, one for each of `steps`.

    `steps` are indices of iterations, or None alone where the trace has none: then the whole is one step.
    """

    trace: Trace
    rank: int | None
    steps: tuple[int | None, ...]
    window: Window
    profile: Profile | None
    plan: Plan
    unexplained_share: float

    def lengths_of(self, plan: Plan) -> Array:
        """The lengths of the steps when that plan is run.

        A host that need not wait for its device ends its step before that does, and would do so in one recorded step
        after another, but not for long: so a step takes as long as its busiest device works for it.
        """
        moved = run_plan(plan)
        return np.maximum(self._lengths(moved), np.minimum(self._device_ns(moved), self.lengths))

    @cached_property
    def lengths(self) -> Array:
        """The measured lengths of the steps."""
        return self._lengths(self.trace)

    @cached_property
    def replayed(self) -> Array:
        """The lengths of the steps when nothing is changed."""
        return self.lengths_of(self.plan)

    @property
    def step_ns(self) -> int:
        """The median step."""
        return round(float(np.median(self.lengths)))

    @property
    def replay_error(self) -> float:
        """By how much the unchanged replay is off, the mean over the steps, relative."""
        return mean_relative_error(self.replayed, self.lengths)

    @property
    def asked(self) -> Iterations:
        """The steps, as questions take them."""
        return [step for step in self.steps if step is not None] or None

    @cached_property
    def windows(self) -> tuple[Interval, ...]:
        """The windows of the ranks, one for each run of steps that follow each other."""
        return windows_of(self.trace, self.rank, self.asked, self.window, contiguous=False)

    @cached_property
    def inside(self) -> Array:
        """Whether each operator belongs to the steps, and has times."""
        found = np.zeros(len(self.trace), dtype=bool)
        found[operators_of(self.trace, self.windows)] = True
        return found & self.trace.timed

    @cached_property
    def usual_path(self) -> CriticalPath:
        """The measured critical path of the step that is nearest to the median."""
        usual = int(np.argmin(np.abs(self.lengths - np.median(self.lengths))))
        return self._ground.path(self.rank, self.steps[usual], self.window)

    def on_usual_path(self, *details: str, rank: int | None = None) -> int:
        """Time of the usual step's path in segments of those details, on one rank or on all."""
        table = self.usual_path.segments
        chosen = np.isin(table["detail"].to_numpy(), details)
        if rank is not None:
            chosen &= table["rank"].to_numpy() == rank
        return int((table["end_ns"].to_numpy() - table["start_ns"].to_numpy())[chosen].sum())

    @property
    def device_bound(self) -> bool:
        """Whether the usual step is bound by its devices alone, so that what its host does is hidden."""
        bound, share = self.bound
        return bound == "device" and share >= BOUND_SHARE

    @cached_property
    def bound(self) -> tuple[str, float]:
        """What the usual step is bound by, and the part of its path that it has."""
        table = self.usual_path.segments
        length = table["end_ns"].to_numpy() - table["start_ns"].to_numpy()
        waits = np.array([detail == "latency" for detail in table["detail"].to_pylist()], dtype=bool)
        return bound_of(self.usual_path, int(length[waits & (length > MOST_LATENCY_NS)].sum()))

    def on_usual_path_within(self, spans: Mapping[int, Spans]) -> int:
        """Time of the usual step's path on threads of ranks while it lies in the spans of that rank."""
        table = self.usual_path.segments
        on_thread = np.array([lane.startswith("thread") for lane in table["lane"].to_pylist()], dtype=bool)
        rank, start, end = (table[name].to_numpy() for name in ("rank", "start_ns", "end_ns"))
        return sum(
            int(within.within(start[own], end[own]).sum())
            for one, within in spans.items()
            if (own := on_thread & (rank == one)).any()
        )

    @cached_property
    def critical_ns(self) -> Array:
        """Time of each operator on the measured critical paths of the steps."""
        found = np.zeros(len(self.trace), dtype=np.int64)
        for one in runs_of(self.trace, self.rank, self.asked):
            found += time_on_path(self.trace, self._ground.path(self.rank, one, self.window))
        return found

    @cached_property
    def on_device(self) -> Array:
        """Whether each operator ran on a device."""
        found: Array = self.trace.operators["category"] >= int(Category.KERNEL)
        return found

    @cached_property
    def communication(self) -> Array:
        """Rows of the operators of the steps that are members of collectives, all of whose ranks are recorded."""
        return np.flatnonzero(self.inside & self.plan.meets)

    @cached_property
    def issued_by(self) -> Array:
        """For each operator of communication the call that issued it to another thread or to a device, else -1."""
        found = np.full(len(self.trace), -1, dtype=np.int64)
        call, done = issues_of(self.trace)
        found[done] = call
        return found

    def with_issues(self, rows: Array) -> Array:
        """Those operators of communication, and the calls that issued them."""
        call = self.issued_by[rows]
        return np.union1d(rows, call[call >= 0])

    def communicates(self, rows: Array) -> Array:
        """Whether each of those operators is one of communication, or issues it."""
        issues = np.zeros(len(self.trace), dtype=bool)
        issues[self.issued_by[self.issued_by >= 0]] = True
        return communicates(self.trace, rows) | issues[rows]

    @cached_property
    def _ground(self) -> Ground:
        return ground_of(self.trace)

    @cached_property
    def _by_device(self) -> list[tuple[int, Array]]:
        """For each step and device the step's place and the rows of its operators there."""
        o, i = self.trace.operators, self.trace.iterations
        rows = self.plan.device[self.inside[self.plan.device]]
        step = i["index"][o["iteration"][rows]] if len(i) else np.zeros(len(rows), dtype=np.int64)
        step = np.where(o["iteration"][rows] >= 0, step, -1) if len(i) else step
        device = self.trace.lanes["device"][o["lane"][rows]]
        keys, of = np.unique(np.stack([step, o["rank"][rows], device]), axis=1, return_inverse=True)
        place = {step: at for at, step in enumerate(self.steps)}
        found = []
        for number, (one, _, _) in enumerate(keys.T.tolist()):
            at = 0 if self.steps == (None,) else place.get(one, -1)
            if at >= 0:
                found.append((at, rows[of.ravel() == number]))
        return found

    def _device_ns(self, trace: Trace) -> Array:
        """How long the busiest device works for each step."""
        start, end = trace.operators["start_ns"], trace.end_ns
        found = np.zeros(len(self.steps), dtype=np.int64)
        for at, rows in self._by_device:
            found[at] = max(found[at], union(start[rows], end[rows]).ns)
        return found

    def _lengths(self, trace: Trace) -> Array:
        ends = [windows_of(trace, self.rank, step, self.window) for step in self.steps]
        return np.array([max(w.end_ns for w in one) - min(w.start_ns for w in one) for one in ends], dtype=np.int64)


def measured(
    trace: Trace, rank: int | None, iteration: Iterations, window: Window, profile: Profile | None
) -> Measured:
    """Look at a trace once. Raises MissingData where it has no such rank, iteration or window, or no measured times."""
    windows = windows_of(trace, rank, iteration, window, contiguous=False)
    rows = [row for one in windows for row in one.iterations]
    wanted = indices_of(iteration)
    steps: tuple[int | None, ...] = wanted or tuple(np.unique(trace.iterations["index"][rows]).tolist()) or (None,)
    plan, unexplained = judged_plan(trace)
    return Measured(trace, rank, steps, window, profile, awaited(plan), unexplained)


__all__ = ["Measured", "measured"]
