"""New work in a plan: steps on a thread or stream, and communication that a thread issues and something else does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from etgraph.model import LaneKind, cancelling
from etgraph.model.columns import Array
from etgraph.sim.engine import ProgramBuilder

if TYPE_CHECKING:
    from etgraph.sim.replay.plan import Plan


AT_ONCE = -1
BETWEEN_LOOKS = 256
"""Steps that are added between two looks at whether to stop."""
AHEAD = -1
"""Lanes from here down are those of parts that run ahead of their collectives, one for each of these."""


@dataclass(frozen=True, slots=True)
class Step:
    """New work after operators: `after` are rows, one a rank, and `ns` what it takes on each, by itself.

    With `meets`, nobody goes on before all have come; `ns` is then the transfer, which all take. What follows the
    operator on its thread or stream follows the step.
    """

    after: Array
    ns: Array
    meets: bool = False

    @property
    def events(self) -> int:
        """How many events it is in a program."""
        return 2 * len(self.after) + self.meets


@dataclass(frozen=True, slots=True)
class Issued:
    """New communication that a thread issues and something else carries out, with an entry a rank.

    The thread issues it after operator `after`, which takes it `issue_ns`; it is ready to start `handover_ns` after
    that began, or once the one before it on the same `lane` has ended, if that is later. From when all ranks are ready
    it takes `transfer_ns`. Operator `awaited` does not start before it has ended: on a thread, which sleeps,
    `waking_ns` later. `AT_ONCE` is the thread that issued it, which then goes on only after that. It does not start
    before the events `behind` (-1: none) either.
    """

    after: Array
    issue_ns: Array
    handover_ns: Array
    transfer_ns: Array
    awaited: Array
    waking_ns: Array
    lane: int = 0
    behind: Array | None = None

    @property
    def events(self) -> int:
        """How many events it is in a program."""
        return 5 * len(self.after) + 1


def add_steps(builder: ProgramBuilder, plan: Plan, event: int) -> None:
    """The events of a plan's new steps, numbered from `event` on, between operators and what follows those."""
    chain = _Chain(builder, plan, event)
    for number, step in enumerate(plan.steps):
        if number % BETWEEN_LOOKS == 0:
            cancelling.check()
        if isinstance(step, Issued):
            chain.issue(step)
        else:
            chain.work(step)
    chain.close()


class _Chain:
    """Puts new events behind operators: each step after the one before it, and what followed the operator after all."""

    def __init__(self, builder: ProgramBuilder, plan: Plan, event: int) -> None:
        self.builder, self.plan, self.event = builder, plan, event
        self.last = np.full(len(plan.trace), -1, dtype=np.int64)  # by operator, of what comes after it
        self.lanes: dict[tuple[int, int], int] = {}  # by lane and rank, the end of what is on it
        self.waking_ns = plan.waking_ns.copy()

    def work(self, step: Step) -> None:
        """A step that holds its lane."""
        begin, end = self._new(len(step.after)), self._new(len(step.after))
        self.builder.plain(self._before(step.after), begin)
        if step.meets:
            self._meet(begin, end, step.ns)
        else:
            self.builder.plain(begin, end, step.ns)
        self.last[step.after] = end

    def issue(self, step: Issued) -> None:
        """Communication that is issued."""
        builder, trace, count = self.builder, self.plan.trace, len(step.after)
        begin, issued, ready, end, back = (self._new(count) for _ in range(5))
        builder.plain(self._before(step.after), begin)
        builder.plain(begin, issued, step.issue_ns)
        builder.plain(begin, ready, step.handover_ns)
        for place, rank in enumerate(trace.operators["rank"][step.after].tolist()):
            before = self.lanes.get((step.lane, rank))
            if before is not None:
                builder.plain(np.array([before]), ready[place : place + 1])
            self.lanes[step.lane, rank] = int(end[place])
        if step.behind is not None:
            there = step.behind >= 0
            builder.plain(step.behind[there], ready[there])
        self._meet(ready, end, step.transfer_ns)
        builder.plain(issued, back)
        at_once = step.awaited == AT_ONCE
        builder.plain(end[at_once], back[at_once], step.waking_ns[at_once])
        self.last[step.after] = back
        lane = trace.operators["lane"][step.awaited]
        sleeps = ~at_once & (trace.lanes["kind"][lane] == int(LaneKind.THREAD))
        builder.plain(end[~at_once & ~sleeps], 2 * step.awaited[~at_once & ~sleeps])
        builder.wake_ups(end[sleeps], 2 * step.awaited[sleeps])
        segment = self.plan.threads.segment_of[2 * step.awaited[sleeps]]
        self.waking_ns[segment] = np.maximum(self.waking_ns[segment], step.waking_ns[sleeps])
        builder.after(2 * step.awaited[sleeps], self.waking_ns[segment])

    def close(self) -> None:
        """What followed the operators follows the last step after each."""
        p, t = self.plan, self.plan.threads
        after = np.flatnonzero(self.last >= 0)
        following = t.segment_of[2 * after + 1] + 1
        there = (following > 0) & (following < len(t.event))
        there[there] = ~t.first[following[there]]
        self.builder.plain(self.last[after[there]], t.event[following[there]], p.host_ns[following[there]])
        behind = self.last[p.before] >= 0
        self.builder.plain(self.last[p.before[behind]], 2 * p.behind[behind], p.pause_ns[behind])

    def _before(self, after: Array) -> Array:
        """The last event after each of those operators so far."""
        return np.where(self.last[after] >= 0, self.last[after], 2 * after.astype(np.int64) + 1)

    def _meet(self, begin: Array, end: Array, ns: Array) -> None:
        meeting = np.broadcast_to(self._new(1), begin.shape)
        self.builder.plain(begin, meeting)
        self.builder.plain(meeting, end, ns)

    def _new(self, count: int) -> Array:
        self.event += count
        return np.arange(self.event - count, self.event)
