"""The machine of a workload before time 0."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from etgraph.model.columns import Array
from etgraph.sim.astra_sim.engine import state
from etgraph.sim.astra_sim.engine.chunks import LANES
from etgraph.sim.astra_sim.engine.network import FULLY_CONNECTED
from etgraph.sim.astra_sim.engine.npus import COLLECTIVE, NOTHING
from etgraph.sim.astra_sim.engine.phases import KINDS
from etgraph.sim.astra_sim.engine.pools import room_for
from etgraph.sim.astra_sim.engine.state import NONE, Machine, empty_keys, pool, table
from etgraph.sim.astra_sim.memory import RemoteMemory
from etgraph.sim.astra_sim.network import TOPOLOGIES, Network
from etgraph.sim.astra_sim.nodes import Workload
from etgraph.sim.astra_sim.plans import Step
from etgraph.sim.astra_sim.system import Arguments, System

RESOURCES: Final = 4
_SMALLEST_POOL: Final = 1024


def machine_of(
    work: Workload, system: System, network: Network, memory: RemoteMemory, arguments: Arguments, *, aware: bool
) -> Machine:
    """All tables of a run. O(nodes + dependencies + NPUs), and NPUs squared for links of each to each."""
    npus, dims, queues = network.npus, len(network.dims), arguments.queues_per_dim
    places = -(-system.active_chunks // queues)
    steps = [step for plan in work.plans for step in plan.steps]
    chunks = _chunks(work, npus)
    phases = npus * min(dims * queues * places, int(chunks.max(initial=0)) + 1)
    most_steps = max((len(plan.steps) for plan in work.plans), default=1)
    setup = _setup(system, network, memory, arguments, aware)
    setup.places, setup.most_steps = places, most_steps
    setup.reserve = _reserve(work, steps, min(dims * queues * places, int(chunks.max(initial=0)) + 1))
    records = max(_SMALLEST_POOL, 2 * int(setup.reserve), 4 * npus)
    buckets, events = pool(state.BUCKET, records, "first"), pool(state.EVENT, records)
    messages, receives = pool(state.MESSAGE, records), pool(state.RECEIVE, records)
    clock = table(state.CLOCK, 1)
    clock.last_time = NONE
    clock.buckets = clock.events = clock.messages = clock.receives = records
    first_child, children = _children(work)
    return Machine(
        clock=clock,
        setup=setup.reshape(1).view(np.recarray),
        dims=_dims(network),
        nodes=_nodes(work),
        first_child=first_child,
        children=children,
        npus=_npus(npus),
        heaps=_heaps(work, npus),
        ready=np.zeros(len(work.rows), dtype=np.int32),
        plans=_plans(work),
        steps=_steps(steps),
        members=np.array(work.members, dtype=np.int32),
        chunks=pool(state.CHUNK, int(chunks.sum())),
        routes=np.zeros(int(chunks.sum()) * most_steps, dtype=np.int32),
        queues=_queues(npus * dims * queues),
        turns=np.zeros(npus * dims * LANES, dtype=np.int32),
        trees=np.zeros(npus * dims * KINDS, dtype=np.int8),
        streams=np.zeros(work.streams, dtype=np.int64),
        phases=pool(state.PHASE, phases),
        heap=table(state.KEY, records),
        buckets=buckets,
        events=events,
        keys=empty_keys(room_for(events, buckets)),
        messages=messages,
        receives=receives,
        channels=table(state.CHANNEL, room_for(messages, receives)),
        links=table(state.LINK, _links(network) if aware else 0),
        memories=_memories(npus),
    )


def _setup(system: System, network: Network, memory: RemoteMemory, arguments: Arguments, aware: bool) -> Any:
    setup = table(state.SETUP, 1)[0]
    setup.aware, setup.topology = aware, TOPOLOGIES[network.dims[0].topology]
    setup.npus, setup.dims, setup.queues = network.npus, len(network.dims), arguments.queues_per_dim
    setup.rendezvous = arguments.rendezvous
    setup.memory_queued = memory.kind in ("MEMORY_POOL", "PER_NODE_MEMORY_EXPANSION")
    setup.npus_of_memory = memory.npus_per_node if memory.kind == "PER_NODE_MEMORY_EXPANSION" else network.npus
    setup.bandwidth_of_reduction = (system.local_bandwidth or 1.0) * 1e9
    return setup


def _reserve(work: Workload, steps: list[Step], started: int) -> int:
    """What one event may take of a pool: phases that start with all their packets, and receives that are posted."""
    width = max((step.width for step in steps), default=1)
    free = np.bincount(work.rank[work.resource == NOTHING]).max(initial=0)
    return int(4 * (width * (started + 2) + free + 16))


def _dims(network: Network) -> Any:
    dims = table(state.DIM, len(network.dims))
    stride = 1
    for at, dim in enumerate(network.dims):
        dims[at] = (TOPOLOGIES[dim.topology], dim.npus, stride, dim.bytes_per_ns, dim.latency_ns)
        stride *= dim.npus
    return dims


def _nodes(work: Workload) -> Any:
    nodes = table(state.NODE, len(work.rows))
    nodes.npu, nodes.action, nodes.resource = work.rank, work.action, work.resource
    nodes.waits = np.bincount(work.dst, minlength=len(work.rows))
    nodes.plan, nodes.member, nodes.membership = work.plan, work.position, work.membership
    nodes.peer, nodes.tag, nodes.bytes, nodes.duration = work.peer, work.tag, work.size, work.duration
    nodes.next = nodes.start = nodes.end = NONE
    return nodes


def _children(work: Workload) -> tuple[Array, Array]:
    order = np.argsort(work.src, kind="stable")
    first = np.searchsorted(work.src[order], np.arange(len(work.rows) + 1))
    return first.astype(np.int64), work.dst[order].astype(np.int32)


def _npus(count: int) -> Any:
    npus = table(state.NPU, count)
    npus.finish = NONE
    return npus


def _heaps(work: Workload, npus: int) -> Any:
    """Where the heaps lie: for each NPU one for each resource, with room for all nodes that take it."""
    key = work.rank * RESOURCES + work.resource
    heaps = table(state.READY, npus * RESOURCES + 1)
    heaps.first = np.concatenate([[0], np.cumsum(np.bincount(key, minlength=npus * RESOURCES))])
    return heaps


def _plans(work: Workload) -> Any:
    plans = table(state.PLAN, len(work.plans))
    first = 0
    for at, plan in enumerate(work.plans):
        plans[at] = (first, len(plan.steps), plan.chunks, plan.group)
        first += len(plan.steps)
    return plans


def _steps(steps: list[Step]) -> Any:
    found = table(state.STEP, len(steps))
    for name in Step.__slots__:
        found[name] = [getattr(step, name) for step in steps]
    return found


def _chunks(work: Workload, npus: int) -> Array:
    """Most chunks that an NPU has at one time: those of its largest collective, and the last one of that before."""
    most = np.zeros(npus, dtype=np.int64)
    rows = np.flatnonzero(work.action == COLLECTIVE)
    chunks = np.array([plan.chunks for plan in work.plans], dtype=np.int64)
    np.maximum.at(most, work.rank[rows], chunks[work.plan[rows]] + 1)
    return most


def _queues(count: int) -> Any:
    queues = table(state.QUEUE, count)
    queues.first = queues.last = NONE
    return queues


def _links(network: Network) -> int:
    npus = network.npus
    return npus * npus if TOPOLOGIES[network.dims[0].topology] == FULLY_CONNECTED else 2 * npus


def _memories(count: int) -> Any:
    memories = table(state.MEMORY, count)
    memories.first = memories.last = NONE
    return memories
