"""Links: which of a profile's links a message occupies, by the topology of each tier."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Final

import numpy as np

from etgraph.model.columns import Array
from etgraph.sim.communication.levels import coordinates
from etgraph.sim.profiles import Tier


@dataclass(frozen=True, slots=True)
class Routes:
    """Links of flows in compressed rows: those of flow f are `links[offsets[f]:offsets[f + 1]]`, in order of passing.

    `capacity` has every link's bytes/ns, `latency_ns` what each flow's way costs before its first byte arrives.
    """

    offsets: Array
    links: Array
    capacity: Array
    latency_ns: Array


def routes(tiers: Sequence[Tier], source: Array, target: Array) -> Routes:
    """The links of messages between devices.

    Every device has ports of its own at each tier. A switch joins all devices below it, so that the outermost one
    between two devices takes a message from the one's link up to the other's link down. Rings and meshes move one
    coordinate, tier by tier from the innermost: a ring over each link of the shorter way (clockwise of two equal ones;
    its bandwidth is that of both directions), a mesh over the link of the pair. A message to itself passes no link.
    O(flows · tiers · hops).
    """
    devices = prod(tier.size for tier in tiers)
    strides = np.cumprod([1, *(tier.size for tier in tiers)])
    at, goal = source.astype(np.int64), target.astype(np.int64)
    switched = np.full(len(at), -1)
    differ = coordinates(tiers, at) != coordinates(tiers, goal)
    for t, tier in enumerate(tiers):
        if tier.topology == "switch":
            switched[differ[:, t]] = t
    nothing = np.zeros(0, dtype=np.int64)
    passed, capacities, latency, first = [(nothing, nothing)], [np.zeros(0)], np.zeros(len(at)), 0
    for t, tier in enumerate(tiers):
        moving = np.flatnonzero(differ[:, t] & (switched <= t))
        here, there, outside = at[moving], goal[moving], strides[t + 1]
        # Of the inner coordinates, a switch sets all at once; on other tiers they are the target's by now.
        moved = here // outside * outside + there % outside
        for on, links in _HOPS[tier.topology](here, moved, int(strides[t]), tier.size, devices):
            passed.append((moving[on], first + links))
            latency[moving[on]] += tier.latency_ns
        capacities.append(_capacities(tier, devices))
        first += len(capacities[-1])
        at[moving] = moved
    flow, link = (np.concatenate(column) for column in zip(*passed))
    by = np.argsort(flow, kind="stable")  # hops are in order of passing
    offsets = np.concatenate([[0], np.cumsum(np.bincount(flow, minlength=len(at)))])
    return Routes(offsets, link[by], np.concatenate(capacities), latency)


_Hops = Iterator[tuple[Array, Array]]
"""Hop by hop: which of the messages make it, and over which link of the tier."""


def _over_a_switch(here: Array, there: Array, stride: int, size: int, devices: int) -> _Hops:
    everyone = np.arange(len(here))
    yield everyone, here
    yield everyone, devices + there


def _over_a_mesh(here: Array, there: Array, stride: int, size: int, devices: int) -> _Hops:
    yield np.arange(len(here)), here * size + there // stride % size


def _round_a_ring(here: Array, there: Array, stride: int, size: int, devices: int) -> _Hops:
    place, ahead = here // stride % size, (there - here) // stride % size
    clockwise = ahead <= size - ahead
    hops = np.minimum(ahead, size - ahead)
    for hop in range(size // 2):
        on = np.flatnonzero(hops > hop)
        now = (place + np.where(clockwise, hop, -hop)) % size
        device = here + (now - place) * stride
        yield on, (device + np.where(clockwise, 0, devices))[on]


_HOPS: Final = {"switch": _over_a_switch, "fully-connected": _over_a_mesh, "ring": _round_a_ring}


def _capacities(tier: Tier, devices: int) -> Array:
    """Bytes/ns of a tier's links: up and down, to each of a device's peers, or onwards and back."""
    rate = tier.bandwidth / 1e9
    if tier.topology == "fully-connected":
        return np.full(devices * tier.size, rate / max(tier.size - 1, 1))
    return np.full(2 * devices, rate / 2 if tier.topology == "ring" and tier.size > 2 else rate)


__all__ = ["Routes", "routes"]
