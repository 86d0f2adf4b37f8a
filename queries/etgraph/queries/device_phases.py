"""Phases of a device: stretches in which one thing limits it, cut with hysteresis."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from etgraph.model import Category, Trace
from etgraph.model.arrivals import NULL
from etgraph.model.columns import Array
from etgraph.model.intervals import Spans, union
from etgraph.model.kernels import kernel
from etgraph.queries.device_idle import CALL, HOST, LATENCY, Idle
from etgraph.queries.device_work import Depth, Work
from etgraph.queries.walk import TOLERANCE_NS
from etgraph.queries.windows import rows_of

KINDS = ("device-bound", "communication-bound", "launch-bound", "host-bound", "start-up", "waiting")
"""What limits a device: its own speed; other ranks or the network; how fast the host can launch; what the host does
besides launching; work that is done once, at first use; something that holds work which is launched."""
DEVICE, COMMUNICATION, LAUNCH, HOSTS, START_UP, WAITS = range(len(KINDS))
NEUTRAL = -1
DEEP = 2
"""With so many operators launched and not started, a device does not run dry at the end of the one that runs."""
SHORT_GAP_NS = 50_000
"""A device that gets nothing for longer than this waits for more than the launch of one operator."""
ONCE_NS = 1_000_000
"""A call of the runtime that takes this long is not a usual one: it loads code, or makes a context or a pool."""
_ONCE = re.compile(r"^(?:cuda|hip|cu)(?!.*(?:Memcpy|Memset|GraphLaunch|Synchronize))")
SHARE, LEAST_NS, MOST_NS = 0.01, 200_000, 1_000_000
"""How much more time of another kind ends a phase: this share of the window, within these limits."""


@dataclass(frozen=True, slots=True)
class Phases:
    """Stretches that tile a window: kind as a place in `KINDS`, start and end in ns."""

    kind: Array
    start_ns: Array
    end_ns: Array


def phases_of(trace: Trace, work: Work, idle: Idle, depth: Depth, start_ns: int, end_ns: int) -> Phases:
    """The phases of a device's window.

    Moment by moment: a device that runs only communication is communication-bound; one that computes is device-bound
    while `DEEP` operators wait behind, or while one runs that takes longer than the host needs from one launch to the
    next; else it is launch-bound. In a gap it is launch-bound while nothing is launched that could run, or while a
    launch has its latency; where the first takes more than `SHORT_GAP_NS` it is host-bound, or starting up if calls of
    `ONCE_NS` and more take most of it. What remains of a gap is waiting if it is longer than `TOLERANCE_NS`, else it
    counts as nothing.

    A phase goes on until, since some moment, another kind had more time than the phase's own by `SHARE` of the window
    (within limits); the next phase begins at that moment. That is the cumulative sum test of E. Page, "Continuous
    Inspection Schemes" (1954), for each other kind.
    """
    moments, kind = _kinds(trace, work, idle, depth, start_ns, end_ns)
    if not len(kind):
        none = np.zeros(0, dtype=np.int64)
        return Phases(none, none, none)
    more = int(np.clip((end_ns - start_ns) * SHARE, LEAST_NS, MOST_NS))
    which, begin = _cut(kind, moments, more, len(KINDS))
    return Phases(which, begin, np.append(begin[1:], end_ns))


def launch_interval(trace: Trace, work: Work) -> int:
    """Usual time from one launch of a thread to its next one in ns, at most a short gap (0: none is recorded)."""
    launched = work.call >= 0
    call = work.call[launched]
    thread, start = trace.operators["lane"][call], work.began_ns[launched]
    order = np.lexsort((start, thread))
    between, same = np.diff(start[order]), np.diff(thread[order]) == 0
    return min(int(np.median(between[same])), SHORT_GAP_NS) if same.any() else 0


def _kinds(
    trace: Trace, work: Work, idle: Idle, depth: Depth, start_ns: int, end_ns: int
) -> tuple[Array, Array]:  # fmt: skip
    """Moments from the window's start to its end at which something changes, and the kind from each to the next."""
    long = work.end_ns - work.start_ns > launch_interval(trace, work)
    moments = np.concatenate([work.start_ns, work.end_ns, idle.bounds.ravel(), depth.start_ns, [start_ns, end_ns]])
    moments = np.sort(np.clip(moments, start_ns, end_ns))
    moments = moments[np.append(True, moments[1:] > moments[:-1])]
    begin = moments[:-1]
    computes, lasts = _inside(work.only(~work.communicates), begin), _inside(work.only(long), begin)
    deep = depth.at(begin) >= DEEP
    kind = np.select([~computes, deep | lasts], [COMMUNICATION, DEVICE], LAUNCH)
    inside, of_gaps = _in_gaps(trace, work, idle, begin)
    kind[inside] = of_gaps
    changes = np.flatnonzero(np.diff(kind, prepend=NEUTRAL - 1))
    return np.append(begin[changes], end_ns), kind[changes]


def _in_gaps(trace: Trace, work: Work, idle: Idle, moments: Array) -> tuple[Array, Array]:
    """Which of the moments lie in a gap, and the kind at each of these."""
    gap = np.searchsorted(idle.start_ns, moments, side="right") - 1
    inside = gap >= 0
    inside[inside] = moments[inside] < idle.end_ns[gap[inside]]
    gap, moments = gap[inside], moments[inside]
    starved = idle.starved_ns
    empty = np.select(
        [starved <= SHORT_GAP_NS, 2 * _once(trace, work, idle) > starved], [LAUNCH, START_UP], HOSTS
    )  # fmt: skip
    rest = np.where(idle.end_ns - idle.bounds[:, LATENCY + 1] > TOLERANCE_NS, WAITS, NEUTRAL)
    kind = np.select(
        [moments < idle.bounds[gap, CALL + 1], moments < idle.bounds[gap, LATENCY + 1]], [empty[gap], LAUNCH], rest[gap]
    )
    return inside, kind


def _once(trace: Trace, work: Work, idle: Idle) -> Array:
    """Time of each gap without launched work in which the rank was in a call that is made once."""
    o = trace.operators
    rows = rows_of(trace, work.rank)
    runtime = np.isin(o["category"][rows], (int(Category.RUNTIME), int(Category.DRIVER)))
    rows = rows[runtime & (o["duration_ns"][rows] >= ONCE_NS) & (o["start_ns"][rows] != NULL)]
    rows = rows[o.codes_where("name", _ONCE.match)[o["name"][rows]]]
    calls = union(o["start_ns"][rows], trace.end_ns[rows])
    return calls.within(idle.bounds[:, HOST], idle.bounds[:, CALL + 1])


def _inside(spans: Spans, moments: Array) -> Array:
    """Whether each moment lies in the set."""
    at = np.searchsorted(spans.start_ns, moments, side="right") - 1
    found: Array = at >= 0
    found[found] = moments[found] < spans.end_ns[at[found]]
    return found


@kernel
def _cut(kind: Array, moments: Array, more: int, kinds: int) -> tuple[Array, Array]:
    """Kinds and starts of the phases; the first begins with the window, whichever kind first had `more` time.

    A kind's lead is its time less that of the phase's own kind, above the least that this difference has been.
    """
    time = np.zeros(kinds, dtype=np.int64)
    least = np.zeros(kinds, dtype=np.int64)
    since = np.zeros(kinds, dtype=np.int64)
    total = np.zeros(kinds, dtype=np.int64)
    which = np.empty(len(kind), dtype=np.int64)
    begin = np.empty(len(kind), dtype=np.int64)
    count, current, own = 0, -1, 0
    for j in range(len(kind)):
        k = kind[j]
        if k < 0:
            continue
        length = moments[j + 1] - moments[j]
        total[k] += length
        if k == current:
            own += length
            continue
        lead = time[k] - own
        if lead <= least[k]:
            least[k], since[k] = lead, moments[j]
        time[k] += length
        if lead + length - least[k] >= more:
            which[count], begin[count] = k, since[k]
            count, current, own = count + 1, k, 0
            time[:] = 0
            least[:] = 0
    if count == 0:
        which[0] = np.argmax(total)
        count = 1
    begin[0] = moments[0]
    return which[:count], begin[:count]
