"""Meetings: what communication operators take part in: a collective, a message, or something with unknown peers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etgraph.model.arrivals import NULL, Arrivals, alone, communicates
from etgraph.model.columns import Array
from etgraph.model.schema import CommType, DependencyKind, NodeType
from etgraph.model.sums import sum_by
from etgraph.model.trace import Trace

DEEPEST = 64
"""How many operators around a communication operator are looked at for another one."""


@dataclass(frozen=True, slots=True)
class Meetings:
    """Communication operators, one entry each, and their meetings.

    `operator` are rows, `meeting` numbers of meetings, `wait_ns` what an operator waited for the last of its peers and
    `NULL` where that is not known. Of each meeting: `first`, the row of its first operator; `bytes`, the size of the
    whole message as nccl-tests counts it; `ranks`, how many take part; `transfer_ns`, from the last start to the last
    end. Of the last three, unknown ones are `NULL` (`ranks`: 1).
    """

    operator: Array
    meeting: Array
    wait_ns: Array
    first: Array
    bytes: Array
    ranks: Array
    transfer_ns: Array


def meetings(trace: Trace, came: Arrivals) -> Meetings:
    """The meetings of all of a trace's communication operators. O(operators + dependencies).

    An operator that met nobody is a meeting of its own, since nothing tells which of them are one.
    """
    o = trace.operators
    rows = taking_part(trace)
    sources, targets = _messages(trace)
    meeting = _numbers(trace, rows, sources, targets)
    used, first, meeting = np.unique(meeting, return_index=True, return_inverse=True)
    count, collectives = len(used), len(trace.collectives)
    start, end = o["start_ns"][rows], trace.end_ns[rows]
    timed = (start != NULL) & (end != NULL)
    by_itself = ~alone(trace, rows, came)
    last = came.last_ns[rows]
    duration = np.where(timed, end - np.where(timed, start, 0), 0)
    waited = np.clip(np.where(last != NULL, last, start) - start, 0, duration)
    known = timed & by_itself

    latest, ended = np.full(count, NULL), np.full(count, NULL)
    np.maximum.at(latest, meeting, start)
    np.maximum.at(ended, meeting, np.where(timed, end, NULL))
    whole = np.ones(count, dtype=bool)
    whole[meeting[~known]] = False
    of = used - collectives
    message = np.flatnonzero((of >= 0) & (of < len(sources)))
    ends, begins = targets[of[message]], sources[of[message]]
    latest[message] = np.maximum(o["start_ns"][begins], o["start_ns"][ends])
    ended[message] = trace.end_ns[ends]
    whole &= (latest != NULL) & (ended != NULL)
    transfer = np.where(whole, np.maximum(np.where(whole, ended, 0) - np.where(whole, latest, 0), 0), NULL)
    return Meetings(
        rows, meeting, np.where(known, waited, NULL), rows[first], _bytes(trace, rows, meeting, used),
        _ranks(trace, rows, meeting, used), transfer,
    )  # fmt: skip


def taking_part(trace: Trace) -> Array:
    """Rows of all communication operators that take part in meetings.

    Of communication operators around others, such as a call around the library's own, only the innermost does.
    """
    o = trace.operators
    rows = np.flatnonzero(communicates(trace, np.arange(len(o))))
    found: Array = rows[(o["collective"][rows] >= 0) | ~np.isin(rows, _around(trace, rows))]
    return found


def _messages(trace: Trace) -> tuple[Array, Array]:
    """The operators with which each message begins and ends."""
    d = trace.dependencies
    found = np.flatnonzero(d["kind"] == int(DependencyKind.COMM))
    return d["src"][found], d["dst"][found]


def _numbers(trace: Trace, rows: Array, sources: Array, targets: Array) -> Array:
    """A number for what each operator takes part in: collectives first, then messages, then what is unknown."""
    o = trace.operators
    of_message = np.full(len(o), -1, dtype=np.int64)
    of_message[sources] = of_message[targets] = np.arange(len(sources))
    message, parent = of_message[rows], o["parent"][rows]
    # A message may begin with the call that issues it, around the operator that sends.
    issued = (o["kind"][rows] == int(NodeType.COMM_SEND)) & (message < 0) & (parent >= 0)
    message[issued] = of_message[parent[issued]]
    collective, collectives = o["collective"][rows], len(trace.collectives)
    own = collectives + len(sources) + np.arange(len(rows))
    return np.select([collective >= 0, message >= 0], [collective, collectives + message], own)


def _around(trace: Trace, rows: Array) -> Array:
    """Operators around those rows."""
    parent, found = trace.operators["parent"], []
    around = rows
    for _ in range(DEEPEST):
        around = np.unique(parent[around])
        around = around[around >= 0]
        if not len(around):
            break
        found.append(around)
    return np.unique(np.concatenate(found)) if found else np.zeros(0, dtype=np.int64)


def _bytes(trace: Trace, rows: Array, meeting: Array, used: Array) -> Array:
    """Size of each meeting: the collective's, else the mean of what its operators say, since each may give its own.

    A barrier has none, which is known.
    """
    said = trace.operators["comm_bytes"][rows]
    known = said != NULL
    count = np.bincount(meeting[known], minlength=len(used))
    total = sum_by(meeting[known], said[known], len(used))
    found = np.where(count > 0, total // np.maximum(count, 1), NULL)
    collectives = trace.collectives
    of = np.flatnonzero(used < len(collectives))
    agreed = collectives["bytes"][used[of]]
    found[of] = np.where(agreed != NULL, agreed, found[of])
    barrier = np.zeros(len(used), dtype=bool)
    barrier[meeting] = trace.operators["comm_type"][rows] == int(CommType.BARRIER)
    return np.where(barrier, 0, found)


def _ranks(trace: Trace, rows: Array, meeting: Array, used: Array) -> Array:
    """How many ranks take part in each: as the collective or its group says, else as many as are recorded."""
    o, collectives, groups = trace.operators, trace.collectives, trace.process_groups
    found = np.bincount(meeting, minlength=len(used))
    group = np.full(len(used), -1, dtype=np.int64)
    group[meeting] = o["group"][rows]
    grouped = np.flatnonzero(group >= 0)
    found[grouped] = np.maximum(found[grouped], groups["size"][group[grouped]])
    of = np.flatnonzero(used < len(collectives))
    found[of] = np.maximum(found[of], collectives["size"][used[of]])
    return found


def rank_ranges(trace: Trace, met: Meetings) -> tuple[Array, Array]:
    """The lowest and the highest rank of each meeting: of its process group, else of those that are recorded."""
    o = trace.operators
    count = len(met.first)
    rank = o["rank"][met.operator]
    lowest, highest = np.full(count, np.iinfo(np.int64).max), np.full(count, -1)
    np.minimum.at(lowest, met.meeting, rank)
    np.maximum.at(highest, met.meeting, rank)
    members = trace.group_ranks
    group = o["group"][met.first]
    message = np.isin(o["kind"][met.first], (int(NodeType.COMM_SEND), int(NodeType.COMM_RECV)))
    for known in np.unique(group[(group >= 0) & ~message]).tolist():
        if len(members[known]):
            of = (group == known) & ~message
            lowest[of] = np.minimum(lowest[of], min(members[known]))
            highest[of] = np.maximum(highest[of], max(members[known]))
    return lowest, highest


_BUS_FACTORS = {
    CommType.ALL_REDUCE: (2, -2),
    CommType.ALL_GATHER: (1, -1),
    CommType.REDUCE_SCATTER: (1, -1),
    CommType.REDUCE_SCATTER_BLOCK: (1, -1),
    CommType.ALL_TO_ALL: (1, -1),
}


def bus_factors(type: Array, ranks: Array) -> Array:
    """Bus bandwidth over algorithm bandwidth of collectives of n ranks, as nccl-tests' PERFORMANCE.md has it.

    2(n − 1)/n of all-reduce; (n − 1)/n of all-gather, reduce-scatter and all-to-all; 1 of everything else.
    """
    factor = np.ones(len(type))
    for of, (constant, by_rank) in _BUS_FACTORS.items():
        chosen = type == int(of)
        factor[chosen] = constant + by_rank / ranks[chosen]
    return factor


__all__ = ["Meetings", "bus_factors", "meetings", "rank_ranges", "taking_part"]
