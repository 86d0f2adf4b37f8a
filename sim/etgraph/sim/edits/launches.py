"""Edits of launches: their latency, and how many of them the queue of a device holds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from etgraph.model.columns import Array
from etgraph.model.errors import UsageError
from etgraph.sim.bounds import MOST_NS, scaled_ns
from etgraph.sim.replay.plan import Plan
from etgraph.sim.replay.waits import in_order


def launch_latency(plan: Plan, *, ns: int | None = None, factor: float | None = None) -> Plan:
    """Launches of another latency, in ns or as a multiple of what it is: from the end of the call until work is ready.

    What counts from a call's start (copies that wait for the device) is the call's own work, and stays. Raises
    UsageError for both or neither, and for one that is negative, not finite, or beyond `bounds.MOST_NS`.
    """
    if (ns is None) == (factor is None):
        raise UsageError(f"found {'neither' if ns is None else 'both'}, expected a launch latency in ns or a factor")
    if ns is not None and not 0 <= ns <= MOST_NS:
        raise UsageError(f"found a launch latency of {ns} ns, expected 0 to {MOST_NS}")
    latency, by_end = plan.latency_ns.copy(), plan.launch % 2 == 1
    latency[by_end] = ns if factor is None else scaled_ns(latency[by_end], factor)
    return replace(plan, latency_ns=latency)


def queue_depth(plan: Plan, depth: int) -> Plan:
    """With launch queues that hold so many launches of a rank: a further one returns once the one `depth` before ended.

    Waits for room that the trace knows of are replaced. A call that waits takes, from then on, what such calls of the
    trace took and, where none waited, its own time. Raises UsageError for a depth below 1.
    """
    if depth < 1:
        raise UsageError(f"found a queue of {depth} launches, expected 1 or more")
    trace, t = plan.trace, plan.threads
    for_room = _waits_for_room(plan)
    caller, launched = in_order(trace, plan.launch // 2, plan.launched)
    rank = trace.operators["rank"][caller]
    waits = np.flatnonzero(rank[depth:] == rank[:-depth]) if len(rank) > depth else np.zeros(0, dtype=np.int64)
    call, room = caller[waits + depth], launched[waits]
    segment = t.segment_of[2 * call + 1]
    there = segment >= 0
    segment, room = segment[there], room[there]
    waking = plan.waking_ns.copy()
    asleep = waking[np.unique(plan.woken[for_room])]
    own = np.full(len(segment), np.median(asleep)) if len(asleep) else plan.host_ns[segment]
    waking[segment] = np.where(waking[segment] >= 0, waking[segment], own).astype(np.int64)
    return replace(
        plan, waking_ns=waking, wakes=np.append(plan.wakes[~for_room], 2 * room + 1),
        woken=np.append(plan.woken[~for_room], segment),
    )  # fmt: skip


def _waits_for_room(plan: Plan) -> Array:
    """Which wake-ups are of launches that found the queue full: of a call that launches, by work that it did not."""
    n, done, call = len(plan.trace), plan.wakes // 2, plan.threads.owner[plan.woken]
    on_device = np.zeros(n + 1, dtype=bool)
    on_device[plan.device] = True
    launches = np.isin(call, plan.launch // 2)
    own = np.isin(call * (n + 1) + done, (plan.launch // 2) * (n + 1) + plan.launched)
    waits: Array = launches & ~own & (plan.wakes % 2 == 1) & on_device[np.minimum(done, n)]
    return waits
