"""A hardware profile: a device, the network around it, and what was fitted on measurements of both.

These dataclasses declare what a file may hold, too: a field's key is its name without the unit, the annotations say in
which kind of unit a figure is written and what it means. Reading, writing, the JSON Schema and the documentation
follow from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Annotated, Literal

from etgraph.model.settings.declaration import AtLeast, OneOf
from etgraph.model.settings.units import BANDWIDTH, POWER, PRICE, RATE, SIZE, TIME, TIME_PER_BYTE

Topology = Literal["ring", "switch", "fully-connected"]
Dtype = Literal["fp64", "fp32", "tf32", "fp16", "bf16", "fp8", "fp6", "fp4", "int8", "int4"]
"""Types of numbers for which peaks are given."""


def _families() -> tuple[str, ...]:
    from etgraph.model.families import FAMILIES

    return FAMILIES


@dataclass(frozen=True, slots=True)
class Device:
    """What one device can do. Peaks are dense, in flop/s by dtype (`fp32`, `bf16`, …); bandwidths in bytes/s.

    `matrix_flops` are those of matrix units, `vector_flops` of ordinary ones. `units` are SMs or compute units.
    `floors_ns` is the shortest time of a kernel by family of `etgraph.model.families`, `launch_latency_ns` the time
    from the end of a launching call to the start of the kernel.
    """

    name: Annotated[str, "as the vendor calls it"]
    vendor: Annotated[str, "who makes it"]
    kind: Annotated[Literal["gpu", "tpu", "cpu"], "what it is"]
    matrix_flops: Annotated[Mapping[Dtype, Annotated[float, RATE]], "dense peak of its matrix units, by dtype"]
    vector_flops: Annotated[Mapping[Dtype, Annotated[float, RATE]], "peak of its ordinary units, by dtype"]
    memory_bandwidth: Annotated[float, BANDWIDTH, "of its memory, reads and writes together"]
    memory_bytes: Annotated[int, SIZE, AtLeast(1), "of its memory"]
    units: Annotated[int, AtLeast(1), "SMs, compute units or cores"]
    launch_latency_ns: Annotated[int, TIME, "from the end of a launching call to the start of the kernel"]
    cache_bytes: Annotated[int, SIZE, "last-level cache"] = 0
    floors_ns: Annotated[
        Mapping[Annotated[str, OneOf(_families)], Annotated[int, TIME]], "shortest time of a kernel, by family"
    ] = field(default_factory=dict)
    power_watts: Annotated[float | None, POWER, "what it may draw"] = None
    price_per_hour: Annotated[float | None, PRICE, "rent of one device"] = None


@dataclass(frozen=True, slots=True)
class Tier:
    """One level of the network: `size` members of the level below, joined by a topology.

    `bandwidth` is what one device can send through this tier in one direction, in bytes/s, over all its `links`;
    `latency_ns` that of one hop.
    """

    name: Annotated[str, "by which files that extend this one, and overrides, mean the tier"]
    topology: Annotated[Topology, "how its members are joined"]
    size: Annotated[int, AtLeast(1), "members of the level below that it joins"]
    bandwidth: Annotated[float, BANDWIDTH, "what one device can send through it in one direction, over all links"]
    latency_ns: Annotated[int, TIME, "of one hop"]
    links: Annotated[int, AtLeast(1), "of one device into this tier"] = 1


@dataclass(frozen=True, slots=True)
class FamilyFit:
    """What was fitted for a family of kernels: floor in ns, effective rates (flop/s, bytes/s), spread of log errors.

    `flops` is the rate of a product that fills the device, in 16 bit where the device has it; other number formats keep
    their share of their own peak. `misalignment` is how much longer a product takes whose rows do not start at 16 bytes
    (None: none was seen). `samples` is how many kinds of operators it rests on, `smallest` and `largest` the range of
    their work: flops of products, bytes of what memory limits.
    """

    floor_ns: Annotated[float, TIME, "the shortest time"]
    bandwidth: Annotated[float | None, BANDWIDTH, "effective"] = None
    flops: Annotated[float | None, RATE, "effective"] = None
    misalignment: Annotated[float | None, AtLeast(0), "factor on products of rows not aligned to 16 bytes"] = None
    feed: Annotated[float | None, AtLeast(0), "how well a unit is supplied"] = None
    log_error: Annotated[float, AtLeast(0), "spread of the logarithm of measured over fitted time"] = 0.4
    samples: Annotated[int, AtLeast(0), "operators that it rests on"] = 0
    smallest: Annotated[float, AtLeast(0), "least work among them, in bytes or flops"] = 0.0
    largest: Annotated[float, AtLeast(0), "most work among them"] = 0.0


@dataclass(frozen=True, slots=True)
class CollectiveFit:
    """Time of a collective, as fitted: `alpha_ns` + bytes moved · `beta_ns_per_byte`, for one group size.

    With a `scale`, it is `alpha_ns` + `scale` · the time that the profile's tiers and the library's protocols give.
    `tier` is the outermost tier that the group spans, `library` one of `nccl`, `gloo`, `any`. `smallest` and `largest`
    are sizes in bytes. `low` and `high` are the ends of the 90 % interval as factors of the time (0: as `log_error`
    gives them); its upper end is at least `above_ns` later, since stalls do not shrink with size. `alpha_error_ns` and
    `slope_error` are the standard errors of the two parameters, that of the second one relative. `assumed` names the
    first one where the sizes could not tell the two apart: it is the library's latency then.
    """

    type: Annotated[str, "of collective, as in traces: ALL_REDUCE"]
    size: Annotated[int, AtLeast(1), "ranks of the group"]
    alpha_ns: Annotated[float, TIME, "time of a message without bytes"]
    beta_ns_per_byte: Annotated[float, TIME_PER_BYTE, "time that each byte adds"]
    log_error: Annotated[float, AtLeast(0), "spread of the logarithm of measured over fitted time"] = 0.4
    samples: Annotated[int, AtLeast(0), "collectives that it rests on"] = 0
    smallest: Annotated[int, AtLeast(0), "least bytes among them"] = 0
    largest: Annotated[int, AtLeast(0), "most bytes among them"] = 0
    tier: Annotated[str, "outermost tier that the group spans"] = ""
    library: Annotated[str, "of communication: `nccl`, `gloo` or `any`"] = "any"
    scale: Annotated[float | None, AtLeast(0), "factor on the time that tiers and protocols give"] = None
    low: Annotated[float, AtLeast(0), "lower end of the 90 % interval, as a factor; 0: from the spread"] = 0.0
    high: Annotated[float, AtLeast(0), "its upper end, as a factor"] = 0.0
    above_ns: Annotated[float, TIME, "its upper end is at least this much later"] = 0.0
    alpha_error_ns: Annotated[float, TIME, "standard error of the first parameter"] = 0.0
    slope_error: Annotated[float, AtLeast(0), "relative standard error of the second parameter"] = 0.0
    assumed: Annotated[Literal["", "alpha"], "what sizes too alike could not tell"] = ""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What measurements on the device gave; efficiency belongs to the libraries as well, so their versions are kept."""

    families: Annotated[Mapping[str, FamilyFit], "fits of kernels, by family"] = field(default_factory=dict)
    collectives: Annotated[tuple[CollectiveFit, ...], "fits of collectives"] = ()
    libraries: Annotated[Mapping[str, str], "versions of what ran"] = field(default_factory=dict)
    fitted_on: Annotated[str, "the traces that it was fitted on"] = ""


@dataclass(frozen=True, slots=True)
class Profile:
    """A device, its network from the innermost tier outwards, and a calibration where there is one.

    `sources` names, for each figure by its path (`device.memory_bandwidth`), where it was published.
    """

    name: Annotated[str, "of the profile; that of the file where it is left out"]
    device: Annotated[Device, "what one device can do"]
    tiers: Annotated[tuple[Tier, ...], "the network, from the innermost tier outwards"] = ()
    description: Annotated[str, "in a sentence"] = ""
    calibration: Annotated[Calibration | None, "what was fitted on measurements"] = None
    sources: Annotated[Mapping[str, str], "of anything that has none beside it, by path"] = field(default_factory=dict)

    @property
    def ranks(self) -> int:
        """How many devices the tiers join."""
        return prod(tier.size for tier in self.tiers)
