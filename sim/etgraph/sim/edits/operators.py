"""Edits of operators: faster, gone, added, or out of each other's way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from etgraph.model import DependencyKind, Trace, cancelling
from etgraph.model.arrivals import communicates
from etgraph.model.columns import Array
from etgraph.model.errors import UsageError
from etgraph.model.graph import nearest_above
from etgraph.sim.bounds import MOST_NS, check_events, scaled_ns, whole_ns
from etgraph.sim.replay.additions import Issued, Step
from etgraph.sim.replay.plan import Plan


def with_enclosed(trace: Trace, rows: Array) -> Array:
    """Those rows, all operators that they enclose, and the device operators that any of these launched."""
    inside = np.zeros(len(trace), dtype=bool)
    inside[rows] = True
    inside = nearest_above(trace.operators["parent"], inside) >= 0
    d = trace.dependencies
    launches = d["kind"] == int(DependencyKind.LAUNCH)
    inside[d["dst"][launches][inside[d["src"][launches]]]] = True
    return np.flatnonzero(inside)


def with_peers(plan: Plan, rows: Array) -> Array:
    """Those rows and all other members of their collectives."""
    collective = plan.trace.operators["collective"]
    of = np.zeros(len(plan.trace.collectives) + 1, dtype=bool)
    of[collective[rows]] = True
    of[-1] = False
    return np.union1d(rows, np.flatnonzero(of[collective]))


def scale(plan: Plan, rows: Array, factor: float) -> Plan:
    """Own time of those operators times a factor: on threads without what they enclose, of collectives the transfer.

    Raises UsageError for a factor that is negative or not finite, and for times beyond `bounds.MOST_NS`.
    """
    some = np.zeros(len(plan.trace) + 1, dtype=bool)
    some[with_peers(plan, rows)] = True
    operators, segments = some[:-1], some[plan.threads.owner]

    def times(ns: Array, chosen: Array) -> Array:
        new = ns.copy()
        new[chosen] = scaled_ns(ns[chosen], factor)
        return new

    return replace(
        plan,
        duration_ns=times(plan.duration_ns, operators),
        transfer_ns=times(plan.transfer_ns, operators),
        host_ns=times(plan.host_ns, segments),
    )


def remove(plan: Plan, rows: Array) -> Plan:
    """Without those operators, what they enclose and launch, and their peers in collectives.

    What followed them, or waited for them, follows what was before them: on their stream or thread, or waited for by
    them. Who waited for communication of a thread that is gone does not wait.
    """
    gone_rows = with_enclosed(plan.trace, with_peers(plan, with_enclosed(plan.trace, rows)))
    gone = np.zeros(len(plan.trace) + 1, dtype=bool)
    gone[gone_rows] = True
    quiet = scale(plan, gone_rows, 0.0)
    before, behind, pause = bypassed(plan, gone[:-1])
    source, waiting, delay = _waits_without(plan, gone[:-1])
    wakes, woken = _wakes_without(plan, gone[:-1])
    theirs = gone[plan.threads.owner[woken]]
    sent = ~(gone[plan.sender] | gone[plan.receiver])
    launched = ~gone[plan.launched]
    return replace(
        quiet,
        meets=plan.meets & ~gone[:-1],
        waking_ns=np.where(gone[plan.threads.owner] & (plan.waking_ns > 0), 0, plan.waking_ns),
        wakes=wakes[~theirs],
        woken=woken[~theirs],
        launch=plan.launch[launched],
        launched=plan.launched[launched],
        latency_ns=plan.latency_ns[launched],
        before=before,
        behind=behind,
        pause_ns=pause,
        source=source,
        waiting=waiting,
        delay_ns=delay,
        sender=plan.sender[sent],
        receiver=plan.receiver[sent],
        rendezvous=plan.rendezvous[sent],
        device=plan.device[~gone[plan.device]],
        pinned=plan.pinned[~gone[plan.pinned]],
    )


def insert(plan: Plan, after: Array, ns: Array | int, *, meets: bool = False, times: int = 1) -> Plan:
    """With a new step after those operators, one a rank; see `Step`. `ns` is one number, or one a rank.

    `times` such steps follow each other: together they are one, since nothing else sees where one of them ends.
    Raises UsageError for two operators of one rank in a step that meets, for a time that is negative or beyond
    `bounds.MOST_NS`, and for more new events than `bounds.MOST_EVENTS`.
    """
    after = np.asarray(after, dtype=np.int64)
    ranks = plan.trace.operators["rank"][after]
    if meets and len(np.unique(ranks)) != len(ranks):
        raise UsageError("a collective has one place on each rank; found two on one")
    length = np.broadcast_to(np.asarray(ns, dtype=np.int64), after.shape).copy()
    if (length < 0).any() or times < 1:
        raise UsageError(f"found {times} steps of {length.min(initial=0)} ns, expected at least one, of 0 ns or more")
    repeated = (times - 1) * (float(length.max(initial=0)) if meets else length)
    return _with_steps(plan, Step(after, whole_ns(length + repeated), meets))


def issue(plan: Plan, *new: Issued) -> Plan:
    """With new communication that threads issue; see `Issued`. All ranks' places of one are given, one each.

    Raises UsageError for two places on one rank, for none, for a time that is negative or beyond `bounds.MOST_NS`, and
    for more new events than `bounds.MOST_EVENTS`.
    """
    for one in new:
        cancelling.check()
        ranks = plan.trace.operators["rank"][one.after]
        if not len(ranks) or len(np.unique(ranks)) != len(ranks):
            raise UsageError(
                f"a collective has one place on each rank; found {len(ranks)} on {len(np.unique(ranks))} ranks"
            )
        times = np.concatenate([one.issue_ns, one.handover_ns, one.transfer_ns, one.waking_ns])
        least, most = int(times.min()), int(times.max())
        if least < 0 or most > MOST_NS:
            raise UsageError(f"found {least if least < 0 else most} ns, expected 0 to {MOST_NS}")
    return _with_steps(plan, *new)


def _with_steps(plan: Plan, *new: Step | Issued) -> Plan:
    steps = (*plan.steps, *new)
    check_events(sum(step.events for step in steps))
    return replace(plan, steps=steps)


def overlap(plan: Plan, rows: Array) -> Plan:
    """Those operators out of the way of the others on their lanes: as on streams of their own.

    On a device nothing follows them on their stream, and they follow nothing there; launches, events of other streams
    and peers still hold them. A thread that waited for one goes on, and waits at the end of its iteration only.
    """
    free = np.zeros(len(plan.trace) + 1, dtype=bool)
    free[with_peers(plan, rows)] = True
    before, behind, pause = bypassed(plan, free[:-1])
    o, i, t = plan.trace.operators, plan.trace.iterations, plan.threads
    waits = np.flatnonzero(free[np.minimum(plan.wakes // 2, len(plan.trace))] & (plan.wakes % 2 == 1))
    segment = plan.woken[waits]
    step = o["iteration"][t.event[segment] // 2]
    known = step >= 0
    known[known] = ~i.is_null("end_ns")[step[known]]
    until = np.full(len(waits), t.ns.max(initial=0))
    until[known] = np.minimum(until[known], i["end_ns"][step[known]])
    # Segments lie by thread and then by time, so that both make one ascending key.
    zero, span = int(t.ns.min(initial=0)), int(t.ns.max(initial=0)) - int(t.ns.min(initial=0)) + 2
    key = t.lane.astype(np.int64) * span + t.ns - zero
    last = np.searchsorted(key, t.lane[segment].astype(np.int64) * span + until - zero, side="right") - 1
    woken = plan.woken.copy()
    woken[waits] = np.maximum(last, segment)
    waking = plan.waking_ns.copy()
    waking[woken[waits]] = np.maximum(waking[woken[waits]], plan.waking_ns[plan.woken[waits]])
    return replace(plan, before=before, behind=behind, pause_ns=pause, woken=woken, waking_ns=waking)


def _neighbours(plan: Plan, out: Array) -> tuple[Array, Array]:
    """For each operator the nearest on its stream that is not out, itself included, before and after it; -1: none."""
    previous, following = (np.full(len(out), -1, dtype=np.int64) for _ in range(2))
    previous[plan.behind], following[plan.before] = plan.before, plan.behind
    return nearest_above(previous, ~out), nearest_above(following, ~out)


def bypassed(plan: Plan, out: Array) -> tuple[Array, Array, Array]:
    """Order on streams without some operators: what was behind one is behind what was before it."""
    earlier, _ = _neighbours(plan, out)
    before = earlier[plan.before]
    kept = (before >= 0) & ~out[plan.behind]
    return before[kept], plan.behind[kept], plan.pause_ns[kept]


def _waits_without(plan: Plan, gone: Array) -> tuple[Array, Array, Array]:
    """Waits between streams without operators that are gone: for what was before these, by what comes after them."""
    _, later = _neighbours(plan, gone)
    place, source = _handed_on(plan, gone, plan.source)
    waiting, delay = later[plan.waiting[place]], plan.delay_ns[place]
    kept = waiting >= 0
    return source[kept], waiting[kept], delay[kept]


def _wakes_without(plan: Plan, gone: Array) -> tuple[Array, Array]:
    """Wake-ups of threads without operators that are gone: by what their streams had done before, where it was theirs.

    Events of a thread stay where they are, with nothing between them, so what they wake does not wake before them.
    """
    row = plan.wakes // 2
    on_device = np.zeros(len(gone), dtype=bool)
    on_device[plan.device] = True
    kept = ~gone[row] | ~(on_device[row] | communicates(plan.trace, row))
    handed = np.flatnonzero(gone[row] & on_device[row] & (plan.wakes % 2 == 1))
    place, instead = _handed_on(plan, gone, row[handed])
    wakes = np.concatenate([plan.wakes[kept], 2 * instead + 1])
    return wakes, np.concatenate([plan.woken[kept], plan.woken[handed[place]]])


def _handed_on(plan: Plan, gone: Array, rows: Array) -> tuple[Array, Array]:
    """What is waited for in place of operators that are gone: pairs of a position in `rows` and an operator.

    Instead of one that is gone that is the one before it on its stream and those that it waited for; of those that are
    gone, too, the same again. O(pairs · how many that are gone follow each other).
    """
    previous = np.full(len(gone), -1, dtype=np.int64)
    previous[plan.behind] = plan.before
    order = np.argsort(plan.waiting, kind="stable")
    waits = np.bincount(plan.waiting, minlength=len(gone))
    first = np.cumsum(waits) - waits
    place, row = np.arange(len(rows)), rows.astype(np.int64)
    found = [np.zeros((2, 0), dtype=np.int64)]
    while len(row):
        there = ~gone[row]
        found.append(np.stack([place[there], row[there]]))
        place, row = place[~there], row[~there]
        through = np.repeat(np.arange(len(row)), waits[row])
        nth = np.arange(len(through)) - np.repeat(np.cumsum(waits[row]) - waits[row], waits[row])
        sources = plan.source[order[first[row[through]] + nth]]
        before = previous[row] >= 0
        place = np.concatenate([place[before], place[through]])
        row = np.concatenate([previous[row[before]], sources])
        place, row = np.unique(np.stack([place, row]), axis=1)
    place, row = np.concatenate(found, axis=1)
    return place, row
