"""Model flops utilization explained: how much of the peak a step reaches, and what the rest of the peak is lost to.

Flops of the step / (its time · peak · ranks) is the product of three shares: the part of the time in which the ranks
compute; how near computation comes to its roofline; and how much of the time on the roofline flops at the peak take,
which is less than all of it where bytes bound operators, or their work is not known. The measure is that of
A. Chowdhery et al., "PaLM" (2022), without its assumption about the model: flops are those of the operators that ran.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from etgraph.model import Trace
from etgraph.model.columns import Array
from etgraph.model.graph import nearest_above
from etgraph.queries.activity import Activity, Stretches
from etgraph.sim.compute.kinds import COMPUTE
from etgraph.sim.compute.products import PRECISIONS
from etgraph.sim.compute.rates import peak
from etgraph.sim.compute.units import units_of
from etgraph.sim.idealised import at_peak
from etgraph.sim.profiles import Profile


@dataclass(frozen=True, slots=True)
class Utilization:
    """What a step reaches of the peak of its ranks. Shares are 0 to 1, and the first is the product of the next three.

    `flops` are those of the step over all `ranks`; `peak_flops` is the peak of one device in flop/s in numbers of that
    `precision`, in which most of the flops of products are done. Flops that are not known count as none.
    """

    share: float
    computing_share: float
    roofline_share: float
    peak_share: float
    flops: int
    peak_flops: float
    precision: str
    ranks: int


@dataclass(frozen=True, slots=True)
class Reached:
    """How near computation comes to its roofline, where it is taken to reach it if its work is not known.

    `known_share` is the part of the computing time that is of operators whose work is known.
    """

    roofline_share: float
    known_share: float


def reached(trace: Trace, rows: Array, busy: Mapping[int, Stretches], profile: Profile) -> Reached | None:
    """What the operators `rows` reach of the roofline of a profile's device; None where none of them computes.

    `busy` is what the ranks are at when (`etgraph.queries.activity.stretches`). O(operators log operators).
    """
    spent = _spent(trace, rows, busy)
    total = spent.sum()
    if not total:
        return None
    peaks = at_peak(trace, profile)
    owner = nearest_above(trace.operators["parent"], peaks.known)  # what it encloses is its work, too
    by_owner = np.bincount(owner[owner >= 0], spent[owner >= 0], len(trace))
    below = (by_owner - np.minimum(by_owner, peaks.ns))[peaks.known].sum()
    return Reached(float(1 - below / total), float(by_owner.sum() / total))


def utilization(
    trace: Trace, rows: Array, *, step_ns: int, computing_ns: int, ranks: int, on: Reached, profile: Profile
) -> Utilization | None:
    """The utilization of a step of `step_ns` whose operators are `rows`; None where no flops are known.

    `computing_ns` is how long its ranks compute, summed over them. O(operators log operators).
    """
    units = units_of(trace)
    seen = units.of[rows]
    kind = units.kind[np.unique(seen[seen >= 0])]
    flops = np.nan_to_num(units.kinds.flops[kind])
    if not flops.sum() or not step_ns or not computing_ns:
        return None
    products = np.isin(units.kinds.family[kind], COMPUTE)
    by = np.bincount(units.kinds.precision[kind], flops * products if products.any() else flops, len(PRECISIONS))
    precision = int(np.argmax(by))
    most = float(peak(profile.device, precision))
    at_full_speed = float(flops.sum()) / most * 1e9
    return Utilization(
        share=at_full_speed / (step_ns * ranks),
        computing_share=computing_ns / (step_ns * ranks),
        roofline_share=on.roofline_share,
        peak_share=at_full_speed / (computing_ns * on.roofline_share),
        flops=int(flops.sum()),
        peak_flops=most,
        precision=PRECISIONS[precision],
        ranks=ranks,
    )


def _spent(trace: Trace, rows: Array, busy: Mapping[int, Stretches]) -> Array:
    """How long each of those operators computes, in ns; 0 for all others."""
    found = np.zeros(len(trace))
    for stretch in busy.values():
        computes = stretch.activity == int(Activity.COMPUTATION)
        np.add.at(found, stretch.operator[computes], (stretch.end_ns - stretch.start_ns)[computes])
    asked = np.zeros(len(trace), dtype=bool)
    asked[rows] = True
    return np.where(asked, found, 0.0)


__all__ = ["Reached", "Utilization", "reached", "utilization"]
