"""Sends and receives: the k-th send of one rank to another with a tag is what the k-th receive there gets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etgraph.ingest.communication.members import Members, codes, ordinals
from etgraph.ingest.draft import NULL
from etgraph.model import NodeType, Trace
from etgraph.model.columns import Array

NULL32 = -(2**31)
DEPTH = 8
"""How far above gloo's operator PyTorch's send is looked for."""


@dataclass(frozen=True, slots=True)
class Messages:
    """Matched pairs as positions among the members; and of the others, positions by reason."""

    sends: Array
    receives: Array
    no_peer: Array
    not_recorded: Array
    alone: Array


def issuers(trace: Trace, rows: Array) -> Array:
    """The operator with which each send begins: PyTorch's `c10d::send` around gloo's, which may begin much later."""
    o = trace.operators
    sends = o.codes_where("name", lambda name: name.startswith("c10d::send"))
    found, around = rows.copy(), rows.copy()
    for _ in range(DEPTH):
        around = np.where(around >= 0, o["parent"][around], -1)
        inside = (around >= 0) & sends[o["name"][np.maximum(around, 0)]]
        found = np.where(inside, around, found)
        if not (around >= 0).any():
            break
    return found


def match_messages(trace: Trace, m: Members, start: Array, end: Array, tolerance: int) -> Messages:
    """Pair sends and receives by ranks, tag, size and order.

    `start` and `end` are those of the members, a send's from its issuer. Where a pair of ranks recorded different
    numbers, the pairing counts that alone does not contradict the times; a receive never ends before its send starts.
    """
    sends, receives = m.kind == int(NodeType.COMM_SEND), m.kind == int(NodeType.COMM_RECV)
    peer, tag = trace.operators["peer"][m.rows].astype(np.int64), trace.operators["tag"][m.rows].astype(np.int64)
    point = np.flatnonzero(sends | receives)
    no_peer = point[peer[point] < 0]
    absent = point[(peer[point] >= 0) & ~np.isin(peer[point], trace.ranks)]
    point = point[np.isin(peer[point], trace.ranks)]
    source = np.where(sends, m.rank, peer)[point]
    target = np.where(sends, peer, m.rank)[point]
    pair = codes(source, target)
    key = codes(pair, _where_known(tag[point], NULL32, pair), _where_known(m.bytes[point], NULL, pair))
    side = sends[point]
    keys = int(key.max(initial=-1)) + 1
    difference = np.bincount(key, weights=np.where(side, 1, -1), minlength=keys)
    turn = ordinals(codes(key, side))
    even = difference == 0
    number = codes(key, turn)
    count = int(number.max(initial=-1)) + 1
    pairs = np.full((2, count), -1, dtype=np.int64)
    pairs[np.where(side, 0, 1), number] = point
    pairs = pairs[:, even[key[_first_of(number, count)]]] if count else pairs
    contradicted = _against(pairs[0], pairs[1], start, end, tolerance)
    bad = np.zeros(keys, dtype=bool)
    of_pair = np.zeros(len(m), dtype=np.int64)
    of_pair[point] = key
    bad[of_pair[pairs[0][contradicted]]] = True
    pairs = pairs[:, ~bad[of_pair[pairs[0]]]]
    order = np.argsort(key, kind="stable")
    starts = np.searchsorted(key[order], np.arange(keys + 1))
    uneven = (point[order[starts[k] : starts[k + 1]]] for k in np.flatnonzero(~even).tolist())
    more = [_shifted(here, sends, start, end, tolerance) for here in uneven]
    matched = np.concatenate([pairs, *more], axis=1)
    return Messages(matched[0], matched[1], no_peer, absent, np.setdiff1d(point, matched))


def _first_of(number: Array, count: int) -> Array:
    first = np.zeros(count, dtype=np.int64)
    first[number[::-1]] = np.arange(len(number))[::-1]
    return first


def _where_known(values: Array, null: int, pair: Array) -> Array:
    """The values, or null for all of a pair of which one is not known."""
    unknown = np.unique(pair[values == null])
    return np.where(np.isin(pair, unknown), null, values)


def _against(sends: Array, receives: Array, start: Array, end: Array, tolerance: int) -> Array:
    """Which pairs contradict the times: the receive ends before the send starts."""
    timed = (start[sends] != NULL) & (end[receives] != NULL)
    result: Array = timed & (start[sends] > end[receives] + tolerance)
    return result


def _shifted(here: Array, sends: Array, start: Array, end: Array, tolerance: int) -> Array:
    """Pairs of unequal numbers of sends and receives, if only one place of the shorter list fits the times."""
    nothing = np.zeros((2, 0), dtype=np.int64)
    sent, received = here[sends[here]], here[~sends[here]]
    fewer = min(len(sent), len(received))
    timed = (start[sent] != NULL).all() and (end[received] != NULL).all()
    if not fewer or not timed or abs(len(sent) - len(received)) > 64:
        return nothing
    found = nothing
    for shift in range(abs(len(sent) - len(received)) + 1):
        a = sent[shift : shift + fewer] if len(sent) > fewer else sent
        b = received[shift : shift + fewer] if len(received) > fewer else received
        if not _against(a, b, start, end, tolerance).any():
            if found.shape[1]:
                return nothing
            found = np.stack([a, b])
    return found
