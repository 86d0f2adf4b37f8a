"""The cost model by family: a floor and a rate for each, from a calibration or from what is expected of a device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etgraph.model import Trace
from etgraph.model.columns import Array
from etgraph.sim.compute.formulas import floors_ns, modelled_ns
from etgraph.sim.compute.intervals import CALIBRATED, FORMULAS_ALONE, WITHOUT_DIMS
from etgraph.sim.compute.protocol import Predictions
from etgraph.sim.compute.rates import is_calibrated, rates_of
from etgraph.sim.compute.unit_times import NOTHING_KNOWN, WORK_UNKNOWN, UnitTimes, predictions_of
from etgraph.sim.compute.units import Units, units_of
from etgraph.sim.profiles import Calibration, Device


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A floor for each kernel and the time of its work by the family's formula; recorded times do not enter."""

    device: Device
    calibration: Calibration | None = None

    @property
    def name(self) -> str:
        """How reports call the model."""
        return f"formulas for {self.device.name}"

    def predict(self, trace: Trace, rows: Array) -> Predictions:
        """Times by `formulas.modelled_ns`; what has no recorded work is assumed to take what it took."""
        units = units_of(trace)
        return predictions_of(trace, rows, units, times_by_formulas(units, self.device, self.calibration))


def times_by_formulas(units: Units, device: Device, calibration: Calibration | None) -> UnitTimes:
    """Times of units by the formulas of a device; where these were fitted, their spread is that of the fit."""
    kinds, rates = units.kinds, rates_of(device, calibration)
    known, seen = kinds.known[units.kind], np.isfinite(units.measured_ns)
    assumed = np.where(seen, units.measured_ns, floors_ns(kinds, rates)[units.kind])
    calibrated = is_calibrated(kinds, rates)
    spread = np.where(calibrated, np.fmax(rates.log_error[kinds.family], CALIBRATED), FORMULAS_ALONE)
    return UnitTimes(
        duration_ns=np.where(known, modelled_ns(kinds, device, rates)[units.kind], assumed),
        source=np.where(known, 0, np.where(seen, 1, 2)),
        extrapolated=~calibrated[units.kind],
        known=known,
        log_error=np.where(known, spread[units.kind], WITHOUT_DIMS),
        sources=(f"formulas for {device.name}", WORK_UNKNOWN, NOTHING_KNOWN),
    )
