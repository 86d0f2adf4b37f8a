"""How a change spreads through a recorded run: every event comes as long after what it waited for as it did.

A trace's events are the starts and ends of its operators and the meetings of its collectives. Each comes its own time
after the last of the events that it depends on; that time is what was measured. So an unchanged trace gives its own
times to the nanosecond, and of a delay arrives elsewhere what no slack takes up: a slower kernel holds up its stream, a
collective waits for the last rank, a host that synchronises waits for its device.

Assumed: the order of work stays as it was, the recorded dependencies are all there are, and nothing shares a device or
a link with what became slower. Neither `etgraph.sim` nor a query has a part in it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etgraph.model import Trace
from etgraph.model.columns import Array
from etgraph.model.graph import adjacency, topological_order
from etgraph.model.kernels import kernel

NONE = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Ways:
    """Events in an order that every edge agrees with, and the sources of each, in compressed rows."""

    order: Array
    offsets: Array
    neighbours: Array


@dataclass(frozen=True, slots=True)
class Spread:
    """The events of a trace: 2i is operator i's start, 2i + 1 its end, 2n + c the meeting of collective c.

    `sources` and `targets` are edges that agree with the times, `own_ns` what an event comes after the last of its
    sources, `measured_ns` when it came. `known` are the events with times.
    """

    trace: Trace
    sources: Array
    targets: Array
    measured_ns: Array
    own_ns: Array
    known: Array

    def again(self, own_ns: Array, ways: Ways | None = None) -> Trace:
        """The trace with other times of its events' own, by those ways, else as they were."""
        way = ways or self.ways()
        assert way is not None
        own = np.rint(own_ns).astype(np.int64)
        when = _moments(way.order, way.offsets, way.neighbours, self.measured_ns, own)
        o = self.trace.operators
        start, end = when[0 : 2 * len(self.trace) : 2], when[1 : 2 * len(self.trace) : 2]
        timed = self.trace.timed
        return self.trace.with_times(
            np.where(timed, start, o["start_ns"]), np.where(timed, end - start, o["duration_ns"]), "injected"
        )

    def ways(self, extra: tuple[Array, Array] = (NONE, NONE)) -> Ways | None:
        """What comes after what, with more edges; None where these make a circle."""
        sources = np.concatenate([self.sources, extra[0]])
        targets = np.concatenate([self.targets, extra[1]])
        nodes = len(self.measured_ns)
        order, circle = topological_order(nodes, sources, targets)
        if len(circle):
            return None
        into = adjacency(nodes, targets, sources)
        return Ways(order, into.offsets, into.neighbours)


def spread_of(trace: Trace) -> Spread:
    """The events of a trace. Those without a recorded cause follow the last event of their rank's main thread."""
    o, n, graph = trace.operators, len(trace), trace.events
    when = np.zeros(graph.nodes, dtype=np.int64)
    known = np.ones(graph.nodes, dtype=bool)
    known[0 : 2 * n : 2] = known[1 : 2 * n : 2] = trace.timed
    when[0 : 2 * n : 2], when[1 : 2 * n : 2] = o["start_ns"], trace.end_ns
    members = np.flatnonzero(~o.is_null("collective") & trace.timed)
    meeting = 2 * n + o["collective"][members].astype(np.int64)
    when[2 * n :] = np.iinfo(np.int64).min
    np.maximum.at(when, meeting, o["start_ns"][members])
    known[2 * n :] = when[2 * n :] > np.iinfo(np.int64).min
    agree = known[graph.sources] & known[graph.targets] & (when[graph.sources] <= when[graph.targets])
    sources, targets = graph.sources[agree], graph.targets[agree]
    lone = known.copy()
    lone[targets] = False
    before, after = _anchors(trace, when, np.flatnonzero(lone))
    sources, targets = np.concatenate([sources, before]), np.concatenate([targets, after])
    last = np.full(graph.nodes, np.iinfo(np.int64).min)
    np.maximum.at(last, targets, when[sources])
    caused = last > np.iinfo(np.int64).min
    return Spread(trace, sources, targets, when, np.where(caused, when - np.where(caused, last, 0), 0), known)


def _anchors(trace: Trace, when: Array, lone: Array) -> tuple[Array, Array]:
    """For events without a cause the last earlier event of the lane with most operators of their rank."""
    o, n = trace.operators, len(trace)
    lone = lone[lone < 2 * n]
    before, after = [], []
    for rank in trace.ranks:
        rows = np.arange(n)[trace.rank_rows[rank]]
        rows = rows[trace.timed[rows]]
        if not len(rows):
            continue
        main = np.argmax(np.bincount(o["lane"][rows]))
        events = 2 * rows[o["lane"][rows] == main]
        events = np.concatenate([events, events + 1])
        events = events[np.argsort(when[events], kind="stable")]
        own = lone[o["rank"][lone // 2] == rank]
        place = np.searchsorted(when[events], when[own], side="left") - 1
        before.append(events[place[place >= 0]])
        after.append(own[place >= 0])
    return np.concatenate(before or [NONE]), np.concatenate(after or [NONE])


@kernel
def _moments(order: Array, offsets: Array, neighbours: Array, measured: Array, own: Array) -> Array:
    when = measured.copy()
    for place in range(len(order)):
        v = order[place]
        if offsets[v] == offsets[v + 1]:
            continue
        last = when[neighbours[offsets[v]]]
        for e in range(offsets[v] + 1, offsets[v + 1]):
            if when[neighbours[e]] > last:
                last = when[neighbours[e]]
        when[v] = last + own[v]
    return when


__all__ = ["NONE", "Spread", "spread_of"]
