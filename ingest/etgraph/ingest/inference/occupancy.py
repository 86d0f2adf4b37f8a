"""OCCUPANCY: a kernel of many waves, or a large copy, on another stream left an operator no room until its tail."""

from __future__ import annotations

import re

import numpy as np

from etgraph.ingest.inference.findings import Finding, stored
from etgraph.ingest.inference.ready import TOLERANCE_NS
from etgraph.ingest.inference.timeline import Timeline, ragged
from etgraph.model import Category, DependencyKind
from etgraph.model.columns import Array

ONE_WAVE = 1.01
"""A kernel whose blocks ran in more rounds than one fills the device until the last of them."""
MANY_WAVES = 20
"""From so many rounds on the tail is so short that to start in it is no accident."""
TAIL_WAVES = 4.5
"""The last rounds, in which blocks end and none follow: where in them the other operator starts differs by kernel."""
COPY_WAVES = 160
"""A copy within the device runs as a kernel of many small blocks; its waves are not recorded."""
LONG_NS = 20_000
"""A copy shorter than this is over before its tail could be told from its end."""
CLOSE_NS = 1_000
"""A held operator starts no later than this after the end of what held it."""
WITHIN_DEVICE = re.compile(r"DtoD|Device -> Device|DeviceToDevice")
"""Names of copies within a device."""


def holders(t: Timeline, late: Array, *, when_ready: bool = True) -> Array:
    """For each of those late operators what held it: the operator in whose tail it starts; -1 for none.

    A kernel of few waves has a long tail, so it counts only where it ran all the while from when the late one was
    ready; without `when_ready` also where that moment is not known yet. Communication is held only in that way: its
    kernels are small, and start together with those of other ranks.
    """
    held = np.full(len(late), -1, dtype=np.int64)
    waves = _waves(t)
    full = t.device[(waves[t.device] >= ONE_WAVE) & ~t.communicates[t.device]]
    order = np.argsort(t.start[late], kind="stable")
    start = t.start[late[order]]
    length = t.end[full] - t.start[full]
    tail = np.minimum(TAIL_WAVES * length / waves[full], length).astype(np.int64)
    first = np.searchsorted(start, t.end[full] - tail)
    last = np.searchsorted(start, t.end[full] + CLOSE_NS, side="right")
    which, place = ragged(first, last)
    holder, position = full[which], order[place]
    y = late[position]
    device = t.trace.lanes["device"]
    elsewhere = (t.lane[holder] != t.lane[y]) & (device[t.lane[holder]] == device[t.lane[y]])
    all_the_while = t.start[holder] <= t.ready[y] + TOLERANCE_NS
    earlier = t.start[holder] + TOLERANCE_NS < t.start[y]
    by_tail = (waves[holder] >= MANY_WAVES) & earlier & ~t.communicates[y]
    possible = elsewhere & (all_the_while | by_tail if when_ready else earlier)
    holder, position = holder[possible], position[possible]
    closest = np.lexsort((np.abs(t.end[holder] - t.start[late[position]]), position))[::-1]
    held[position[closest]] = holder[closest]
    return held


def occupied(t: Timeline) -> Finding:
    """Operators that nothing orders after a kernel on another stream, and that yet start when it ends.

    It does not say that they must: on a larger device, or without that kernel, they start earlier.
    """
    late = t.late()
    held = holders(t, late)
    holder, late = held[held >= 0], late[held >= 0]
    sure = np.where(_waves(t)[holder] >= MANY_WAVES, 0.8, 0.6)
    return stored(t, DependencyKind.OCCUPANCY, holder, late, "device held by another stream", sure)


def _waves(t: Timeline) -> Array:
    """Waves of every operator, 0 where not known, those of long copies within the device supposed."""
    o = t.trace.operators
    waves = np.nan_to_num(o["waves"].astype(np.float64))
    copies = t.device[o["category"][t.device] == int(Category.MEMCPY)]
    if len(copies):
        within = o.codes_where("name", WITHIN_DEVICE.search)[o["name"][copies]]
        copies = copies[within & (t.end[copies] - t.start[copies] >= LONG_NS)]
        waves[copies] = COPY_WAVES
    return waves
