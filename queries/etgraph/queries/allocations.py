"""Allocations: which release ends each of them, and how much of a device's memory is in use after each event."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from etgraph.model import TABLES, Trace
from etgraph.model.columns import Array
from etgraph.model.kernels import kernel
from etgraph.queries.grouping import groups_of

NULL: Final = TABLES["memory_events"].column("allocated").null
UNKNOWN_DEVICE: Final = TABLES["memory_events"].column("device").null
CPU: Final = 0
DEVICE_TYPES: Final = {
    0: "cpu", 1: "cuda", 2: "mkldnn", 3: "opengl", 4: "opencl", 5: "ideep", 6: "hip", 7: "fpga", 8: "maia", 9: "xla",
    10: "vulkan", 11: "metal", 12: "xpu", 13: "mps", 14: "meta", 15: "hpu", 16: "ve", 17: "lazy", 18: "ipu", 19: "mtia",
    20: "privateuseone",
}  # fmt: skip
"""PyTorch's device types (`c10/core/DeviceType.h`)."""


@dataclass(frozen=True, slots=True)
class Pool:
    """The memory of one device as the allocator of one rank saw it: its events in order of time, and sums over them.

    `rows` are those of the table of memory events, `size` is above 0 for allocations. `ended` is for each allocation
    the position of the event that ends it (the number of events: none does). After each event, `total` bytes are in
    use; `before` of them were allocated before the recording, and `known` by events. `held` is in use at its start.
    `reserved` is what the allocator holds of the device, `NULL` where that is not recorded.
    """

    rank: int
    device_type: int
    device: int
    rows: Array
    ns: Array
    size: Array
    ended: Array
    total: Array
    before: Array
    known: Array
    reserved: Array
    held: int
    faults: Faults

    @property
    def label(self) -> str:
        """The device in words: `cuda:0`, `cpu`."""
        if self.device_type == UNKNOWN_DEVICE:
            kind = "unknown"
        else:
            kind = DEVICE_TYPES.get(self.device_type, f"type {self.device_type}")
        return kind if self.device < 0 else f"{kind}:{self.device}"

    def alive(self, position: int) -> Array:
        """Positions of the recorded allocations that are in use after an event (-1: before the first)."""
        until = np.arange(position + 1)
        return until[(self.size[: position + 1] > 0) & (self.ended[: position + 1] > position)]


@dataclass(frozen=True, slots=True)
class Faults:
    """What a pool's events do not tell, or not consistently.

    Whether totals and addresses are recorded; by how many bytes at most the totals differ from the sum of the events;
    blocks that were allocated again without a release; releases of another size than the allocation.
    """

    totals: bool
    addresses: bool
    off_by: int
    unreleased: int
    resized: int


def pools(trace: Trace, ranks: Iterable[int]) -> list[Pool]:
    """The pools of those ranks, in order of rank and device."""
    m = trace.memory_events
    rows = np.flatnonzero(np.isin(m["rank"], list(ranks)) & (m["bytes"] != 0))
    keys = (m["device"][rows], m["device_type"][rows], m["rank"][rows])
    rows = rows[np.lexsort((m["time_ns"][rows], *keys))]
    new = np.zeros(len(rows), dtype=bool)
    for name in ("rank", "device_type", "device"):
        new[1:] |= np.diff(m[name][rows]) != 0
    addressed = ~m.is_null("address")[rows]
    size = m["bytes"][rows]
    block = groups_of(*_blocks(m["address"][rows], size, addressed), np.cumsum(new))
    ended, freed = _matched(block.of, block.count, size, addressed)
    bounds = [0, *np.flatnonzero(new).tolist(), len(rows)]
    return [
        _pool(trace, rows[a:b], np.minimum(ended[a:b], b) - a, np.maximum(freed[a:b] - a, -1))
        for a, b in pairwise(bounds)
        if a < b
    ]


def _pool(trace: Trace, rows: Array, ended: Array, freed: Array) -> Pool:
    """One pool of those events; `ended` and `freed` are positions among them."""
    m = trace.memory_events
    size, recorded = m["bytes"][rows], m["allocated"][rows]
    n = len(rows)
    over = np.flatnonzero((size > 0) & (ended < n))
    change = np.maximum(size, 0)
    np.subtract.at(change, ended[over], size[over])
    known = np.cumsum(change)
    lost = np.cumsum(np.where((size < 0) & (freed < 0), -size, 0))
    told = np.flatnonzero(recorded != NULL)
    base = int(lost[-1])
    if len(told):
        base = max(int(recorded[told[0]] - known[told[0]] + lost[told[0]]), 0)
    before = np.maximum(base - lost, 0)
    # What the recorded totals have beyond that; between them, as much as at the last one.
    beyond = np.concatenate([[0], recorded[told] - (before + known)[told]])
    beyond = beyond[np.searchsorted(told, np.arange(n), side="right")]
    releases = np.flatnonzero(freed >= 0)
    faults = Faults(
        totals=len(told) > 0,
        addresses=not m.is_null("address")[rows].any(),
        off_by=int(np.abs(beyond).max()),
        unreleased=len(over) - len(releases),
        resized=int(np.count_nonzero(size[freed[releases]] != -size[releases])),
    )
    first = rows[0]
    return Pool(
        int(m["rank"][first]), int(m["device_type"][first]), int(m["device"][first]), rows, m["time_ns"][rows], size,
        ended, before + known + beyond, before, known, m["reserved"][rows], base, faults,
    )  # fmt: skip


def _blocks(address: Array, size: Array, addressed: Array) -> tuple[Array, Array]:
    """What tells a device's blocks apart, for each event: its address or, where there is none, its size."""
    by_address = np.unique(np.where(addressed, address, 0), return_inverse=True)[1]
    by_size = np.unique(np.where(addressed, 0, np.abs(size)), return_inverse=True)[1]
    return np.where(addressed, by_address, by_size), addressed.astype(np.int64)


@kernel
def _matched(block: Array, blocks: int, size: Array, addressed: Array) -> tuple[Array, Array]:
    """For each allocation the event that ends it, for each release the allocation that it ends (-1: not recorded).

    A block with an address is in use once at most: allocated again, it had been released unseen. Of blocks that are
    known by their size only, the one that was allocated last is released.
    """
    n = len(block)
    ended = np.full(n, n)
    freed = np.full(n, -1)
    last = np.full(blocks, -1)
    below = np.full(n, -1)
    for i in range(n):
        b = block[i]
        held = last[b]
        if size[i] > 0:
            if held >= 0 and addressed[i]:
                ended[held] = i
            else:
                below[i] = held
            last[b] = i
        elif held >= 0:
            ended[held] = i
            freed[i] = held
            last[b] = below[held]
    return ended, freed
