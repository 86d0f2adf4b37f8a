"""An all-reduce on a double binary tree: up to the root and down again.

A tree is a root with one child, below which a perfect tree has all other members, labelled in order 1 to n - 1. In
the first of the two trees the root comes after them (label n), in the second before (label 0).
"""

from __future__ import annotations

from typing import Final

from etgraph.model.kernels import part
from etgraph.sim.astra_sim.engine.messages import send
from etgraph.sim.astra_sim.engine.phases import await_from, delay, exchange, member
from etgraph.sim.astra_sim.engine.state import Machine

_UP: Final = 0
_AT_PARENT: Final = 1
_DOWN: Final = 2
_LEAVING: Final = 3
"""Stages: what came from below is not sent yet, it is with the parent, what came back is being taken, and sent on."""


@part
def label(phase_me: int, second: int) -> int:
    """The label of a member in the first or the second tree."""
    return phase_me if second else phase_me + 1


@part
def lowest_bit(number: int) -> int:
    """1 of a leaf's label, more the higher a member is in the tree."""
    return number & -number


@part
def parent(number: int, size: int) -> int:
    """The label of the parent; that of the top of the perfect tree is not told."""
    low = lowest_bit(number)
    return number - low if number & (2 * low) else number + low


@part
def parent_position(machine: Machine, slot: int) -> int:
    """Where the parent is among the members."""
    phase = machine.phases[slot]
    size = machine.steps[phase.step].members
    own = label(phase.me, phase.place)
    if own == size // 2:
        return 0 if phase.place else size - 1
    return parent(own, size) - (0 if phase.place else 1)


@part
def is_root(machine: Machine, slot: int) -> bool:
    """Whether the NPU is the root of the phase's tree."""
    phase = machine.phases[slot]
    return bool(label(phase.me, phase.place) % machine.steps[phase.step].members == 0)


@part
def is_leaf(machine: Machine, slot: int) -> bool:
    """Whether the NPU has no children in the phase's tree."""
    phase = machine.phases[slot]
    return bool(label(phase.me, phase.place) % 2 == 1)


@part
def child_position(machine: Machine, slot: int, right: bool) -> int:
    """Where a child is among the members; a root has one."""
    phase = machine.phases[slot]
    size = machine.steps[phase.step].members
    own = label(phase.me, phase.place)
    half = lowest_bit(own) // 2
    child = size // 2 if own % size == 0 else own + half if right else own - half
    return child - (0 if phase.place else 1)


@part
def begin_tree(machine: Machine, slot: int, second: int) -> None:
    """Start a phase; `place` says in which of the two trees it is, `left` counts children that are awaited."""
    phase = machine.phases[slot]
    data = machine.steps[phase.step].whole
    phase.place = second
    phase.stage = _UP
    phase.left = 0
    if is_root(machine, slot):
        phase.stage = _AT_PARENT
        await_from(machine, slot, child_position(machine, slot, False), data)
    elif is_leaf(machine, slot):
        delay(machine, slot, False)
    else:
        phase.left = 2
        await_from(machine, slot, child_position(machine, slot, False), data)
        await_from(machine, slot, child_position(machine, slot, True), data)


@part
def tree_receives(machine: Machine, slot: int) -> None:
    """A message has come, from a child or from the parent."""
    phase = machine.phases[slot]
    if phase.stage == _AT_PARENT:
        phase.stage = _LEAVING
    delay(machine, slot, not is_leaf(machine, slot))


@part
def tree_ready(machine: Machine, slot: int) -> bool:
    """A delay is over. Whether the phase has ended."""
    phase = machine.phases[slot]
    data = machine.steps[phase.step].whole
    if phase.stage == _UP:
        if phase.left > 0:
            phase.left -= 1
        if phase.left == 0:
            phase.stage = _AT_PARENT
            above = parent_position(machine, slot)
            exchange(machine, slot, above, above, data)
        return False
    if is_leaf(machine, slot):
        return True
    tag = machine.chunks[phase.chunk].tag
    send(machine, tag, phase.npu, member(machine, slot, child_position(machine, slot, False)), data, 0)
    if not is_root(machine, slot):
        send(machine, tag, phase.npu, member(machine, slot, child_position(machine, slot, True)), data, 0)
    return True
