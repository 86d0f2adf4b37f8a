"""Libraries: which algorithms NCCL and gloo use, NCCL's protocols, and the cheapest choice for a size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from etgraph.model import CommType
from etgraph.model.columns import Array
from etgraph.model.errors import UsageError
from etgraph.sim.communication.algorithms import ALGORITHMS, MESSAGE, Plan, type_name
from etgraph.sim.communication.levels import Span


@dataclass(frozen=True, slots=True)
class Protocol:
    """How data and its announcement travel. Times in ns, for rings and for trees; `hops` for NVLink and for networks.

    `start` is what a collective costs before its first step, `hops` what a step costs beyond the tier's latency,
    `fractions` which part of the bandwidth carries data: of rings that reduce or cross nodes, of other
    rings, of trees across nodes, of trees in one.
    """

    name: str
    start: Mapping[str, float]
    hops: Mapping[str, tuple[float, float]]
    fractions: tuple[float, ...]

    def on(self, type: int, plan: Plan, span: Span) -> Plan:
        """What becomes of a plan with this protocol; its start is the first step's."""
        kind = "tree" if plan.algorithm == "tree" else "ring"
        extra = self.hops[kind]
        across = len(span.levels) > 1
        reduces = across or type in (CommType.ALL_REDUCE, CommType.REDUCE)
        fraction = self.fractions[(2 if across else 3) if kind == "tree" else 0 if reduces else 1]
        return replace(
            plan,
            start_ns=self.start[kind],
            step_ns=tuple(ns + extra[not level.innermost] for ns, level in zip(plan.step_ns, span.levels)),
            ns_per_byte=tuple(ns / fraction for ns in plan.ns_per_byte),
        )


@dataclass(frozen=True, slots=True)
class Library:
    """A communication library: for each type the algorithms that it chooses from, and its protocols, if any."""

    name: str
    algorithms: Mapping[int, tuple[str, ...]]
    protocols: tuple[Protocol, ...] = ()

    def plans(self, type: int, span: Span) -> list[tuple[str, Plan]]:
        """What the library can do for a collective, with a name for each way; the usual algorithm first."""
        found = []
        for name in self.algorithms.get(type, ()):
            plan = ALGORITHMS[name](type, span)
            if plan is None:
                continue
            found += [(f"{name}, {p.name}", p.on(type, plan, span)) for p in self.protocols] or [(name, plan)]
        return found


@dataclass(frozen=True, slots=True)
class Means:
    """What communicates, where that is not left to the recorded library: another one, and algorithms by type.

    `algorithms` names one of `ALGORITHMS` for a collective type or `MESSAGE`; `algorithm` is that of all other types
    that it can do. None: as recorded, the library's cheapest.
    """

    library: str | None = None
    algorithm: str | None = None
    algorithms: Mapping[int, str] = field(default_factory=dict)

    def chosen(self, type: int, span: Span) -> str | None:
        """The algorithm of a collective on that span; None where it is the library's choice.

        Raises UsageError for one that was asked for by type and cannot do it.
        """
        named = self.algorithms.get(type)
        if named is not None and ALGORITHMS[named](type, span) is None:
            over = ", ".join(level.name for level in span.levels)
            raise UsageError(
                f"algorithm {named!r} cannot do {type_name(type)} over {span.ranks} ranks ({over})",
                hint=_able(type, span),
            )
        able = self.algorithm is not None and ALGORITHMS[self.algorithm](type, span) is not None
        return named or (self.algorithm if able else None)

    def parameters(self) -> dict[str, Any]:
        """What was chosen, for the parameters of a result; nothing where the recorded library chooses."""
        by_type = {type_name(type): name for type, name in sorted(self.algorithms.items())}
        said = {"library": self.library, "algorithm": self.algorithm, "algorithms": by_type}
        return {key: value for key, value in said.items() if value}


def _able(type: int, span: Span) -> str:
    able = [name for name, algorithm in ALGORITHMS.items() if algorithm(type, span) is not None]
    return f"there: {', '.join(able)}" if able else "no algorithm can"


AS_RECORDED: Final = Means()
"""The recorded library chooses."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Times in ns of collectives by the cheapest of some ways, and which one that is: a position in `ways`."""

    duration_ns: Array
    way: Array
    ways: tuple[str, ...]


def cheapest(library: Library, type: int, span: Span, bytes: Array) -> Choice | None:
    """The cheapest way of each size, as libraries choose; None where the library has no way to do it on that span.

    The least of functions that never fall with size does not fall either, nor where a latency or a time a byte grows.
    """
    if span.ranks < 2:
        return Choice(np.zeros(len(bytes)), np.zeros(len(bytes), dtype=np.int64), ("nothing to send",))
    plans = library.plans(type, span)
    if not plans:
        return None
    times = np.stack([plan.duration_ns(bytes) for _, plan in plans])
    way = np.argmin(times, axis=0)
    return Choice(times[way, np.arange(len(bytes))], way, tuple(name for name, _ in plans))


def _by_type(*rows: tuple[Iterable[int], tuple[str, ...]]) -> Mapping[int, tuple[str, ...]]:
    return MappingProxyType({int(type): names for types, names in rows for type in types})


_SPREAD = (CommType.ALL_GATHER, CommType.REDUCE_SCATTER, CommType.REDUCE_SCATTER_BLOCK)
_PAIRS = (CommType.ALL_TO_ALL, CommType.GATHER, CommType.SCATTER, MESSAGE)

_LL_STEP = (0.6, 2.7)
"""A step of a ring with LL on NVLink and on a network, µs: what a tier's own latency stands for."""


def _protocol(name: str, ring: tuple[float, float, float], tree: tuple[float, float, float], *parts: float) -> Protocol:
    """From NCCL's table, in µs: the start, a step on NVLink and a step on a network, of rings and of trees."""
    starts, hops = {}, {}
    for kind, (start, *steps) in (("ring", ring), ("tree", tree)):
        starts[kind] = start * 1e3
        hops[kind] = ((steps[0] - _LL_STEP[0]) * 1e3, (steps[1] - _LL_STEP[1]) * 1e3)
    return Protocol(name, MappingProxyType(starts), MappingProxyType(hops), parts)


NCCL: Final = Library(
    "nccl",
    _by_type(
        ((CommType.ALL_REDUCE,), ("ring", "tree")),
        ((*_SPREAD, CommType.BROADCAST, CommType.REDUCE, CommType.BARRIER), ("ring",)),
        (_PAIRS, ("direct",)),
    ),
    (
        _protocol("LL", (6.6, 0.6, 2.7), (6.8, 0.6, 5.0), 1 / 4, 1 / 3, 0.92 / 3.8, 0.92 / 3.8),
        _protocol("LL128", (14.0, 1.9, 4.0), (14.0, 1.25, 8.5), 0.92, 0.92, 0.92 * 120 / 128, 0.92 * 7 / 9),
        _protocol("Simple", (8.4, 3.4, 14.0), (0.0, 28.0, 28.0), 1.0, 1.0, 0.92, 0.92),
    ),
)
"""NCCL; latencies (µs, V100 to H100) and fractions are those of its `src/graph/tuning.cc` at commit b647562 (2024).

Left out: SHARP and NVLS, limits by channel, corrections of trees by size. A step is the tier's own latency and what its
protocol needs beyond LL on a ring, on NVLink (innermost tier) or a network. A barrier is an all-reduce of one element.
"""
GLOO: Final = Library(
    "gloo",
    _by_type(
        ((CommType.ALL_REDUCE, *_SPREAD), ("ring",)),
        ((CommType.BROADCAST, CommType.REDUCE), ("binomial", "ring")),
        ((CommType.BARRIER,), ("doubling", "ring")),
        (_PAIRS, ("direct",)),
    ),
)
"""gloo, as its `docs/algorithms.md` and PyTorch's ProcessGroupGloo have it: no protocols, one algorithm a type."""
ANY: Final = Library("any", _by_type(((*CommType, MESSAGE), tuple(ALGORITHMS))))
"""A library that would choose freely among all algorithms."""
LIBRARIES: Final = MappingProxyType({library.name: library for library in (NCCL, GLOO, ANY)})


def library_of(backend: str | None) -> Library:
    """The library that a recorded backend names (`nccl`, `cuda:nccl`, `gloo`); where it names none, ANY.

    RCCL is NCCL's code with constants of its own for each machine, and counts as NCCL.
    """
    named = (backend or "").lower()
    return NCCL if "nccl" in named or "rccl" in named else GLOO if "gloo" in named else ANY


__all__ = [
    "ANY",
    "AS_RECORDED",
    "GLOO",
    "LIBRARIES",
    "NCCL",
    "Choice",
    "Library",
    "Means",
    "Protocol",
    "cheapest",
    "library_of",
]
