"""Who meets whom: members of collectives, senders and receivers, and what each does after its last peer has come."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etgraph.model import Category, DependencyKind, Trace
from etgraph.model.arrivals import communicates
from etgraph.model.columns import Array

_NEVER = -(2**62)


@dataclass(frozen=True, slots=True)
class Peers:
    """By operator: `meets`, whether it is of a collective all of whose members are recorded; `receives`, whether it has
    a sender; `transfer_ns`, the time from the last arrival of a peer to its end, or its duration where it has no peers.

    `sender` and `receiver` are the messages; of a `rendezvous` the sender cannot end before its receiver has come.
    Kernels of two devices meet; a host hands a message over and goes on (eager).
    """

    meets: Array
    receives: Array
    transfer_ns: Array
    sender: Array
    receiver: Array
    rendezvous: Array


def peers_of(trace: Trace) -> Peers:
    """The meetings of a trace. O(operators + dependencies)."""
    o, d, start, end = trace.operators, trace.dependencies, trace.operators["start_ns"], trace.end_ns
    members = np.flatnonzero((o["collective"] >= 0) & trace.timed)
    meeting, size = o["collective"][members], trace.collectives["size"]
    found = np.bincount(meeting, minlength=len(trace.collectives))
    whole = trace.collectives.is_null("size") | (found >= size)
    members, meeting = members[whole[meeting]], meeting[whole[meeting]]
    last = np.full(len(trace.collectives), _NEVER)
    np.maximum.at(last, meeting, start[members])
    arrived = np.where(trace.timed, start, 0)
    arrived[members] = last[meeting]
    messages = np.flatnonzero(d["kind"] == int(DependencyKind.COMM))
    sender, receiver = d["src"][messages].astype(np.int64), d["dst"][messages].astype(np.int64)
    known = trace.timed[sender] & trace.timed[receiver]
    sender, receiver = sender[known], receiver[known]
    np.maximum.at(arrived, receiver, start[sender])
    on_device = o["category"] >= int(Category.KERNEL)
    rendezvous = on_device[sender] & on_device[receiver] & (end[sender] >= start[receiver])
    np.maximum.at(arrived, sender[rendezvous], start[receiver[rendezvous]])
    meets, receives = np.zeros(len(o), dtype=bool), np.zeros(len(o), dtype=bool)
    meets[members] = receives[receiver] = True
    transfer = np.where(trace.timed, np.maximum(end - arrived, 0), 0)
    return Peers(meets, receives, transfer, sender, receiver, rendezvous)


def issues_of(trace: Trace) -> tuple[Array, Array]:
    """Calls that issue communication to another thread or to a device, and the communication: rows of both."""
    o, d = trace.operators, trace.dependencies
    issues = np.isin(d["kind"], (int(DependencyKind.SPAWN), int(DependencyKind.LAUNCH))) & communicates(trace, d["dst"])
    issues &= trace.timed[d["src"]] & trace.timed[d["dst"]]
    issues &= (d["kind"] == int(DependencyKind.LAUNCH)) | (o["category"][d["dst"]] < int(Category.KERNEL))
    return d["src"][issues].astype(np.int64), d["dst"][issues].astype(np.int64)
