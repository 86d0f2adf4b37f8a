"""Prediction: what a trace would take on the hardware of a profile.

A measured trace is replayed with other costs: devices compute and ranks communicate as the profile lets them, launches
take its latency, and the host's own time stays what it was. A trace without times runs by its dependencies: each rank
computes, communicates and works on its host one operator at a time, in the order in which they become ready.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from etgraph.model import Category, DependencyKind, NodeType, Trace, Trust
from etgraph.model.columns import Array
from etgraph.model.errors import EtgraphError
from etgraph.model.graph import event_graph
from etgraph.sim.compute import Predictions, summary
from etgraph.sim.contention import flows_of, run_sharing
from etgraph.sim.costs import Costs, costs_of
from etgraph.sim.engine import Program, ProgramBuilder, Services, run
from etgraph.sim.engine.stuck import check_ended
from etgraph.sim.outcome import simulation_of
from etgraph.sim.profiles import Profile, fingerprint, load
from etgraph.sim.profiles.recognising import recognised
from etgraph.sim.replay.plan import Plan, program_of
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
) -> Simulation:
    """The trace on a profile, given itself, by name or by path.

    `source` is the profile of the device it was measured on; without it, the built-in one of the device that the trace
    names, if there is one. `placement` gives the device of each rank (none: rank r is on device r). With `sharing`,
    transfers that run at the same time share the links of the profile's tiers fairly.

    Raises UsageError for an unknown profile and for a rank that is on none of its devices, Mismatch where ranks do not
    agree on a collective, Deadlock where they wait for each other.
    """
    target = load(profile) if isinstance(profile, str) else profile
    if source is None:
        origin = recognised(trace.metadata.device_model) if trace.timed.any() else None
    else:
        origin = load(source) if isinstance(source, str) else source
    costs = costs_of(trace, target, origin, placement)
    program: Callable[[Costs], Program] = partial(_by_dependencies, trace)
    if trace.timed.any():
        plan = measured_plan(trace)
        program = lambda costs: program_of(with_costs(plan, target, costs))  # noqa: E731
    else:
        _check_collectives(trace)
    at_rest = True
    if sharing and costs.transfers is not None and target.tiers:
        alone = np.zeros(len(costs.transfers), dtype=np.int64)
        alone[costs.transfer] = costs.predictions.duration_ns[costs.member]
        flows = flows_of(target, costs.transfers, costs.member, costs.transfer, alone, costs.latency_ns, placement)
        made, timeline, costs, at_rest = run_sharing(costs, flows, program)
    else:
        made = program(costs)
        timeline = run(made)
    check_ended(trace, made, timeline)
    return simulation_of(
        trace, timeline.start_ns, timeline.end_ns, costs.predictions, simulator=SIMULATOR, profile=target.name,
        parameters={
            "profileContent": fingerprint(target), "source": origin.name if origin else None,
            "placement": list(placement) if placement else None,
            "sharing": sharing,
        },
        trust=_trust(trace, costs, origin, at_rest),
    )  # fmt: skip


def with_costs(plan: Plan, profile: Profile, costs: Costs) -> Plan:
    """A plan in which modelled operators take what the models say, and launches the profile's latency."""
    ns, modelled = costs.predictions.duration_ns, costs.modelled
    transfer = np.where(modelled, ns, plan.transfer_ns)
    host, t = plan.host_ns.copy(), plan.threads
    meets = plan.meets.copy()
    meets[plan.receiver] = True
    ends = (t.event % 2 == 1) & (modelled & meets)[t.event // 2]
    host[ends] = np.minimum(host[ends], transfer[t.event[ends] // 2])
    latency = plan.latency_ns
    recorded = recognised(plan.trace.metadata.device_model)
    if recorded is None or recorded.device.name != profile.device.name:
        from_end = plan.launch % 2 == 1
        latency = np.where(from_end, profile.device.launch_latency_ns, latency)
    return replace(
        plan, duration_ns=np.where(modelled, ns, plan.duration_ns), transfer_ns=transfer, host_ns=host,
        latency_ns=latency,
    )  # fmt: skip


def _by_dependencies(trace: Trace, costs: Costs) -> Program:
    """A program of a trace without times: its event graph, and three servers a rank."""
    o, n, ns = trace.operators, len(trace), costs.predictions.duration_ns
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
    lag = np.where(own & ~meets[target] & ~receives[target] | left, ns[target], 0)
    builder = ProgramBuilder(n, len(trace.collectives))
    builder.plain(graph.sources, graph.targets, lag)
    builder.services = _servers(trace)
    return builder.program()


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
    told = summary(trace, rows, _rows(p, rows))
    if origin is None and trace.timed.any():
        warnings.append("the device that it was measured on is not known: times come from formulas, not from its own")
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


def _rows(p: Predictions, rows: Array) -> Predictions:
    return Predictions(
        p.duration_ns[rows], p.low_ns[rows], p.high_ns[rows], p.source[rows], p.extrapolated[rows], p.known[rows],
        p.sources,
    )  # fmt: skip
