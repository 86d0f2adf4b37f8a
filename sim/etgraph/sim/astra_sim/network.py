"""ASTRA-sim's network file: the dimensions of the network, the first of which varies fastest over the ranks."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, Final

from etgraph.sim.astra_sim.documents import Document, Readable, finite, list_of, read_yaml
from etgraph.sim.astra_sim.engine.network import FULLY_CONNECTED, RING, SWITCH

TOPOLOGIES: Final = {"Ring": RING, "FullyConnected": FULLY_CONNECTED, "Switch": SWITCH}
"""Names of topologies."""
_GIB_PER_SECOND: Final = 1 << 30
"""The file's GB is 2³⁰ bytes."""


@dataclass(frozen=True, slots=True)
class Dimension:
    """One dimension: its NPUs, the bandwidth of a link in GB/s (2³⁰ bytes), the latency of a hop in ns."""

    topology: str
    npus: int
    bandwidth: float
    latency_ns: float

    @property
    def bytes_per_ns(self) -> float:
        """The bandwidth in bytes a ns."""
        return self.bandwidth * _GIB_PER_SECOND / 1e9


@dataclass(frozen=True, slots=True)
class Network:
    """The network, from dimension 0 on."""

    dims: tuple[Dimension, ...]
    file: str = "network"

    @property
    def npus(self) -> int:
        """How many NPUs it joins."""
        return prod(dim.npus for dim in self.dims)

    @property
    def name(self) -> str:
        """In a few letters: `Ring 4 x Switch 2`."""
        return " x ".join(f"{dim.topology} {dim.npus}" for dim in self.dims)


def read_network(source: Readable) -> Network:
    """The network that a YAML file describes, or a mapping like it. Raises InputError that names file, line and key."""
    document = read_yaml(source, "ASTRA-sim's network")
    names = document.get("topology", lambda v: list_of(v, str) or None, "a list of topologies")
    for name in names:
        if name not in TOPOLOGIES:
            raise document.error("topology", repr(name), ", ".join(TOPOLOGIES))
    npus = _numbers(document, "npus_count", len(names), lambda n: n > 1 and n == int(n), "whole numbers above 1")
    bandwidths = _numbers(document, "bandwidth", len(names), lambda n: n > 0, "numbers above 0")
    latencies = _numbers(document, "latency", len(names), lambda n: n >= 0, "numbers from 0")
    dims = (Dimension(name, int(n), b, t) for name, n, b, t in zip(names, npus, bandwidths, latencies))
    return Network(tuple(dims), document.file)


def _numbers(document: Document, key: str, count: int, fits: Any, expected: str) -> tuple[float, ...]:
    def check(value: Any) -> tuple[float, ...] | None:
        numbers = list_of(value, object)
        if numbers is None or len(numbers) != count or any(finite(n) is None or not fits(n) for n in numbers):
            return None
        return tuple(float(finite(n) or 0) for n in numbers)

    return document.get(key, check, f"{expected}, one for each of {count} topologies")
