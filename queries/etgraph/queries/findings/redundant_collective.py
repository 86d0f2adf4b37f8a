"""Redundant collectives: whose result nobody reads, or that gather the same thing again."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from math import prod
from typing import Final

import numpy as np

from etgraph.model import CommType, DependencyKind
from etgraph.model.columns import Array
from etgraph.model.tensors import Tensor, Unknown, inputs_of
from etgraph.queries.findings.candidate import Candidate
from etgraph.queries.findings.measured import Measured
from etgraph.queries.findings.mending import without
from etgraph.queries.findings.words import a_step, size
from etgraph.sim.edits import with_enclosed

BY_STORAGE: Final = "last writer of the storage"
"""Method of the data dependencies that are told by the memory of tensors, and hold what a collective's result is."""
ADVICE = (
    "Take it out, or gather only where and when the result is read (for logging: every n-th step, to one rank with "
    "gather); of repeated ones keep the first result."
)
_GATHERS = (int(CommType.ALL_GATHER), int(CommType.GATHER))


def redundant_collective(measured: Measured) -> Iterator[Candidate]:
    """Collectives of one type and size on all ranks whose result is read on none of them."""
    trace, o = measured.trace, measured.trace.operators
    rows = measured.communication
    rows = rows[o["comm_type"][rows] != int(CommType.BARRIER)]
    sizes = trace.collectives["bytes"][o["collective"][rows]]
    by_storage = trace.dependencies.codes_where("method", BY_STORAGE.__eq__).any() if len(trace.dependencies) else False
    keys, of = np.unique(np.stack([o["comm_type"][rows], sizes]), axis=1, return_inverse=True)
    for number, (type, bytes) in enumerate(keys.T.tolist()):
        own = rows[of.ravel() == number]
        unread = own[~(_read_by_storage(measured, own) if by_storage else _read_by_shape(measured, own, type))]
        # A collective is redundant where none of its ranks reads it.
        collective = o["collective"]
        unread = unread[~np.isin(collective[unread], collective[np.setdiff1d(own, unread)])]
        if not len(unread):
            continue
        all_rows = measured.with_issues(unread)
        count = len(np.unique(collective[unread])) / len(measured.steps)
        why = "no later operator reads what it wrote, by recorded storages" if by_storage else (
            "no later operator takes a tensor of the gathered shape"
        )  # fmt: skip
        name = CommType(type).name
        yield Candidate(
            f"the result of {name} is not used",
            f"{name}/{bytes}",
            partial(without, rows=all_rows),
            all_rows,
            f"{a_step(count)} {name} of {size(bytes)} a step; {why}",
            ADVICE,
        )


def _read_by_storage(measured: Measured, rows: Array) -> Array:
    """Whether some other operator reads what each collective, or what it encloses or is issued by, wrote."""
    trace, d = measured.trace, measured.trace.dependencies
    data = np.flatnonzero((d["kind"] == int(DependencyKind.DATA)))
    read = np.zeros(len(rows), dtype=bool)
    for place, row in enumerate(rows.tolist()):
        own = with_enclosed(trace, measured.with_issues(np.array([row])))
        reads = data[np.isin(d["src"][data], own) & ~np.isin(d["dst"][data], own)]
        read[place] = len(reads) > 0
    return read


def _read_by_shape(measured: Measured, rows: Array, type: int) -> Array:
    """Whether some later operator of its rank takes a tensor of the shape that each collective gathers.

    What is not known to be a gather, or has no recorded shape, counts as read.
    """
    trace, o = measured.trace, measured.trace.operators
    read = np.ones(len(rows), dtype=bool)
    if type not in _GATHERS:
        return read
    texts = o.texts("shapes").to_pylist()
    taken = [_dims(text) for text in texts]
    moves = with_enclosed(trace, measured.with_issues(measured.communication))
    others = np.setdiff1d(np.flatnonzero(trace.timed & (o["shapes"] >= 0)), moves)
    for code in np.unique(o["shapes"][rows]).tolist():
        of = np.flatnonzero(o["shapes"][rows] == code)
        gathered = {one for dims in taken[code] for one in _gathered(dims, _members(measured, rows[of]))}
        if code < 0 or not gathered:
            continue
        takes = np.array([not gathered.isdisjoint(dims) for dims in taken])
        readers = others[takes[o["shapes"][others]]]
        last = np.full(max(trace.ranks) + 1, np.iinfo(np.int64).min)
        np.maximum.at(last, o["rank"][readers], o["start_ns"][readers])
        read[of] = last[o["rank"][rows[of]]] >= trace.end_ns[rows[of]]
    return read


def _members(measured: Measured, rows: Array) -> int:
    return int(measured.trace.collectives["size"][measured.trace.operators["collective"][rows]].max(initial=1))


def _dims(text: str) -> set[tuple[int, ...]]:
    """The shapes of all tensors among an operator's inputs."""
    try:
        found = inputs_of(text)
    except Unknown:
        return set()
    lists = [each if isinstance(each, list) else [each] for each in found if each is not None]
    return {tensor.dims for each in lists for tensor in each if isinstance(tensor, Tensor) and tensor.dims}


def _gathered(dims: tuple[int, ...], ranks: int) -> Iterator[tuple[int, ...]]:
    """Shapes in which what ranks gather from tensors of that shape may be read: one by one, stacked, joined or flat."""
    yield dims
    yield (ranks, *dims)
    yield (ranks * dims[0], *dims[1:])
    yield (ranks * prod(dims),)
