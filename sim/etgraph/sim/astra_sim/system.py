"""ASTRA-sim's system file: delays, memory, how collectives are cut and done; and the arguments that go with it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from etgraph.model.errors import UsageError
from etgraph.sim.astra_sim.documents import Document, Readable, read_json
from etgraph.sim.astra_sim.engine.phases import (
    ALL_GATHER,
    ALL_REDUCE,
    ALL_TO_ALL,
    DIRECT,
    DOUBLE_BINARY_TREE,
    HALVING_DOUBLING,
    REDUCE_SCATTER,
    RING_ALGORITHM,
)

COLLECTIVES: Final = {
    ALL_REDUCE: "all-reduce",
    ALL_GATHER: "all-gather",
    REDUCE_SCATTER: "reduce-scatter",
    ALL_TO_ALL: "all-to-all",
}
"""Kinds of collectives, as the file's keys begin."""
DEFAULT_DELAY_NS: Final = 10
"""The endpoint's delay where the file has none, and in a process group that is a part of the ranks; never scaled."""
_NAMES: Final = {
    "ring": RING_ALGORITHM,
    "direct": DIRECT,
    "halvingDoubling": HALVING_DOUBLING,
    "doubleBinaryTree": DOUBLE_BINARY_TREE,
}
_NAME: Final = re.compile(r"(one)?([A-Za-z]+?)(\d*)")
Optimization = Literal["baseline", "localBWAware"]


@dataclass(frozen=True, slots=True)
class Implementation:
    """An algorithm of a dimension: its window where it has one, and whether it joins all ranks in one dimension."""

    name: str
    algorithm: int
    window: int | None = None
    everyone: bool = False


@dataclass(frozen=True, slots=True)
class System:
    """The system. Bandwidth in GB/s (10⁹ bytes) and peak in Tflop/s, None where the file does not say."""

    implementations: Mapping[int, tuple[Implementation, ...]] = field(default_factory=dict)
    optimization: Optimization | None = None
    splits: int | None = None
    active_chunks: int = 1
    endpoint_delay_ns: int | None = None
    local_bandwidth: float | None = None
    peak: float | None = None
    roofline: bool = False
    replay_only: bool = False
    file: str = "system"


@dataclass(frozen=True, slots=True)
class Arguments:
    """Arguments of ASTRA-sim's command line that change a time."""

    queues_per_dim: int = 1
    injection_scale: float = 1.0
    rendezvous: bool = False


def read_system(source: Readable) -> System:
    """The system that a JSON file describes, or an object like it. Raises InputError that names file, line and key."""
    document = read_json(source, "ASTRA-sim's system")
    document.get("scheduling-policy", _one_of("LIFO", "FIFO", "EXPLICIT"), "LIFO, FIFO or EXPLICIT", "LIFO")
    if document.flag("model-shared-bus"):
        raise document.error("model-shared-bus", "1", "0: the bus inside an NPU is not simulated")
    for name in COLLECTIVES.values():
        for how in ("chakra", "custom"):
            if (key := f"{name}-implementation-{how}") in document.values:
                raise document.error(key, "an algorithm of its own", f"{name}-implementation, a list of names")
    optimization: Optimization | None = None
    if "collective-optimization" in document.values:
        check = _one_of("baseline", "localBWAware")
        optimization = document.get("collective-optimization", check, "baseline or localBWAware")
    given = document.values
    return System(
        {kind: _implementations(document, f"{name}-implementation") for kind, name in COLLECTIVES.items()},
        optimization,
        document.whole("preferred-dataset-splits", least=1) if "preferred-dataset-splits" in given else None,
        document.whole("active-chunks-per-dimension", least=1, default=1),
        document.whole("endpoint-delay") if "endpoint-delay" in given else None,
        document.number("local-mem-bw", above=True) if "local-mem-bw" in given else None,
        document.number("peak-perf", above=True) if "peak-perf" in given else None,
        document.flag("roofline-enabled"),
        document.flag("replay-only"),
        document.file,
    )


def _one_of(*names: Any) -> Any:
    return lambda value: value if value in names else None


def _implementations(document: Document, key: str) -> tuple[Implementation, ...]:
    expected = f"{', '.join(_NAMES)}, each but the last also as oneRing …, direct with a window as direct4"
    found = []
    for name in document.texts(key):
        implementation = _implementation(name)
        if implementation is None:
            raise document.error(key, repr(name), expected)
        found.append(implementation)
    return tuple(found)


def _implementation(name: str) -> Implementation | None:
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    one, base, window = match.groups()
    if one:
        base = base[:1].lower() + base[1:]
    algorithm = _NAMES.get(base)
    if algorithm is None or (one and algorithm == DOUBLE_BINARY_TREE):
        return None
    if window and (algorithm != DIRECT or int(window) < 1):
        return None
    return Implementation(name, algorithm, int(window) if window else None, bool(one))


def read_arguments(given: Mapping[str, Any]) -> Arguments:
    """Arguments by name, with or without the dashes; values may be texts. Raises UsageError for others."""
    names = {"num-queues-per-dim": "queues_per_dim", "injection-scale": "injection_scale",
             "rendezvous-protocol": "rendezvous"}  # fmt: skip
    values: dict[str, Any] = {}
    for name, value in given.items():
        plain = name.removeprefix("--")
        if plain not in names:
            raise UsageError(f"ASTRA-sim's argument {name}: not known", hint=f"there are {', '.join(names)}")
        parsed, expected = _parsed(plain, str(value).strip().lower())
        if parsed is None:
            raise UsageError(f"ASTRA-sim's argument {name}: found {value!r}, expected {expected}")
        values[names[plain]] = parsed
    return Arguments(**values)


def _parsed(name: str, text: str) -> tuple[bool | int | float | None, str]:
    """The value of an argument, None for what is none, and what was expected."""
    if name == "rendezvous-protocol":
        return {"true": True, "1": True, "false": False, "0": False}.get(text), "true or false"
    if name == "num-queues-per-dim":
        whole = int(text) if text.isdecimal() and len(text) < 6 else 0
        return whole if 0 < whole < 1 << 16 else None, "a whole number from 1 to 65535"
    number = float(text) if re.fullmatch(r"(\d+\.?\d*|\.\d+)(e[+-]?\d{1,2})?", text) else None
    return number, "a number from 0"
