"""A hardware profile: a device, the network around it, and what was fitted on measurements of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Literal

Topology = Literal["ring", "switch", "fully-connected"]


@dataclass(frozen=True, slots=True)
class Device:
    """What one device can do. Peaks are dense, in flop/s by dtype (`fp32`, `bf16`, …); bandwidths in bytes/s.

    `matrix_flops` are those of matrix units, `vector_flops` of ordinary ones. `units` are SMs or compute units.
    `floors_ns` is the shortest time of a kernel by family of `etgraph.model.families`, `launch_latency_ns` the time
    from the end of a launching call to the start of the kernel.
    """

    name: str
    vendor: str
    kind: Literal["gpu", "tpu", "cpu"]
    matrix_flops: Mapping[str, float]
    vector_flops: Mapping[str, float]
    memory_bandwidth: float
    memory_bytes: int
    units: int
    launch_latency_ns: int
    cache_bytes: int = 0
    floors_ns: Mapping[str, int] = field(default_factory=dict)
    power_watts: float | None = None
    price_per_hour: float | None = None


@dataclass(frozen=True, slots=True)
class Tier:
    """One level of the network: `size` members of the level below, joined by a topology.

    `bandwidth` is what one device can send through this tier in one direction, in bytes/s, over all its `links`;
    `latency_ns` that of one hop.
    """

    name: str
    topology: Topology
    size: int
    bandwidth: float
    latency_ns: int
    links: int = 1


@dataclass(frozen=True, slots=True)
class FamilyFit:
    """What was fitted for a family of kernels: floor in ns, effective rates (flop/s, bytes/s), spread of log errors.

    `flops` is the rate of a product that fills the device, in 16 bit where the device has it; other number formats keep
    their share of their own peak. `misalignment` is how much longer a product takes whose rows do not start at 16 bytes
    (None: none was seen). `samples` is how many kinds of operators it rests on, `smallest` and `largest` the range of
    their work: flops of products, bytes of what memory limits.
    """

    floor_ns: float
    bandwidth: float | None = None
    flops: float | None = None
    misalignment: float | None = None
    feed: float | None = None
    log_error: float = 0.4
    samples: int = 0
    smallest: float = 0.0
    largest: float = 0.0


@dataclass(frozen=True, slots=True)
class CollectiveFit:
    """Time of a collective, as fitted: `alpha_ns` + bytes moved · `beta_ns_per_byte`, for one group size."""

    type: str
    size: int
    alpha_ns: float
    beta_ns_per_byte: float
    log_error: float = 0.4
    samples: int = 0
    smallest: int = 0
    largest: int = 0


@dataclass(frozen=True, slots=True)
class Calibration:
    """What measurements on the device gave; efficiency belongs to the libraries as well, so their versions are kept."""

    families: Mapping[str, FamilyFit] = field(default_factory=dict)
    collectives: tuple[CollectiveFit, ...] = ()
    libraries: Mapping[str, str] = field(default_factory=dict)
    fitted_on: str = ""


@dataclass(frozen=True, slots=True)
class Profile:
    """A device, its network from the innermost tier outwards, and a calibration where there is one.

    `sources` names, for each figure by its path (`device.memory_bandwidth`), where it was published.
    """

    name: str
    device: Device
    tiers: tuple[Tier, ...] = ()
    description: str = ""
    calibration: Calibration | None = None
    sources: Mapping[str, str] = field(default_factory=dict)

    @property
    def ranks(self) -> int:
        """How many devices the tiers join."""
        return prod(tier.size for tier in self.tiers)
