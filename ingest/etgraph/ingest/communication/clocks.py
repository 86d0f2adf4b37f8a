"""The ranks' clocks: how far they are apart, where communication on devices tells, and times on one clock.

All members of a collective on devices end together, within microseconds; so the median difference of ends is the
offset of two clocks. Members on host threads do not (gloo: half a millisecond), so they tell nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from etgraph.ingest.communication.communicators import Communicators
from etgraph.ingest.communication.members import Members, classes, codes, ordinals
from etgraph.ingest.draft import NULL
from etgraph.ingest.shifting import move
from etgraph.model import Columns, NodeType, Trace
from etgraph.model.columns import Array

TOLERANCE_NS: Final = 2_000
"""How far clocks of one host, and times in whole microseconds, may contradict each other; the least uncertainty."""
WIDEST_NS: Final = 50_000
"""Differences of ends that scatter more than this (median absolute deviation) are no clocks."""
FEWEST: Final = 3
"""Common collectives from which the clocks of two ranks are compared."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """What is added to the times of each rank, how sure that is, and whether times of ranks can be compared at all."""

    added_ns: Mapping[int, int]
    uncertainty_ns: Mapping[int, int]
    comparable: bool

    @property
    def tolerance_ns(self) -> int:
        """What times of different ranks may contradict each other by."""
        return TOLERANCE_NS + max(self.uncertainty_ns.values(), default=0)


def compare_clocks(trace: Trace, m: Members, c: Communicators) -> Clocks:
    """Estimate the ranks' clock offsets against the lowest rank. Ranks of one host share a clock: nothing is done.

    An offset counts when it exceeds its uncertainty, three times the median absolute deviation, at least 2 µs.
    """
    hosts = {s.rank: s.document.get("host_name") for s in trace.metadata.sources}
    named = [host if isinstance(host := hosts.get(rank), str) else "" for rank in trace.ranks]
    if all(named) and len(set(named)) == 1:
        return Clocks({}, {}, True)
    links = _links(m, c)
    place: dict[int, tuple[int, int]] = {}
    waiting = list(trace.ranks[:1])
    place[trace.ranks[0]] = 0, 0
    while waiting:
        known = waiting.pop(0)
        for rank, (shift, spread) in links.get(known, {}).items():
            if rank not in place:
                place[rank] = place[known][0] - shift, place[known][1] + spread
                waiting.append(rank)
    added, unsure = {}, {}
    for rank, (offset, spread) in place.items():
        limit = max(TOLERANCE_NS, 3 * spread)
        if abs(offset) > limit:
            added[rank], unsure[rank] = -offset, limit
    elsewhere = len({h for h in named if h}) > 1
    return Clocks(added, unsure, not elsewhere or len(place) == len(trace.ranks))


def _links(m: Members, c: Communicators) -> dict[int, dict[int, tuple[int, int]]]:
    """For pairs of ranks with enough collectives in common: how far the first's clock is ahead, and the deviation.

    Each member is compared with the lowest rank of its collective. Where no numbers are recorded, the k-th of each
    rank are taken for one, if all ranks have equally many.
    """
    which = np.flatnonzero(m.device & m.timed & (m.kind == int(NodeType.COMM_COLL)) & (m.type >= 0))
    group, rank, end = c.of_row[m.group[which]], m.rank[which], m.end[which]
    key = codes(group, classes(m, which), m.sequence[which] != NULL)
    turn = ordinals(codes(key, rank))
    numbered = m.sequence[which] != NULL
    sets = codes(key, np.where(numbered, m.sequence[which], turn))
    keys, number = int(key.max(initial=-1)) + 1, int(sets.max(initial=-1)) + 1
    most = np.zeros(keys, dtype=np.int64)
    np.maximum.at(most, key, turn + 1)
    ranks_of_key = np.bincount(key[turn == 0], minlength=keys)
    even = most * ranks_of_key == np.bincount(key, minlength=keys)
    lowest = np.full(number, len(which), dtype=np.int64)
    np.minimum.at(lowest, sets, np.arange(len(which)))
    base = lowest[sets]
    usable = np.flatnonzero((even[key] | numbered) & (rank != rank[base]))
    pair = codes(rank[base][usable], rank[usable])
    difference = (end - end[base])[usable]
    median, first, count = _medians(pair, difference)
    deviation, _, _ = _medians(pair, np.abs(difference - median[pair]))
    links: dict[int, dict[int, tuple[int, int]]] = {}
    for n in np.flatnonzero((count >= FEWEST) & (deviation <= WIDEST_NS)).tolist():
        low, high = int(rank[base][usable[first[n]]]), int(rank[usable[first[n]]])
        shift, spread = int(median[n]), int(deviation[n])
        links.setdefault(high, {})[low] = shift, spread
        links.setdefault(low, {})[high] = -shift, spread
    return links


def _medians(key: Array, values: Array) -> tuple[Array, Array, Array]:
    """Median of the values of each key (the lower of two), the first element that has the key, and how many do."""
    order = np.lexsort((values, key))
    count = np.bincount(key) if len(key) else np.zeros(0, dtype=np.int64)
    start = np.cumsum(count) - count
    return values[order[start + (count - 1) // 2]], order[start], count


def on_one_clock(trace: Trace, clocks: Clocks) -> Trace:
    """The trace with each rank's times moved by what is added to them, which the metadata keeps."""
    if not clocks.added_ns:
        return trace

    def added(columns: Columns) -> Array:
        by = np.zeros(len(columns), dtype=np.int64)
        for rank, ns in clocks.added_ns.items():
            by[columns["rank"] == rank] = ns
        return by

    offsets = dict(trace.metadata.clock_offsets_ns)
    for rank, ns in clocks.added_ns.items():
        offsets[rank] = offsets.get(rank, 0) + ns
    metadata = replace(trace.metadata, clock_offsets_ns=offsets)
    return replace(move(trace, added), metadata=metadata)
