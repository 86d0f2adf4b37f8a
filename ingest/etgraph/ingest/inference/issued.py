"""SPAWN and JOIN of a communication library that works on threads of its own: what issued its work, and who waited."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import numpy as np

from etgraph.ingest.draft import NULL
from etgraph.ingest.inference.findings import Finding, stored
from etgraph.ingest.inference.timeline import Timeline
from etgraph.model import Category, DependencyKind
from etgraph.model.columns import Array

LATE: Final = 4
"""A thread that goes on later than so many usual wake-up times after the work's end had its own reason to pause."""
BY_CHANCE: Final = 0.02
"""In this last part of a pause an operator that has nothing to do with it would end that rarely."""
_WAIT: Final = re.compile(r"\bwait(?:_tensor)?\b")


@dataclass(frozen=True, slots=True)
class _Pauses:
    """Stretches of threads without anything that runs: in `within` (-1: outside all operators) from `since` to `until`.

    `after` is the operator that ends the stretch; -1 where it is the end of the enclosing one that does.
    """

    within: Array
    since: Array
    until: Array
    after: Array


def worked_off(t: Timeline) -> Finding:
    """From each call of PyTorch's to the operator of gloo's that did it, and from that to what its thread did next.

    The thread waited where the operator ended in a pause of it, shortly before the pause's end: a usual wake-up time,
    fitted on the pauses that such an operator ended in the second half of, or a small part of a long pause; or where
    the call was the last thing that the thread did before the pause, and the operator filled half of it. Of several the
    last to end is meant. A pause lies between two operators, outermost ones or those within another, or at the end
    of one; an operator in which the thread waited cannot end before the work, and has an edge for that.
    """
    call, work = _pairs(t)
    found = stored(t, DependencyKind.SPAWN, call, work, "communication issued", 0.95) if len(call) else Finding()
    outlived, outliving = _outliving(t)
    call, work = np.concatenate([call, outlived]), np.concatenate([work, outliving])
    if not len(call):
        return found
    pauses = _pauses(t, t.lane[call], t.end[work])
    delay, length = pauses.until - t.end[work], pauses.until - pauses.since
    soon = 2 * delay <= length
    inside = (pauses.since >= t.start[call]) & (delay >= 0) & (length > 0) & _may_wait(t, pauses.within, call)
    if not (soon & inside).any():
        return found
    usual = float(np.median(delay[soon & inside]))
    expected = (delay <= usual) | (soon & (delay <= LATE * usual)) | (delay <= BY_CHANCE * length)
    asked = soon & (pauses.since - t.end[call] <= usual)
    waited = inside & (expected | asked)
    order = np.flatnonzero(waited)[np.lexsort((-t.end[work][waited], pauses.until[waited], t.lane[call][waited]))]
    one = np.stack([t.lane[call][order], pauses.until[order]])
    last = order[np.concatenate([[True], (one[:, 1:] != one[:, :-1]).any(axis=0)])] if len(order) else order
    sure = np.where(expected, np.where(soon, 0.8, 0.6), 0.7)[last]
    work, within, after = work[last], pauses.within[last], pauses.after[last]
    goes_on, around = after >= 0, within >= 0
    return (
        found
        + stored(t, DependencyKind.JOIN, work[goes_on], after[goes_on], "communication awaited", sure[goes_on])
        + stored(t, DependencyKind.SYNC, work[around], within[around], "communication awaited", sure[around])
    )


def _may_wait(t: Timeline, within: Array, call: Array) -> Array:
    """Whether the own time of those operators may be waiting: around the call, or by name; others work in theirs."""
    names = t.trace.operators.codes_where("name", _WAIT.search)
    named = names[t.trace.operators["name"][within]] if len(names) else np.zeros(len(within), dtype=bool)
    return (within < 0) | named | (t.start[within] <= t.start[call])


def _pairs(t: Timeline) -> tuple[Array, Array]:
    """The calls and the operators of the library that share a number, in order."""
    issue = t.draft.id("issue")
    o = t.trace.operators
    rows = np.flatnonzero((issue != NULL) & ~o.is_null("start_ns") & ~o.is_null("duration_ns") & (o["lane"] >= 0))
    done = o["category"][rows] == int(Category.ANNOTATION)
    call, work = rows[~done], rows[done]
    _, first, second = np.intersect1d(issue[call], issue[work], return_indices=True)
    return call[first], work[second]


def _outliving(t: Timeline) -> tuple[Array, Array]:
    """Calls and the operators of the library that were written down within them and go on after they returned.

    That the one starts the other was stored when operators were nested.
    """
    o = t.trace.operators
    known = ~o.is_null("start_ns") & ~o.is_null("duration_ns") & (o["lane"] >= 0) & (o["parent"] >= 0)
    work = np.flatnonzero(known & (o["category"] == int(Category.ANNOTATION)))
    work = work[t.end[work] > t.end[o["parent"][work]]]
    return o["parent"][work].astype(np.int64), work


def _pauses(t: Timeline, lane: Array, moment: Array) -> _Pauses:
    """For each thread and moment the pause that it lies in; one of no length where the thread was busy.

    What the library itself records on the thread is left out: a receive may be written down within the call that
    issued it, and outlive that.
    """
    o = t.trace.operators
    on_thread = (o["category"] < int(Category.KERNEL)) & (o["category"] != int(Category.ANNOTATION))
    own = np.flatnonzero(on_thread & np.isin(o["lane"], lane) & ~o.is_null("start_ns") & ~o.is_null("duration_ns"))
    if not len(own):
        nothing = np.full(len(lane), -1)
        return _Pauses(nothing, moment - 1, moment - 1, nothing)
    own = own[np.lexsort((t.start[own], t.lane[own]))]
    first = np.searchsorted(t.lane[own], lane)
    place = first + _before(t, own, lane, moment)
    last = np.where(place > first, own[np.maximum(place - 1, 0)], -1)
    within, since = last, np.full(len(lane), np.iinfo(np.int64).min)
    while True:
        ended = (within >= 0) & (t.end[within] < moment)
        if not ended.any():
            break
        since = np.where(ended, np.maximum(since, t.end[within]), since)
        within = np.where(ended, o["parent"][within], within)
    begun = last >= 0
    since = np.where(within >= 0, np.maximum(since, t.start[within]), since)
    following = own[np.minimum(place, len(own) - 1)]
    follows = (place < len(own)) & (t.lane[following] == lane)
    follows &= (within < 0) | (t.start[following] < t.end[within])
    until = np.where(follows, t.start[following], np.where(within >= 0, t.end[within], moment - 1))
    return _Pauses(within, np.where(begun, since, until), until, np.where(follows, following, -1))


def _before(t: Timeline, own: Array, lane: Array, moment: Array) -> Array:
    """How many of those operators, sorted by thread and start, each thread started before the moment."""
    count = np.zeros(len(lane), dtype=np.int64)
    for one in np.unique(lane).tolist():
        asked = lane == one
        count[asked] = np.searchsorted(t.start[own[t.lane[own] == one]], moment[asked])
    return count
