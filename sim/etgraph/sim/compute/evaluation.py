"""How well a prediction from one device's trace holds on another: the same model, recorded on both, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from etgraph.model import Category, Trace
from etgraph.model.columns import Array
from etgraph.model.errors import MissingData
from etgraph.model.graph import nearest_above
from etgraph.model.launching import launching_calls
from etgraph.model.twins import without_vendor
from etgraph.sim.compute.intervals import total_interval
from etgraph.sim.compute.products import HALF
from etgraph.sim.compute.protocol import CostModel
from etgraph.sim.compute.rates import peak
from etgraph.sim.compute.roofline import Roofline
from etgraph.sim.compute.summary import share
from etgraph.sim.compute.units import NONE, Units, is_device, units_of
from etgraph.sim.profiles import Device


@dataclass(frozen=True, slots=True)
class CrossHardware:
    """A prediction beside what the other device took, in ns; shares and errors are relative, errors signed.

    `measured_ns` is the truth: kernels and memsets of what was launched inside the recorded iterations, copies left
    out; `left_over_ns` is what ran on the target and was launched before the recording. `naive` holds the errors of
    predictors without a model. Of the host operators that launched something, `operators` were found on both devices;
    `covered` is the share of them whose measured time is in the predicted 90 % interval, `operator_error` the mean of
    their absolute errors. `extrapolated_share` and `unknown_share` are parts of the predicted time, `unaligned_share`
    is the part of the truth whose operators have no partner.
    """

    model: str
    predicted_ns: float
    low_ns: float
    high_ns: float
    measured_ns: float
    left_over_ns: float
    error: float
    naive: Mapping[str, float]
    operators: int
    covered: float
    operator_error: float
    extrapolated_share: float
    unknown_share: float
    unaligned_share: float

    @property
    def holds(self) -> bool:
        """Whether the truth is in the interval of the total."""
        return self.low_ns <= self.measured_ns <= self.high_ns


def cross_hardware(here: Trace, there: Trace, model: CostModel, source: Device, target: Device) -> CrossHardware:
    """Predict the computation of a trace on another device, and compare with the trace of the same model from there.

    Operators are aligned by what launched them: the k-th of a name here is the k-th there. Names of vendors' libraries
    are one (`cudnn_convolution`, `miopen_convolution`), and operators may differ in their number of kernels.
    Raises MissingData where the two have no operator in common that a device computed.
    """
    rows, rows_there = computation_rows(here), computation_rows(there)
    found = model.predict(here, rows)
    total, low, high = total_interval(found)
    duration = there.operators["duration_ns"][rows_there]
    truth = float(duration.sum())
    same = float(here.operators["duration_ns"][rows].sum())
    roofline = float(Roofline(target).predict(here, rows).duration_ns.sum())
    naive = {
        "same time": same,
        "ratio of bandwidths": same * source.memory_bandwidth / target.memory_bandwidth,
        "ratio of peaks": same * peak(source, HALF) / peak(target, HALF),
        "roofline": roofline,
    }
    before, after = _operators(here, rows), _operators(there, rows_there)
    aligned = [(a, b) for key, a in before.items() if (b := after.get(key)) is not None]
    if not aligned or not truth:
        raise MissingData("the two traces have no operator in common that a device computed")
    predicted, lows, highs = (
        np.array([values[a].sum() for a, _ in aligned]) for values in (found.duration_ns, found.low_ns, found.high_ns)
    )
    took = np.array([duration[b].sum() for _, b in aligned])
    return CrossHardware(
        model=model.name,
        predicted_ns=total,
        low_ns=low,
        high_ns=high,
        measured_ns=truth,
        left_over_ns=_left_over(there),
        error=total / truth - 1,
        naive={name: value / truth - 1 for name, value in naive.items()},
        operators=len(aligned),
        covered=float(((lows <= took) & (took <= highs)).mean()),
        operator_error=float(np.abs(predicted / took - 1).mean()),
        extrapolated_share=share(found, found.extrapolated),
        unknown_share=share(found, ~found.known),
        unaligned_share=1 - float(took.sum()) / truth,
    )


def computation_rows(trace: Trace) -> Array:
    """Device operators that compute, launched inside a recorded iteration (where there is any); copies are left out."""
    o = trace.operators
    chosen = (units_of(trace).of != NONE) & (o["category"] != int(Category.MEMCPY)) & ~o.is_null("duration_ns")
    if len(trace.iterations):
        chosen &= o["iteration"] >= 0
    return np.flatnonzero(chosen)


def _operators(trace: Trace, rows: Array) -> dict[tuple[str, int], Array]:
    """Positions in `rows` of what each host operator launched, by its name and its number among those of the name."""
    o, units = trace.operators, units_of(trace)
    launcher = _launchers(trace, units)[rows]
    order = np.argsort(launcher, kind="stable")
    names = [without_vendor(name) for name in o.texts("name").to_pylist()]
    found: dict[tuple[str, int], Array] = {}
    seen: dict[str, int] = {}
    for group in np.split(order, np.flatnonzero(np.diff(launcher[order])) + 1) if len(order) else []:
        name = names[o["name"][launcher[group[0]]]]
        seen[name] = seen.get(name, -1) + 1
        found[name, seen[name]] = group
    return found


def _launchers(trace: Trace, units: Units) -> Array:
    """For each operator of a unit the host operator that owns the work, or the innermost one around its launch."""
    o = trace.operators
    owner = np.append(units.owner, NONE)[units.of]
    around = nearest_above(o["parent"], o["category"] == int(Category.CPU_OP))
    call = launching_calls(trace)
    innermost = np.where(call >= 0, around[call], NONE)
    found: Array = np.where(is_device(trace)[owner] & (innermost >= 0), innermost, owner)
    return found


def _left_over(trace: Trace) -> float:
    """Time of kernels that no recorded call launched."""
    o = trace.operators
    kernels = (o["category"] == int(Category.KERNEL)) & (launching_calls(trace) < 0) & ~o.is_null("duration_ns")
    return float(o["duration_ns"][kernels].sum())
