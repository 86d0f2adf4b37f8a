"""Edits that mend what findings find, made of those of `etgraph.sim.edits`; each from a plan to a plan."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from etgraph.model.columns import Array
from etgraph.sim import edits
from etgraph.sim.replay.plan import Plan


def without(plan: Plan, rows: Array) -> Plan:
    """Without those operators and what waited for them alone: a thread that need not wait need not wake up either."""
    removed = edits.remove(plan, rows)
    return _unwoken(removed, np.setdiff1d(plan.woken, removed.woken))


def unblocked(plan: Plan, calls: Array) -> Plan:
    """With those calls returning at once: their own time stays, what they waited for and waking up is gone."""
    waits = np.isin(plan.threads.owner[plan.woken], calls)
    kept = replace(plan, wakes=plan.wakes[~waits], woken=plan.woken[~waits])
    return _unwoken(kept, np.setdiff1d(plan.woken, kept.woken))


def with_durations(plan: Plan, rows: Array, ns: Array) -> Plan:
    """With those device operators taking as long as given, where they took longer."""
    duration = plan.duration_ns.copy()
    duration[rows] = np.minimum(duration[rows], ns)
    return replace(plan, duration_ns=duration)


def without_own_time(plan: Plan, segments: Array) -> Plan:
    """With those segments of threads (a mask) taking the host no time by themselves."""
    return replace(plan, host_ns=np.where(segments, 0, plan.host_ns))


def entering_earlier(plan: Plan, rank: int, ns: int) -> Plan:
    """With a rank that begins its recorded work that much earlier."""
    rank_of = plan.trace.operators["rank"]
    own = rank_of[plan.threads.event // 2] == rank
    threads = replace(plan.threads, ns=np.where(own, plan.threads.ns - ns, plan.threads.ns))
    return replace(plan, threads=threads, pinned=plan.pinned[rank_of[plan.pinned] != rank])


def quicker(plan: Plan, rank: int, factor: float) -> Plan:
    """With a rank whose own work, on threads and devices, takes that part of its time; communication stays."""
    o = plan.trace.operators
    meets = plan.meets.copy()
    meets[plan.receiver] = meets[plan.sender] = True
    segment = (o["rank"][plan.threads.event // 2] == rank) & ~(meets[plan.threads.event // 2])
    work = (o["rank"] == rank) & ~meets
    return replace(
        plan,
        host_ns=np.where(segment, np.rint(plan.host_ns * factor), plan.host_ns).astype(np.int64),
        duration_ns=np.where(work, np.rint(plan.duration_ns * factor), plan.duration_ns).astype(np.int64),
    )


def _unwoken(plan: Plan, segments: Array) -> Plan:
    """Without the time to wake up of segments that wait no more. A thread's first one keeps what begins it."""
    segments = segments[~plan.threads.first[segments]]
    host = plan.host_ns.copy()
    host[segments] = 0
    return replace(plan, host_ns=host)
