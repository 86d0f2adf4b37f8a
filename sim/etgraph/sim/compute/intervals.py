"""How sure predicted times are: the spread of one operator's, and the interval of a sum of many."""

from __future__ import annotations

from typing import Final

import numpy as np

from etgraph.model.columns import Array
from etgraph.sim.compute.protocol import Predictions

CALIBRATED: Final = 0.20
"""Spread (log) of an operator's time where its family, size and alignment were measured on the devices concerned."""
UNCALIBRATED: Final = 0.40
"""Spread elsewhere, where a measured time is brought to another device."""
FORMULAS_ALONE: Final = 0.60
"""Spread elsewhere, where no time was measured."""
WITHOUT_DIMS: Final = 0.60
"""Spread where no dims are recorded, and only the kernel's name tells what it does."""
NINETY: Final = 1.6449
"""Spreads to either side that hold 90 % of a normal distribution."""
WITHIN_FAMILY: Final = 0.5
"""Correlation of the errors of different kinds of a family. Those of one kind are the same error, those of different
families have nothing in common."""


def bounds(duration_ns: Array, log_error: Array) -> tuple[Array, Array]:
    """Ends of the 90 % intervals of single durations, whose logarithms have that spread."""
    factor = np.exp(NINETY * log_error)
    return duration_ns / factor, duration_ns * factor


def total_interval(predictions: Predictions) -> tuple[float, float, float]:
    """The sum of the predicted durations in ns, and the ends of its 90 % interval.

    Errors of one kind are one error; of two kinds of a family they correlate by `WITHIN_FAMILY`, of two families not at
    all. So of the spread of each family, Σ over kinds of duration · spread, that part of its square counts whole and
    the rest kind by kind. The sum is taken as log-normal. Where a model gives no kinds, all errors are taken as one.
    """
    time = predictions.duration_ns.astype(np.float64)
    total = float(time.sum())
    if not total or len(predictions.kind) < len(time):
        return total, float(predictions.low_ns.sum()), float(predictions.high_ns.sum())
    _, first, kind = np.unique(predictions.kind, return_index=True, return_inverse=True)
    spread = np.bincount(kind, time * predictions.log_error)
    families = np.bincount(predictions.family[first], spread)
    variance = WITHIN_FAMILY * (families**2).sum() + (1 - WITHIN_FAMILY) * (spread**2).sum()
    factor = float(np.exp(NINETY * np.sqrt(variance) / total))
    return total, total / factor, total * factor
