"""The closed model of symmetric collectives: all NPUs do the same at the same time, so that one of them is enough.

Each dimension of the network is a queue with places; a chunk goes through its phases, each of which takes a time that a
formula gives. It holds without congestion, for rings everywhere and direct exchanges, with one queue a dimension.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod


@dataclass(frozen=True)
class Dim:
    """A dimension: topology, NPUs, GB/s, ns, and `ring` or `direct`."""

    topology: str
    npus: int
    bandwidth: float
    latency: float
    algorithm: str


@dataclass(frozen=True)
class Collective:
    """A collective and the system that does it."""

    kind: str
    size: int
    splits: int
    places: int
    delay: int
    local_bandwidth: float
    local_bandwidth_aware: bool


def phase_time(dim: Dim, kind: str, data: int, c: Collective) -> int:
    """How long a phase of so many bytes takes."""
    n = dim.npus
    message = data if kind == "all-gather" else data // n
    if dim.algorithm == "ring":
        steps, reduces = {"all-reduce": (2 * n - 2, n - 1), "all-gather": (n - 1, 0), "reduce-scatter": (n - 1, n - 1),
                          "all-to-all": (n * (n - 1) // 2, 0)}[kind]  # fmt: skip
        hops = 2 if dim.topology == "Switch" else 1
    else:
        steps, reduces = {"all-reduce": (2, 1), "all-gather": (1, 0), "reduce-scatter": (1, 1), "all-to-all": (1, 0)}[
            kind
        ]
        hops = {"Switch": 2, "FullyConnected": 1, "Ring": n // 2}[dim.topology]
    sent = int(hops * dim.latency + message / (dim.bandwidth * 2**30 / 1e9))
    reduction = 3 * int(message / (c.local_bandwidth * 1e9) * 1e9)
    return steps * (sent + c.delay) + reduces * reduction + c.delay


def phases(dims: Sequence[Dim], c: Collective) -> list[tuple[int, str]]:
    """Dimension and kind of each phase."""
    numbers = list(range(len(dims)))
    if c.kind == "all-reduce" and c.local_bandwidth_aware:
        return [
            *((d, "reduce-scatter") for d in numbers[:-1]),
            (numbers[-1], "all-reduce"),
            *((d, "all-gather") for d in reversed(numbers[:-1])),
        ]
    return [(d, c.kind) for d in (reversed(numbers) if c.kind == "all-gather" else numbers)]


def duration(dims: Sequence[Dim], c: Collective) -> int:
    """When the last chunk has gone through its phases."""
    chunk, size, npus = c.size // c.splits, c.size, prod(dim.npus for dim in dims)
    if c.kind != "all-gather" and chunk < npus:
        chunk, size = npus, c.splits * npus
    route = []
    data = chunk
    for d, kind in phases(dims, c):
        route.append((d, phase_time(dims[d], kind, data, c)))
        data = (
            data // dims[d].npus if kind == "reduce-scatter" else data * dims[d].npus if kind == "all-gather" else data
        )
    waiting: list[list[tuple[int, int]]] = [[] for _ in dims]
    running = [0] * len(dims)
    events: list[tuple[int, int, int, int]] = []
    order = now = 0

    def start(d: int) -> None:
        nonlocal order
        while waiting[d] and running[d] < c.places:
            which, step = waiting[d].pop(0)
            running[d] += 1
            order += 1
            heapq.heappush(events, (now + route[step][1], order, which, step))

    for which in range(-(-size // chunk)):
        waiting[route[0][0]].append((which, 0))
        start(route[0][0])
    while events:
        now, _, which, step = heapq.heappop(events)
        left = route[step][0]
        running[left] -= 1
        if step + 1 < len(route):
            waiting[route[step + 1][0]].append((which, step + 1))
        start(left)
        if step + 1 < len(route):
            start(route[step + 1][0])
    return now
