"""Low use of matrix units: products, convolutions and attention far below what the device can do."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from etgraph.model import Trace
from etgraph.model.columns import Array
from etgraph.model.errors import MissingData
from etgraph.model.families import family_of
from etgraph.model.readable import duration
from etgraph.queries.findings.candidate import Candidate
from etgraph.queries.findings.measured import Measured
from etgraph.queries.findings.mending import with_durations
from etgraph.sim.idealised import at_peak
from etgraph.sim.profiles import Profile
from etgraph.sim.profiles.peaks import MATRIX_FAMILIES
from etgraph.sim.profiles.recognising import recognised

GOOD_SHARE = 0.7
"""What well-shaped products reach of a device's roofline in practice; the gain is that of reaching it."""
LOW_SHARE = 0.5
"""Below this part of the roofline they are far from it."""
ADVICE = (
    "Use types with matrix units (bf16 by torch.autocast, TF32 by torch.set_float32_matmul_precision('high')), sizes "
    "that are multiples of 64, larger or fewer products (batch them, channels_last for convolutions), and "
    "scaled_dot_product_attention."
)


def matrix_units(measured: Measured) -> Iterator[Candidate]:
    """The families of products of matrices whose time is far above the roofline of their work."""
    profile = measured.profile or recognised(measured.trace.metadata.device_model)
    rows = measured.plan.device[measured.inside[measured.plan.device]]
    if not len(rows):
        return
    if profile is None:
        raise MissingData("no profile of this device is given, and none of the built-in ones is of it")
    family = _families(measured.trace)
    rows = rows[np.isin(family[rows], sorted(MATRIX_FAMILIES))]
    peaks = at_peak(measured.trace, profile)
    known = rows[peaks.known[rows]]
    if len(rows) and not len(known):
        raise MissingData("the work of its products of matrices is not recorded: record_shapes=True")
    for name in np.unique(family[known]).tolist():
        own = known[family[known] == name]
        if len(own):
            yield from _family(measured, profile, name, own, peaks.ns[own])


def _family(measured: Measured, profile: Profile, name: str, rows: Array, ideal_ns: Array) -> Iterator[Candidate]:
    took = measured.trace.operators["duration_ns"][rows]
    share = float(ideal_ns.sum() / max(took.sum(), 1))
    if share >= LOW_SHARE:
        return
    target = np.rint(ideal_ns / GOOD_SHARE).astype(np.int64)
    flops = measured.trace.operators["flops"][rows]
    yield Candidate(
        f"{name} is far below the device's peak",
        name,
        partial(with_durations, rows=rows, ns=target),
        rows,
        f"{len(rows) / len(measured.steps):,.0f} a step take {duration(float(took.sum()) / len(measured.steps))}, "
        f"{share:.0%} of the roofline of {profile.name}"
        + (f" in {np.count_nonzero(flops > 0):,} of known flops" if (flops > 0).any() else "")
        + f"; the gain is that of reaching {GOOD_SHARE:.0%}",
        ADVICE,
    )


def _families(trace: Trace) -> Array:
    """The family of each operator by its name."""
    o = trace.operators
    return np.array([family_of(name) for name in o.texts("name").to_pylist()], dtype=object)[o["name"]].astype(str)
