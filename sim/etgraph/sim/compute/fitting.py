"""Calibration: the few numbers of a device that agree best with measured traces and with what is expected of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from etgraph.model import Trace
from etgraph.model.columns import Array
from etgraph.model.errors import MissingData
from etgraph.model.families import FAMILIES
from etgraph.model.numbering import distinct
from etgraph.sim.compute.formulas import modelled_ns
from etgraph.sim.compute.intervals import CALIBRATED
from etgraph.sim.compute.kinds import COMPUTE, FAMILY, Kinds, columns_of, joined, taken
from etgraph.sim.compute.libraries import libraries_of
from etgraph.sim.compute.products import HALF
from etgraph.sim.compute.rates import Rates, peak, priors, rates_from, work_of
from etgraph.sim.compute.units import units_of
from etgraph.sim.profiles import Calibration, Device, FamilyFit

_DOUBT: Final = 0.2
"""Spread (log) of a kind's time around the formulas: what a single measurement weighs beside a prior."""
_OUTLIER: Final = 1.5
"""Spreads from which a kind pulls with a constant force only (P. J. Huber, 1964)."""
_ROUNDS: Final = 40
_STEP: Final = 1e-4


def fit(traces: Trace | Sequence[Trace], device: Device) -> Calibration:
    """Fit the numbers of a device to traces measured on it.

    The most probable numbers by their priors (`rates.priors`) and the medians of the times of each kind of unit, all
    in logarithms; one kind counts once, however often it ran. Only families that were measured are in the result, each
    with how many kinds it rests on, the range of their work, and the spread that is left. Raises MissingData where no
    operator has both recorded work and a device time.
    """
    listed = [traces] if isinstance(traces, Trace) else list(traces)
    kinds, measured = observed(listed)
    if not len(kinds):
        raise MissingData(
            "no device operator was launched by an operator with recorded dims",
            hint="record with record_shapes=True on the device that is to be calibrated",
        )
    logs = _most_probable(kinds, measured, device)
    rates = rates_from(logs, device)
    return Calibration(
        families=_families(kinds, measured, device, rates),
        libraries=libraries_of(listed),
        fitted_on=", ".join(dict.fromkeys(trace.metadata.device_model or device.name for trace in listed)),
    )


def observed(traces: Sequence[Trace]) -> tuple[Kinds, Array]:
    """The kinds of units of known work that were measured on a device, and the median of their times in ns."""
    found = [units_of(trace) for trace in traces]
    kinds = joined([units.kinds for units in found])
    before = np.cumsum([0, *(len(units.kinds) for units in found)])
    # What several traces have in common is one kind.
    same, _ = distinct(*(column.view(np.int64) for column in columns_of(kinds)))
    kind = same[np.concatenate([units.kind + first for units, first in zip(found, before.tolist())])]
    measured = np.concatenate([units.measured_ns for units in found])
    example = np.unique(same, return_index=True)[1]
    usable = (kinds.known & ~_is_padded(kinds))[example][kind] & (measured > 0)
    kind, measured = kind[usable], measured[usable]
    order = np.lexsort((measured, kind))
    kind, measured = kind[order], measured[order]
    first = np.flatnonzero(np.diff(kind, prepend=-1))
    count = np.diff(first, append=len(kind))
    return taken(kinds, example[kind[first]]), (measured[first + (count - 1) // 2] + measured[first + count // 2]) / 2


def _is_padded(kinds: Kinds) -> Array:
    """Whether a kind is a convolution of few channels, such as an image's colours: libraries have kernels for them."""
    found: Array = (kinds.family == FAMILY["convolution"]) & ~kinds.aligned
    return found


def _most_probable(kinds: Kinds, measured: Array, device: Device) -> Array:
    """Logarithms of the device's numbers: damped Gauss-Newton steps on residuals and priors."""
    mean, spread = priors(device)
    target = np.log(measured)

    def residuals(logs: Array) -> Array:
        return (np.log(modelled_ns(kinds, device, rates_from(logs, device))) - target) / _DOUBT

    def loss(logs: Array) -> float:
        left = np.abs(residuals(logs))
        robust = np.where(left <= _OUTLIER, left**2 / 2, _OUTLIER * (left - _OUTLIER / 2))
        return float(robust.sum() + (((logs - mean) / spread) ** 2).sum() / 2)

    logs, damping = mean.copy(), 1e-3
    best = loss(logs)
    for _ in range(_ROUNDS):
        left = residuals(logs)
        slope = np.stack([(residuals(logs + _STEP * one) - left) / _STEP for one in np.eye(len(logs))], axis=1)
        weight = np.minimum(1.0, _OUTLIER / np.maximum(np.abs(left), 1e-12))
        curve = (slope * weight[:, None]).T @ slope + np.diag(spread**-2.0)
        downhill = (slope * weight[:, None]).T @ left + (logs - mean) / spread**2
        step = np.linalg.solve(curve + damping * np.diag(np.diag(curve)), downhill)
        tried = loss(logs - step)
        if tried < best:
            converged = best - tried < 1e-9 * best
            logs, best, damping = logs - step, tried, damping / 3
            if converged:
                break
        else:
            damping *= 4
    return logs


def _families(kinds: Kinds, measured: Array, device: Device, rates: Rates) -> Mapping[str, FamilyFit]:
    left = np.log(measured) - np.log(modelled_ns(kinds, device, rates))
    found = {}
    for number in np.unique(kinds.family).tolist():
        own = kinds.family == number
        amount = work_of(kinds)[own]
        product = number in COMPUTE
        misaligned, tiled = bool((~kinds.aligned[own]).any()), bool(np.isfinite(kinds.n[own]).any())
        found[FAMILIES[number]] = FamilyFit(
            floor_ns=float(rates.floor_ns[number]),
            bandwidth=float(rates.bandwidth[number]),
            flops=float(rates.efficiency[number] * peak(device, HALF)) if product else None,
            misalignment=float(rates.misalignment[number]) if misaligned else None,
            feed=float(rates.feed[number]) if tiled else None,
            log_error=max(CALIBRATED, float(np.sqrt(np.mean(left[own] ** 2)))),
            samples=int(own.sum()),
            smallest=float(amount.min()),
            largest=float(amount.max()),
        )
    return found
