"""Who talks to whom: bytes and transfer time from each rank to each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

import numpy as np

from etgraph.model import CommType, NodeType, Trace, Trust
from etgraph.model.arrivals import NULL, arrivals
from etgraph.model.columns import Array
from etgraph.model.meetings import Meetings, meetings
from etgraph.model.result_tables import row_of
from etgraph.model.results import Result
from etgraph.queries.trusting import trust_of
from etgraph.queries.windows import Iterations, Window, indices_of, left_out, operators_of, windows_of

if TYPE_CHECKING:
    import pyarrow as pa

MOST_RANKS = 4096
"""Of more ranks than that, only those that are recorded have a row: the matrix would fill the memory."""

PAIR: Final = row_of(
    "CommunicationPair", "what one rank sends to another",
    rank="int64 the rank that sends",
    peer="int64 the rank that receives",
    bytes="int64 what is sent",
    transfer_ns="int64 the time of these transfers without waiting",
)  # fmt: skip

_SHARES = {
    CommType.ALL_REDUCE: (2, 1),
    CommType.ALL_GATHER: (1, 1),
    CommType.REDUCE_SCATTER: (1, 1),
    CommType.REDUCE_SCATTER_BLOCK: (1, 1),
    CommType.ALL_TO_ALL: (1, 1),
    CommType.BROADCAST: (1, 1),
    CommType.REDUCE: (1, 1),
    CommType.GATHER: (1, 2),
    CommType.SCATTER: (1, 2),
}
"""What a rank sends to each of its n − 1 peers in a collective of size s: `(a, p)` stands for a · s / nᵖ."""


@dataclass(frozen=True, slots=True, eq=False)
class CommunicationMatrix(Result):
    """What each of `ranks` sends to each other: `bytes[i, j]` goes from `ranks[i]` to `ranks[j]`, int64 as all here.

    `transfer_ns` is the time of these transfers without waiting, divided evenly over an operator's peers: a masked
    array whose masked cells are not known at all, None where the trace has no times. `unattributed_bytes` are known to
    be sent, but not to which rank. What `unrecorded_ranks` of the matrix send is known from receivers of messages only.
    """

    ranks: tuple[int, ...]
    bytes: Array
    transfer_ns: np.ma.MaskedArray[Any, Any] | None
    unattributed_bytes: int
    unrecorded_ranks: tuple[int, ...]
    trust: Trust

    FRAME: ClassVar[str] = "pairs"
    TABLE: ClassVar[str] = "pairs"

    @property
    def pairs(self) -> Annotated[pa.Table, PAIR]:
        """One row for each pair of ranks that communicate: rank, peer, bytes, transfer_ns; most bytes first."""
        import pyarrow as pa

        times = self.transfer_ns
        if times is None:
            times = np.ma.masked_array(np.zeros_like(self.bytes), True)
        took = times.filled(0)
        sender, receiver = np.nonzero(self.bytes + took)
        order = np.lexsort((receiver, sender, -took[sender, receiver], -self.bytes[sender, receiver]))
        sender, receiver = sender[order], receiver[order]
        ranks, unknown = np.array(self.ranks, dtype=np.int64), np.ma.getmaskarray(times)[sender, receiver]
        return pa.table(
            {
                "rank": pa.array(ranks[sender]),
                "peer": pa.array(ranks[receiver]),
                "bytes": pa.array(self.bytes[sender, receiver]),
                "transfer_ns": pa.array(took[sender, receiver], mask=unknown),
            }
        )

    def headline(self) -> str:
        """The answer in a few words."""
        return f"communication of {len(self.ranks)} ranks, {int(self.bytes.sum()):,} bytes"


def comm_matrix(
    trace: Trace, *, rank: int | None = None, iteration: Iterations = None, window: Window = "annotation"
) -> CommunicationMatrix:
    """Bytes and transfer time from each rank to each other, in the window; what `rank` sends where one is named.

    Messages count between their two ranks. Of a collective, each member sends its own part to every other: s / n of an
    all-gather, reduce-scatter or all-to-all of size s over n ranks, twice that of an all-reduce, which is one after the
    other. That is what every algorithm must move at least, not the way that a ring or a tree moves it. Where the root
    of a broadcast, reduce, gather or scatter is not known, what it moves is divided evenly over all pairs.

    Works without measured times too. Raises MissingData where the trace has no such rank, iteration or window.
    """
    came = arrivals(trace)
    met = meetings(trace, came)
    if trace.operators.is_null("start_ns").all() and len(trace):
        inside, told, timed = _rows_without_times(trace, rank, iteration), [], False
    else:
        windows = windows_of(trace, rank, iteration, window, contiguous=False)
        inside, told, timed = operators_of(trace, windows), list(left_out(trace, windows, rank)), True
    chosen = np.flatnonzero(np.isin(met.operator, inside))
    pieces, lost, unsized = _pieces(trace, met, chosen)
    ranks = _ranks(trace, [piece.ranks for piece in pieces])
    sent, took = (np.zeros((len(ranks), len(ranks))) for _ in range(2))
    missing = ~np.isin(ranks, trace.ranks)
    clear = np.zeros(sent.shape, dtype=np.int8)
    clear[missing] = UNKNOWN
    elsewhere = 0.0
    for piece in pieces:
        elsewhere += _add(ranks, piece, piece.bytes, sent)
        _add(ranks, piece, piece.ns, took)
        _tell(ranks, piece, clear)
    np.fill_diagonal(clear, NOTHING)
    unattributed = round(lost + elsewhere)
    if unattributed:
        told.append(f"{unattributed:,} bytes were sent to ranks that are not known, or not in the matrix")
    if unsized:
        told.append(f"{unsized} of {len(chosen)} communication operators count no bytes: their size is not recorded")
    untimed, total = (sum(piece.sent(kind) for piece in pieces) for kind in (False, None))
    if timed and untimed:
        told.append(
            f"{round(untimed):,} bytes ({untimed / total:.1%}) have no transfer time: a rank that takes part is not "
            "recorded or not matched"
        )
    return CommunicationMatrix(
        tuple(ranks.tolist()),
        np.rint(sent).astype(np.int64),
        np.ma.masked_array(np.rint(took).astype(np.int64), clear == UNKNOWN) if timed else None,
        unattributed,
        tuple(ranks[missing].tolist()),
        trust_of(trace, inside, came=came, warnings=told),
    )


def _rows_without_times(trace: Trace, rank: int | None, iteration: Iterations) -> Array:
    """Rows of a rank and of iterations, where there is no time to cut a window out of."""
    part = trace if rank is None else trace.select_ranks([rank])
    inside = np.isin(trace.operators["rank"], part.ranks)
    if (steps := indices_of(iteration)) is not None:
        part = part.select_iterations(steps)
        wanted = np.isin(trace.iterations["index"], part.iteration_indices)
        inside &= np.isin(trace.operators["iteration"], np.flatnonzero(wanted))
    return np.flatnonzero(inside)


NOTHING, UNKNOWN, TIMED = range(3)
"""What is known of the time from one rank to another: it sends nothing, for an unknown time, or some of it is timed."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Ranks of a group and, by operator: its rank, bytes and ns to each other one, and whether ns is known."""

    ranks: Sequence[int]
    sender: Array
    bytes: Array
    ns: Array
    timed: Array

    def sent(self, timed: bool | None) -> float:
        """Bytes to all others, of all operators or of those that are timed or not."""
        chosen = self.bytes if timed is None else self.bytes[self.timed == timed]
        return float(chosen.sum()) * (len(self.ranks) - 1)


def _pieces(trace: Trace, met: Meetings, chosen: Array) -> tuple[list[Piece], float, int]:
    """What the operators send within each set of ranks; bytes whose receivers are unknown; operators without a size.

    Every operator accounts for what its own rank sends, so that nothing counts twice and nothing need be matched.
    """
    o = trace.operators
    rows = met.operator[chosen]
    said, whole = o["comm_bytes"][rows], met.bytes[met.meeting[chosen]]
    size = np.where(said != NULL, said, whole)
    unsized = int(np.count_nonzero(size == NULL))
    size = np.maximum(size, 0).astype(np.float64)
    is_message = np.isin(o["kind"][rows], (int(NodeType.COMM_SEND), int(NodeType.COMM_RECV)))
    of_messages, unknown = _messages(trace, met, chosen[is_message], size[is_message])
    of_collectives, lost = _collectives(trace, met, chosen[~is_message], size[~is_message])
    return of_messages + of_collectives, unknown + lost, unsized


def _collectives(trace: Trace, met: Meetings, chosen: Array, size: Array) -> tuple[list[Piece], float]:
    """Collectives as pieces of one group each, and bytes of those whose ranks or type are not known."""
    o = trace.operators
    rows, wait = met.operator[chosen], met.wait_ns[chosen]
    known = (wait != NULL) & (o["duration_ns"][rows] != NULL)
    took = np.where(known, o["duration_ns"][rows] - np.where(known, wait, 0), 0).astype(np.float64)
    type = o["comm_type"][rows]
    typed = np.isin(type, [int(of) for of in CommType])
    lost = float(size[~typed].sum())
    listed = np.array([*map(bool, trace.group_ranks), False])
    group, collective = o["group"][rows], o["collective"][rows]
    joined = np.where(collective >= 0, len(listed) + collective, -1)
    label = np.where(listed[group], group, joined)
    pieces: list[Piece] = []
    for one in np.unique(label).tolist():
        at = np.flatnonzero(label == one)
        ranks = _members(trace, one, len(listed))
        n = len(ranks)
        inside = np.isin(o["rank"][rows[at]], ranks)
        lost += float(size[at][~inside & typed[at]].sum())
        at = at[inside]
        if n < 2:
            continue
        part = np.zeros(len(at))
        for of, (factor, power) in _SHARES.items():
            part[type[at] == int(of)] = factor / n**power
        pieces.append(Piece(ranks, o["rank"][rows[at]], size[at] * part, took[at] / (n - 1), known[at]))
    return pieces, lost


def _members(trace: Trace, label: int, groups: int) -> tuple[int, ...]:
    """The ranks of a process group or, from `groups` on, those that are recorded of a collective."""
    if label < 0:
        return ()
    if label < groups:
        return trace.group_ranks[label]
    o = trace.operators
    return tuple(np.unique(o["rank"][o["collective"] == label - groups]).tolist())


def _messages(trace: Trace, met: Meetings, chosen: Array, size: Array) -> tuple[list[Piece], float]:
    """Messages as pieces of two ranks: what is sent, and what is received from ranks that are not recorded."""
    o = trace.operators
    rows, meeting = met.operator[chosen], met.meeting[chosen]
    sends = o["kind"][rows] == int(NodeType.COMM_SEND)
    rank, peer = o["rank"][rows].astype(np.int64), o["peer"][rows].astype(np.int64)
    ends = _ends(trace, met)[meeting]
    peer = np.where(peer < 0, np.where(sends, ends[:, 1], ends[:, 0]), peer)
    counts = sends | ~np.isin(peer, trace.ranks)
    lost = float(size[counts & (peer < 0)].sum())
    counts &= (peer >= 0) & (peer != rank)
    sender, receiver = np.where(sends, rank, peer)[counts], np.where(sends, peer, rank)[counts]
    took = met.transfer_ns[meeting][counts]
    pairs, of = np.unique(np.stack([sender, receiver, took != NULL], axis=1), axis=0, return_inverse=True)
    weights = size[counts], np.maximum(took, 0).astype(np.float64)
    sizes, times = (np.bincount(of.ravel(), weights=w, minlength=len(pairs)) for w in weights)
    return [
        Piece(
            (min(from_, to), max(from_, to)),
            np.array([from_]),
            sizes[i : i + 1],
            times[i : i + 1],
            np.array([timed == 1]),
        )
        for i, (from_, to, timed) in enumerate(pairs.tolist())
    ], lost


def _ends(trace: Trace, met: Meetings) -> Array:
    """Of each meeting the rank that sends and the one that receives, -1 where there is none."""
    o = trace.operators
    found = np.full((len(met.first), 2), -1, dtype=np.int64)
    for column, kind in enumerate((NodeType.COMM_SEND, NodeType.COMM_RECV)):
        of = np.flatnonzero(o["kind"][met.operator] == int(kind))
        found[met.meeting[of], column] = o["rank"][met.operator[of]]
    found[(found < 0).any(axis=1)] = -1
    return found


def _ranks(trace: Trace, groups: Sequence[Sequence[int]]) -> Array:
    """The ranks of the matrix: all that are recorded or take part, or too many of them, only those recorded."""
    everyone = np.array(sorted(set(trace.ranks).union(*groups)), dtype=np.int64)
    return everyone if len(everyone) <= MOST_RANKS else np.array(trace.ranks, dtype=np.int64)


def _add(ranks: Array, piece: Piece, values: Array, matrix: Array) -> float:
    """Add to the matrix what each sender gives to every other rank of the group; what goes to ranks outside it."""
    place, at, here = _places(ranks, piece)
    each = np.zeros(len(place))
    np.add.at(each, at, values[here])
    square = np.repeat(each[:, None], len(place), axis=1)
    np.fill_diagonal(square, 0.0)
    matrix[np.ix_(place, place)] += square
    return float(values.sum() * (len(piece.ranks) - 1) - square.sum())


def _tell(ranks: Array, piece: Piece, clear: Array) -> None:
    """Note in the matrix from whom to whom a time is known, or is not."""
    place, at, here = _places(ranks, piece)
    each = np.zeros(len(place), dtype=np.int8)
    np.maximum.at(each, at, np.where(piece.timed[here], TIMED, UNKNOWN).astype(np.int8))
    square = np.ix_(place, place)
    clear[square] = np.maximum(clear[square], each[:, None])


def _places(ranks: Array, piece: Piece) -> tuple[Array, Array, Array]:
    """Rows of the matrix for the group's ranks, which of these each sender is, and which senders have a row."""
    members = np.array(piece.ranks, dtype=np.int64)
    inside = members[np.isin(members, ranks)]
    order = np.argsort(inside)
    here = np.isin(piece.sender, inside)
    return np.searchsorted(ranks, inside), order[np.searchsorted(inside[order], piece.sender[here])], here


__all__ = ["CommunicationMatrix", "comm_matrix"]
