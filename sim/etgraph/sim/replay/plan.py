"""From a measured trace to a program: what was done keeps its time, what was waited for becomes an edge.

Nothing of a device operator's start, and nothing of how long a thread or a rank waited, goes into the plan: only
durations, the host's own time between events of a thread, and constants that many operators share.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from etgraph.model import Trace
from etgraph.model.columns import Array
from etgraph.sim.engine import Program, ProgramBuilder, Timeline, run
from etgraph.sim.engine.stuck import check_ended
from etgraph.sim.replay.additions import Issued, Step, add_steps
from etgraph.sim.replay.device import Occupants, occupants_of
from etgraph.sim.replay.structure import Fitted, Structure, latencies, pauses, waking
from etgraph.sim.replay.threads import Threads


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a replay needs, in ns: the time that things take by themselves, and the delays between them.

    By segment of the threads: `host_ns`, the host's own time, and `waking_ns`, the time to wake up (-1: never waits);
    wake-ups go from event `wakes` to the end of segment `woken`. By operator: `duration_ns`, used where its end is in
    no thread's chain; `transfer_ns`, what it takes after its last peer has come; `meets`, whether a collective has it.
    Launches go from event `launch` to the start of operator `launched` after `latency_ns`; streams from the end of
    `before` to the start of `behind` after `pause_ns`; events of other streams from `source` to `waiting` after
    `delay_ns`; messages from the start of `sender` to the end of `receiver` and, of a `rendezvous`, also the other way
    round. `pinned` operators start when they did. `steps` are new work, in the order of what comes after
    the same operator.
    """

    trace: Trace
    threads: Threads
    host_ns: Array
    waking_ns: Array
    wakes: Array
    woken: Array
    duration_ns: Array
    transfer_ns: Array
    meets: Array
    device: Array
    launch: Array
    launched: Array
    latency_ns: Array
    before: Array
    behind: Array
    pause_ns: Array
    source: Array
    waiting: Array
    delay_ns: Array
    sender: Array
    receiver: Array
    rendezvous: Array
    pinned: Array
    steps: tuple[Step | Issued, ...] = ()


def plan_of(trace: Trace, s: Structure, c: Fitted) -> Plan:
    """The plan of what was measured, without what was waited for.

    A segment that ends with communication has the transfer in place of its length, and one that waited for something
    else what waking up takes, since how long it would have worked is not known.
    """
    t, w, p, d = s.threads, s.waits, s.peers, s.device
    woken_after = waking(w, c)
    host = t.length_ns.copy()
    operator = t.event // 2
    ends = (t.event % 2 == 1) & (p.meets | p.receives)[operator]
    host[ends] = np.minimum(host[ends], p.transfer_ns[operator[ends]])
    host[w.segments] = np.minimum(host[w.segments], woken_after[w.segments])
    by_start, latency = latencies(trace, d, c)
    return Plan(
        trace=trace,
        threads=t,
        host_ns=host,
        waking_ns=np.where(w.may_wait, woken_after, -1),
        wakes=w.source,
        woken=w.segment,
        duration_ns=np.where(trace.timed, trace.operators["duration_ns"], 0),
        transfer_ns=p.transfer_ns,
        meets=p.meets,
        device=d.rows,
        launch=2 * d.call + ~by_start,
        launched=d.launched,
        latency_ns=latency,
        before=d.before,
        behind=d.after,
        pause_ns=pauses(d, c),
        source=d.source,
        waiting=d.waiting,
        delay_ns=c.event.at(d.event.key),
        sender=p.sender,
        receiver=p.receiver,
        rendezvous=p.rendezvous,
        pinned=d.pinned,
    )


@dataclass(frozen=True, slots=True)
class Wiring:
    """The program of a plan, and where in it the times stand that other costs change.

    Positions of edges in the program, and what each of them takes its lag from: `host` segments of threads, launches in
    the plan's order, the `alone` whose ends follow their starts, `members` of collectives, messages by receiver, and
    the `answer` of each rendezvous to its sender.
    """

    program: Program
    occupants: Occupants
    host: Array
    segments: Array
    launch: Array
    own: Array
    alone: Array
    meeting: Array
    members: Array
    message: Array
    answer: Array

    def program_of(self, plan: Plan) -> Program:
        """The program of a plan that differs in times alone: what `etgraph.sim.replay.plan.program_of` gives."""
        lag = self.program.lag_ns.copy()
        lag[self.host] = plan.host_ns[self.segments]
        lag[self.launch] = plan.latency_ns
        lag[self.own] = _own_ns(plan, self.alone)
        lag[self.meeting] = plan.transfer_ns[self.members]
        lag[self.message] = plan.transfer_ns[plan.receiver]
        lag[self.answer] = plan.transfer_ns[plan.sender[plan.rendezvous]]
        return replace(self.program, lag_ns=lag, places=self.occupants.places(plan.duration_ns))


def program_of(plan: Plan) -> Program:
    """The program that runs a plan."""
    return wiring_of(plan).program


def timeline_of(plan: Plan) -> tuple[Program, Timeline]:
    """The program that runs a plan, and when its events happen. Raises Deadlock where something does not end."""
    program = program_of(plan)
    timeline = run(program)
    check_ended(plan.trace, program, timeline)
    return program, timeline


def wiring_of(plan: Plan) -> Wiring:
    """The program that runs a plan, and where its times stand in it."""
    p, t, n = plan, plan.threads, len(plan.trace)
    collectives = len(p.trace.collectives)
    zero, _ = p.trace.extent_ns
    builder = ProgramBuilder(n, collectives + sum(step.events for step in p.steps), zero)
    later = np.flatnonzero(~t.first)
    host = builder.plain(t.event[later - 1], t.event[later], p.host_ns[later])
    builder.wake_ups(p.wakes, t.event[p.woken])
    sleeps = np.flatnonzero(p.waking_ns >= 0)
    builder.after(t.event[sleeps], p.waking_ns[sleeps])
    own = np.flatnonzero(t.first & (p.waking_ns < 0))
    anchor = _anchors(p.trace, t, own)
    anchored = anchor >= 0
    builder.plain(t.event[anchor[anchored]], t.event[own[anchored]], (t.ns[own] - t.ns[anchor])[anchored])
    builder.floors(t.event[own[~anchored]], t.ns[own[~anchored]])

    launch = builder.plain(p.launch, 2 * p.launched, p.latency_ns)
    builder.plain(2 * p.before + 1, 2 * p.behind, p.pause_ns)
    builder.plain(2 * p.source + 1, 2 * p.waiting, p.delay_ns)
    builder.floors(2 * p.pinned, p.trace.operators["start_ns"][p.pinned])
    occupants = occupants_of(p.trace, p.device)
    builder.places = occupants.places(p.duration_ns)

    alone = np.flatnonzero(t.segment_of[1::2] < 0)
    own_time = builder.plain(2 * alone, 2 * alone + 1, _own_ns(p, alone))
    members = np.flatnonzero(p.meets)
    meeting = 2 * n + p.trace.operators["collective"][members].astype(np.int64)
    builder.plain(2 * members, meeting)
    meet = builder.plain(meeting, 2 * members + 1, p.transfer_ns[members])
    message = builder.plain(2 * p.sender, 2 * p.receiver + 1, p.transfer_ns[p.receiver])
    met, came = p.sender[p.rendezvous], p.receiver[p.rendezvous]
    answer = builder.plain(2 * came, 2 * met + 1, p.transfer_ns[met])
    if p.steps:
        add_steps(builder, plan, 2 * n + collectives)
    program, order = builder.program_and_order()
    at = np.empty(len(order), dtype=np.int64)
    at[order] = np.arange(len(order))
    return Wiring(
        program, occupants, at[host], later, at[launch], at[own_time], alone, at[meet], members, at[message],
        at[answer],
    )  # fmt: skip


def _own_ns(plan: Plan, alone: Array) -> Array:
    """Time from the start to the end of operators whose end is in no thread's chain."""
    meets = plan.meets.copy()
    meets[plan.receiver] = meets[plan.sender[plan.rendezvous]] = True
    return np.where(meets, plan.transfer_ns, plan.duration_ns)[alone]


def _anchors(trace: Trace, t: Threads, first: Array) -> Array:
    """For the first events of threads the last event before them on the busiest thread of their rank, -1 for none.

    What begins a thread is not recorded, but it is something that the process did until then. An event of the same
    moment is none: it may itself follow from the thread's first.
    """
    rank = trace.lanes["rank"][t.lane]
    count = np.bincount(t.lane, minlength=len(trace.lanes))
    found = np.full(len(first), -1, dtype=np.int64)
    for one in np.unique(rank[first]).tolist():
        lanes = np.flatnonzero(trace.lanes["rank"] == one)
        busiest = lanes[np.argmax(count[lanes])]
        events = np.flatnonzero(t.lane == busiest)
        own = np.flatnonzero((rank[first] == one) & (t.lane[first] != busiest))
        at = np.searchsorted(t.ns[events], t.ns[first[own]]) - 1
        found[own[at >= 0]] = events[at[at >= 0]]
    return found
