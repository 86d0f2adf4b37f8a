"""The cost model from device to device: measured times scaled, the floors of kernels apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from etgraph.model import Trace
from etgraph.model.columns import Array
from etgraph.sim.compute.calibrated import times_by_formulas
from etgraph.sim.compute.formulas import floors_ns, work_ns
from etgraph.sim.compute.intervals import CALIBRATED, UNCALIBRATED, WITHOUT_DIMS
from etgraph.sim.compute.kinds import COMPUTE, Kinds
from etgraph.sim.compute.products import HALF
from etgraph.sim.compute.protocol import Predictions
from etgraph.sim.compute.rates import is_calibrated, peak, rates_of, tells_bandwidth
from etgraph.sim.compute.unit_times import NOTHING_KNOWN, UnitTimes, predictions_of
from etgraph.sim.compute.units import Units, units_of
from etgraph.sim.profiles import Calibration, Device

MOST_RESIDUAL: Final = 4.0
"""How many times longer or shorter than the formulas a measurement counts; more is its own, and not the work's."""


@dataclass(frozen=True, slots=True)
class Scaled:
    """Times measured on the source, brought to the target: `t' = f' + (t - f) · v'/v`.

    f is the floor and v the time of the work by the formulas on the device that was measured, with a prime on the
    other. `t - f` counts as a quarter of v at least and four times v at most. What memory limits scales by the ratio of
    the datasheets' bandwidths, unless both calibrations had operators of the family that were large enough to tell.
    Without dims, what is above the floor scales by a ratio of the family's.
    """

    source: Device
    target: Device
    source_calibration: Calibration | None = None
    target_calibration: Calibration | None = None

    @property
    def name(self) -> str:
        """How reports call the model."""
        return f"scaled from {self.source.name} to {self.target.name}"

    def predict(self, trace: Trace, rows: Array) -> Predictions:
        """Times on the target of what was measured on the source; by formulas where no time was measured."""
        units = units_of(trace)
        return predictions_of(trace, rows, units, self._times(units))

    def _times(self, units: Units) -> UnitTimes:
        kinds, kind, measured = units.kinds, units.kind, units.measured_ns
        here, there = rates_of(self.source, self.source_calibration), rates_of(self.target, self.target_calibration)
        floor, floor_there = floors_ns(kinds, here), floors_ns(kinds, there)
        work = work_ns(kinds, self.source, here)
        ratio, by_bandwidth = self._ratios(kinds, work)
        above = measured - floor[kind]
        limited = np.clip(above, work[kind] / MOST_RESIDUAL, work[kind] * MOST_RESIDUAL)
        known, seen = kinds.known[kind], np.isfinite(measured)
        scaled = floor_there[kind] + np.where(known, limited, np.maximum(above, 0)) * ratio[kind]
        calibrated = (is_calibrated(kinds, here) & is_calibrated(kinds, there))[kind]
        fitted = np.maximum(here.log_error, there.log_error)[kinds.family][kind]
        error = np.where(calibrated, np.maximum(fitted, CALIBRATED), np.where(known, UNCALIBRATED, WITHOUT_DIMS))
        formulas = times_by_formulas(units, self.target, self.target_calibration)
        return UnitTimes(
            duration_ns=np.where(seen, scaled, formulas.duration_ns),
            source=np.where(seen, np.where(known, by_bandwidth[kind], 2), np.where(known, 3, 4)),
            extrapolated=np.where(seen, ~calibrated, formulas.extrapolated),
            known=seen | known,
            log_error=np.where(seen, error, formulas.log_error),
            sources=(
                self.name, f"{self.name} by their bandwidths", f"{self.name} by family: its work is not recorded",
                f"formulas for {self.target.name}: no time was measured", NOTHING_KNOWN,
            ),
        )  # fmt: skip

    def _ratios(self, kinds: Kinds, work: Array) -> tuple[Array, Array]:
        """What each kind's work takes on the target, divided by what it takes here; whether bandwidths alone say so.

        Products without dims are taken to be limited by memory and by matrix units in equal parts.
        """
        here, there = rates_of(self.source, self.source_calibration), rates_of(self.target, self.target_calibration)
        bandwidths = self.source.memory_bandwidth / self.target.memory_bandwidth
        computes = np.isin(kinds.family, COMPUTE)
        by_bandwidth = ~computes & ~(tells_bandwidth(here) & tells_bandwidth(there))[kinds.family]
        modelled = work_ns(kinds, self.target, there) / work
        reached = [peak(d, HALF) * r.efficiency[kinds.family] for d, r in ((self.source, here), (self.target, there))]
        unknown = np.where(computes, np.sqrt(reached[0] / reached[1] * bandwidths), bandwidths)
        return np.where(kinds.known, np.where(by_bandwidth, bandwidths, modelled), unknown), by_bandwidth
