"""Chunks of collectives: created all at once, they wait in queues for a place and go from phase to phase."""

from __future__ import annotations

from typing import Final

from etgraph.model.kernels import part
from etgraph.sim.astra_sim.engine.agenda import PHASE_ENDS, set_timer
from etgraph.sim.astra_sim.engine.phases import DOUBLE_BINARY_TREE, KINDS, begin_packets
from etgraph.sim.astra_sim.engine.state import NONE, Machine
from etgraph.sim.astra_sim.engine.trees import begin_tree

ANY_LANE: Final = 0
FIRST_LANES: Final = 1
LAST_LANES: Final = 2
LANES: Final = 3
"""Which of a dimension's queues a step takes by turns: all, the first half, the last."""

_TAGS: Final = 500_000_000
_GROUP_TAGS: Final = 1_000_000
_ANTICLOCKWISE: Final = 1 << 20
_SECOND_TREE: Final = 1 << 21
"""What a route says beside the number of the queue."""


@part
def create_chunk(machine: Machine, row: int) -> int:
    """A chunk of a node's collective, its tag and its route."""
    clock = machine.clock[0]
    at = clock.free_chunk
    chunk = machine.chunks[at]
    clock.free_chunk = chunk.next
    node = machine.nodes[row]
    npu = machine.npus[node.npu]
    plan = machine.plans[node.plan]
    stream = npu.streams
    npu.streams += 1
    if plan.group > 0:
        stream = plan.group * _GROUP_TAGS + machine.streams[node.membership]
        machine.streams[node.membership] += 1
    chunk.tag = _TAGS + stream % _TAGS
    chunk.node = row
    chunk.at = 0
    chunk.next = NONE
    for k in range(plan.steps):
        machine.routes[at * machine.setup[0].most_steps + k] = route(machine, node.npu, plan.first + k)
    return int(at)


@part
def route(machine: Machine, npu: int, number: int) -> int:
    """Choose queue, direction and tree of a step, each by turns."""
    step = machine.steps[number]
    queues = machine.setup[0].queues
    turns = machine.turns
    begin = 0
    count = queues
    if step.lane == FIRST_LANES:
        count = max(1, queues // 2)
    elif step.lane == LAST_LANES:
        begin = queues // 2
        count = queues - begin
    line = npu * machine.setup[0].dims + step.dim
    turn = turns[line * LANES + step.lane]
    turns[line * LANES + step.lane] = (turn + 1) % count
    chosen = begin + turn
    if step.lane == LAST_LANES or (step.lane == ANY_LANE and queues > 1 and chosen >= queues // 2):
        chosen += _ANTICLOCKWISE
    if step.algorithm == DOUBLE_BINARY_TREE:
        trees = machine.trees
        if trees[line * KINDS + step.tree] == 1:
            chosen += _SECOND_TREE
        trees[line * KINDS + step.tree] ^= 1
    return int(chosen)


@part
def queue_of(machine: Machine, at: int) -> int:
    """The queue that a chunk is in."""
    chunk = machine.chunks[at]
    node = machine.nodes[chunk.node]
    dim = machine.steps[machine.plans[node.plan].first + chunk.at].dim
    setup = machine.setup[0]
    return int(
        (node.npu * setup.dims + dim) * setup.queues
        + machine.routes[at * machine.setup[0].most_steps + chunk.at] % _ANTICLOCKWISE
    )


@part
def enqueue(machine: Machine, at: int) -> int:
    """Put a chunk at the end of the queue of its step; which queue that is."""
    number = queue_of(machine, at)
    queue = machine.queues[number]
    machine.chunks[at].next = NONE
    if queue.first == NONE:
        queue.first = at
    else:
        machine.chunks[queue.last].next = at
    queue.last = at
    return number


@part
def start_waiting(machine: Machine, number: int) -> None:
    """Start the chunks of a queue that wait longest, as far as it has places."""
    queue = machine.queues[number]
    while queue.first != NONE and queue.running < machine.setup[0].places:
        at = queue.first
        queue.first = machine.chunks[at].next
        queue.running += 1
        begin_phase(machine, at)


@part
def begin_phase(machine: Machine, at: int) -> None:
    """Start the phase of a chunk's step."""
    clock = machine.clock[0]
    chunk = machine.chunks[at]
    node = machine.nodes[chunk.node]
    slot = clock.free_phase
    phase = machine.phases[slot]
    clock.free_phase = phase.next
    number = machine.plans[node.plan].first + chunk.at
    step = machine.steps[number]
    taken = machine.routes[at * machine.setup[0].most_steps + chunk.at]
    phase.step = number
    phase.chunk = at
    phase.npu = node.npu
    phase.me = node.member if step.group >= 0 else node.npu // step.stride % step.members
    phase.sense = -1 if taken & _ANTICLOCKWISE else 1
    if machine.setup[0].closed:
        set_timer(machine, phase.npu, step.closed, PHASE_ENDS, slot)
    elif step.algorithm == DOUBLE_BINARY_TREE:
        begin_tree(machine, slot, 1 if taken & _SECOND_TREE else 0)
    else:
        begin_packets(machine, slot)


@part
def leave_phase(machine: Machine, slot: int) -> None:
    """Give a phase's record back."""
    clock = machine.clock[0]
    machine.phases[slot].next = clock.free_phase
    clock.free_phase = slot


@part
def leave_chunk(machine: Machine, at: int) -> None:
    """Give a chunk's record back."""
    clock = machine.clock[0]
    machine.chunks[at].next = clock.free_chunk
    clock.free_chunk = at
