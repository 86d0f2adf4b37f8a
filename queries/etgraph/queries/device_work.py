"""The work of each device: its operators in order, when each was launched, and how many lay launched and not begun."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from etgraph.model import Category, DependencyKind, Trace
from etgraph.model.arrivals import NULL, communicates
from etgraph.model.columns import Array
from etgraph.model.intervals import Spans, union
from etgraph.model.latency import launch_latency
from etgraph.model.launching import launching_calls

MOST_LATENCY_NS = 100_000
"""What a device operator takes longer than this to start after its launch is no latency of the launch."""

_HOLDS = tuple(
    int(kind)
    for kind in (
        DependencyKind.STREAM, DependencyKind.EVENT, DependencyKind.DATA, DependencyKind.CTRL,
        DependencyKind.OCCUPANCY,
    )
)  # fmt: skip
"""Kinds of dependencies by whose sources' ends a device operator is held, beside its launch."""


@dataclass(frozen=True, slots=True)
class Work:
    """One device's operators of one rank, by start; times in ns, `NULL` where the launch is not recorded.

    `row` is the operator's row, `call` the row of the call that launched it (-1: not recorded), which lasted from
    `began_ns` to `issued_ns`; from then on it usually takes `latency_ns` to start. `held_ns` is when the last of what
    else it waited for had ended (`NULL`: nothing), and `communicates` tells communication.
    """

    rank: int
    device: int | None
    row: Array
    start_ns: Array
    end_ns: Array
    call: Array
    began_ns: Array
    issued_ns: Array
    latency_ns: Array
    held_ns: Array
    communicates: Array

    @property
    def busy(self) -> Spans:
        """When some operator ran."""
        return union(self.start_ns, self.end_ns)

    def only(self, chosen: Array) -> Spans:
        """When some of the chosen operators ran."""
        return union(self.start_ns[chosen], self.end_ns[chosen])


@dataclass(frozen=True, slots=True)
class Depth:
    """How many operators are launched and not started, as steps over time: `depth[i]` from `start_ns[i]` on.

    It is 0 before the first step.
    """

    start_ns: Array
    depth: Array

    def at(self, moments: Array) -> Array:
        """The depth at those moments."""
        place = np.searchsorted(self.start_ns, moments, side="right")
        found: Array = np.concatenate([[0], self.depth])[place]
        return found


def work_of(trace: Trace, ranks: Sequence[int]) -> list[Work]:
    """The work of every device of those ranks, by rank and device. O(operators log operators)."""
    o = trace.operators
    calls = launching_calls(trace)
    latency = np.minimum(launch_latency(trace), MOST_LATENCY_NS)
    held = _held(trace)
    rows = _on_devices(trace)
    device = trace.lanes["device"][o["lane"][rows]]
    null = trace.lanes.table.column("device").null
    found = []
    for rank in ranks:
        own = o["rank"][rows] == rank
        for one in np.unique(device[own]).tolist():
            these = rows[own & (device == one)]
            call = calls[these]
            issued = np.where(call >= 0, trace.end_ns[call], NULL)
            order = np.lexsort((issued, o["start_ns"][these]))
            these, call, issued = these[order], call[order], issued[order]
            found.append(
                Work(
                    rank, None if one == null else one, these, o["start_ns"][these], trace.end_ns[these], call,
                    np.where(call >= 0, o["start_ns"][call], NULL), issued, latency[these], held[these],
                    communicates(trace, these),
                )
            )  # fmt: skip
    return found


def _held(trace: Trace) -> Array:
    """When the last of what each operator waited for, other than its launch, had ended; `NULL` for nothing."""
    d, end = trace.dependencies, trace.end_ns
    held = np.full(len(trace), NULL)
    chosen = np.flatnonzero(np.isin(d["kind"], _HOLDS))
    src, dst = d["src"][chosen], d["dst"][chosen]
    before = end[src] <= trace.operators["start_ns"][dst]
    np.maximum.at(held, dst[before], end[src[before]])
    return held


def queue_depth(work: Work) -> Depth:
    """The depth of the device's queue; operators whose launch is not recorded are not in it."""
    pending = (work.call >= 0) & (work.start_ns > work.issued_ns)
    moments = np.concatenate([work.issued_ns[pending], work.start_ns[pending]])
    change = np.repeat(np.array([1, -1]), np.count_nonzero(pending))
    order = np.argsort(moments, kind="stable")
    steps, first = np.unique(moments[order], return_index=True)
    depth = np.cumsum(change[order])[np.append(first[1:], len(order)) - 1] if len(order) else change
    return Depth(steps, depth)


def _on_devices(trace: Trace) -> Array:
    """Rows of the device operators with times and a stream."""
    return np.flatnonzero(trace.timed & (trace.operators["category"] >= int(Category.KERNEL)))
