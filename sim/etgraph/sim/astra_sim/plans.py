"""How a collective is done: chunks, and the phases that each of them goes through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import log2
from typing import Final

from etgraph.sim.astra_sim.engine.chunks import ANY_LANE, FIRST_LANES, LAST_LANES
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
from etgraph.sim.astra_sim.network import Network
from etgraph.sim.astra_sim.system import COLLECTIVES, DEFAULT_DELAY_NS, Arguments, Implementation, System

RING_OF_GROUP: Final = Implementation("ring", RING_ALGORITHM)
DIMS_BY_DEFAULT: Final = 4
"""Dimensions that a collective uses where its node does not say which."""


class CannotPlan(Exception):
    """Why a collective aborts: what was found and what was expected."""

    def __init__(self, found: str, expected: str) -> None:
        super().__init__(found)
        self.found = found
        self.expected = expected


@dataclass(frozen=True, slots=True)
class Step:
    """One phase of a chunk; the fields are those of `engine.state.STEP`."""

    kind: int
    algorithm: int
    lane: int
    tree: int
    dim: int
    members: int
    stride: int
    group: int
    sends: int
    width: int
    others: int
    whole: int
    message: int
    delay: int
    reduction: int


@dataclass(frozen=True, slots=True)
class Plan:
    """A collective: its chunks, and the steps of each. Without chunks or steps it never ends; `why` says why."""

    chunks: int
    steps: tuple[Step, ...]
    group: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True)
class _Line:
    """A dimension as a collective sees it: NPUs in a row, and the algorithm by which they communicate."""

    dim: int
    size: int
    stride: int
    implementation: Implementation


@dataclass(frozen=True, slots=True)
class Planner:
    """Makes plans for a system, a network and arguments.

    The sizes of chunks and phases are those of `Sys::generate_collective` in ASTRA-sim.
    """

    system: System
    network: Network
    arguments: Arguments
    delay_ns: int = field(init=False)

    def __post_init__(self) -> None:
        given = self.system.endpoint_delay_ns
        scaled = DEFAULT_DELAY_NS if given is None else int(given * self.arguments.injection_scale)
        object.__setattr__(self, "delay_ns", scaled)

    def plan(self, kind: int, size: int, involved: Sequence[bool] | None, group: int = 0, members: int = 0,
             first: int = -1) -> Plan:  # fmt: skip
        """The plan of a collective of so many bytes, in the dimensions `involved` (None: not said).

        `group` is a process group's number, `members` its size, `first` where its members stand in the machine's list.
        Raises CannotPlan where ASTRA-sim aborts, and where it never returns.
        """
        npus = self.network.npus
        chunk, chunks = self._chunks(kind, size)
        part = 0 < members < npus
        lines = self._lines_of_group(kind, members) if part else self._lines(kind)
        if group:
            live = lines if part or members == npus else []
        else:
            live = self._live(lines, involved)
        if part and members == 1:
            return Plan(0, (), group, "its group has one member")
        if not live or not chunks:
            return Plan(0, (), group, "no dimension is involved" if chunks else "it has no bytes")
        steps = []
        data = chunk
        for line, phase, lane in self._phases(kind, live):
            steps.append(self._step(line, phase, lane, kind, data, first if part else -1))
            if steps[-1].algorithm != DOUBLE_BINARY_TREE:
                data = (
                    data // line.size if phase == REDUCE_SCATTER else data * line.size if phase == ALL_GATHER else data
                )
        return Plan(chunks, tuple(steps), group)

    def _chunks(self, kind: int, size: int) -> tuple[int, int]:
        """Bytes of a chunk, and how many there are; the last one is as large as the others."""
        splits = self.system.splits
        if splits is None:
            raise CannotPlan("no preferred-dataset-splits in the system", "the number of chunks of a collective")
        chunk = size // splits
        if kind != ALL_GATHER and chunk < self.network.npus:
            chunk = self.network.npus
            size = splits * chunk
        if size and not chunk:
            raise CannotPlan(f"an all-gather of {size} bytes", f"at least preferred-dataset-splits, {splits}, or 0")
        return chunk, -(-size // chunk) if chunk else 0

    def _lines(self, kind: int) -> list[_Line]:
        """The logical dimensions: as many as the list has, up to one that joins all ranks."""
        name, implementations = COLLECTIVES[kind], self.system.implementations[kind]
        dims = self.network.dims
        if not implementations:
            raise CannotPlan(f"no {name}-implementation in the system", "an algorithm for each dimension")
        lines = []
        stride = 1
        for number, implementation in enumerate(implementations):
            if number >= len(dims):
                found = f"{len(implementations)} algorithms in {name}-implementation"
                raise CannotPlan(found, f"at most {len(dims)}, the dimensions of the network")
            if implementation.everyone:
                lines.append(_Line(number, self.network.npus, 1, implementation))
                break
            lines.append(_Line(number, dims[number].npus, stride, implementation))
            stride *= dims[number].npus
        return lines

    def _lines_of_group(self, kind: int, members: int) -> list[_Line]:
        """One dimension with the members, by the algorithm that the list has alone, else as a ring."""
        implementations = self.system.implementations[kind]
        implementation = implementations[0] if len(implementations) == 1 else RING_OF_GROUP
        if implementation.algorithm == DOUBLE_BINARY_TREE:
            raise CannotPlan("doubleBinaryTree for a process group of some ranks", "ring, direct or halvingDoubling")
        return [_Line(0, members, 1, implementation)]

    def _live(self, lines: list[_Line], involved: Sequence[bool] | None) -> list[_Line]:
        if involved is None:
            if len(lines) > DIMS_BY_DEFAULT:
                raise CannotPlan(f"{len(lines)} dimensions and no involved_dim", "involved_dim with a value for each")
            return lines
        if len(involved) < len(lines):
            found = f"involved_dim with {len(involved)} values"
            raise CannotPlan(found, f"{len(lines)}, one for each dimension of the collective")
        return [line for line, lives in zip(lines, involved) if lives]

    def _phases(self, kind: int, live: list[_Line]) -> list[tuple[_Line, int, int]]:
        """Dimension, kind and queues of each phase."""
        if kind == ALL_REDUCE:
            if self.system.optimization is None:
                raise CannotPlan("no collective-optimization in the system", "baseline or localBWAware")
            if self.system.optimization == "localBWAware":
                others = live[:-1]
                return [
                    *((line, REDUCE_SCATTER, FIRST_LANES) for line in others),
                    (live[-1], ALL_REDUCE, FIRST_LANES),
                    *((line, ALL_GATHER, LAST_LANES) for line in reversed(others)),
                ]
        return [(line, kind, ANY_LANE) for line in (reversed(live) if kind == ALL_GATHER else live)]

    def _step(self, line: _Line, kind: int, lane: int, tree: int, data: int, group: int) -> Step:
        n, algorithm = line.size, line.implementation.algorithm
        message = data if kind == ALL_GATHER else data // n
        sends, width, others = 0, 1, 0
        if algorithm == RING_ALGORITHM:
            sends = {ALL_REDUCE: 2 * (n - 1), ALL_TO_ALL: n * (n - 1) // 2}.get(kind, n - 1)
            others = n - 1
        elif algorithm == DIRECT:
            sends = 2 * (n - 1) if kind == ALL_REDUCE else n - 1
            width = min(line.implementation.window or n - 1, n - 1)
            others = width if group < 0 else (n - 1) * width
        elif algorithm == HALVING_DOUBLING:
            if kind == ALL_TO_ALL:
                raise CannotPlan("halvingDoubling for an all-to-all", "ring or direct")
            sends = int(2 * log2(n)) if kind == ALL_REDUCE else int(log2(n))
            others = int(log2(n) - 1)
        elif n & (n - 1):
            raise CannotPlan(f"doubleBinaryTree over {n} NPUs", "a power of two")
        delay = self.delay_ns if group < 0 else DEFAULT_DELAY_NS
        return Step(kind, algorithm, lane, tree, line.dim, n, line.stride, group, sends, width, others, data, message,
                    delay, self._reduction(message if algorithm != DOUBLE_BINARY_TREE else data))  # fmt: skip

    def _reduction(self, size: int) -> int:
        bandwidth = self.system.local_bandwidth
        if bandwidth is None:
            raise CannotPlan("no local-mem-bw in the system", "the bandwidth of a reduction")
        return 3 * int(size / (bandwidth * 1e9) * 1e9)
