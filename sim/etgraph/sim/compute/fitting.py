"""Calibration: the few numbers of a device that agree best with measured traces and with what is expected of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, Final

import numpy as np

from etgraph.model import Trace
from etgraph.model.columns import Array
from etgraph.model.errors import MissingData
from etgraph.model.families import FAMILIES
from etgraph.sim.compute.formulas import modelled_ns
from etgraph.sim.compute.intervals import CALIBRATED
from etgraph.sim.compute.products import HALF
from etgraph.sim.compute.rates import Rates, peak, priors, rates_from, work_of
from etgraph.sim.compute.units import COMPUTE, Kinds, units_of
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
    found, times = [], []
    for trace in traces:
        units = units_of(trace)
        order = np.lexsort((units.measured_ns, units.kind))
        kind, measured = units.kind[order], units.measured_ns[order]
        timed = np.isfinite(measured) & (measured > 0)
        kind, measured = kind[timed], measured[timed]
        first = np.flatnonzero(np.diff(kind, prepend=-1))
        count = np.diff(first, append=len(kind))
        median = (measured[first + (count - 1) // 2] + measured[first + count // 2]) / 2 if len(first) else measured
        chosen = units.kinds.known[kind[first]]
        found.append(_taken(units.kinds, kind[first][chosen]))
        times.append(median[chosen])
    return _joined(found), np.concatenate(times) if times else np.zeros(0)


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
        misaligned = product and bool((~kinds.aligned[own]).any())
        found[FAMILIES[number]] = FamilyFit(
            floor_ns=float(rates.floor_ns[number]),
            bandwidth=float(rates.bandwidth[number]),
            flops=float(rates.efficiency[number] * peak(device, HALF)) if product else None,
            misalignment=float(rates.misalignment) if misaligned else None,
            feed=float(rates.feed) if FAMILIES[number] == "matmul" else None,
            log_error=max(CALIBRATED, float(np.sqrt(np.mean(left[own] ** 2)))),
            samples=int(own.sum()),
            smallest=float(amount.min()),
            largest=float(amount.max()),
        )
    return found


_VERSIONS: Final = {
    "torch_version": "torch", "cuda_compiled_version": "cuda", "hip_compiled_version": "hip",
    "cuda_runtime_version": "cuda runtime", "hip_runtime_version": "hip runtime",
    "miopen_runtime_version": "miopen", "nvidia_driver_version": "driver",
    "cuda_driver_version": "cuda driver", "hip_driver_version": "hip driver",
}  # fmt: skip
"""Names under which profilers and their callers record versions, and what we call them. Nothing else is taken: the
documents of traces hold whole environments."""
_PACKAGES: Final = ("cublas", "cudnn", "triton", "miopen", "rocblas", "hipblaslt", "flash-attn", "xformers")
_DEEPEST: Final = 4


def libraries_of(traces: Sequence[Trace]) -> Mapping[str, str]:
    """Versions of the libraries that the traces' files record; of several the ones of the first that has them."""
    found: dict[str, str] = {}
    for trace in traces:
        for source in trace.metadata.sources:
            _collect(source.document, found, _DEEPEST)
    return dict(sorted(found.items()))


def _collect(document: Mapping[str, Any], found: dict[str, str], depth: int) -> None:
    for key, value in document.items():
        if key in _VERSIONS and isinstance(value, str | int) and str(value) not in ("", "N/A", "None"):
            found.setdefault(_VERSIONS[key], str(value))
        elif isinstance(value, Mapping) and depth and key != "env":
            _collect(value, found, depth - 1)
        elif key == "pip_packages" and isinstance(value, list):
            for package in value:
                name, _, version = str(package).partition("==")
                if version and any(part in name for part in _PACKAGES):
                    found.setdefault(name, version)


def _taken(kinds: Kinds, which: Array) -> Kinds:
    """Those of the kinds, in that order."""
    columns = {f.name: getattr(kinds, f.name) for f in fields(Kinds) if f.name != "name"}
    taken = {name: values[which] for name, values in columns.items()}
    return Kinds(name=tuple(kinds.name[at] for at in which.tolist()), **taken)


def _joined(parts: Sequence[Kinds]) -> Kinds:
    names = [f.name for f in fields(Kinds) if f.name != "name"]
    joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return Kinds(name=tuple(text for part in parts for text in part.name), **joined)
