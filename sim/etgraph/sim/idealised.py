"""Plans with a cause of lost time taken away: late ranks, exposed communication, the host, operators below their peak.

Each is a pure function from a plan to a plan, as `etgraph.sim.edits` has them, and they can follow each other. What
cannot be known to be lost stays: order between operators, data that is waited for, work whose amount is not recorded.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from etgraph.model import Category, DependencyKind, NodeType, Trace
from etgraph.model.arrivals import communicates
from etgraph.model.columns import Array
from etgraph.model.graph import nearest_above
from etgraph.sim.balancing import balanced
from etgraph.sim.compute.roofline import Roofline
from etgraph.sim.compute.units import NONE, is_device, units_of
from etgraph.sim.edits.operators import bypassed
from etgraph.sim.profiles import Profile
from etgraph.sim.replay.plan import Plan
from etgraph.sim.replay.threads import Threads


def without_late_ranks(plan: Plan) -> Plan:
    """With every rank at its collectives when the middle one of their ranks is there: `etgraph.sim.balancing`.

    What is taken away is own time of the late ranks, since their last meeting: computation, host and pauses alike.
    Ranks that are early stay so, and wait for the middle one. All begin together.
    """
    return balanced(plan)


def overlapped(plan: Plan) -> Plan:
    """With collectives out of the way: nothing waits for them but each other, and what is known to read their results.

    They still come after what they came after, follow each other on their stream or thread, meet their peers, and have
    to be done at the end. Known readers are those with a DATA dependency. Messages stay where they are: what follows a
    receive needs what it received. Other work on a thread that communicates itself goes on meanwhile.
    """
    trace = plan.trace
    off = trace.operators["kind"] == int(NodeType.COMM_COLL)
    if not off.any():
        return plan
    plan = _off_threads(plan, off)
    known = _data(trace)
    n = len(trace)
    rest, own = bypassed(plan, off), bypassed(plan, ~off)
    before, behind, pause = (np.concatenate(pair) for pair in zip(rest, own))
    events = ~off[plan.source] | off[plan.waiting] | np.isin(plan.source * n + plan.waiting, known)
    woken = plan.threads.event[plan.woken] // 2
    ended = np.minimum(plan.wakes // 2, n - 1)
    awaited = (plan.wakes < 2 * n) & (plan.wakes % 2 == 1) & off[ended]
    wakes = ~awaited | off[woken] | np.isin(ended * n + woken, known)
    return replace(
        plan,
        before=before,
        behind=behind,
        pause_ns=pause,
        source=plan.source[events],
        waiting=plan.waiting[events],
        delay_ns=plan.delay_ns[events],
        wakes=plan.wakes[wakes],
        woken=plan.woken[wakes],
    )


def without_host(plan: Plan) -> Plan:
    """With a host that takes no time: no launch latency, no gaps between operators, no time to wake up.

    Devices work back to back as far as streams, events, messages and meetings let them. A host still waits for what it
    waited for, which costs nothing by itself then, since what it launches next would have followed that anyway.
    On ranks without a device the host's operators are the work: the own time of operators whose work is known, of those
    that enclose no other, and of communication stays; dispatch, which is own time around others, and pauses are gone.
    """
    t, trace = plan.threads, plan.trace
    rank = trace.operators["rank"]
    entry = np.full(int(rank.max(initial=0)) + 1, np.iinfo(np.int64).max)
    np.minimum.at(entry, rank[t.event // 2], t.ns)
    return replace(
        plan,
        threads=replace(t, ns=np.where(t.first, entry[rank[t.event // 2]], t.ns)),
        host_ns=np.where(_works_on(plan), plan.host_ns, 0),
        waking_ns=np.minimum(plan.waking_ns, 0),
        latency_ns=np.zeros_like(plan.latency_ns),
        pause_ns=np.zeros_like(plan.pause_ns),
        delay_ns=np.zeros_like(plan.delay_ns),
        pinned=plan.pinned[:0],
    )


@dataclass(frozen=True, slots=True)
class Peaks:
    """The work of operators at full speed: `ns` on the device's roofline, where that is `known`; an entry a row."""

    ns: Array
    known: Array


def at_peak(trace: Trace, profile: Profile) -> Peaks:
    """What each operator that computes would take at the profile's peaks: the longer of flops/peak, bytes/bandwidth.

    Device operators share the roofline of the host operator that owns their work as they shared its time. On ranks
    without a device it is of the host operators that own work. S. Williams et al., "Roofline" (2009).
    """
    found = Roofline(profile.device).predict(trace, np.arange(len(trace)))
    return Peaks(found.duration_ns, found.known)


def at_roofline(plan: Plan, profile: Profile) -> Plan:
    """With every operator whose work is known at the roofline of the profile's device, where it was slower than that.

    What is not known stays as it is, and so does communication, and copies between host and device.
    """
    trace, t = plan.trace, plan.threads
    peaks = at_peak(trace, profile)
    device = is_device(trace)
    duration = np.where(peaks.known & device, np.minimum(peaks.ns, plan.duration_ns), plan.duration_ns)
    # On a thread the work of an operator is done in the own time of all that it encloses.
    works = peaks.known & ~device & (units_of(trace).of != NONE)
    by = nearest_above(trace.operators["parent"], works)
    unit = np.where(t.owner >= 0, by[t.owner], -1)
    spent = np.bincount(unit[unit >= 0], plan.host_ns[unit >= 0], len(trace))
    factor = np.ones(len(trace) + 1)
    np.divide(peaks.ns, spent, out=factor[:-1], where=works & (spent > 0))
    host = np.rint(plan.host_ns * np.minimum(factor, 1.0)[unit]).astype(np.int64)
    return replace(plan, duration_ns=duration, host_ns=host)


def _off_threads(plan: Plan, off: Array) -> Plan:
    """With those operators out of the chains of threads that do other things too: what was before them starts them.

    The host's own time before one passes for it as for what comes after it. Of one thread they follow each other. What
    begins a thread stays.
    """
    t = plan.threads
    mixed = np.zeros(len(plan.trace.lanes), dtype=bool)
    mixed[t.lane[~off[t.event // 2]]] = True
    first = np.zeros(len(plan.trace), dtype=bool)
    first[t.event[t.first] // 2] = True
    out = (off & ~first)[t.event // 2] & mixed[t.lane]
    if not out.any():
        return plan
    kept, begin = ~out, out & (t.event % 2 == 0)
    own = np.cumsum(np.where(kept | begin, plan.host_ns, 0))
    previous = np.maximum.accumulate(np.where(kept, np.arange(len(out)), 0))
    before = np.append(0, previous[:-1])
    passed = np.where(t.first, 0, own - own[before])
    started = np.flatnonzero(begin)
    rows = t.event[started] // 2
    follows = np.flatnonzero(t.lane[started][1:] == t.lane[started][:-1])
    stays, wakes = kept[plan.woken], begin[plan.woken]
    place = np.cumsum(kept) - 1
    detached = t.detached.copy()
    detached[rows] = True
    return replace(
        plan,
        threads=Threads(t.event[kept], t.ns[kept], t.lane[kept], t.owner[kept], detached),
        host_ns=passed[kept],
        waking_ns=plan.waking_ns[kept],
        wakes=plan.wakes[stays],
        woken=place[plan.woken[stays]],
        launch=np.concatenate([plan.launch, t.event[before[started]], plan.wakes[wakes]]),
        launched=np.concatenate([plan.launched, rows, t.event[plan.woken[wakes]] // 2]),
        latency_ns=np.concatenate([plan.latency_ns, passed[started], np.maximum(plan.waking_ns[plan.woken[wakes]], 0)]),
        before=np.concatenate([plan.before, rows[follows]]),
        behind=np.concatenate([plan.behind, rows[follows + 1]]),
        pause_ns=np.concatenate([plan.pause_ns, np.zeros(len(follows), dtype=np.int64)]),
    )


def _data(trace: Trace) -> Array:
    """The recorded or inferred flows of data between operators, as source · operators + target."""
    d = trace.dependencies
    data = d["kind"] == int(DependencyKind.DATA)
    found: Array = d["src"][data].astype(np.int64) * len(trace) + d["dst"][data]
    return found


def _works_on(plan: Plan) -> Array:
    """The segments of threads in which a rank without a device works, or any rank communicates."""
    trace, t = plan.trace, plan.threads
    o = trace.operators
    encloses = np.zeros(len(trace) + 1, dtype=bool)
    encloses[o["parent"]] = True
    host_only = ~np.isin(o["rank"], np.unique(o["rank"][plan.device]))
    works = (o["category"] == int(Category.CPU_OP)) & ~encloses[:-1]
    works = host_only & (works | (units_of(trace).of != NONE)) | communicates(trace, np.arange(len(trace)))
    found: Array = np.append(works, False)[t.owner]
    return found
