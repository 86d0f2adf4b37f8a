"""Operators against the peaks of a device: how long their work would take at full speed, and what bounds it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from etgraph.model import Trace
from etgraph.model.columns import Array
from etgraph.model.families import family_of
from etgraph.queries.grouping import NULL, Groups
from etgraph.sim.profiles import Profile
from etgraph.sim.profiles.peaks import dtype_of, peak_flops
from etgraph.sim.profiles.profile import Dtype

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rooflines:
    """For each operator of a trace: ns that its flops, and its bytes, take at the device's peak; NaN: not known."""

    flops_ns: Array
    bytes_ns: Array

    @property
    def ideal_ns(self) -> Array:
        """The longer of both: no operator of that work is quicker. NaN where one of them is not known."""
        return np.maximum(self.flops_ns, self.bytes_ns)


def rooflines(trace: Trace, profile: Profile) -> Rooflines:
    """The work of all operators at the peaks of the profile's device (Williams et al., Roofline, CACM 2009).

    The peak of flops is that of the matrix units for products, convolutions and attention, of the vector units for all
    else, each for the type of the inputs (`etgraph.sim.profiles.peaks`). O(operators + distinct names and shapes).
    """
    o = trace.operators
    flops, moved = o["flops"], o["bytes"]
    with np.errstate(divide="ignore", invalid="ignore"):
        flops_ns = np.where(flops == 0, 0.0, flops / _peaks(trace, profile) * 1e9)
    bytes_ns = moved / profile.device.memory_bandwidth * 1e9
    return Rooflines(np.where(flops == NULL, np.nan, flops_ns), np.where(moved == NULL, np.nan, bytes_ns))


def _peaks(trace: Trace, profile: Profile) -> Array:
    """The peak of each operator in flop/s, NaN where there is none; each pair of family and type is looked up once."""
    o = trace.operators
    families, family = _numbered([family_of(name) for name in o.texts("name").to_pylist()])
    dtypes, dtype = _numbered([*map(_dtype, o.texts("shapes").to_pylist()), None])
    table = np.array(
        [[peak_flops(profile.device, one, other) or np.nan for other in dtypes] for one in families], dtype=float
    )
    # A shape that is not recorded is -1, and so the last entry.
    found: Array = table[family[o["name"]], dtype[o["shapes"]]]
    return found


def _dtype(shapes: str) -> Dtype | None:
    try:
        types = json.loads(shapes).get("types", ())
    except (ValueError, AttributeError):
        return None
    return dtype_of(types) if isinstance(types, list) else None


def _numbered(values: list[T]) -> tuple[list[T], Array]:
    """The distinct values, and the position of each value among them."""
    known: dict[T, int] = {}
    code = np.array([known.setdefault(value, len(known)) for value in values], dtype=np.int64)
    return list(known), code


def against_peaks(groups: Groups, rows: Array, spent: dict[str, Array], found: Rooflines) -> dict[str, Array]:
    """Columns of each group: shares of the peaks, the share of the roofline, and whether its bytes bound it.

    `spent` is the time in ns in which each row's `flops`, `bytes` and work of either kind were done. Shares are times
    at full speed as parts of the times taken, so that operators of different types count by their time; NaN where
    nothing is known.
    """
    flops_ns, bytes_ns, ideal_ns = found.flops_ns[rows], found.bytes_ns[rows], found.ideal_ns[rows]
    either = spent["either"]
    known = ~np.isnan(ideal_ns) & (either > 0)
    compute, memory = (np.bincount(groups.of[known], each[known], groups.count) for each in (flops_ns, bytes_ns))
    return {
        "flops_share": _share(groups, flops_ns, spent["flops"]),
        "bytes_share": _share(groups, bytes_ns, spent["bytes"]),
        "roofline_share": _share(groups, ideal_ns, either),
        "memory_bound": np.where(compute + memory > 0, memory > compute, np.nan),
    }


def _share(groups: Groups, ideal: Array, spent: Array) -> Array:
    counted = ~np.isnan(ideal) & (spent > 0)
    full, taken = (np.bincount(groups.of[counted], each[counted], groups.count) for each in (ideal, spent))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(taken > 0, full / taken, np.nan)
