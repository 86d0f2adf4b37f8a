"""The cost model of datasheets: the least time that bandwidth and peak allow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from etgraph.model import Trace
from etgraph.model.columns import Array
from etgraph.sim.compute.formulas import roofline_ns
from etgraph.sim.compute.intervals import UNCALIBRATED
from etgraph.sim.compute.protocol import Predictions
from etgraph.sim.compute.unit_times import WORK_UNKNOWN, UnitTimes, predictions_of
from etgraph.sim.compute.units import units_of
from etgraph.sim.profiles import Device

_LEAST_SHARE: Final = 0.15
"""Share of its roofline that a kernel reaches at least, its start apart, in nine cases of ten."""
_START_NS: Final = 10_000.0
"""What a kernel takes at most, in nine cases of ten, without any work."""


@dataclass(frozen=True, slots=True)
class Roofline:
    """Bytes at the full bandwidth or flops at the full rate of a datasheet, whichever takes longer."""

    device: Device

    @property
    def name(self) -> str:
        """How reports call the model."""
        return f"roofline of {self.device.name}"

    def predict(self, trace: Trace, rows: Array) -> Predictions:
        """The roofline's times: lower bounds, with an interval of what kernels make of them."""
        units = units_of(trace)
        least = roofline_ns(units.kinds, self.device)[units.kind]
        known = np.isfinite(least)
        measured = np.nan_to_num(units.measured_ns)
        most = least / _LEAST_SHARE + _START_NS * units.kinds.kernels[units.kind]
        times = UnitTimes(
            duration_ns=np.where(known, least, measured),
            source=np.where(known, 0, 1),
            extrapolated=np.ones(len(units), dtype=bool),
            known=known,
            log_error=np.full(len(units), UNCALIBRATED),
            sources=(self.name, WORK_UNKNOWN),
            low_ns=np.where(known, least, measured),
            high_ns=np.where(known, most, measured),
        )
        return predictions_of(trace, rows, units, times)
