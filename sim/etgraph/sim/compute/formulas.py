"""How long the work of an operator takes on a device, its floor apart: memory, tiles of products, waves of tiles."""

from __future__ import annotations

from typing import Final

import numpy as np

from etgraph.model.columns import Array
from etgraph.sim.compute.kinds import COMPUTE, FAMILY, Kinds
from etgraph.sim.compute.products import BYTES, HALF, PRECISIONS
from etgraph.sim.compute.rates import ON_ORDINARY_UNITS, Rates, peak, vector_peak
from etgraph.sim.profiles import Device

TILES: Final = (
    (256, 256), (256, 128), (128, 256), (128, 128), (128, 64), (64, 128),
    (64, 64), (64, 32), (32, 64), (32, 32), (16, 16),
)  # fmt: skip
"""Rows and columns of the result that one SM or compute unit makes at a time, as libraries offer them."""
_QUERIES: Final = 128
"""Rows of queries that a fused attention gives to one SM or compute unit."""


def work_ns(kinds: Kinds, device: Device, rates: Rates) -> Array:
    """Time of each kind's work on a device in ns, without the kernel's floor; NaN where the work is not known.

    What memory limits takes bytes/bandwidth, or its flops at the rate of ordinary units. Products take the longer of
    that and of waves of tiles (`_tiles_ns`); attention the longer of bytes/bandwidth and flops at the rate of the units
    that its queries fill; a product without dims its flops at the full rate. Never shorter than `roofline_ns`.
    """
    size = np.nan_to_num(kinds.bytes)
    flops = np.nan_to_num(kinds.flops)
    memory = size / rates.bandwidth[kinds.family] * 1e9
    computes = np.isin(kinds.family, COMPUTE)
    rate = _rates(kinds, device, rates)
    attention = kinds.family == FAMILY["attention"]
    occupied = np.clip(np.ceil(kinds.m / _QUERIES) / device.units, None, 1.0)
    rate = np.where(attention & np.isfinite(occupied), rate * occupied, rate)
    with np.errstate(invalid="ignore"):
        product = np.fmax(_tiles_ns(kinds, device, rates), flops / rate * 1e9)
    product = np.where(kinds.aligned, product, product * rates.misalignment[kinds.family])
    memory = np.where(kinds.aligned | ~computes, memory, memory * rates.misalignment[kinds.family])
    other = flops / _vector_peaks(kinds, device) * 1e9
    found: Array = np.where(kinds.known, np.maximum(memory, np.where(computes, product, other)), np.nan)
    return found


def modelled_ns(kinds: Kinds, device: Device, rates: Rates) -> Array:
    """Time of each kind by the formulas: the floors of its kernels, and its work; NaN where that is not known."""
    return floors_ns(kinds, rates) + work_ns(kinds, device, rates)


def floors_ns(kinds: Kinds, rates: Rates) -> Array:
    """What the kernels of each kind take without any work, in ns: helpers as much as the shortest kernels of all."""
    main = kinds.kernels - kinds.helpers
    found: Array = main * rates.floor_ns[kinds.family] + kinds.helpers * rates.floor_ns[FAMILY["copy"]]
    return found


def roofline_ns(kinds: Kinds, device: Device) -> Array:
    """The least time that a device's datasheet allows: bytes at the full bandwidth, flops at the full rate, in ns.

    S. Williams, A. Waterman, D. Patterson, "Roofline: an insightful visual performance model" (2009).
    """
    rate = np.where(np.isin(kinds.family, COMPUTE), _peaks(kinds, device), _vector_peaks(kinds, device))
    memory, computation = np.nan_to_num(kinds.bytes) / device.memory_bandwidth, np.nan_to_num(kinds.flops) / rate
    found: Array = np.where(kinds.known, np.maximum(memory, computation) * 1e9, np.nan)
    return found


def _tiles_ns(kinds: Kinds, device: Device, rates: Rates) -> Array:
    """Time of products in waves of tiles over the device's units, with the tile that ends first; NaN without dims.

    A unit works on one tile at a time, and all wait for the last wave: `⌈tiles/units⌉ · 2·rows·columns·k / rate`. A
    tile reads rows + columns elements for 2·rows·columns flops, and reaches the less of its unit's rate the fewer flops
    that is an element. The largest tile reaches the family's share of the peak.
    """
    unit_rate = _rates(kinds, device, rates) / device.units
    # A unit that computes more slowly, or on shorter elements, is easier to feed.
    slower = _peaks(kinds, device) / peak(device, HALF)
    feed = rates.feed[kinds.family] * slower * np.array(BYTES)[kinds.precision] / BYTES[HALF]
    best = np.full(len(kinds), np.inf)
    for rows, columns in TILES:
        share = _fed(rows, columns, feed) / _fed(*TILES[0], feed)
        tiles = kinds.batch * np.ceil(kinds.m / rows) * np.ceil(kinds.n / columns)
        each = 2.0 * rows * columns * kinds.k / (unit_rate * share)
        best = np.minimum(best, np.ceil(tiles / device.units) * each * 1e9)
    return best


def _fed(rows: int, columns: int, feed: Array) -> Array:
    """Share of a unit's rate that a tile reaches: it does rows·columns multiplications for rows + columns elements."""
    intensity = rows * columns / (rows + columns)
    found: Array = intensity / (intensity + feed)
    return found


def _rates(kinds: Kinds, device: Device, rates: Rates) -> Array:
    """Flop/s that a product reaches which fills the device."""
    share = rates.efficiency[kinds.family]
    found: Array = np.where(ON_ORDINARY_UNITS[kinds.precision], np.sqrt(share), share) * _peaks(kinds, device)
    return found


def _peaks(kinds: Kinds, device: Device) -> Array:
    found: Array = np.array([peak(device, precision) for precision in range(len(PRECISIONS))])[kinds.precision]
    return found


def _vector_peaks(kinds: Kinds, device: Device) -> Array:
    found: Array = np.array([vector_peak(device, precision) for precision in range(len(PRECISIONS))])[kinds.precision]
    return found
