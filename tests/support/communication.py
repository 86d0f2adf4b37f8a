"""Profiles and measured transfers for tests of communication costs, made up as a test needs them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from etgraph.model import CommType
from etgraph.sim.communication.transfers import Measured, Transfers
from etgraph.sim.profiles import Calibration, CollectiveFit, Device, Profile, Tier

DEVICE = Device("device", "vendor", "gpu", {}, {}, 1e12, 1 << 34, 100, 5_000)
NVLINK = Tier("nvlink", "ring", 8, 150e9, 600)
"""Eight V100 on a ring over six NVLink 2 links each (25 GB/s a link and direction); NCCL counts 0.6 µs a step of LL."""


def profile(*tiers: Tier, fits: Sequence[CollectiveFit] = (), name: str = "test") -> Profile:
    """A profile with those tiers and fits."""
    return Profile(name, DEVICE, tiers, calibration=Calibration(collectives=tuple(fits)) if fits else None)


def transfers(rows: Sequence[tuple[CommType | int, int, Sequence[int]]], library: str = "gloo") -> Transfers:
    """Transfers of (type, bytes, ranks)."""
    groups = list(dict.fromkeys(tuple(ranks) for *_, ranks in rows))
    columns = ([int(row[0]) for row in rows], [row[1] for row in rows], [groups.index(tuple(row[2])) for row in rows])
    return Transfers(*(np.array(column, dtype=np.int64) for column in columns), tuple(groups), (library,) * len(groups))


def timed(
    rows: Sequence[tuple[CommType | int, int, Sequence[int], int]], library: str = "gloo", resolution_ns: int = 1
) -> Measured:
    """Measured transfers of (type, bytes, ranks, ns)."""
    count = len(rows)
    return Measured(
        transfers([row[:3] for row in rows], library), np.array([ns for *_, ns in rows], dtype=np.int64),
        np.arange(count), np.arange(count), resolution_ns,
    )  # fmt: skip
