"""Edits of collectives: one as several parts, several as one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from etgraph.model.columns import Array
from etgraph.model.errors import UsageError
from etgraph.sim.bounds import check_events, whole_ns
from etgraph.sim.edits.operators import issue, remove, with_peers
from etgraph.sim.replay.additions import AHEAD, Issued
from etgraph.sim.replay.peers import issues_of
from etgraph.sim.replay.plan import Plan

Cost = Callable[[Array, Array], Array]
"""Transfer times in ns of collectives: rows of members, and the bytes that each of their collectives moves."""

Ready = Callable[[Array, int], Array]
"""After which operators parts are ready, -1 where that is not known: a row a member, a column a part but the last."""


def split(
    plan: Plan, rows: Array, parts: int, cost: Cost, *, issue_ns: int = 0, handover_ns: int = 0,
    ready: Ready | None = None,
) -> Plan:  # fmt: skip
    """Those collectives in parts that follow each other: each moves its share of the bytes, at what that costs.

    `issue_ns` is what issuing one takes the host. With `ready`, a part is issued when its share is there, and starts
    `handover_ns` later, behind what is before it on its lane; a part of which that is not known, or that is there no
    earlier than the collective is issued, starts with it. Raises UsageError for operators that are no collectives of
    known size, for times beyond `bounds.MOST_NS`, and for more parts together than `bounds.MOST_EVENTS`.
    """
    members = _sized(plan, rows)
    if parts < 1:
        raise UsageError(f"found {parts} parts, expected at least one")
    check_events(parts * len(members))
    collective = plan.trace.operators["collective"][members]
    share = -(-plan.trace.collectives["bytes"][collective] // parts)
    ns = cost(members, share)
    order = np.lexsort((plan.trace.operators["rank"][members], collective))
    by_collective = np.split(order, np.flatnonzero(np.diff(collective[order])) + 1)
    after = np.full((len(members), parts - 1), -1, dtype=np.int64)
    if ready is not None:
        known = ready(members, parts)
        after = np.where(_before_issue(plan, known, members), known, -1)
    # A part is one of all ranks: what one of them does not know of, none of them issues earlier.
    for same in by_collective:
        after[np.ix_(same, (after[same] < 0).any(axis=0))] = -1
    behind = _event_before(plan)
    late = np.count_nonzero(after < 0, axis=1).astype(np.float64)
    ahead = []
    for same in by_collective:
        for part in np.flatnonzero((after[same] >= 0).all(axis=0)).tolist():
            at, count = members[same], len(same)
            lane = AHEAD - int(collective[same[0]])
            ahead.append(Issued(
                after[same, part], np.full(count, issue_ns), np.full(count, handover_ns), ns[same], at,
                np.zeros(count, dtype=np.int64), lane, behind[at],
            ))  # fmt: skip
    return issue(_with_transfers(plan, members, whole_ns((late + 1) * ns + late * issue_ns)), *ahead)


def merge(plan: Plan, rows: Array, cost: Cost) -> Plan:
    """Those collectives of an iteration as one a group, ranks and type: the last moves the bytes of all, the others go.

    What waited for one of the others waits for that one. Where something does so before the last is issued, it is not
    the last: collectives are merged as far as none of them is needed before all are there. Raises UsageError for
    operators that are no collectives of known size.
    """
    members = _sized(plan, rows)
    o, collectives = plan.trace.operators, plan.trace.collectives
    into = _merged_into(plan, members)
    sizes = np.zeros(len(collectives), dtype=np.int64)
    found = np.unique(o["collective"][members])
    np.add.at(sizes, into[found], collectives["bytes"][found])
    gone = members[into[o["collective"][members]] != o["collective"][members]]
    kept = np.setdiff1d(members, gone)
    # For each operator that goes, the one of its rank that does its work.
    key = o["collective"][kept].astype(np.int64) * (int(o["rank"].max()) + 1) + o["rank"][kept]
    order = np.argsort(key)
    wanted = into[o["collective"][gone]] * (int(o["rank"].max()) + 1) + o["rank"][gone]
    instead = np.arange(len(plan.trace))
    instead[gone] = kept[order[np.searchsorted(key[order], wanted)]]
    wakes = np.where(plan.wakes % 2 == 1, 2 * instead[plan.wakes // 2] + 1, plan.wakes)
    moved = replace(plan, source=instead[plan.source], wakes=wakes)
    merged = remove(moved, gone) if len(gone) else plan
    return _with_transfers(merged, kept, cost(kept, sizes[o["collective"][kept]]))


def _merged_into(plan: Plan, members: Array) -> Array:
    """For each collective of the trace the one that it is merged into: itself, or a later one of its kind."""
    o, collectives = plan.trace.operators, plan.trace.collectives
    issued, needed = _issued_ns(plan), _needed_ns(plan)
    kinds: dict[object, list[tuple[int, Array, Array]]] = {}
    by_collective = members[np.argsort(o["collective"][members], kind="stable")]
    into = np.arange(len(collectives), dtype=np.int64)
    for same in np.split(by_collective, np.flatnonzero(np.diff(o["collective"][by_collective])) + 1):
        one, step = int(o["collective"][same[0]]), int(o["iteration"][same[0]])
        number = int(plan.trace.iterations["index"][step]) if step >= 0 else -1
        ranks = tuple(sorted(o["rank"][same].tolist()))
        kind = (number, int(collectives["type"][one]), int(collectives["group"][one]), ranks)
        kinds.setdefault(kind, []).append((one, issued[same], needed[same]))
    for alike in kinds.values():
        together: list[int] = []
        until = np.full(0, 0)
        for one, at, before in sorted(alike, key=lambda each: int(each[1].max())):
            if not together or (at >= until).any():
                together, until = [], before
            together.append(one)
            into[together] = one
            until = np.minimum(until, before)
    return into


def _issued_ns(plan: Plan) -> Array:
    """When each operator was issued by the measured times: its own start, or that of the call that issues it."""
    measured = plan.trace.operators["start_ns"]
    start = measured.copy()
    for call, done in (issues_of(plan.trace), (plan.launch // 2, plan.launched)):
        np.minimum.at(start, done, measured[call])
    return start


def _before_issue(plan: Plan, after: Array, members: Array) -> Array:
    """Whether what follows those operators (a row a member) comes before the member is issued, by the measured times.

    A kernel does that was launched before: then the two are in order on the device, whenever they run.
    """
    issued = _issued_ns(plan)
    done = plan.trace.end_ns.copy()
    done[plan.launched] = issued[plan.launched]
    return np.asarray((after >= 0) & (done[after] <= issued[members][:, None]))


def _needed_ns(plan: Plan) -> Array:
    """When, by the measured times, something first waited for each operator; never for one that nothing waits for."""
    needed = np.full(len(plan.trace) + 1, np.iinfo(np.int64).max)
    np.minimum.at(needed, plan.source, _issued_ns(plan)[plan.waiting])
    t = plan.threads
    by_end = plan.wakes % 2 == 1
    begin = t.ns[plan.woken] - t.length_ns[plan.woken]
    np.minimum.at(needed, np.minimum(plan.wakes // 2, len(plan.trace))[by_end], begin[by_end])
    return needed[:-1]


def _event_before(plan: Plan) -> Array:
    """For each operator the event before its start on its lane, -1 where there is none."""
    t = plan.threads
    found = np.full(len(plan.trace), -1, dtype=np.int64)
    found[plan.behind] = 2 * plan.before + 1
    place = t.segment_of[::2]
    inside = place > 0
    inside[inside] = ~t.first[place[inside]]
    found[inside] = t.event[place[inside] - 1]
    return found


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
