"""Small messages: many collectives of which each moves little, so that their fixed cost is most of what they take."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from etgraph.model.readable import size
from etgraph.queries.findings.candidate import Candidate
from etgraph.queries.findings.measured import Measured
from etgraph.queries.findings.queued_messages import merged, modelled, queues
from etgraph.queries.findings.usual import Expected
from etgraph.queries.findings.words import a_step
from etgraph.sim import edits
from etgraph.sim.what_if.buckets import gradients_of, rebucket

SMALL_BYTES = 1 << 20
"""A bucket below this is small: it is what DDP itself gives its first one, so that communication begins early."""
SMALL_SHARE = 0.25
"""So many of a step's buckets must be small."""
LEAST_BUCKETS = 6
"""Fewer are not many, however small."""
CAPACITIES_MB = (1, 2, 4, 8, 25)
"""Capacities that are tried; 25 is DDP's default."""
COALESCE = (
    "Send them together: flatten small tensors into one buffer, torch.distributed's _coalescing_manager, or larger "
    "buckets (bucket_cap_mb of DDP, reduce_bucket_size of DeepSpeed, larger FSDP units)."
)


def small_messages(measured: Measured) -> Iterator[Candidate]:
    """Gradient buckets that threads reduce, in buckets of other capacities; and what queues up on streams, merged."""
    rows = measured.communication
    if not len(rows):
        return
    if measured.on_device[rows].any():
        yield from _queued(measured)
    else:
        yield from _buckets(measured)


def _buckets(measured: Measured) -> Iterator[Candidate]:
    """The gain is against the same buckets at modelled times."""
    found = [g for g in gradients_of(measured.trace) if measured.inside[g.reduces].all()]
    sizes = np.concatenate([g.sizes for g in found]) if found else np.zeros(0, dtype=np.int64)
    small = sizes < SMALL_BYTES
    if len(sizes) < LEAST_BUCKETS * max(len(found), 1) or small.mean() < SMALL_SHARE:
        return
    rows = np.concatenate([g.reduces for g in found])
    draw = Expected(measured.plan)
    as_now = partial(rebucket, capacity=None, draw=draw)
    free = partial(edits.scale, rows=measured.with_issues(rows), factor=0.0)
    for capacity in CAPACITIES_MB:
        yield Candidate(
            "gradients are reduced in small buckets",
            "",
            partial(rebucket, capacity=capacity << 20, draw=draw),
            rows,
            f"{a_step(len(sizes) / len(found), 'bucket')} on each rank, {small.mean():.0%} of them below "
            f"{size(SMALL_BYTES)}, median {size(float(np.median(sizes)))}; replayed with buckets of {capacity} MiB",
            f"DistributedDataParallel(bucket_cap_mb={capacity}): fewer, larger all-reduces; each spares the cost of "
            "issuing one, of its start and of waking up after it.",
            as_now,
            free,
        )


def _queued(measured: Measured) -> Iterator[Candidate]:
    o = measured.trace.operators
    runs = queues(measured, SMALL_BYTES)
    if not runs:
        return
    rows = np.concatenate(runs)
    bytes = measured.trace.collectives["bytes"][o["collective"][rows]]
    meetings = sum(len(np.unique(o["collective"][run])) for run in runs)
    where = "1 run" if len(runs) == 1 else f"{len(runs)} runs"
    yield Candidate(
        "small collectives queue up",
        "",
        partial(merged, runs=runs),
        measured.with_issues(rows),
        f"{a_step(meetings / len(measured.steps), 'collective')} in {where}, median "
        f"{size(float(np.median(bytes)))}; replayed as one a run",
        COALESCE,
        partial(modelled, runs=runs),
        partial(edits.scale, rows=rows, factor=0.0),
    )
