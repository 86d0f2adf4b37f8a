"""What the engine runs: events, the edges between them with their lags, and what events ask for beyond their edges.

Event 2i is the start of operator i, event 2i + 1 its end; from 2n on come events of no operator, such as meetings. An
event happens when all its edges have arrived, at the latest arrival (source's time + lag), and not before its floor.

Two kinds of edges:

- a **plain** edge holds its event for its whole lag;
- a **wake-up** holds it only if its source is later than all sources of plain edges: who comes to find the work done
  does not sleep. The event then happens no earlier than the source's time + lag + `after`, the time to wake up.

Two kinds of resources, which the start of an operator may ask for when its edges have arrived:

- a **place** on a device: a *wide* operator fills the device until it leaves room, `tail_ns` before its end; one on
  another lane of the device that is ready meanwhile starts then;
- a **server**: it serves one operator at a time, from start to end, in the order in which they became ready.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from etgraph.model.columns import Array
from etgraph.model.graph import adjacency

MOST = 2**31 - 1
"""Events, and edges, that a program can number."""


def _nothing() -> Array:
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Places:
    """Operators that ask for a place: their number, device and lane, duration, and tail (-1: not wide) in ns."""

    operator: Array = field(default_factory=_nothing)
    device: Array = field(default_factory=_nothing)
    lane: Array = field(default_factory=_nothing)
    duration_ns: Array = field(default_factory=_nothing)
    tail_ns: Array = field(default_factory=_nothing)


@dataclass(frozen=True, slots=True)
class Services:
    """Operators that ask for a server: their number, and that of the server."""

    operator: Array = field(default_factory=_nothing)
    server: Array = field(default_factory=_nothing)


@dataclass(frozen=True, slots=True)
class Program:
    """See the module. Edges by source in compressed rows; `lag_ns` of a wake-up is held as -1 - lag.

    Nothing happens before `zero_ns`, and `floored` events not before `floored_ns`. `waking` are the events with
    wake-ups, ascending, and `after_ns` their times to wake up.
    """

    operators: int
    events: int
    offsets: Array
    targets: Array
    lag_ns: Array
    zero_ns: int
    floored: Array
    floored_ns: Array
    waking: Array
    after_ns: Array
    places: Places = field(default_factory=Places)
    services: Services = field(default_factory=Services)

    @property
    def floor_ns(self) -> Array:
        """The moment before which each event does not happen, a new array."""
        floor = np.full(self.events, self.zero_ns, dtype=np.int64)
        floor[self.floored] = self.floored_ns
        return floor

    @property
    def sources(self) -> Array:
        """The source of every edge."""
        return np.repeat(np.arange(self.events, dtype=np.int32), np.diff(self.offsets))


class ProgramBuilder:
    """Collects the edges of a program, array by array."""

    def __init__(self, operators: int, others: int = 0, zero_ns: int = 0) -> None:
        """`others` are events of no operator; nothing happens before `zero_ns`."""
        self.operators = operators
        self.events = 2 * operators + others
        self.zero_ns = zero_ns
        self.places = Places()
        self.services = Services()
        self._sources: list[Array] = []
        self._targets: list[Array] = []
        self._lags: list[Array] = []
        self._after: list[tuple[Array, Array]] = []
        self._floors: list[tuple[Array, Array]] = []
        self._edges = 0

    def plain(self, sources: Array, targets: Array, lag_ns: Array | int = 0) -> slice:
        """Edges that hold their targets for their lags (ns, not negative); their numbers."""
        lags = np.broadcast_to(np.asarray(lag_ns, dtype=np.int64), np.shape(sources))
        if (lags < 0).any():
            raise ValueError("a lag is negative")
        return self._add(sources, targets, lags)

    def wake_ups(self, sources: Array, targets: Array, lag_ns: Array | int = 0) -> None:
        """Edges that hold their targets only where those would otherwise come earlier."""
        self._add(sources, targets, -1 - np.broadcast_to(np.asarray(lag_ns, dtype=np.int64), np.shape(sources)))

    def after(self, events: Array, ns: Array) -> None:
        """The times to wake up of events, in ns; 0 where none is given."""
        self._after.append((events, ns))

    def floors(self, events: Array, ns: Array) -> None:
        """Moments before which events do not happen."""
        self._floors.append((events, np.maximum(ns, self.zero_ns)))

    def _add(self, sources: Array, targets: Array, lags: Array) -> slice:
        self._sources.append(np.asarray(sources, dtype=np.int32))
        self._targets.append(np.asarray(targets, dtype=np.int32))
        self._lags.append(lags)
        first, self._edges = self._edges, self._edges + len(lags)
        return slice(first, self._edges)

    def program(self) -> Program:
        """The program. O(events + edges). Raises OverflowError for more events or edges than can be numbered."""
        return self.program_and_order()[0]

    def program_and_order(self) -> tuple[Program, Array]:
        """The program, and for each of its edges the number that it was added with."""
        sources, targets, lags = (_joined(parts) for parts in (self._sources, self._targets, self._lags))
        if max(self.events, len(sources)) > MOST:
            raise OverflowError(f"{self.events:,} events and {len(sources):,} edges are more than {MOST:,}")
        out = adjacency(self.events, sources, targets)
        lags = lags[out.edges]
        waking = np.unique(out.neighbours[lags < 0])
        after = np.zeros(self.events, dtype=np.int64)
        for events, ns in self._after:
            after[events] = ns
        floored, floored_ns = (_joined(list(column)) for column in zip(*self._floors)) if self._floors else ((), ())
        program = Program(
            operators=self.operators,
            events=self.events,
            offsets=out.offsets.astype(np.int32),
            targets=out.neighbours,
            lag_ns=lags,
            zero_ns=self.zero_ns,
            floored=np.asarray(floored, dtype=np.int64),
            floored_ns=np.asarray(floored_ns, dtype=np.int64),
            waking=waking,
            after_ns=after[waking],
            places=self.places,
            services=self.services,
        )
        return program, out.edges


def _joined(parts: list[Array]) -> Array:
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int32)
