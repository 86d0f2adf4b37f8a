"""Runs in which all NPUs do the same at the same time: one of them is simulated, its phases by their closed form.

Without congestion the packets of two chunks never meet, and where all NPUs do the same a phase takes
`steps · (sent + delay) + reductions · reduction + delay`: each step sends a message after the delay, and each reduction
comes before a send or the end. That decides all times but for one thing: what comes first in a nanosecond in which both
a phase and a node end, or phases that are different steps. The loop tells when that occurs, and then all NPUs are
simulated, packet by packet.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from etgraph.sim.astra_sim.engine.npus import COLLECTIVE, FOREVER, LAPSE, REMOTE_MEMORY, SKIP
from etgraph.sim.astra_sim.engine.phases import ALL_GATHER, ALL_REDUCE, ALL_TO_ALL, DIRECT, RING_ALGORITHM
from etgraph.sim.astra_sim.engine.state import Machine
from etgraph.sim.astra_sim.memory import RemoteMemory
from etgraph.sim.astra_sim.network import Network
from etgraph.sim.astra_sim.nodes import Workload
from etgraph.sim.astra_sim.plans import Step
from etgraph.sim.astra_sim.system import Arguments

ALONE = (LAPSE, SKIP, FOREVER, COLLECTIVE, REMOTE_MEMORY)
"""What a node may do: what concerns one NPU, or all of them."""


def closed_forms(work: Workload, network: Network, memory: RemoteMemory, arguments: Arguments) -> list[int] | None:
    """How long each step of the plans takes; None where NPUs differ, or where one has no closed form."""
    if (
        arguments.rendezvous
        or arguments.queues_per_dim > 1
        or memory.kind in ("MEMORY_POOL", "PER_NODE_MEMORY_EXPANSION")
    ):
        return None
    if (
        not np.isin(work.action, ALONE).all()
        or any(plan.group for plan in work.plans)
        or not _alike(work, network.npus)
    ):
        return None
    times = [_time(step, network) for plan in work.plans for step in plan.steps]
    return None if None in times else [time for time in times if time is not None]


def _alike(work: Workload, npus: int) -> bool:
    """Whether all NPUs have the same nodes and dependencies."""
    count = len(work.rows) // npus
    if len(work.rows) % npus or len(work.src) % npus:
        return False
    for values in (work.action, work.resource, work.duration, work.plan):
        table = values.reshape(npus, count)
        if (table != table[0]).any():
            return False
    order = np.lexsort((work.src, work.dst))
    links = np.stack([work.src[order], work.dst[order]]).reshape(2, npus, -1)
    apart = (np.arange(npus) * count).reshape(1, npus, 1)
    same: bool = bool((links - apart == links[:, :1]).all())
    return same


def _time(step: Step, network: Network) -> int | None:
    """How long a phase takes, None where messages of different lengths of way meet in a reduction, or none is sent."""
    dim, n = network.dims[step.dim], step.members
    if step.message <= 0 or step.delay <= 0 or n != dim.npus:
        return None
    hops = 2 if dim.topology == "Switch" else 1
    if step.algorithm == RING_ALGORITHM:
        steps, reductions = step.sends, 0 if step.kind in (ALL_GATHER, ALL_TO_ALL) else n - 1
    elif step.algorithm == DIRECT and step.width == n - 1:
        if dim.topology == "Ring":
            hops = n // 2
            if step.kind == ALL_REDUCE and n > 3:
                return None
        steps, reductions = (2 if step.kind == ALL_REDUCE else 1), 0 if step.kind in (ALL_GATHER, ALL_TO_ALL) else 1
    else:
        return None
    sent = int(hops * dim.latency_ns + step.message / dim.bytes_per_ns)
    return steps * (sent + step.delay) + reductions * step.reduction + step.delay


def first_npu(machine: Machine, times: Sequence[int], nodes: int) -> Machine:
    """The machine with its first NPU alone, and phases that take these times."""
    setup, steps = machine.setup.copy(), machine.steps.copy()
    setup.npus, setup.closed = 1, 1
    steps.closed = times
    return machine._replace(setup=setup, steps=steps, nodes=machine.nodes[:nodes])


def everyone(machine: Machine, npus: int) -> Machine:
    """The machine of which all NPUs did what the first one did."""
    return machine._replace(nodes=np.tile(machine.nodes, npus), npus=np.repeat(machine.npus[:1], npus))
