"""Why a device is idle: what the next operator to start on it was waiting for, moment by moment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etgraph.model.arrivals import NULL
from etgraph.model.columns import Array
from etgraph.model.intervals import Spans, union
from etgraph.queries.device_work import Work
from etgraph.queries.walk import TOLERANCE_NS

CAUSES = ("host", "launch-call", "launch-latency", "waiting", "before-recording", "unexplained")
"""Why a device is idle, in the order in which they come in a gap."""
HOST, CALL, LATENCY, WAITING, BEFORE, UNEXPLAINED = range(len(CAUSES))


@dataclass(frozen=True, slots=True)
class Idle:
    """The gaps of a device in a window, in order; ns.

    `bounds[g]` are the moments from the gap's start to its end between which `CAUSES` hold it, one after another, each
    of which may be empty. `next` is the place in `Work` of the operator that ends the gap, -1 where there is none.
    """

    bounds: Array
    next: Array

    @property
    def start_ns(self) -> Array:
        """Where the gaps begin."""
        return self.bounds[:, 0]

    @property
    def end_ns(self) -> Array:
        """Where the gaps end."""
        return self.bounds[:, -1]

    @property
    def ns(self) -> Array:
        """Time of each gap by cause."""
        return np.diff(self.bounds, axis=1)

    @property
    def starved_ns(self) -> Array:
        """Time of each gap in which nothing was launched that could have run."""
        found: Array = self.bounds[:, CALL + 1] - self.bounds[:, HOST]
        return found

    @property
    def starved(self) -> Spans:
        """When nothing was launched that could have run."""
        return union(self.bounds[:, HOST], self.bounds[:, CALL + 1])


def idle_of(work: Work, start_ns: int, end_ns: int) -> Idle:
    """The gaps between a device's operators in a window, and what holds each: the operator that ends it tells.

    An operator that lasts no time, at the resolution of the recording, ends a gap, and the next one begins.

    Until its launching call begins the host holds it, until the call returns the call, from then the usual latency of
    such launches; then what it waited for on a stream, on another one, or for the device's units. It is explained up to
    `TOLERANCE_NS` beyond the last of these. Before the device's first operator, what is neither host nor launch is
    time that may have been work which was launched before the recording.
    """
    start, end = _gaps(work, start_ns, end_ns)
    place = np.searchsorted(work.start_ns, start, side="right")
    ends = place < len(work.row)
    after = np.where(ends, place, -1)
    known = work.call[after] >= 0
    recorded = bool((work.call >= 0).any())
    issued = work.issued_ns[after]
    ready = np.where(known, issued + work.latency_ns[after], NULL)
    held = work.held_ns[after]
    later = held > ready  # then it is the other work that counts, else the launch
    first = ends & (place == 0) & recorded
    bounds = np.stack(
        [
            start,
            np.where(ends, work.began_ns[after], end_ns),
            np.where(ends, issued, end_ns),
            ready + np.where(known & ~later, TOLERANCE_NS, 0),
            np.where(later & ~first, held + TOLERANCE_NS, NULL),
            np.where(first, end, NULL),
            end,
        ],
        axis=1,
    )
    bounds[~ends, LATENCY + 1 : BEFORE + 2] = NULL
    return Idle(np.minimum(np.maximum.accumulate(bounds, axis=1), end[:, None]), after)


def _gaps(work: Work, start_ns: int, end_ns: int) -> tuple[Array, Array]:
    """Starts and ends of the stretches in which no operator runs, cut where one starts that lasts no time."""
    gap = union(np.array([start_ns]), np.array([end_ns])).without(work.busy)
    moments = np.unique(work.start_ns[work.start_ns == work.end_ns])
    within = np.searchsorted(gap.start_ns, moments, side="left") - 1
    inside = within >= 0
    inside[inside] = moments[inside] < gap.end_ns[within[inside]]
    cuts = moments[inside]
    return np.sort(np.append(gap.start_ns, cuts)), np.sort(np.append(gap.end_ns, cuts))
