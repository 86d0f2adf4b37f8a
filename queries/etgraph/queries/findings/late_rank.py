"""A late rank: one that does more than the others before they meet, or begins later, so that all wait for it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from etgraph.model import Category
from etgraph.model.columns import Array
from etgraph.model.readable import duration
from etgraph.queries.findings.candidate import Candidate
from etgraph.queries.findings.lateness import FEW, blamed
from etgraph.queries.findings.measured import Measured
from etgraph.queries.findings.mending import entering_earlier, quicker, without
from etgraph.queries.findings.surplus import surplus
from etgraph.queries.findings.words import a_step
from etgraph.sim.edits import with_enclosed

LEAST_SHARE = 0.5
"""A rank that causes less than this part of the waiting is not *the* late one."""
BALANCE = (
    "Give each rank the same work: shard by cost rather than by count (sequence lengths, table sizes), move the extra "
    "operators off the rank's way to its collectives, or do them on all ranks or none."
)
ENTRY = (
    "Find what this rank does before its step begins (input, logging, checkpoints, garbage collection): it is not "
    "recorded. Record one step earlier, or align the ranks' loops."
)


def late_rank(measured: Measured) -> Iterator[Candidate]:
    """The rank to which most waiting goes back: without its extra operators, as early as the others, or as quick."""
    trace = measured.trace
    if measured.rank is not None or len(trace.ranks) < 2 or not len(measured.communication):
        return
    found = blamed(measured)
    column = int(np.argmax(found.share))
    if found.share[column] < LEAST_SHARE:
        return
    rank = found.ranks[column]
    waits = f"{found.share[column]:.0%} of the ranks' waiting goes back to rank {rank}"
    if len(measured.steps) < FEW:
        waits += f" (in {'one step' if len(measured.steps) == 1 else 'two steps'}, which may be chance)"
    reference = found.ranks[int(np.argmin(found.share))]
    extra = surplus(measured, rank, reference)
    if len(extra):
        yield _extra(measured, rank, extra, waits)
        return
    # Later steps begin late because of what their rank did in the one before, which is recorded.
    entry = _entry_ns(measured, rank) if len(measured.steps) == 1 else 0
    if entry > 0:
        first = _first(measured, rank)
        yield Candidate(
            f"rank {rank} begins late", f"rank {rank}", partial(entering_earlier, rank=rank, ns=entry), first,
            f"{waits}; its step begins {duration(entry)} after that of the middle rank", ENTRY,
            critical_ns=measured.on_usual_path("late-entry", rank=rank),
        )  # fmt: skip
    own = _work_ns(measured)
    others = float(np.median([ns for other, ns in own.items() if other != rank]))
    if others < own[rank] and found.beyond_chance(column):
        rows = np.flatnonzero(measured.inside & (trace.operators["rank"] == rank))
        rows = rows[~measured.communicates(rows)]
        yield Candidate(
            f"rank {rank} is slower at the same work", f"rank {rank}",
            partial(quicker, rank=rank, factor=others / own[rank]), rows,
            f"{waits}; its own work takes {duration(own[rank] / len(measured.steps))} a step, that of the others "
            f"{duration(others / len(measured.steps))}", BALANCE,
        )  # fmt: skip


def _extra(measured: Measured, rank: int, extra: Array, waits: str) -> Candidate:
    o, steps = measured.trace.operators, len(measured.steps)
    names, count = np.unique(o["name"][extra], return_counts=True)
    most = sorted(zip(count.tolist(), names.tolist()), reverse=True)[:3]
    listed = ", ".join(f"{n / steps:,.0f} × {o.texts('name')[name].as_py()}" for n, name in most)
    spent = float(o["duration_ns"][extra].sum()) / steps
    return Candidate(
        f"rank {rank} does more than the others",
        f"rank {rank}",
        partial(without, rows=with_enclosed(measured.trace, extra)),
        extra,
        f"{waits}; it has {a_step(len(extra) / steps, 'operator')} more, {duration(spent)} ({listed})",
        BALANCE,
    )


def _entry_ns(measured: Measured, rank: int) -> int:
    """How much later than the middle one of the others a rank's window begins."""
    begins = {one.rank: one.start_ns for one in measured.windows}
    others = [ns for other, ns in begins.items() if other != rank]
    return round(begins[rank] - float(np.median(others))) if others and rank in begins else 0


def _first(measured: Measured, rank: int) -> Array:
    """The first operator of a rank in its steps."""
    o = measured.trace.operators
    rows = np.flatnonzero(measured.inside & (o["rank"] == rank))
    found: Array = rows[np.argmin(o["start_ns"][rows])][None]
    return found


def _work_ns(measured: Measured) -> dict[int, float]:
    """What each rank works by itself in the steps: on threads without communication, and on devices."""
    trace, o, plan = measured.trace, measured.trace.operators, measured.plan
    own = measured.plan.threads.event // 2
    counts = measured.inside[own] & ~measured.communicates(own)
    device = measured.inside & (o["category"] >= int(Category.KERNEL))
    device &= ~measured.communicates(np.arange(len(trace)))
    ranks = len(trace.ranks)
    place = np.searchsorted(trace.ranks, o["rank"])
    on_device = np.bincount(place[device], plan.duration_ns[device], ranks)
    on_host = np.bincount(place[own[counts]], plan.host_ns[counts], ranks)
    return dict(zip(trace.ranks, np.where(on_device > on_host, on_device, on_host).tolist()))
