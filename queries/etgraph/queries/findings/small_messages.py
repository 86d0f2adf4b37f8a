"""Small messages: many collectives of which each moves little, so that their fixed cost is most of what they take."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from etgraph.model import CommType
from etgraph.queries.findings.candidate import Candidate
from etgraph.queries.findings.measured import Measured
from etgraph.queries.findings.usual import Expected
from etgraph.queries.findings.words import a_step, size
from etgraph.sim.what_if.buckets import gradients_of, rebucket

SMALL_BYTES = 1 << 20
"""A bucket below this is small: it is what DDP itself gives its first one, so that communication begins early."""
SMALL_SHARE = 0.25
"""So many of a step's buckets must be small."""
CAPACITIES_MB = (1, 2, 4, 8, 25)
"""Capacities that are tried; 25 is DDP's default."""


def small_messages(measured: Measured) -> Iterator[Candidate]:
    """Gradient buckets, in buckets of each other capacity; the gain is against the same buckets at modelled times."""
    if not len(measured.communication) or measured.on_device[measured.communication].any():
        return
    found = [g for g in gradients_of(measured.trace) if measured.inside[g.reduces].all()]
    if not found:
        return
    sizes = np.concatenate([g.sizes for g in found])
    small = sizes < SMALL_BYTES
    if small.mean() < SMALL_SHARE:
        return
    rows = np.concatenate([g.reduces for g in found])
    draw = Expected(measured.plan)
    as_now = partial(rebucket, capacity=None, draw=draw)
    for capacity in CAPACITIES_MB:
        yield Candidate(
            "gradients are reduced in small buckets",
            "",
            partial(rebucket, capacity=capacity << 20, draw=draw),
            rows,
            f"{a_step(len(sizes) / len(found))} {CommType.ALL_REDUCE.name} a step, {small.mean():.0%} of them below "
            f"{size(SMALL_BYTES)}, median {size(float(np.median(sizes)))}; replayed with buckets of {capacity} MiB",
            f"DistributedDataParallel(bucket_cap_mb={capacity}): fewer, larger all-reduces; each spares the cost of "
            "issuing one, of its start and of waking up after it.",
            as_now,
        )
