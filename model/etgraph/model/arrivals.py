"""Who met whom: the communication operators whose peers are all recorded, and when the last of these came."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etgraph.model.columns import Array
from etgraph.model.schema import DependencyKind, NodeType
from etgraph.model.trace import Trace

NULL = -(2**63)


@dataclass(frozen=True, slots=True)
class Arrivals:
    """For each operator whether it met all its peers, the start of the last one in ns, and which one that is.

    Where that is not known, `last_ns` is `NULL` and `last` is -1; of several that start last, `last` is the first row.
    What a rank spends before the last arrival is waiting, what it spends after it is transfer. A sender waits for
    nobody. Where a rank is not recorded, nobody can tell the two apart: such a collective was not met.
    """

    met: Array
    last_ns: Array
    last: Array


def arrivals(trace: Trace) -> Arrivals:
    """The arrivals of a trace's matched collectives and messages. O(operators + dependencies)."""
    o, d, start = trace.operators, trace.dependencies, trace.operators["start_ns"]
    met, last_ns, last = _collectives(trace)
    messages = np.flatnonzero(d["kind"] == int(DependencyKind.COMM))
    src, dst = d["src"][messages], d["dst"][messages]
    order = np.argsort(start[src], kind="stable")  # of several sends to one receive, the last counts
    last_ns[dst[order]], last[dst[order]] = start[src[order]], src[order]
    met[dst] = met[src] = True
    # A message may begin with the call that issues it, around the operator that sends.
    sends = np.flatnonzero((o["kind"] == int(NodeType.COMM_SEND)) & (o["parent"] >= 0))
    issues = np.zeros(len(o), dtype=bool)
    issues[src] = True
    met[sends] |= issues[o["parent"][sends]]
    # By clocks that differ a little, an operator may end before its last peer starts.
    late = (last_ns != NULL) & trace.timed & (last_ns > trace.end_ns)
    last_ns[late] = trace.end_ns[late]
    return Arrivals(met, last_ns, last)


def _collectives(trace: Trace) -> tuple[Array, Array, Array]:
    o, collectives = trace.operators, trace.collectives
    members = np.flatnonzero((o["collective"] >= 0) & trace.timed)
    meeting, start = o["collective"][members], o["start_ns"][members]
    found = np.bincount(meeting, minlength=len(collectives))
    whole = collectives.is_null("size") | (found >= collectives["size"])
    latest, by = np.full(len(collectives), NULL), np.full(len(collectives), -1)
    order = np.lexsort((-members, start))  # the last one, and of equal ones the first row, is written last
    latest[meeting[order]], by[meeting[order]] = start[order], members[order]
    met, last_ns, last = np.zeros(len(o), dtype=bool), np.full(len(o), NULL), np.full(len(o), -1)
    met[members] = whole[meeting]
    last_ns[members] = np.where(whole, latest, NULL)[meeting]
    last[members] = np.where(whole & (latest != NULL), by, -1)[meeting]
    return met, last_ns, last


def communicates(trace: Trace, rows: Array) -> Array:
    """Whether each of the operators is a collective's or a message's."""
    kind = trace.operators["kind"][rows]
    found: Array = (kind >= int(NodeType.COMM_SEND)) & (kind <= int(NodeType.COMM_COLL))
    return found


def alone(trace: Trace, rows: Array, came: Arrivals) -> Array:
    """Whether a communication operator's peers are not recorded, so that its waiting cannot be told from transfer."""
    group = trace.operators["group"][rows]
    single = np.zeros(len(rows), dtype=bool)
    if len(trace.process_groups):
        single = (group >= 0) & (trace.process_groups["size"][group] == 1)
    return ~came.met[rows] & ~single
