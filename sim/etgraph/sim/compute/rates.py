"""The rates of a device by family: what is expected of it from its datasheet, and what measurements made of that.

About ten numbers describe a device. Each has a prior: a mean that holds for devices of the vendor at large, and how far
one device and its libraries are usually from it. They are priors of judgement from public figures: streams reach about
0.87 (NVIDIA) and 0.80 (AMD) of the memory's peak, large bf16 products 0.73 of the matrix peak on H100 and 0.45 to 0.54
on MI300X, fused attention half of what products reach, and no kernel ends within less than a microsecond or two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final, NamedTuple

import numpy as np

from etgraph.model.columns import Array
from etgraph.model.families import FAMILIES
from etgraph.sim.compute.kinds import COMPUTE, FAMILY, Kinds
from etgraph.sim.compute.products import FP8, FP32, FP64, HALF, INT8, PRECISIONS, TF32
from etgraph.sim.profiles import Calibration, Device


class Prior(NamedTuple):
    """A number before anything was measured: its mean on NVIDIA's devices and on others, and its spread (log)."""

    nvidia: float
    other: float
    spread: float


FLOORS_NS: Final[Mapping[str, Prior]] = {
    "elementwise": Prior(1500, 2500, 0.4),
    "embedding": Prior(2500, 3000, 0.4),
    "normalisation": Prior(2500, 3500, 0.4),
    "reduction": Prior(3000, 4000, 0.4),
    "matmul": Prior(4000, 4000, 0.4),
    "convolution": Prior(5000, 5000, 0.4),
    "attention": Prior(7000, 12000, 0.7),
}
"""The shortest time of one kernel, in ns."""
NUMBERS: Final[Mapping[str, Prior]] = {
    # Share of the memory's peak bandwidth; what normalisations, which read twice, reach of that, and what embeddings
    # do, whose rows lie anywhere.
    "memory": Prior(0.87, 0.80, 0.15),
    "normalisation": Prior(0.5, 0.5, 0.3),
    "embedding": Prior(0.5, 0.5, 0.5),
    # Share of the matrix units' peak that a product reaches which fills the device with the largest tiles.
    "matmul": Prior(0.73, 0.50, 0.2),
    "convolution": Prior(0.55, 0.35, 0.4),
    "attention": Prior(0.40, 0.25, 0.4),
    # How much longer a product takes whose rows do not start at 16 bytes.
    "misalignment": Prior(2.0, 1.4, 0.4),
    # Multiplications an element read at which a tile reaches half of what its unit can: how well a unit is fed. Tiles
    # of 128×128 do 64, and AMD's compute units need larger ones than NVIDIA's SMs.
    "feed": Prior(24.0, 64.0, 0.4),
    **{f"floor of {family}": prior for family, prior in FLOORS_NS.items()},
}
"""The numbers that describe a device, in the order of the logarithms that `rates_from` reads."""
_LIKE: Final = {"copy": "elementwise", "optimizer": "elementwise", "other": "elementwise",
                "softmax and loss": "reduction", "pooling": "reduction"}  # fmt: skip
FLOOR_OF: Final = np.array([[*FLOORS_NS].index(_LIKE.get(family, family)) for family in FAMILIES])
"""For each family the position in `FLOORS_NS` of the floor that it shares."""


@dataclass(frozen=True, slots=True)
class Rates:
    """What a device reaches, by family (position in `FAMILIES`): floors in ns, bytes/s, shares of the matrix peak.

    `misalignment` and `feed` are those of `NUMBERS`. `fitted` says which families were measured, `log_error` how far
    measurements were from the fit, `smallest` and `largest` how much work they had; `misalignment_fitted` whether any
    of them had misaligned rows.
    """

    floor_ns: Array
    bandwidth: Array
    efficiency: Array
    misalignment: Array
    feed: Array
    fitted: Array
    log_error: Array
    smallest: Array
    largest: Array
    misalignment_fitted: Array


def priors(device: Device) -> tuple[Array, Array]:
    """Means and spreads of the logarithms of a device's `NUMBERS`.

    A floor that the device's profile names replaces the one that devices have at large.
    """
    mean = {name: p.nvidia if device.vendor.lower() == "nvidia" else p.other for name, p in NUMBERS.items()}
    mean |= {f"floor of {family}": device.floors_ns[family] for family in FLOORS_NS if family in device.floors_ns}
    return np.log([*mean.values()]), np.array([prior.spread for prior in NUMBERS.values()])


def rates_from(logs: Array, device: Device) -> Rates:
    """The rates that those logarithms describe; nothing is fitted."""
    number = dict(zip(NUMBERS, np.exp(logs).tolist(), strict=True))
    count = len(FAMILIES)
    bandwidth = np.full(count, min(number["memory"], 1.0) * device.memory_bandwidth)
    for family in ("normalisation", "embedding"):
        bandwidth[FAMILY[family]] *= min(number[family], 1.0)
    efficiency = np.full(count, np.nan)
    efficiency[COMPUTE] = [min(number[FAMILIES[family]], 1.0) for family in COMPUTE.tolist()]
    nothing = np.zeros(count)
    return Rates(
        floor_ns=np.array([number[f"floor of {family}"] for family in FLOORS_NS])[FLOOR_OF],
        bandwidth=bandwidth,
        efficiency=efficiency,
        misalignment=np.full(count, max(number["misalignment"], 1.0)),
        feed=np.full(count, number["feed"]),
        fitted=nothing > 0,
        log_error=np.full(count, np.nan),
        smallest=nothing,
        largest=nothing,
        misalignment_fitted=nothing > 0,
    )


def rates_of(device: Device, calibration: Calibration | None = None) -> Rates:
    """The rates of a device: those of its calibration, and of families without one those expected of the device."""
    expected = rates_from(priors(device)[0], device)
    if calibration is None:
        return expected
    rates = {f.name: np.array(getattr(expected, f.name)) for f in fields(Rates)}
    full = peak(device, HALF)
    for family, fit in calibration.families.items():
        at = FAMILY[family]
        given = {
            "floor_ns": fit.floor_ns, "bandwidth": fit.bandwidth,
            "efficiency": None if fit.flops is None else min(fit.flops / full, 1.0),
            "misalignment": fit.misalignment, "feed": fit.feed,
            "log_error": fit.log_error, "smallest": fit.smallest, "largest": fit.largest,
            "fitted": fit.samples > 0, "misalignment_fitted": fit.misalignment is not None,
        }  # fmt: skip
        for name, value in given.items():
            if value is not None:
                rates[name][at] = value
    return Rates(**rates)


_PEAKS: Final = {
    HALF: ("bf16", "fp16"), TF32: ("tf32",), FP8: ("fp8",), FP64: ("fp64",), INT8: ("int8",), FP32: ("fp32",),
}  # fmt: skip
_WITHOUT: Final = {HALF: FP32, TF32: FP32, FP8: HALF, INT8: HALF, FP64: FP32}
"""What a product runs in on a device that lacks a number format."""


ON_ORDINARY_UNITS: Final = np.isin(np.arange(len(PRECISIONS)), (FP32, FP64))
"""Precisions in which products run on ordinary units. Those are easier to keep busy than matrix units: of what is lost
there (log), half is."""


def peak(device: Device, precision: int) -> float:
    """The most flop/s that a device reaches in products of a number format, matrix and ordinary units considered.

    A format that the device lacks runs in the next wider one that it has.
    """
    at: int | None = precision
    while at is not None:
        both = (device.matrix_flops, device.vector_flops)
        found = [flops for units in both for name, flops in units.items() if name in _PEAKS[at]]
        if found:
            return max(found)
        at = _WITHOUT.get(at)
    return max([*device.matrix_flops.values(), *device.vector_flops.values()], default=np.inf)


def vector_peak(device: Device, precision: int) -> float:
    """The most flop/s of ordinary units: in fp64 where the operator is, in fp32 otherwise; infinite where unknown."""
    fp32 = device.vector_flops.get("fp32", np.inf)
    return device.vector_flops.get("fp64", fp32) if precision == FP64 else fp32


def work_of(kinds: Kinds) -> Array:
    """By what the size of a kind is told: flops of products, bytes of what memory limits."""
    found: Array = np.where(np.isin(kinds.family, COMPUTE), kinds.flops, kinds.bytes)
    return found


_BEYOND: Final = 2.0
"""How far beyond the sizes that were measured a fit is still used as if it had been measured there."""


def is_calibrated(kinds: Kinds, rates: Rates) -> Array:
    """Whether a device's calibration covers each kind: its family, its size within a factor of two, its alignment."""
    amount, family = work_of(kinds), kinds.family
    within = (amount >= rates.smallest[family] / _BEYOND) & (amount <= rates.largest[family] * _BEYOND)
    found: Array = rates.fitted[family] & within & kinds.known & (kinds.aligned | rates.misalignment_fitted[family])
    return found


def tells_bandwidth(rates: Rates) -> Array:
    """For each family whether the largest operator that was fitted spent more time on memory than on its floor."""
    found: Array = rates.fitted & (rates.largest / rates.bandwidth * 1e9 > rates.floor_ns)
    return found
