"""Transfers that run at the same time share the links that they both need.

How long a transfer takes depends on which others run beside it, and that on how long these take. So the two are brought
into line in turns: a run gives the moments at which transfers start; fair sharing of links from these moments gives how
long each takes; the next run takes these times. It ends when nothing moves any more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from etgraph.model.columns import Array
from etgraph.sim.communication.links import routes
from etgraph.sim.communication.sharing import share
from etgraph.sim.communication.transfers import Transfers
from etgraph.sim.costs import Costs
from etgraph.sim.engine import Program, Timeline, run
from etgraph.sim.profiles import Profile

ROUNDS = 20
"""Turns after which what still moves is given up, and said."""


@dataclass(frozen=True, slots=True)
class Flows:
    """Transfers as flows: their members (rows of operators, and the flow of each), and what each needs of the links.

    `alone_ns` is what one takes by itself, of which `latency_ns` is spent before its bytes use the links; `size` are
    the bytes that keep the slowest of its links busy for the rest.
    """

    member: Array
    flow: Array
    alone_ns: Array
    latency_ns: Array
    size: Array
    offsets: Array
    links: Array
    capacity: Array


def flows_of(
    profile: Profile, transfers: Transfers, member: Array, flow: Array, alone_ns: Array, latency_ns: Array,
    placement: tuple[int, ...] | None = None,
) -> Flows:  # fmt: skip
    """The flows of transfers. A collective uses the links between neighbours of its group, in the order of ranks."""
    pairs = [_neighbours(group, placement) for group in transfers.groups]
    sizes = np.array([len(p) for p in pairs], dtype=np.int64)
    ends = np.concatenate([np.zeros((0, 2), dtype=np.int64), *pairs])
    way = routes(profile.tiers, ends[:, 0], ends[:, 1])
    of_pair = np.repeat(np.arange(len(pairs)), sizes)
    group = np.repeat(of_pair, np.diff(way.offsets))
    used = np.unique(np.stack([group, way.links], axis=1), axis=0)
    count = np.bincount(used[:, 0], minlength=len(pairs))
    begin = np.cumsum(count) - count
    slowest = np.full(len(pairs), np.inf)
    np.minimum.at(slowest, used[:, 0], way.capacity[used[:, 1]])
    each = count[transfers.group]
    offsets = np.concatenate([[0], np.cumsum(each)])
    place = np.arange(offsets[-1]) - np.repeat(offsets[:-1] - begin[transfers.group], each)
    rest = np.maximum(alone_ns - latency_ns, 0)
    rate = slowest[transfers.group]
    size = np.where(np.isfinite(rate), rest * np.where(np.isfinite(rate), rate, 0), 0)
    return Flows(member, flow, alone_ns, latency_ns, size, offsets, used[:, 1][place], way.capacity)


def _neighbours(group: tuple[int, ...], placement: tuple[int, ...] | None) -> Array:
    """The pairs of devices of neighbours in a ring over a group; of two ranks both directions."""
    devices = np.array([placement[rank] for rank in group] if placement else group, dtype=np.int64)
    if len(devices) < 2:
        return np.zeros((0, 2), dtype=np.int64)
    return np.stack([devices, np.roll(devices, -1)], axis=1)


def run_sharing(
    costs: Costs, flows: Flows, program: Callable[[Costs], Program]
) -> tuple[Program, Timeline, Costs, bool]:
    """The run in which transfers share links, the costs that it ended with, and whether it came to rest."""
    for _ in range(ROUNDS):
        made = program(costs)
        timeline = run(made)
        if not timeline.happened.all():
            return made, timeline, costs, True
        began = np.zeros(len(flows.alone_ns), dtype=np.int64)
        np.maximum.at(began, flows.flow, timeline.ns[2 * flows.member])
        end = share(began + flows.latency_ns, flows.size, flows.offsets, flows.links, flows.capacity)
        took = np.maximum(end - began, flows.alone_ns)
        p = costs.predictions
        ns = p.duration_ns.copy()
        ns[flows.member] = took[flows.flow]
        if np.array_equal(ns, p.duration_ns):
            return made, timeline, costs, True
        longer = ns - p.duration_ns
        costs = replace(
            costs,
            predictions=replace(p, duration_ns=ns, low_ns=p.low_ns + longer, high_ns=p.high_ns + longer),
        )
    return made, timeline, costs, False
