"""EVENT where only the times betray it: a late operator that starts as another stream's work ends."""

from __future__ import annotations

import numpy as np

from etgraph.ingest.inference.findings import Finding, stored
from etgraph.ingest.inference.occupancy import holders
from etgraph.ingest.inference.ready import EARLY, TOLERANCE_NS
from etgraph.ingest.inference.timeline import Timeline, ragged
from etgraph.model import DependencyKind
from etgraph.model.columns import Array
from etgraph.model.runtime_calls import WAIT

NEAR_NS = 20_000
"""An operator that starts within this after another stream's one ended may have waited for it."""
AT_ONCE_NS = 8_000
"""What an event releases starts within this, mostly."""


def betrayed_waits(t: Timeline) -> Finding:
    """A late operator, the first issued to its stream after some wait, that started as another stream's work ended.

    The other operator is the last that was issued to its own stream before such a wait; communication has an event of
    its own, so any of it may be meant. Order alone names the wrong one four times of five: so only operators count
    that nothing known explains, and only sources that ended within `NEAR_NS` before, or before what held the operator
    until then; of several the last to end. Sure where it is the only one and the start followed at once.
    """
    waits, late = t.called(WAIT), t.late()
    late = late[t.launcher[late] >= 0]
    if not len(waits) or not len(late):
        return Finding()
    held = holders(t, late, when_ready=False)
    since = np.where(held >= 0, np.minimum(t.start[held], t.start[late]), t.start[late])
    unexplained = since - t.ready[late] > TOLERANCE_NS
    late, since = late[unexplained], since[unexplained]
    ends = t.device[np.argsort(t.end[t.device], kind="stable")]
    # After what is known to have let it start, the source of an EVENT that is stored already included.
    first = np.searchsorted(t.end[ends], np.maximum(since - NEAR_NS - 1, t.ready[late]), side="right")
    last = np.searchsorted(t.end[ends], t.start[late], side="right")
    which, place = ragged(first, last)
    src, dst, since = ends[place], late[which], since[which]
    rank = t.trace.operators["rank"]
    possible = (t.lane[src] != t.lane[dst]) & (rank[src] == rank[dst]) & _wait_between(t, src, dst, waits)
    src, dst, since = src[possible], dst[possible], since[possible]
    order = np.lexsort((-t.end[src], dst))
    src, dst, since = src[order], dst[order], since[order]
    chosen, at = np.unique(dst, return_index=True)
    alone = np.diff(np.append(at, len(dst))) == 1
    at_once = since[at] - t.end[src[at]] <= AT_ONCE_NS
    sure = np.where(alone & at_once, 0.9, np.where(alone | at_once, 0.75, 0.5))
    return stored(t, DependencyKind.EVENT, src[at], chosen, "wait betrayed by times", sure)


def _wait_between(t: Timeline, src: Array, dst: Array, waits: Array) -> Array:
    """Whether some wait was called after src and before what follows it, and right before dst on its stream."""
    after = np.full(len(t.start), -1, dtype=np.int64)
    same = t.lane[t.device[1:]] == t.lane[t.device[:-1]]
    after[t.device[:-1][same]] = t.device[1:][same]
    follower = np.where(t.communicates[src], -1, after[src])
    before = np.where(t.previous[dst] >= 0, t.issued[t.previous[dst]], EARLY)
    opened = np.maximum(t.issued[src], before)
    closed = np.where(follower >= 0, np.minimum(t.issued[follower], t.issued[dst]), t.issued[dst])
    called = t.start[waits]
    found = np.searchsorted(called, closed) > np.searchsorted(called, opened, side="right")
    return np.asarray(found)
