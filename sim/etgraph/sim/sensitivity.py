"""How much longer the step takes for each nanosecond of each operator: all derivatives by one pass back over a replay.

A replay is a graph of maxima: each event happens when the latest of its causes lets it. So the derivative of an end by
every lag is 1 along the chain of causes that leads to it and 0 elsewhere, and that of a step is the end's less the
start's. One pass from the ends of the steps back along the causes (reverse mode) gives the derivatives by all
operators at once.

**Ties.** Where two causes let an event go at the same nanosecond the derivative from the left is not that from the
right. The pass follows one of them. What it gives an operator along that one is the derivative from the right (what
its growing costs), what it gives an operator along another one, 0, is that from the left (what its shrinking saves).
Where a thread comes to find just done what it would wait for, a nanosecond more makes it sleep: a jump, not a slope,
and not part of the derivative.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from etgraph.model import Trace
from etgraph.model.columns import Array
from etgraph.sim.engine import run
from etgraph.sim.engine.causes import causes_of, traced_back
from etgraph.sim.engine.stuck import check_ended
from etgraph.sim.replay.plan import Plan, wiring_of
from etgraph.sim.steps import steps_of


@dataclass(frozen=True, slots=True)
class Gradient:
    """By how many ns the steps together grow with each ns of a plan's times.

    By segment of the threads: `host`, the host's own time; by operator: `duration` and `transfer`; by launch:
    `latency`. `steps_ns` is how long the steps take together, replayed; `ties` at how many events along the way back
    another cause came at the same time.
    """

    host: Array
    duration: Array
    transfer: Array
    latency: Array
    steps: int
    steps_ns: int
    ties: int


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """What each operator's own time means for the steps, an entry an operator of the trace, times in ns.

    `own_ns` is what `edits.scale` scales: on threads without what an operator encloses, of communication the transfer.
    `critical_ns` is by how much the steps together would grow if it took twice as long, as far as that is linear, and
    `step_per_ns` that for each ns: the derivative. `members` says how many operators share one such time: those of a
    collective do. Latencies of launches are of no operator: `latency_ns` of all `launches`, and `latency_critical_ns`.
    """

    trace: Trace
    own_ns: Array
    critical_ns: Array
    step_per_ns: Array
    members: Array
    launches: int
    latency_ns: int
    latency_critical_ns: float
    steps: int
    steps_ns: int
    ties: int


def gradient(plan: Plan, rank: int | None = None, iterations: Sequence[int] | None = None) -> Gradient:
    """The derivatives of the steps by all times of a plan: of one rank's, or of the windows over all ranks.

    O(replay). Raises what `steps_of` raises, and Deadlock.
    """
    steps = steps_of(plan.trace, rank, iterations)
    wiring = wiring_of(plan)
    program = wiring.program
    timeline = run(program)
    check_ended(plan.trace, program, timeline)
    causes = causes_of(program, timeline)
    extents = steps.on(timeline.start_ns, timeline.end_ns).together()
    weight = np.zeros(program.events)
    np.add.at(weight, 2 * extents.closes + 1, 1.0)
    np.add.at(weight, 2 * extents.opens, -1.0)
    weight = traced_back(causes.event, weight)

    def along(edges: Array) -> Array:
        """The weight that goes along those edges."""
        target = program.targets[edges]
        return np.where(causes.edge[target] == edges, weight[target], 0.0)

    n = len(plan.trace)
    host, duration, transfer = np.zeros(len(plan.threads.event)), np.zeros(n), np.zeros(n)
    host[wiring.segments] = along(wiring.host)
    meets = _meet(plan)
    own = along(wiring.own)
    np.add.at(duration, wiring.alone, np.where(meets[wiring.alone], 0.0, own))
    np.add.at(transfer, wiring.alone, np.where(meets[wiring.alone], own, 0.0))
    np.add.at(transfer, wiring.members, along(wiring.meeting))
    np.add.at(transfer, plan.receiver, along(wiring.message))
    np.add.at(transfer, plan.sender[plan.rendezvous], along(wiring.answer))
    places = program.places
    held = np.flatnonzero(causes.occupant >= 0)
    wide = causes.occupant[held]
    # Room comes the tail before the end, and the tail is a part of the duration.
    kept = 1 - places.tail_ns[wide] / np.maximum(places.duration_ns[wide], 1)
    np.add.at(duration, places.operator[wide], weight[held] * kept)
    return Gradient(
        host, duration, transfer, along(wiring.launch), len(extents.closes), int(extents.length_ns.sum()),
        int(np.count_nonzero(causes.ties & (weight != 0))),
    )  # fmt: skip


def _meet(plan: Plan) -> Array:
    """Which operators wait for peers, so that their own time is the transfer."""
    meets = plan.meets.copy()
    meets[plan.receiver] = meets[plan.sender[plan.rendezvous]] = True
    return meets


def sensitivity(plan: Plan, rank: int | None = None, iterations: Sequence[int] | None = None) -> Sensitivity:
    """The derivatives by operators' own times; see `gradient` for the steps and what it raises.

    Time of a host operator that lies in several pieces counts as growing in all of them alike.
    """
    found = gradient(plan, rank, iterations)
    trace, t, n = plan.trace, plan.threads, len(plan.trace)
    meets = _meet(plan)
    on_device = t.segment_of[1::2] < 0
    # A segment that ends with communication is that transfer once more.
    again = np.zeros(len(t.event), dtype=bool)
    again[t.segment_of[1::2][meets & ~on_device]] = True
    owned = np.flatnonzero((t.owner >= 0) & ~again)
    pieces = np.bincount(t.owner[owned], minlength=n)
    own = np.where(meets, plan.transfer_ns, np.where(on_device, plan.duration_ns, 0))
    own = own + np.bincount(t.owner[owned], weights=plan.host_ns[owned], minlength=n).astype(np.int64)
    alone = np.where(meets, found.transfer, found.duration)
    critical = alone * np.where(meets, plan.transfer_ns, plan.duration_ns)
    some = t.owner >= 0
    critical += np.bincount(t.owner[some], weights=(found.host * plan.host_ns)[some], minlength=n)
    on_host = np.bincount(t.owner[some], weights=found.host[some], minlength=n) / np.maximum(pieces, 1)
    per_ns = np.where(own > 0, critical / np.maximum(own, 1), alone + on_host)
    collective = trace.operators["collective"]
    size = np.bincount(collective[plan.meets], minlength=len(trace.collectives) + 1)
    members = np.where(plan.meets, size[collective], 1).astype(np.int64)
    return Sensitivity(
        trace, own, critical, per_ns, members, len(plan.launch), int(plan.latency_ns.sum()),
        float((found.latency * plan.latency_ns).sum()), found.steps, found.steps_ns, found.ties,
    )  # fmt: skip


__all__ = ["Gradient", "Sensitivity", "gradient", "sensitivity"]
