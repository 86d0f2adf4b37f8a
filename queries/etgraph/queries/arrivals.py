"""Who came last: the moment from which the peers of a communication operator were all there."""

from __future__ import annotations

import numpy as np

from etgraph.model import DependencyKind, Trace
from etgraph.model.columns import Array

NULL = -(2**63)


def last_arrivals(trace: Trace) -> Array:
    """For each operator the start of its collective's last member, or of the message that it receives, in ns.

    Null (`NULL`) where it takes part in nothing that was matched, or the times are not known. What a rank spends before
    that moment is waiting, what it spends after it transfer.
    """
    o, d = trace.operators, trace.dependencies
    arrival = np.full(len(o), NULL)
    start = o["start_ns"]
    members = np.flatnonzero((o["collective"] >= 0) & (start != NULL))
    last = np.full(len(trace.collectives), NULL)
    np.maximum.at(last, o["collective"][members], start[members])
    arrival[members] = last[o["collective"][members]]
    messages = np.flatnonzero(d["kind"] == int(DependencyKind.COMM))
    arrival[d["dst"][messages]] = start[d["src"][messages]]
    return arrival
