"""Ranks in balance: what makes one later than the others where they meet is taken out of its own time before that.

Every rank is run as if nobody kept it waiting, and all begin together. Then the meetings are gone through in order: who
comes to one later than the middle one of its ranks has its own time since its last meeting shortened by that. A rank's
time runs faster there for all that it does, its threads, streams and the delays between them alike, so that all of it
keeps its order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from etgraph.model.cancelling import BETWEEN_LOOKS, NEVER, stopped
from etgraph.model.columns import Array
from etgraph.model.kernels import kernel
from etgraph.sim.engine import Timeline, run
from etgraph.sim.engine.stuck import check_ended
from etgraph.sim.replay.plan import Plan, program_of


def balanced(plan: Plan) -> Plan:
    """The plan in which no rank comes to a collective later than the middle one of its ranks.

    Of an even number the middle one is the earlier of the two. Own time is what passes since the rank's last meeting
    without communication; it cannot become less than nothing, so that what a rank was late by before that stays.
    Meetings are collectives all of whose members are recorded; messages are order, not meetings, and stay. Ranks that
    meet others begin when the first of all ranks does. O(replay + members log members).
    """
    members = np.flatnonzero(plan.meets)
    if not len(members):
        return plan
    alone = replace(
        plan,
        meets=np.zeros_like(plan.meets),
        duration_ns=np.where(plan.meets, plan.transfer_ns, plan.duration_ns),
    )
    program = program_of(alone)
    timeline = run(program)
    check_ended(plan.trace, program, timeline)
    return _on_clocks(plan, timeline, _clocks(plan, members, timeline, program.zero_ns))


@dataclass(frozen=True, slots=True)
class _Clocks:
    """How much of each rank's own time is gone at a moment: `gone_ns` at the knots `ns`, straight between them.

    The knots of rank number k (`rank_of` gives it for each operator) are those from `offsets[k]` on. `late_ns` is how
    much later than the first rank it begins.
    """

    rank_of: Array
    late_ns: Array
    offsets: Array
    ns: Array
    gone_ns: Array

    def moved(self, rank: Array, ns: Array) -> Array:
        """Those moments of ranks (by number) by the balanced clock."""
        found: Array = ns - _gone(self.offsets, self.ns, self.gone_ns, rank, ns)
        return found

    def shortened(self, rank: Array, since_ns: Array, length_ns: Array) -> Array:
        """The lengths of stretches of ranks (by number) from those moments on, by the balanced clock."""
        found: Array = np.maximum(self.moved(rank, since_ns + length_ns) - self.moved(rank, since_ns), 0)
        return found


def _clocks(plan: Plan, members: Array, timeline: Timeline, zero_ns: int) -> _Clocks:
    trace = plan.trace
    ranks, rank_of = np.unique(trace.operators["rank"], return_inverse=True)
    meeting = trace.operators["collective"][members]
    last = np.full(len(trace.collectives), np.iinfo(np.int64).min)
    np.maximum.at(last, meeting, trace.operators["start_ns"][members])
    members = members[np.lexsort((members, meeting, last[meeting]))]
    meeting = trace.operators["collective"][members]
    begins = np.flatnonzero(np.append(True, meeting[1:] != meeting[:-1]))
    came = timeline.start_ns[members]
    entry = np.full(len(ranks), np.iinfo(np.int64).max)
    np.minimum.at(entry, rank_of[plan.threads.event // 2], plan.threads.ns)
    entry = np.where(entry == np.iinfo(np.int64).max, zero_ns, entry)
    since, until, gone = _balance(
        np.append(begins, len(members)), rank_of[members], came, plan.transfer_ns[members], entry
    )
    order = np.argsort(rank_of[members], kind="stable")
    count = np.bincount(rank_of[members], minlength=len(ranks))
    # Two knots a member: the begin of its rank's own time, and its arrival.
    knots = np.stack([since, until], axis=1)[order].ravel()
    total = np.cumsum(gone[order])
    first = np.cumsum(count) - count
    before = np.repeat(np.where(first > 0, total[first - 1], 0), count)
    total = total - before
    return _Clocks(
        rank_of,
        np.where(count > 0, entry - entry.min(), 0),
        np.append(0, 2 * np.cumsum(count)),
        knots,
        np.stack([total - gone[order], total], axis=1).ravel(),
    )


@kernel
def _balance(
    begins: Array, rank: Array, came: Array, transfer: Array, entry: Array, stop: Array = NEVER
) -> tuple[Array, Array, Array]:
    """For each member the stretch of its rank's own time before it, and how much of that is gone.

    Meetings are in order, and `begins` are where the members of each stand, and the end of all. `entry` is when each
    rank begins.
    """
    since = np.empty(len(rank), dtype=np.int64)
    until = np.empty(len(rank), dtype=np.int64)
    gone = np.zeros(len(rank), dtype=np.int64)
    clock = np.full(len(entry), np.min(entry))  # when a rank's last meeting was, in balance
    arrived = entry.copy()  # and when, by its own time, it came there
    busy = entry.copy()  # until when, by its own time, it communicates
    for k in range(len(begins) - 1):
        if k % BETWEEN_LOOKS == 0 and stopped(stop):
            break
        first, end = begins[k], begins[k + 1]
        arrival = np.empty(end - first, dtype=np.int64)
        for m in range(first, end):
            r = rank[m]
            arrival[m - first] = clock[r] + came[m] - arrived[r]
        middle = np.sort(arrival)[(end - first - 1) // 2]
        latest = middle
        for m in range(first, end):
            r = rank[m]
            until[m] = max(came[m], arrived[r])
            since[m] = min(max(busy[r], arrived[r]), until[m])
            gone[m] = max(min(arrival[m - first] - middle, until[m] - since[m]), 0)
            latest = max(latest, arrival[m - first] - gone[m])
        for m in range(first, end):
            r = rank[m]
            if came[m] >= arrived[r]:
                arrived[r] = came[m]
                clock[r] = latest
            busy[r] = max(busy[r], came[m] + transfer[m])
    return since, until, gone


@kernel
def _gone(offsets: Array, knots: Array, gone: Array, rank: Array, ns: Array, stop: Array = NEVER) -> Array:
    """How much of its rank's own time is gone at each moment: straight between knots, of which a rank may have none."""
    found = np.zeros(len(ns), dtype=np.int64)
    for i in range(len(ns)):
        if i % BETWEEN_LOOKS == 0 and stopped(stop):
            break
        low, high = offsets[rank[i]], offsets[rank[i] + 1]
        end = high
        while low < high:
            middle = (low + high) // 2
            if knots[middle] <= ns[i]:
                low = middle + 1
            else:
                high = middle
        if low > offsets[rank[i]]:
            found[i] = gone[low - 1]
            if low < end:
                # By this, a stretch is never longer than it was: both ends are rounded down alike.
                share = (ns[i] - knots[low - 1]) / (knots[low] - knots[low - 1])
                found[i] += int(share * (gone[low] - gone[low - 1]))
    return found


def _on_clocks(plan: Plan, timeline: Timeline, clocks: _Clocks) -> Plan:
    """The plan by the balanced clocks: whatever is as late as its latest reason allows stays so, that much earlier."""
    t, ns, rank_of = plan.threads, timeline.ns, clocks.rank_of

    def after(event: Array, length: Array) -> Array:
        return clocks.shortened(rank_of[event // 2], ns[event], length)

    meets = (t.event % 2 == 1) & plan.meets[t.event // 2]
    host = np.where(t.first | meets, plan.host_ns, after(np.roll(t.event, 1), plan.host_ns))
    sleeps = np.flatnonzero(plan.waking_ns > 0)
    waking, woken = plan.waking_ns.copy(), t.event[sleeps]
    waking[sleeps] = clocks.shortened(rank_of[woken // 2], ns[woken] - waking[sleeps], waking[sleeps])
    operators = np.arange(len(plan.trace))
    duration = np.where(plan.meets, plan.duration_ns, after(2 * operators, plan.duration_ns))
    return replace(
        plan,
        threads=replace(t, ns=_entries(plan, clocks)),
        host_ns=host,
        waking_ns=waking,
        duration_ns=duration,
        latency_ns=after(plan.launch, plan.latency_ns),
        pause_ns=after(2 * plan.before + 1, plan.pause_ns),
        delay_ns=after(2 * plan.source + 1, plan.delay_ns),
    )


def _entries(plan: Plan, clocks: _Clocks) -> Array:
    """Measured times of threads' events: by the clocks up to each rank's first meeting, as much earlier after it.

    All are earlier by what the rank begins late.
    """
    t = plan.threads
    rank = clocks.rank_of[t.event // 2]
    meets_at_all = clocks.offsets[1:] > clocks.offsets[:-1]
    first = np.full(len(meets_at_all), np.iinfo(np.int64).max)
    first[meets_at_all] = clocks.ns[clocks.offsets[:-1][meets_at_all] + 1]
    early = np.minimum(t.ns, first[rank])
    found: Array = t.ns - (early - clocks.moved(rank, early)) - clocks.late_ns[rank]
    return found
