"""ASTRA-sim's analytical backends on a trace, to the nanosecond."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from os import PathLike
from typing import Any, Final, Literal

import numpy as np

from etgraph.model import NodeType, Trace
from etgraph.model.errors import UsageError
from etgraph.sim.astra_sim.assemble import machine_of
from etgraph.sim.astra_sim.engine.agenda import AT_ZERO
from etgraph.sim.astra_sim.engine.loop import FAILED, MORE
from etgraph.sim.astra_sim.engine.loop import run as loop
from etgraph.sim.astra_sim.engine.messages import NO_BYTES, TO_ITSELF, TOO_LARGE
from etgraph.sim.astra_sim.engine.npus import FAULTY_NODE, RECEIVE, SEND
from etgraph.sim.astra_sim.engine.pools import grown
from etgraph.sim.astra_sim.engine.state import NONE, Machine
from etgraph.sim.astra_sim.errors import EventAtZero, FaultyNode, NeverEnds, SimulationError, StatisticsAbort
from etgraph.sim.astra_sim.groups import Groups, known_groups, read_groups
from etgraph.sim.astra_sim.memory import RemoteMemory, read_memory
from etgraph.sim.astra_sim.network import Network, read_network
from etgraph.sim.astra_sim.nodes import Workload, workload
from etgraph.sim.astra_sim.outcome import outcome
from etgraph.sim.astra_sim.plans import Planner
from etgraph.sim.astra_sim.symmetry import closed_forms, everyone, first_npu
from etgraph.sim.astra_sim.system import Arguments, System, read_arguments, read_system
from etgraph.sim.simulation import Simulation

Backend = Literal["unaware", "aware"]
COMPILE_FROM: Final = 1_000
"""Messages and nodes from which the loop is compiled."""
_SHOWN: Final = 5


def simulate(
    trace: Trace,
    *,
    astra_system: str | PathLike[str],
    astra_network: str | PathLike[str],
    astra_memory: str | PathLike[str] | None = None,
    astra_backend: Backend = "unaware",
    comm_groups: str | PathLike[str] | None = None,
    astra_arg: Mapping[str, Any] | None = None,
) -> Simulation:
    """What ASTRA-sim gives for a trace and its own files; `astra_arg` are arguments by name, such as injection-scale.

    Without `comm_groups` the members of groups are those that the trace knows. Raises InputError for files,
    UsageError for arguments, and what `run` raises.
    """
    return run(
        trace,
        system=read_system(astra_system),
        network=read_network(astra_network),
        memory=None if astra_memory is None else read_memory(astra_memory),
        backend=astra_backend,
        comm_groups=None if comm_groups is None else read_groups(comm_groups),
        arguments=astra_arg,
    )


def run(
    trace: Trace,
    *,
    system: System,
    network: Network,
    memory: RemoteMemory | None = None,
    comm_groups: Groups | None = None,
    backend: Backend = "unaware",
    arguments: Arguments | Mapping[str, Any] | None = None,
    replay_only: bool | None = None,
    fold: bool = True,
) -> Simulation:
    """Times of a trace's nodes as ASTRA-sim's analytical backend gives them, congestion-unaware or -aware.

    The trace is one that was read from Chakra files, or lowered for ASTRA-sim. `comm_groups` are the members of
    process groups by number; None: as the trace knows them. `replay_only` overrides the system's; `fold` lets one NPU
    stand for all where they do the same and that changes no time. Raises NotAWorkload for another trace, FaultyNode
    where ASTRA-sim aborts at a node, NeverEnds where it ends without a word though nodes have not ended,
    StatisticsAbort where it aborts at the end.

    O(messages · log messages) time, and memory for what is on its way at one time.
    """
    memory = memory or RemoteMemory()
    if not isinstance(arguments, Arguments):
        arguments = read_arguments(arguments or {})
    if replay_only is not None:
        system = replace(system, replay_only=replay_only)
    aware = _is_aware(backend, network)
    groups = known_groups(trace) if comm_groups is None else comm_groups
    work = workload(trace, system, network, memory, groups, Planner(system, network, arguments))
    machine = None
    if fold and not aware and (times := closed_forms(work, network, memory, arguments)) is not None:
        machine = _folded(machine_of(work, system, network, memory, arguments, aware=aware), work, times)
    if machine is None:
        machine = go(machine_of(work, system, network, memory, arguments, aware=aware), work)
    parameters = {
        "backend": backend, "network": network.name, "networkFile": network.file, "systemFile": system.file,
        "memory": memory.kind, "numQueuesPerDim": arguments.queues_per_dim,
        "injectionScale": arguments.injection_scale, "rendezvousProtocol": arguments.rendezvous,
        "replayOnly": system.replay_only,
    }  # fmt: skip
    found = outcome(work, machine, f"astra-sim {backend}", parameters)
    _check_end(work, machine, found)
    return found


def _is_aware(backend: str, network: Network) -> bool:
    if backend not in ("unaware", "aware"):
        raise UsageError(f"ASTRA-sim's backend: found {backend!r}, expected unaware or aware")
    if backend == "unaware":
        return False
    if len(network.dims) > 1:
        raise SimulationError(
            f"{network.file}: found {len(network.dims)} dimensions, expected 1 for the congestion-aware backend",
            hint="the congestion-unaware backend takes several",
        )
    if network.dims[0].topology == "Ring" and network.npus == 2:
        raise SimulationError(
            f"{network.file}: found a Ring of 2 NPUs, expected at least 3 for the congestion-aware backend",
            hint="two NPUs are FullyConnected",
        )
    return True


def _folded(machine: Machine, work: Workload, times: list[int]) -> Machine | None:
    """Run one NPU for all; None where the order within a nanosecond may matter."""
    npus = len(machine.npus)
    one = go(first_npu(machine, times, len(work.rows) // npus), work, compiled=_much(work, folded=True))
    return None if one.clock[0].ambiguous else everyone(one, npus)


def go(machine: Machine, work: Workload, *, compiled: bool | None = None) -> Machine:
    """Run the loop to its end, in machine code where that is worth it. Raises FaultyNode."""
    compiled = _much(work) if compiled is None else compiled
    while (state := loop.run(compiled, machine)) == MORE:
        machine = grown(machine, compiled)
    if state == FAILED:
        raise _fault(machine, work)
    return machine


def _much(work: Workload, *, folded: bool = False) -> bool:
    """Whether there is so much to do, of all NPUs or folded to one, that loading or compiling machine code pays."""
    phases = [plan.chunks * sum(1 if folded else step.sends + 1 for step in plan.steps) for plan in work.plans]
    taken = work.plan[work.plan >= 0]
    done = len(work.rows) + int(np.array([*phases, 0], dtype=np.float64)[taken].sum())
    return loop.ready or done >= COMPILE_FROM * (int(work.rank[-1]) + 1 if folded else 1)


def _fault(machine: Machine, work: Workload) -> FaultyNode:
    clock = machine.clock[0]
    at = int(clock.fault_node)
    if clock.fault == FAULTY_NODE:
        return work.fault(at)
    if clock.fault == AT_ZERO:
        error = work.error(at, "an event at time 0", "a delay of at least 1 ns for what starts at time 0", EventAtZero)
        error.hint = "an endpoint-delay of 0, a roofline below 1 ns, or a message that takes less than 1 ns"
        return error
    peer = int(clock.fault_peer)
    found, expected = {
        NO_BYTES: (f"a message of 0 bytes to rank {peer}", "at least 1: its share of the collective is too small"),
        TO_ITSELF: (f"a message to rank {peer} itself", "another rank"),
        TOO_LARGE: (f"a message of {int(clock.fault_bytes)} bytes in rendezvous", "less than 2 GiB"),
    }[int(clock.fault)]
    return work.error(at, found, expected)


def _check_end(work: Workload, machine: Machine, found: Simulation) -> None:
    """Raise what ASTRA-sim does not say."""
    finish = {rank: None if at == NONE else at for rank, at in enumerate(machine.npus.finish.tolist())}
    open_nodes = np.flatnonzero(machine.nodes.end == NONE)
    if len(open_nodes) or None in finish.values():
        raise _never_ends(work, machine, found, finish, open_nodes)
    accesses = np.isin(work.kind, (int(NodeType.INVALID), int(NodeType.MEM_LOAD), int(NodeType.MEM_STORE)))
    special = np.unique(work.rank[work.cpu | accesses])
    aborted = special[machine.npus.by_message[special] != 0].tolist()
    if aborted:
        rank = min(aborted, key=lambda r: (finish[r], r))
        raise StatisticsAbort(
            f"rank {rank}: found a send or receive as its last node, expected another one, as the rank has CPU, "
            f"memory or INVALID nodes: ASTRA-sim aborts when it prints its statistics at {finish[rank]} ns",
            found, finish, hint="`etgraph export --for astra-sim` adds a last node to such ranks",
        )  # fmt: skip


def _never_ends(
    work: Workload, machine: Machine, found: Simulation, finish: dict[int, int | None], open_nodes: Any
) -> NeverEnds:
    keys = list(zip(work.rank[open_nodes].tolist(), work.ids[open_nodes].tolist()))
    reasons = {}
    for key, at in zip(keys, open_nodes.tolist()):
        if machine.nodes.start[at] != NONE:
            reasons[key] = work.reasons.get(at) or _reason(work, at)
    first = [f"rank {rank} node {node} ({why})" for (rank, node), why in list(reasons.items())[:_SHOWN]]
    if not first:
        first = [f"rank {rank} node {node}" for rank, node in keys[:_SHOWN]]
    message = f"{len(keys)} nodes never end, {len(reasons)} of which have started: {', '.join(first)}"
    return NeverEnds(message, found, finish, tuple(keys), reasons)


def _reason(work: Workload, at: int) -> str:
    """What a node that has started waits for."""
    peer, size, tag = int(work.peer[at]), int(work.size[at]), int(work.tag[at])
    if work.action[at] == RECEIVE:
        return f"no message of {size} bytes with tag {tag} comes from rank {peer}"
    if work.action[at] == SEND:
        return f"rank {peer} posts no receive of {size} bytes with tag {tag}"
    return "other ranks do not come to it, or number its messages differently"
