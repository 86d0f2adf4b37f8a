"""Levels: what a process group spans of a profile's tiers, by where its ranks are placed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from etgraph.model.columns import Array
from etgraph.model.errors import UsageError
from etgraph.sim.profiles import Tier
from etgraph.sim.profiles.profile import Topology


@dataclass(frozen=True, slots=True)
class Level:
    """A tier as a group sees it.

    `members` positions of the group meet here under one position of the level above (the largest number of them), each
    with `below` ranks of the group (the smallest number); `positions` counts those of the whole group. `size` is the
    tier's own, `farthest` the way round a ring between the two members that are farthest apart. `latency_ns` is that of
    one hop, `bandwidth` what a device sends through it in one direction, bytes/ns.
    """

    name: str
    topology: Topology
    size: int
    members: int
    below: int
    positions: int
    farthest: int
    latency_ns: float
    bandwidth: float
    innermost: bool

    @property
    def neighbour_ns(self) -> float:
        """Latency of a message from one member to the next: two hops over a switch, on a ring past who is no member."""
        if self.topology == "ring" and self.members > 2:
            return self.size / self.members * self.latency_ns
        return self.farthest_ns

    @property
    def farthest_ns(self) -> float:
        """Latency of a message between the two members that are farthest apart."""
        return {"switch": 2, "fully-connected": 1, "ring": self.farthest}[self.topology] * self.latency_ns

    @property
    def usable(self) -> float:
        """Bytes/ns that a device can send to all other members together: of pairwise links, only those to members."""
        if self.topology == "fully-connected":
            return self.bandwidth * (self.members - 1) / (self.size - 1)
        return self.bandwidth

    @property
    def to_one(self) -> float:
        """Bytes/ns that a device can send to one other member: one link of a mesh, one direction of a ring."""
        if self.topology == "fully-connected":
            return self.bandwidth / (self.size - 1)
        return self.bandwidth / 2 if self.topology == "ring" and self.size > 2 else self.bandwidth


@dataclass(frozen=True, slots=True)
class Span:
    """The levels that a group of `ranks` ranks spans, innermost first; levels with one member are left out.

    `regular` says that all positions of a level have equally many members, as hierarchical algorithms need.
    """

    ranks: int
    levels: tuple[Level, ...]
    regular: bool


def coordinates(tiers: Sequence[Tier], ranks: Array) -> Array:
    """Coordinates of ranks, a row each and a column a tier; the first tier varies fastest, as in ASTRA-sim."""
    sizes = np.array([tier.size for tier in tiers], dtype=np.int64)
    strides = np.concatenate([[1], np.cumprod(sizes)[:-1]]) if len(sizes) else np.ones(0, dtype=np.int64)
    found: Array = ranks[:, None] // strides[None, :] % sizes[None, :]
    return found


def span_of(tiers: Sequence[Tier], ranks: Sequence[int], placement: Sequence[int] | None = None) -> Span:
    """What a group spans. `placement` gives the device of each rank of the job; without it rank r is on device r.

    Raises UsageError for a rank that no device is there for, or that is placed where none or another one is.
    """
    device = np.asarray(ranks, dtype=np.int64)
    if placement is not None:
        if len(device) and int(device.max()) >= len(placement):
            raise UsageError(f"rank {device.max()} has no place: the placement names {len(placement)} ranks")
        device = np.asarray(placement, dtype=np.int64)[device]
    most = prod(tier.size for tier in tiers)
    if len(device) and not 0 <= int(device.min()) <= int(device.max()) < most:
        raise UsageError(
            f"device {device.max()} does not exist: the profile's tiers join {most}",
            hint="add a tier, or enlarge one, so that the profile joins all ranks",
        )
    seen, count = np.unique(device, return_counts=True)
    if len(seen) < len(device):
        raise UsageError(f"several ranks of a group are placed on device {seen[count > 1][0]}, expected one a device")
    place = coordinates(tiers, device)
    levels, regular, positions = [], True, len(device)
    for t, tier in enumerate(tiers):
        # Ranks that agree in all outer coordinates sit at one position of the level above.
        _, first, above = np.unique(place[:, t + 1 :], axis=0, return_index=True, return_inverse=True)
        above = above.ravel()
        here = np.unique(place[:, t:], axis=0, return_inverse=True)[1].ravel()
        parent = np.zeros(positions, dtype=np.int64)
        parent[here] = above
        members = np.bincount(parent, minlength=len(first))
        held = np.bincount(here, minlength=positions)
        if int(members.max(initial=1)) > 1:
            regular &= bool((members == members[0]).all() and (held == held[0]).all())
            levels.append(
                Level(
                    tier.name, tier.topology, tier.size, int(members.max()), int(held.min()), positions,
                    _farthest(place[:, t], tier.size), float(tier.latency_ns), tier.bandwidth / 1e9, t == 0,
                )
            )  # fmt: skip
        positions = len(first)
    return Span(len(device), tuple(levels), regular)


def _farthest(places: Array, size: int) -> int:
    """The longest of the shorter ways round a ring between any two of those places."""
    used = np.unique(places)
    ahead = np.abs(used[:, None] - used[None, :])
    return int(np.minimum(ahead, size - ahead).max())


def flat_span(ranks: int) -> Span:
    """One level without a profile, a latency of 1 ns and a bandwidth of 1 byte/ns: costs on it are steps and bytes."""
    level = Level("any", "switch", max(ranks, 2), ranks, 1, ranks, 1, 0.5, 1.0, False)
    return Span(ranks, (level,) if ranks > 1 else (), True)


__all__ = ["Level", "Span", "coordinates", "flat_span", "span_of"]
