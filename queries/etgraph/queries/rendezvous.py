"""Rendezvous: collectives and messages for which ranks wait for each other, who came when, and who came last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from etgraph.model import DependencyKind, NodeType, Trace
from etgraph.model.arrivals import Arrivals, alone
from etgraph.model.columns import Array
from etgraph.model.meetings import taking_part
from etgraph.model.sums import sum_by
from etgraph.queries.windows import Interval, operators_of

TOGETHER_NS = 1_000
"""Ranks that come at most this much before the last one come together with it: many recordings count in µs."""


@dataclass(frozen=True, slots=True)
class Rendezvous:
    """Rendezvous in order of the moment at which the last member came; times in ns.

    `number` is a collective's row in the trace; messages are numbered after these, in order of their dependencies.
    The members of the k-th are at `offsets[k]` to `offsets[k + 1]` of the columns of members: a collective's by rank, a
    message's sender before its receiver. `row` is a member's operator, `wait_ns` what of its duration was before the
    last member's start, and `last` says who came last or together with it. `late` is the place of the one that came
    last, the lowest rank of several. `unjudged` counts collectives that a member without times, or a rank that is not
    recorded, keeps from being judged; an operator counts as one of its own where nothing tells whom it met.
    """

    number: Array
    last_ns: Array
    end_ns: Array
    late: Array
    offsets: Array
    row: Array
    wait_ns: Array
    last: Array
    unjudged: int

    def __len__(self) -> int:
        return len(self.number)

    @property
    def size(self) -> Array:
        """Members of each."""
        return np.diff(self.offsets)

    @property
    def of(self) -> Array:
        """The rendezvous of each member."""
        return np.repeat(np.arange(len(self)), self.size)

    @property
    def apart(self) -> Array:
        """Whether members of each came earlier than together with the last one."""
        found: Array = self.sums((~self.last).astype(np.int64)) > 0
        return found

    def sums(self, by_member: Array) -> Array:
        """Sums over the members of each."""
        return sum_by(self.of, by_member, len(self))


def rendezvous(trace: Trace, windows: Sequence[Interval], came: Arrivals) -> Rendezvous:
    """The rendezvous in which an operator of the windows takes part, whose members all have times.

    A message is one where its receiver waited: it came before the sender did. A sender waits for nobody.
    O(operators + dependencies), and sorting by rank.
    """
    inside = np.zeros(len(trace), dtype=bool)
    inside[operators_of(trace, windows)] = True
    timed = ~trace.operators.is_null("start_ns") & ~trace.operators.is_null("duration_ns")
    collectives, unjudged = _collectives(trace, inside, timed)
    messages = _messages(trace, inside, timed)
    number, row = (np.concatenate(pair) for pair in zip(collectives, messages))
    unjudged += _by_themselves(trace, inside, came)
    return _in_order(trace, number, row, unjudged)


def previous_rendezvous(trace: Trace, rows: Array) -> Array:
    """The collective or receive of the same rank that ended last before each operator's start; -1 where none did.

    Those count too whose other members are not recorded: the rank met them all the same.
    """
    o, start, end = trace.operators, trace.operators["start_ns"], trace.end_ns
    kind, group = o["kind"], o["group"]
    meets = ((kind == int(NodeType.COMM_COLL)) | (kind == int(NodeType.COMM_RECV))) & ~o.is_null("duration_ns")
    if len(trace.process_groups):
        meets &= (group < 0) | (trace.process_groups["size"][group] != 1)
    before = np.full(len(rows), -1, dtype=np.int64)
    for rank in np.unique(o["rank"][rows]).tolist():
        own = trace.rank_rows[rank]
        met = own.start + np.flatnonzero(meets[own] & ~o.is_null("start_ns")[own])
        met = met[np.argsort(end[met], kind="stable")]
        at = np.flatnonzero(o["rank"][rows] == rank)
        place = np.searchsorted(end[met], start[rows[at]], side="right") - 1
        # An operator of no duration is not its own predecessor.
        place -= (place >= 0) & (met[np.maximum(place, 0)] == rows[at]) if len(met) else 0
        before[at] = np.where(place >= 0, met[np.maximum(place, 0)] if len(met) else -1, -1)
    return before


def _collectives(trace: Trace, inside: Array, timed: Array) -> tuple[tuple[Array, Array], int]:
    """Collective and operator of each member of those to judge, and how many cannot be judged."""
    o, c = trace.operators, trace.collectives
    rows = np.flatnonzero(o["collective"] >= 0)
    of = o["collective"][rows]
    found = np.bincount(of, minlength=len(c))
    expected = np.where(c.is_null("size"), found, np.maximum(c["size"], found)) if len(c) else found
    asked = (np.bincount(of[inside[rows]], minlength=len(c)) > 0) & (expected > 1)
    whole = np.bincount(of[timed[rows]], minlength=len(c)) == expected
    judged = (asked & whole)[of]
    return (of[judged].astype(np.int64), rows[judged]), int(np.count_nonzero(asked & ~whole))


def _by_themselves(trace: Trace, inside: Array, came: Arrivals) -> int:
    """Operators of collectives that met nobody and of which nothing tells which collective they are of."""
    o, rows = trace.operators, taking_part(trace)
    rows = rows[inside[rows] & (o["kind"][rows] == int(NodeType.COMM_COLL)) & (o["collective"][rows] < 0)]
    return int(np.count_nonzero(alone(trace, rows, came)))


def _messages(trace: Trace, inside: Array, timed: Array) -> tuple[Array, Array]:
    """Number and operator of sender and receiver of each message whose receiver waited."""
    d, start = trace.dependencies, trace.operators["start_ns"]
    sent = np.flatnonzero(d["kind"] == int(DependencyKind.COMM))
    src, dst = d["src"][sent].astype(np.int64), d["dst"][sent].astype(np.int64)
    judged = timed[src] & timed[dst] & (inside[src] | inside[dst])
    judged &= (start[src] > start[dst]) & (trace.end_ns[dst] > start[dst])
    number = len(trace.collectives) + np.flatnonzero(judged)
    return np.repeat(number, 2), np.stack([src[judged], dst[judged]], axis=1).ravel()


def _in_order(trace: Trace, number: Array, row: Array, unjudged: int) -> Rendezvous:
    start, end = trace.operators["start_ns"], trace.end_ns
    numbers, of, size = np.unique(number, return_inverse=True, return_counts=True)
    last = np.full(len(numbers), np.iinfo(np.int64).min)
    np.maximum.at(last, of, start[row])
    rank = np.empty(len(numbers), dtype=np.int64)
    in_time = np.lexsort((numbers, last))
    rank[in_time] = np.arange(len(numbers))
    by = np.argsort(rank[of], kind="stable")  # members keep their order, which is that of ranks
    row, size, last = row[by], size[in_time], last[in_time]
    offsets = np.concatenate([[0], np.cumsum(size)])
    late_by = np.repeat(last, size) - start[row]
    final = np.full(len(numbers), np.iinfo(np.int64).min)
    np.maximum.at(final, np.repeat(np.arange(len(size)), size), end[row])
    at_last = np.flatnonzero(late_by == 0)
    late = at_last[np.searchsorted(at_last, offsets[:-1])] if len(numbers) else at_last
    return Rendezvous(
        numbers[in_time], last, final, late, offsets, row, np.clip(late_by, 0, trace.operators["duration_ns"][row]),
        late_by <= TOGETHER_NS, unjudged,
    )  # fmt: skip


__all__ = ["TOGETHER_NS", "Rendezvous", "previous_rendezvous", "rendezvous"]
