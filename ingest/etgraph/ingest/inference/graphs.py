"""Graph launches: operators of one call, of which a stream's order shows only one branch."""

from __future__ import annotations

import numpy as np

from etgraph.ingest.inference.evidence import NEAR_NS
from etgraph.ingest.inference.findings import Finding, stored
from etgraph.ingest.inference.timeline import Timeline, ragged
from etgraph.model import DependencyKind
from etgraph.model.columns import Array


def ends_of_graphs(t: Timeline) -> Finding:
    """What a stream does after a graph launch follows all of the graph, not only what ended last.

    Branches of a graph overlap, also where they are recorded on one stream, whose order then passes some of them by.
    """
    rows = _in_graphs(t)
    before = t.previous[rows]
    same = before >= 0
    same[same] = t.launcher[before[same]] == t.launcher[rows[same]]
    leaves = rows[~np.isin(rows, before[same])]
    after = t.first_issued(t.lane[leaves], t.issued[leaves] + 1)
    missing = after >= 0
    missing[missing] = t.previous[after[missing]] != leaves[missing]
    return stored(t, DependencyKind.STREAM, leaves[missing], after[missing], "end of a graph launch", 0.95)


def branches_of_graphs(t: Timeline) -> Finding:
    """A late operator within a graph that starts as one on another stream of the same graph ends."""
    rows = _in_graphs(t)
    late = np.intersect1d(t.late(), rows)
    ends = rows[np.argsort(t.end[rows], kind="stable")]
    first = np.searchsorted(t.end[ends], t.start[late] - NEAR_NS)
    which, place = ragged(first, np.searchsorted(t.end[ends], t.start[late], side="right"))
    src, dst = ends[place], late[which]
    # Operators are rows in order of start, so that two of no duration at one moment do not wait for each other.
    possible = (t.launcher[src] == t.launcher[dst]) & (t.lane[src] != t.lane[dst]) & (src < dst)
    src, dst = src[possible][::-1], dst[possible][::-1]
    chosen, at = np.unique(dst, return_index=True)  # the last to end comes first
    return stored(t, DependencyKind.EVENT, src[at], chosen, "branch of a graph launch", 0.7)


def _in_graphs(t: Timeline) -> Array:
    """Device operators that share their launching call with others."""
    rows = t.device[t.launcher[t.device] >= 0]
    number = np.bincount(t.launcher[rows], minlength=len(t.start))
    return rows[number[t.launcher[rows]] > 1]
