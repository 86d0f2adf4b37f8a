"""Links: which of a profile's links a message occupies, by the topology of each tier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

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
    """The links of messages between devices, tier by tier from the innermost, each moving one coordinate.

    Every device has ports of its own at each tier, so that a message goes out through the port of the device that it
    has reached. Switch: its link up and the target's link down. Ring: each link of the shorter way, clockwise of two
    equal ones; a ring's bandwidth is that of both directions. Fully connected: the link between the two. A message to
    itself passes no link. O(flows · tiers · hops).
    """
    count = prod(tier.size for tier in tiers)
    at, goal = coordinates(tiers, source), coordinates(tiers, target)
    strides = np.cumprod([1, *(tier.size for tier in tiers)])[:-1]
    flows, links, order, capacity = [], [], [], []
    latency, first, passed = np.zeros(len(source)), 0, 0
    for t, tier in enumerate(tiers):
        here, there, n = at[:, t].copy(), goal[:, t], tier.size
        base = at @ strides - here * strides[t]
        moving = np.flatnonzero(here != there)
        rate = tier.bandwidth / 1e9
        if tier.topology == "switch":
            steps = [(moving, first + (base + here * strides[t])[moving])]
            steps += [(moving, first + count + (base + there * strides[t])[moving])]
            capacity.append(np.full(2 * count, rate))
        elif tier.topology == "fully-connected":
            steps = [(moving, first + ((base + here * strides[t]) * n + there)[moving])]
            capacity.append(np.full(n * count, rate / max(n - 1, 1)))
        else:
            steps = []
            ahead = (there - here) % n
            clockwise = ahead <= n - ahead
            hops = np.where(here == there, 0, np.minimum(ahead, n - ahead))
            for _ in range(n // 2):
                on = np.flatnonzero(hops > 0)
                device = base + here * strides[t]
                steps.append((on, first + (device + np.where(clockwise, 0, count))[on]))
                here = np.where(hops > 0, (here + np.where(clockwise, 1, -1)) % n, here)
                hops = hops - 1
            capacity.append(np.full(2 * count, rate / 2 if n > 2 else rate))
        for on, used in steps:
            flows.append(on)
            links.append(used)
            order.append(np.full(len(on), passed))
            latency[on] += tier.latency_ns
            passed += 1
        first += len(capacity[-1])
        at[:, t] = there
    flow, link = (np.concatenate([np.zeros(0, dtype=np.int64), *parts]) for parts in (flows, links))
    by = np.lexsort((np.concatenate([np.zeros(0, dtype=np.int64), *order]), flow))
    offsets = np.concatenate([[0], np.cumsum(np.bincount(flow, minlength=len(source)))])
    return Routes(offsets, link[by], np.concatenate([np.zeros(0), *capacity]), latency)


__all__ = ["Routes", "routes"]
