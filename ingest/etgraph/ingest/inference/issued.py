"""SPAWN and JOIN of a communication library that works on threads of its own: what issued its work, and who waited."""

from __future__ import annotations

from typing import Final

import numpy as np

from etgraph.ingest.draft import NULL
from etgraph.ingest.inference.findings import Finding, stored
from etgraph.ingest.inference.timeline import Timeline
from etgraph.model import Category, DependencyKind
from etgraph.model.columns import Array

LATE: Final = 4
"""A thread that goes on later than so many usual wake-up times after the work's end may have paused for itself."""
BY_CHANCE: Final = 10
"""Unless it goes on within this part of its pause: one work in so many ends there by chance."""


def worked_off(t: Timeline) -> Finding:
    """From each call of PyTorch's to the operator of gloo's that did it, and from that to what its thread did next.

    The thread waited where the operator ended in a pause of it, between two outermost operators, shortly before the
    pause's end: a usual wake-up time, fitted on the pauses that such an operator ended in the second half of. It also
    waited where the call was the last thing that it did before the pause, or where the pause is long and little of it
    is left. Of several operators the last to end is meant. Waits within an operator have no edge: JOIN leads to starts.
    """
    call, work = _pairs(t)
    if not len(call):
        return Finding()
    found = stored(t, DependencyKind.SPAWN, call, work, "communication issued", 0.95)
    after, since = _pauses(t, t.lane[call], t.end[work])
    inside = (after >= 0) & (since > t.start[call])
    call, work, after, since = call[inside], work[inside], after[inside], since[inside]
    order = np.lexsort((-t.end[work], after))
    after, first = np.unique(after[order], return_index=True)
    call, work, since = call[order][first], work[order][first], since[order][first]
    delay, pause = t.start[after] - t.end[work], t.start[after] - since
    soon = 2 * delay <= pause
    if not soon.any():
        return found
    usual = float(np.median(delay[soon]))
    expected = soon & (delay <= LATE * usual)
    asked = soon & (since - t.end[call] <= usual)
    sure = np.select([expected, asked, (delay <= usual) | (BY_CHANCE * delay <= pause)], [0.8, 0.7, 0.6], 0.0)
    waited = sure > 0
    return found + stored(t, DependencyKind.JOIN, work[waited], after[waited], "communication awaited", sure[waited])


def _pairs(t: Timeline) -> tuple[Array, Array]:
    """The calls and the operators of the library that share a number, in order."""
    issue = t.draft.id("issue")
    o = t.trace.operators
    rows = np.flatnonzero((issue != NULL) & ~o.is_null("start_ns") & ~o.is_null("duration_ns") & (o["lane"] >= 0))
    done = o["category"][rows] == int(Category.ANNOTATION)
    call, work = rows[~done], rows[done]
    _, first, second = np.intersect1d(issue[call], issue[work], return_indices=True)
    return call[first], work[second]


def _pauses(t: Timeline, lane: Array, moment: Array) -> tuple[Array, Array]:
    """For each thread and moment the outermost operator after the pause that it lies in, -1 for none, and its begin."""
    o = t.trace.operators
    after, since = np.full(len(lane), -1, dtype=np.int64), np.zeros(len(lane), dtype=np.int64)
    top = np.flatnonzero((o["category"] < int(Category.KERNEL)) & (o["parent"] < 0) & np.isin(o["lane"], lane))
    top = top[~o.is_null("start_ns")[top] & ~o.is_null("duration_ns")[top]]
    top = top[np.lexsort((t.start[top], t.lane[top]))]
    for one in np.unique(lane).tolist():
        own, asked = top[t.lane[top] == one], np.flatnonzero(lane == one)
        ended = np.maximum.accumulate(t.end[own])
        place = np.searchsorted(t.start[own], moment[asked])
        asked, place = asked[(place > 0) & (place < len(own))], place[(place > 0) & (place < len(own))]
        paused = ended[place - 1] < moment[asked]
        after[asked[paused]], since[asked[paused]] = own[place[paused]], ended[place[paused] - 1]
    return after, since
