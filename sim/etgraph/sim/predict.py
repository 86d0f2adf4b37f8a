"""Prediction: what a trace would take on the hardware of a profile.

A measured trace is replayed with other costs: devices compute and ranks communicate as the profile lets them, launches
take its latency, and the host's own time stays what it was. A trace without times runs by its dependencies: each rank
computes, communicates and works on its host one operator at a time, in the order in which they become ready.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from etgraph.model import Category, DependencyKind, NodeType, Trace, Trust
from etgraph.model.columns import Array
from etgraph.model.errors import EtgraphError
from etgraph.model.graph import event_graph
from etgraph.sim.communication import AS_RECORDED, Means
from etgraph.sim.compute import summary
from etgraph.sim.contention import flows_of, run_sharing
from etgraph.sim.costs import Costs, costed
from etgraph.sim.engine import Program, ProgramBuilder, Services, Timeline, run
from etgraph.sim.engine.stuck import check_ended
from etgraph.sim.outcome import makespan_ns, on_timeline, simulation_of
from etgraph.sim.profiles import Profile, fingerprint, load
from etgraph.sim.profiles.recognising import recognised
from etgraph.sim.replay.plan import Plan, wiring_of
from etgraph.sim.replay.replay import measured_plan
from etgraph.sim.simulation import Simulation

SIMULATOR = "etgraph"
LISTED = 3
"""Names of operators without a prediction that a warning lists."""


class Mismatch(EtgraphError):
    """Ranks that are all there do not agree on a collective; `operators` are (rank, index) of those that are in it."""

    code = "COLLECTIVE_MISMATCH"
    http_status = 422

    def __init__(self, message: str, operators: tuple[tuple[int, int], ...]) -> None:
        super().__init__(message, hint="the ranks were recorded in different runs or steps, or one of them is cut off")
        self.operators = operators


def predict(
    trace: Trace,
    profile: Profile | str,
    *,
    source: Profile | str | None = None,
    placement: tuple[int, ...] | None = None,
    sharing: bool = True,
    means: Means = AS_RECORDED,
) -> Simulation:
    """The trace on a profile, given itself, by name or by path.

    `source` is the profile of the device it was measured on; without it, the built-in one of the device that the trace
    names, if there is one. `placement` gives the device of each rank (none: rank r is on device r). With `sharing`,
    transfers that run at the same time share the links of the profile's tiers fairly. `means` are another library and
    algorithms of communication than the recorded library's.

    Raises UsageError for an unknown profile and for a rank that is on none of its devices, Mismatch where ranks do not
    agree on a collective, Deadlock where they wait for each other.
    """
    return Predictor(trace, source).predict(profile, placement=placement, sharing=sharing, means=means)


class Predictor:
    """Predictions of one trace on many profiles: what does not depend on the profile is found once.

    That is the trace's plan with its constants, the program that it becomes, and what of the trace costs something.
    """

    def __init__(self, trace: Trace, source: Profile | str | None = None) -> None:
        """See `predict`. Raises Mismatch where ranks of a trace without times do not agree on a collective."""
        self.trace = trace
        self._measured_on = recognised(trace.metadata.device_model)
        self.source = load(source) if isinstance(source, str) else source
        if source is None and trace.timed.any():
            self.source = self._measured_on
        self._costed = costed(trace)
        self._program: Callable[[Profile, Costs], Program]
        if trace.timed.any():
            plan = measured_plan(trace)
            wiring = wiring_of(plan)
            self._program = lambda profile, costs: wiring.program_of(
                with_costs(plan, self._latency_on(profile, plan), costs)
            )
        else:
            _check_collectives(trace)
            by_dependencies = _by_dependencies(trace)
            self._program = lambda profile, costs: by_dependencies(costs)

    def run(
        self,
        profile: Profile | str,
        *,
        placement: tuple[int, ...] | None = None,
        sharing: bool = True,
        means: Means = AS_RECORDED,
    ) -> Run:
        """The trace on a profile; see `predict` for what it takes and raises."""
        target = load(profile) if isinstance(profile, str) else profile
        costs = self._costed.on(target, self.source, placement, means)

        def program(costs: Costs) -> Program:
            return self._program(target, costs)

        at_rest = True
        if sharing and costs.transfers is not None and target.tiers:
            alone = np.zeros(len(costs.transfers), dtype=np.int64)
            alone[costs.transfer] = costs.predictions.duration_ns[costs.member]
            flows = flows_of(target, costs.transfers, costs.member, costs.transfer, alone, costs.latency_ns, placement)
            made, timeline, costs, at_rest = run_sharing(costs, flows, program)
        else:
            made = program(costs)
            timeline = run(made)
        check_ended(self.trace, made, timeline)
        return Run(self.trace, target, timeline, costs, at_rest)

    def predict(
        self,
        profile: Profile | str,
        *,
        placement: tuple[int, ...] | None = None,
        sharing: bool = True,
        means: Means = AS_RECORDED,
    ) -> Simulation:
        """The simulation of the trace on a profile; see `predict`."""
        found = self.run(profile, placement=placement, sharing=sharing, means=means)
        times, origin = found.timeline, self.source
        return simulation_of(
            self.trace, times.start_ns, times.end_ns, found.costs.predictions, simulator=SIMULATOR,
            profile=found.profile.name,
            parameters={
                "profileContent": fingerprint(found.profile), "source": origin.name if origin else None,
                "placement": list(placement) if placement else None,
                "sharing": sharing,
                **means.parameters(),
            },
            trust=_trust(self.trace, found.costs, origin, found.at_rest),
        )  # fmt: skip

    def plan_on(self, profile: Profile | str) -> tuple[Callable[[Plan], Plan], Trust]:
        """What takes plans of the measured trace to a profile, so that edits can follow; and how far to trust it.

        Shared links slow transfers down as in the prediction without edits. Raises what `predict` raises.
        """
        found = self.run(profile)

        def on_profile(plan: Plan) -> Plan:
            return with_costs(plan, self._latency_on(found.profile, plan), found.costs)

        return on_profile, _trust(self.trace, found.costs, self.source, found.at_rest)

    def _latency_on(self, profile: Profile, plan: Plan) -> Array:
        """Latencies of launches in ns: the profile's, or those that were measured if it is of the same device.

        These grow as the profile's own does from that of the built-in one. What counts from a call's start stays.
        """
        known, latency = self._measured_on, profile.device.launch_latency_ns
        new: Array = np.full(len(plan.launch), latency)
        if known is not None and known.device.name == profile.device.name and known.device.launch_latency_ns:
            new = np.rint(plan.latency_ns * (latency / known.device.launch_latency_ns)).astype(np.int64)
        return np.where(plan.launch % 2 == 1, new, plan.latency_ns)


@dataclass(frozen=True, slots=True)
class Run:
    """A trace's timeline on a profile, the costs that it ended with, and whether shared links had come to rest."""

    trace: Trace
    profile: Profile
    timeline: Timeline
    costs: Costs
    at_rest: bool

    @property
    def makespan_ns(self) -> int:
        """From the first start to the last end of what works."""
        return makespan_ns(self.trace, self.timeline.start_ns, self.timeline.end_ns)

    def on_timeline(self) -> Trace:
        """The trace with the predicted times, which every analysis runs on."""
        return on_timeline(self.trace, self.timeline.start_ns, self.timeline.end_ns, SIMULATOR)


def with_costs(plan: Plan, latency_ns: Array, costs: Costs) -> Plan:
    """A plan in which modelled operators take what the models say, and launches those latencies."""
    ns, modelled = costs.predictions.duration_ns, costs.modelled
    transfer = np.where(modelled, ns, plan.transfer_ns)
    host, t = plan.host_ns.copy(), plan.threads
    meets = plan.meets.copy()
    meets[plan.receiver] = True
    ends = (t.event % 2 == 1) & (modelled & meets)[t.event // 2]
    host[ends] = np.minimum(host[ends], transfer[t.event[ends] // 2])
    return replace(
        plan, duration_ns=np.where(modelled, ns, plan.duration_ns), transfer_ns=transfer, host_ns=host,
        latency_ns=latency_ns,
    )  # fmt: skip


def _by_dependencies(trace: Trace) -> Callable[[Costs], Program]:
    """Programs of a trace without times: its event graph, and three servers a rank."""
    o, n = trace.operators, len(trace)
    graph = event_graph(o, trace.dependencies, trace.collectives)
    kind = (
        np.where(graph.dependency >= 0, trace.dependencies["kind"][graph.dependency], -1)
        if len(trace.dependencies)
        else np.full(len(graph.sources), -1)
    )
    target = np.minimum(graph.targets // 2, n - 1)
    own = (graph.sources + 1 == graph.targets) & (graph.sources % 2 == 0) & (graph.dependency < 0)
    meets = o["collective"] >= 0
    receives = np.zeros(n, dtype=bool)
    receives[trace.dependencies["dst"][trace.dependencies["kind"] == int(DependencyKind.COMM)]] = True
    left = (graph.sources >= 2 * n) | (kind == int(DependencyKind.COMM))
    takes = own & ~meets[target] & ~receives[target] | left
    builder = ProgramBuilder(n, len(trace.collectives))
    builder.plain(graph.sources, graph.targets)
    builder.services = _servers(trace)
    program, order = builder.program_and_order()
    takes, target = takes[order], target[order]
    return lambda costs: replace(program, lag_ns=np.where(takes, costs.predictions.duration_ns[target], 0))


def _servers(trace: Trace) -> Services:
    """One server a rank for computation, communication and host work, of operators that are on no lane.

    A receive takes none, since it must not keep the send that it waits for from starting; nor do operators around
    others, which do nothing themselves.
    """
    o = trace.operators
    encloses = np.zeros(len(o), dtype=bool)
    encloses[o["parent"][o["parent"] >= 0]] = True
    sends = np.isin(o["kind"], [int(k) for k in (NodeType.COMM_COLL, NodeType.COMM_SEND, NodeType.MEM_LOAD,
                                                 NodeType.MEM_STORE)])  # fmt: skip
    computes = o["kind"] == int(NodeType.COMP)
    rows = np.flatnonzero((o["lane"] < 0) & ~encloses & (sends | computes))
    what = np.where(sends[rows], 1, np.where(o["category"][rows] >= int(Category.KERNEL), 0, 2))
    rank = np.searchsorted(trace.ranks, o["rank"][rows])
    return Services(rows, 3 * rank + what)


def _check_collectives(trace: Trace) -> None:
    """Raise Mismatch where a rank that the trace holds lacks a collective that others of its group wait in."""
    o, c = trace.operators, trace.collectives
    rows = np.flatnonzero(o["kind"] == int(NodeType.COMM_COLL))
    lonely = rows[o["collective"][rows] < 0]
    members = rows[np.argsort(o["collective"][rows], kind="stable")][len(lonely) :]
    found, at, count = np.unique(o["collective"][members], return_index=True, return_counts=True)
    short = ~c.is_null("size")[found] & (count < c["size"][found])
    waiting_in = [members[a : a + n] for a, n in zip(at[short].tolist(), count[short].tolist())]
    for same in [*lonely[:, np.newaxis], *waiting_in] if len(trace.ranks) > 1 else ():
        row = int(same[0])
        group = trace.group_ranks[o["group"][row]] if o["group"][row] >= 0 else trace.ranks
        there = set(group or trace.ranks) & set(trace.ranks)
        missing = sorted(there - set(o["rank"][same].tolist()))
        if len(there) > 1 and missing:
            kind = getattr(o.value("comm_type", row), "name", "collective").lower()
            waiting = tuple(zip(o["rank"][same].tolist(), o["index"][same].tolist()))
            raise Mismatch(
                f"{trace.describe(row)}: its {kind} is missing on rank{'s' * (len(missing) > 1)} "
                f"{', '.join(map(str, missing))}",
                waiting,
            )


def _trust(trace: Trace, costs: Costs, origin: Profile | None, at_rest: bool) -> Trust:
    rows = np.flatnonzero(costs.modelled | ~costs.predictions.known)
    p = costs.predictions
    warnings = list(trace.metadata.report.warnings)
    if not len(rows):
        warnings.append("nothing of it is predicted: no operator computes on a device, none communicates")
        return Trust(None, warnings=tuple(warnings))
    told = summary(trace, rows, p.take(rows))
    if origin is None and trace.timed.any():
        warnings.append("the device that it was measured on is not known: times come from formulas, not from its own")
    o = trace.operators
    bare = costs.modelled & (o["flops"] > 0) & o.is_null("shapes")
    if bare.any():
        warnings.append(f"{np.count_nonzero(bare):,} operators record no types of numbers: 32 bit is assumed")
    if not at_rest:
        warnings.append("transfers that share links had not come to rest: their times are those of the last turn")
    if told.extrapolated_share > 0:
        warnings.append(f"{told.extrapolated_share:.0%} of the predicted time is extrapolated")
    if told.unpredicted:
        names = ", ".join(f"{u.count:,} × {u.name} ({u.assumption})" for u in told.unpredicted[:LISTED])
        more = len(told.unpredicted) - LISTED
        rest = f" and {more} more kinds of operators" if more > 0 else ""
        warnings.append(f"{told.unknown_share:.1%} of it could not be predicted: {names}{rest}")
    return Trust(1.0 - told.unknown_share, warnings=tuple(warnings))
