"""What the engine runs: events, the edges between them with their lags, and what events ask for beyond their edges.

Event 2i is the start of operator i, event 2i + 1 its end; from 2n on come events of no operator, such as meetings. An
event happens when all its edges have arrived, at the latest arrival (source's time + lag), and not before its floor.

Two kinds of edges:

- a **plain** edge holds its event for its whole lag;
- a **wake-up** holds it only if its source is later than all sources of plain edges: who comes to find the work done
  does not sleep. The event then happens no earlier than the source's time + lag + `after`, the time to wake up.

A **device slot** is asked for by the start of a device operator. An operator that is *wide* fills the device until it
leaves room, `tail_ns` before its end; one on another lane of the device that becomes ready meanwhile waits until then.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from etgraph.model.columns import Array
from etgraph.model.graph import adjacency


@dataclass(frozen=True, slots=True)
class Slots:
    """Starts that ask for a place on a device: event, device, lane, duration, and tail (-1: not wide) in ns."""

    event: Array
    device: Array
    lane: Array
    duration_ns: Array
    tail_ns: Array

    @staticmethod
    def none() -> Slots:
        """No device is asked for."""
        nothing = np.zeros(0, dtype=np.int64)
        return Slots(nothing, nothing, nothing, nothing, nothing)


@dataclass(frozen=True, slots=True)
class Program:
    """See the module. Edges by source in compressed rows; `lag_ns` of a wake-up is held as -1 - lag.

    `waking` are the events with wake-ups and `after_ns` their times to wake up.
    """

    operators: int
    events: int
    offsets: Array
    targets: Array
    lag_ns: Array
    floor_ns: Array
    waking: Array
    after_ns: Array
    slots: Slots = field(default_factory=Slots.none)


class ProgramBuilder:
    """Collects the edges of a program, array by array."""

    def __init__(self, operators: int, others: int = 0, zero_ns: int = 0) -> None:
        """`others` are events of no operator; nothing happens before `zero_ns`."""
        self.operators = operators
        self.events = 2 * operators + others
        self.floor_ns = np.full(self.events, zero_ns, dtype=np.int64)
        self._sources: list[Array] = []
        self._targets: list[Array] = []
        self._lags: list[Array] = []
        self._after: list[tuple[Array, Array]] = []
        self._slots = Slots.none()

    def plain(self, sources: Array, targets: Array, lag_ns: Array | int = 0) -> None:
        """Edges that hold their targets for their lags (ns, not negative)."""
        lags = np.broadcast_to(np.asarray(lag_ns, dtype=np.int64), np.shape(sources))
        if (lags < 0).any():
            raise ValueError("a lag is negative")
        self._add(sources, targets, lags)

    def wake_ups(self, sources: Array, targets: Array, lag_ns: Array | int = 0) -> None:
        """Edges that hold their targets only where those would otherwise come earlier."""
        self._add(sources, targets, -1 - np.broadcast_to(np.asarray(lag_ns, dtype=np.int64), np.shape(sources)))

    def after(self, events: Array, ns: Array) -> None:
        """The times to wake up of events, in ns."""
        self._after.append((events, ns))

    def slots(self, slots: Slots) -> None:
        """The starts that ask for a place on a device."""
        self._slots = slots

    def _add(self, sources: Array, targets: Array, lags: Array) -> None:
        self._sources.append(np.asarray(sources, dtype=np.int32))
        self._targets.append(np.asarray(targets, dtype=np.int32))
        self._lags.append(lags)

    def program(self) -> Program:
        """The program. O(events + edges)."""
        sources, targets, lags = (_joined(parts) for parts in (self._sources, self._targets, self._lags))
        out = adjacency(self.events, sources, targets)
        lags = lags[out.edges]
        waking = np.unique(out.neighbours[lags < 0])
        after = np.zeros(self.events, dtype=np.int64)
        for events, ns in self._after:
            after[events] = ns
        return Program(
            self.operators, self.events, out.offsets, out.neighbours, lags, self.floor_ns, waking, after[waking],
            self._slots,
        )  # fmt: skip


def _joined(parts: list[Array]) -> Array:
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)
