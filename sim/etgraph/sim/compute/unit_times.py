"""From times of units to predictions of operators: a unit's time is shared among its device operators as measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from etgraph.model import Trace
from etgraph.model.columns import Array
from etgraph.model.families import FAMILIES
from etgraph.sim.compute.intervals import bounds
from etgraph.sim.compute.protocol import Predictions
from etgraph.sim.compute.units import NONE, Units

KEPT: Final = "kept as measured: no computation of the device"
"""The source of what is of no unit: calls of the host, communication, copies over the link to the host."""
WORK_UNKNOWN: Final = "assumed to take as long as measured: its work is not recorded"
NOTHING_KNOWN: Final = "assumed to take as long as the shortest kernel of its family: neither work nor time is recorded"


@dataclass(frozen=True, slots=True)
class UnitTimes:
    """What a model says of each unit, times in ns; `source` is a position in `sources`.

    `low_ns` and `high_ns` are given where the spread (`log_error`) does not make the interval.
    """

    duration_ns: Array
    source: Array
    extrapolated: Array
    known: Array
    log_error: Array
    sources: tuple[str, ...]
    low_ns: Array | None = None
    high_ns: Array | None = None

    def __post_init__(self) -> None:
        if self.low_ns is None or self.high_ns is None:
            low, high = bounds(self.duration_ns, self.log_error)
            object.__setattr__(self, "low_ns", low)
            object.__setattr__(self, "high_ns", high)


def predictions_of(trace: Trace, rows: Array, units: Units, times: UnitTimes) -> Predictions:
    """The predictions of operators from those of their units; an operator of no unit keeps its time, exactly."""
    o = trace.operators
    unit = units.of[rows]
    inside = unit != NONE
    own = np.where(o.is_null("duration_ns")[rows], 0, o["duration_ns"][rows]).astype(np.float64)
    whole = _of(unit, units.measured_ns, np.nan)
    number = _of(unit, units.kinds.kernels[units.kind], 1)
    share = np.divide(own, whole, out=1 / number, where=whole > 0)
    duration, low, high = (
        np.rint(np.where(inside, _of(unit, values, 0.0) * share, own)).astype(np.int64)
        for values in (times.duration_ns, times.low_ns, times.high_ns)
    )
    return Predictions(
        duration,
        low,
        high,
        _of(unit, times.source, len(times.sources)).astype(np.int8),
        _of(unit, times.extrapolated, False).astype(bool),
        _of(unit, times.known, False).astype(bool),
        (*times.sources, KEPT),
        _of(unit, units.kind, len(units.kinds)),
        _of(unit, units.kinds.family[units.kind], len(FAMILIES) - 1),
        _of(unit, times.log_error, 0.0),
    )


def _of(unit: Array, values: Array | None, otherwise: float) -> Array:
    """The values of those units; where there is none (`NONE`, the last place), the other value."""
    found: Array = np.append(np.zeros(0) if values is None else values, otherwise)[unit]
    return found
