"""Edits of a plan: what a run would be with operators faster, gone, added, split, merged, or out of each other's way.

Each is a pure function from a plan to a plan; `etgraph.sim.replay.run_plan` says what comes of it. Operators are named
by rows of the trace. An edit of a collective is one of all its members, since no rank can do without the others.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from etgraph.model import DependencyKind, Trace
from etgraph.model.columns import Array
from etgraph.model.errors import UsageError
from etgraph.model.graph import nearest_above
from etgraph.sim.replay.additions import Issued, Step
from etgraph.sim.replay.plan import Plan

Cost = Callable[[Array, Array], Array]
"""Transfer times in ns of collectives: rows of members, and the bytes that each of their collectives moves."""


def matching(trace: Trace, pattern: str) -> Array:
    """Rows of the operators that a pattern names: a glob over `scope/name` or the name alone, `@rank` at its end."""
    text, at, rank = pattern.rpartition("@")
    if not at or not rank.isdigit():
        text, rank = pattern, ""
    o = trace.operators
    wanted = re.compile(fnmatch.translate(text))
    chosen = np.asarray(o.codes_where("name", lambda name: wanted.match(name) is not None)[o["name"]])
    if len(o.texts("scope")):
        pairs, place = np.unique(np.stack([o["scope"], o["name"]], axis=1), axis=0, return_inverse=True)
        scopes, names = o.texts("scope"), o.texts("name")
        hit = [
            s >= 0 and wanted.match(f"{scopes[s].as_py()}/{names[n].as_py()}") is not None for s, n in pairs.tolist()
        ]
        chosen = chosen | np.array(hit)[place.ravel()]
    if rank:
        chosen = chosen & (o["rank"] == int(rank))
    return np.flatnonzero(chosen)


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

    Raises UsageError for a factor that is negative or not finite.
    """
    if not 0 <= factor < float("inf"):
        raise UsageError(f"found factor {factor}, expected a number of 0 or more")
    some = np.zeros(len(plan.trace) + 1, dtype=bool)
    some[with_peers(plan, rows)] = True
    operators, segments = some[:-1], some[plan.threads.owner]

    def times(ns: Array, chosen: Array) -> Array:
        return np.where(chosen, np.rint(ns * factor), ns).astype(np.int64)

    return replace(
        plan,
        duration_ns=times(plan.duration_ns, operators),
        transfer_ns=times(plan.transfer_ns, operators),
        host_ns=times(plan.host_ns, segments),
    )


def remove(plan: Plan, rows: Array) -> Plan:
    """Without those operators, what they enclose and launch, and their peers in collectives.

    What followed them, or waited for them, follows what was before them: on their stream, or waited for by them.
    """
    gone_rows = with_enclosed(plan.trace, with_peers(plan, with_enclosed(plan.trace, rows)))
    gone = np.zeros(len(plan.trace) + 1, dtype=bool)
    gone[gone_rows] = True
    quiet = scale(plan, gone_rows, 0.0)
    before, behind, pause = bypassed(plan, gone[:-1])
    source, waiting, delay = _waits_without(plan, gone[:-1])
    earlier, _ = _neighbours(plan, gone[:-1])
    ended = np.minimum(plan.wakes // 2, len(plan.trace) - 1)
    instead = np.where(gone[ended] & (plan.wakes % 2 == 1) & (plan.wakes < 2 * len(plan.trace)), earlier[ended], -1)
    wake = np.where(instead >= 0, 2 * instead + 1, plan.wakes)
    wakes = ~(gone[np.minimum(wake // 2, len(plan.trace))] | gone[plan.threads.owner[plan.woken]])
    sent = ~(gone[plan.sender] | gone[plan.receiver])
    launched = ~gone[plan.launched]
    return replace(
        quiet,
        meets=plan.meets & ~gone[:-1],
        waking_ns=np.where(gone[plan.threads.owner] & (plan.waking_ns > 0), 0, plan.waking_ns),
        wakes=wake[wakes],
        woken=plan.woken[wakes],
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

    Raises UsageError for two operators of one rank in a step that meets, and for a negative time.
    """
    after = np.asarray(after, dtype=np.int64)
    ranks = plan.trace.operators["rank"][after]
    if meets and len(np.unique(ranks)) != len(ranks):
        raise UsageError("a collective has one place on each rank; found two on one")
    length = np.broadcast_to(np.asarray(ns, dtype=np.int64), after.shape).copy()
    if (length < 0).any() or times < 1:
        raise UsageError(f"found {times} steps of {length.min(initial=0)} ns, expected at least one, of 0 ns or more")
    return replace(plan, steps=(*plan.steps, Step(after, length, meets, times)))


def issue(plan: Plan, new: Issued) -> Plan:
    """With new communication that a thread issues; see `Issued`. All its ranks' places are given, one each.

    Raises UsageError for two places on one rank, for none, and for a negative time.
    """
    ranks = plan.trace.operators["rank"][new.after]
    if not len(ranks) or len(np.unique(ranks)) != len(ranks):
        raise UsageError(
            f"a collective has one place on each rank; found {len(ranks)} on {len(np.unique(ranks))} ranks"
        )
    least = min(int(ns.min()) for ns in (new.issue_ns, new.handover_ns, new.transfer_ns, new.waking_ns))
    if least < 0:
        raise UsageError(f"found {least} ns, expected 0 or more")
    return replace(plan, steps=(*plan.steps, new))


def split(plan: Plan, rows: Array, parts: int, cost: Cost, *, issue_ns: int = 0) -> Plan:
    """Those collectives in parts that follow each other: each moves its share of the bytes, at what that costs.

    `issue_ns` is what issuing one takes the host; a thread that communicates itself spends it on each further part.
    The parts start when the whole did: parts that could start earlier are not looked for, so the answer is the
    later end of what is possible. Raises UsageError for operators that are no collectives of known size.
    """
    members = _sized(plan, rows)
    if parts < 1:
        raise UsageError(f"found {parts} parts, expected at least one")
    share = -(-plan.trace.collectives["bytes"][plan.trace.operators["collective"][members]] // parts)
    return _with_transfers(plan, members, parts * cost(members, share) + (parts - 1) * issue_ns)


def merge(plan: Plan, rows: Array, cost: Cost) -> Plan:
    """Those collectives as one a group and rank: the last of them moves the bytes of all; the others are gone.

    Raises UsageError for operators that are no collectives of known size.
    """
    members = _sized(plan, rows)
    o, collectives = plan.trace.operators, plan.trace.collectives
    meeting = o["collective"][members]
    starts = np.full(len(collectives), np.iinfo(np.int64).min)
    np.maximum.at(starts, meeting, o["start_ns"][members])
    found = np.unique(meeting)
    ranks = [tuple(o["rank"][members[meeting == one]].tolist()) for one in found.tolist()]
    group = list(zip(ranks, collectives["group"][found].tolist(), collectives["type"][found].tolist()))
    last_of: dict[object, int] = {}
    total_of: dict[object, int] = {}
    for one, of, size in sorted(zip(found.tolist(), group, collectives["bytes"][found].tolist()),
                                key=lambda pair: starts[pair[0]]):  # fmt: skip
        last_of[of] = one
        total_of[of] = total_of.get(of, 0) + size
    total = {last: total_of[of] for of, last in last_of.items()}
    kept = np.isin(meeting, list(total))
    merged = remove(plan, members[~kept]) if not kept.all() else plan
    sizes = np.array([total[one] for one in meeting[kept].tolist()], dtype=np.int64)
    return _with_transfers(merged, members[kept], cost(members[kept], sizes))


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
    woken = plan.woken.copy()
    for place in waits.tolist():
        segment = int(woken[place])
        step = int(o["iteration"][t.event[segment] // 2])
        lane = t.lane == t.lane[segment]
        if step >= 0 and not i.is_null("end_ns")[step]:
            lane &= t.ns <= i["end_ns"][step]
        woken[place] = np.flatnonzero(lane)[-1]
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
    """Waits between streams without operators that are gone: for what was before these, by what comes after them.

    What waited for one that waited itself waits for what that one waited for.
    """
    earlier, later = _neighbours(plan, gone)
    order = np.argsort(plan.waiting, kind="stable")
    first, beyond = (np.searchsorted(plan.waiting[order], plan.source, side=side) for side in ("left", "right"))
    count = np.where(gone[plan.source], beyond - first, 0)
    through = np.repeat(np.arange(len(count)), count)
    place = first[through] + np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    source = np.concatenate([earlier[plan.source], earlier[plan.source[order[place]]]])
    waiting = np.concatenate([later[plan.waiting], later[plan.waiting[through]]])
    delay = np.concatenate([plan.delay_ns, plan.delay_ns[through]])
    kept = (source >= 0) & (waiting >= 0)
    return source[kept], waiting[kept], delay[kept]


def _with_transfers(plan: Plan, members: Array, ns: Array) -> Plan:
    """With other transfer times of collectives, on threads and devices."""
    transfer, host = plan.transfer_ns.copy(), plan.host_ns.copy()
    transfer[members] = ns
    segment = plan.threads.segment_of[2 * members + 1]
    on_thread = segment >= 0
    host[segment[on_thread]] = np.minimum(host[segment[on_thread]], transfer[members[on_thread]])
    return replace(plan, transfer_ns=transfer, host_ns=host)


def _sized(plan: Plan, rows: Array) -> Array:
    members = with_peers(plan, rows)
    members = members[plan.meets[members]]
    if not len(members):
        raise UsageError("none of those operators is of a collective all of whose ranks are recorded")
    unknown = plan.trace.collectives.is_null("bytes")[plan.trace.operators["collective"][members]]
    if unknown.any():
        raise UsageError(f"{plan.trace.describe(int(members[unknown][0]))}: its collective's size is not known")
    return members
