"""Redundant collectives: those whose result nobody reads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from math import prod
from typing import Final

import numpy as np

from etgraph.model import CommType, DependencyKind
from etgraph.model.columns import Array
from etgraph.model.graph import nearest_above
from etgraph.model.readable import size
from etgraph.model.tensors import Tensor, Unknown, inputs_of
from etgraph.queries.findings.candidate import Candidate
from etgraph.queries.findings.measured import Measured
from etgraph.queries.findings.mending import without
from etgraph.queries.findings.words import a_step
from etgraph.sim.edits import with_enclosed

BY_STORAGE: Final = "last writer of the storage"
"""Method of the data dependencies that are told by the memory of tensors, and hold what a collective's result is."""
_MAKES = re.compile(r"^aten::(?:(?:zeros|ones|full|empty|rand|randn|randint|arange)(?:_\w+)?|new_\w+|fill_|zero_)$")
"""Operators that make tensors or fill them, and read none."""
ADVICE = (
    "Take it out, or gather only where and when the result is read (for logging: every n-th step, to one rank with "
    "gather); of repeated ones keep the first result."
)
_GATHERS = (int(CommType.ALL_GATHER), int(CommType.GATHER))


def redundant_collective(measured: Measured) -> Iterator[Candidate]:
    """Collectives whose result is read on none of their ranks, by type and size."""
    o = measured.trace.operators
    rows, by_storage = unread(measured)
    sizes = measured.trace.collectives["bytes"][o["collective"][rows]]
    keys, of = np.unique(np.stack([o["comm_type"][rows], sizes]), axis=1, return_inverse=True)
    for number, (type, bytes) in enumerate(keys.T.tolist()):
        own = rows[of.ravel() == number]
        all_rows = measured.with_issues(own)
        count = len(np.unique(o["collective"][own])) / len(measured.steps)
        why = "no later operator reads what it wrote, by recorded storages" if by_storage else (
            "no later operator takes a tensor of the gathered shape"
        )  # fmt: skip
        name = CommType(type).name
        yield Candidate(
            f"the result of {name} is not used",
            f"{name}/{bytes}",
            partial(without, rows=all_rows),
            all_rows,
            f"{a_step(count, name, name)}, {size(bytes)} each; {why}",
            ADVICE,
        )


def unread(measured: Measured) -> tuple[Array, bool]:
    """Rows of the members of collectives that no rank reads the result of, and whether recorded storages say so."""
    o, d = measured.trace.operators, measured.trace.dependencies
    by_storage = bool(len(d) and d.codes_where("method", BY_STORAGE.__eq__).any())
    rows = measured.communication
    rows = rows[o["comm_type"][rows] != int(CommType.BARRIER)]
    read = _read_by_storage(measured, rows) if by_storage else _read_by_shape(measured, rows)
    collective = o["collective"][rows]
    return rows[~np.isin(collective, collective[read])], by_storage


def _read_by_storage(measured: Measured, rows: Array) -> Array:
    """Whether some other operator reads what each collective, or what it encloses or is issued by, wrote."""
    trace, d = measured.trace, measured.trace.dependencies
    call = measured.issued_by[rows]
    whose = np.full(len(trace) + 1, -1, dtype=np.int64)  # the place of -1 is the last one
    whose[rows] = rows
    whose[call[call >= 0]] = rows[call >= 0]
    whose = whose[nearest_above(trace.operators["parent"], whose[:-1] >= 0)]
    data = d["kind"] == int(DependencyKind.DATA)
    source, target = whose[d["src"][data]], whose[d["dst"][data]]
    return np.isin(rows, source[source != target])


def _read_by_shape(measured: Measured, rows: Array) -> Array:
    """Whether some later operator of its rank's step may take a tensor of the shape that each collective gathers.

    What is not known to be a gather, or has no recorded shape, counts as read; so does one whose result is not known to
    be in memory that was made right before it: what was there before may be read in the next step, as parameters are.
    """
    trace, o = measured.trace, measured.trace.operators
    read = np.ones(len(rows), dtype=bool)
    makes = o.codes_where("name", _MAKES.search)[o["name"]]
    gathers = np.isin(o["comm_type"][rows], _GATHERS) & (o["shapes"][rows] >= 0) & _into_new(measured, rows, makes)
    if not gathers.any():
        return read
    texts = o.texts("shapes").to_pylist()
    taken = [_dims(text) for text in texts]
    moves = with_enclosed(trace, np.union1d(measured.with_issues(measured.communication), np.flatnonzero(makes)))
    takes_any = trace.timed & (o["shapes"] >= 0)
    takes_any[moves] = False
    others = np.flatnonzero(takes_any)
    for code in np.unique(o["shapes"][rows[gathers]]).tolist():
        of = np.flatnonzero(gathers & (o["shapes"][rows] == code))
        gathered = {one for dims in taken[code] for one in _gathered(dims, _members(measured, rows[of]))}
        if not gathered:
            continue
        takes = np.array([not gathered.isdisjoint(dims) for dims in taken])
        readers = others[takes[o["shapes"][others]]]
        # By rank and step, of which a rank has one where there are none.
        last: dict[tuple[int, int], int] = {}
        for rank, step, ns in zip(*(o[name][readers].tolist() for name in ("rank", "iteration", "start_ns"))):
            last[rank, step] = max(last.get((rank, step), ns), ns)
        never = np.iinfo(np.int64).min
        own = zip(o["rank"][rows[of]].tolist(), o["iteration"][rows[of]].tolist())
        read[of] = np.array([last.get(one, never) for one in own]) >= trace.end_ns[rows[of]]
    return read


def _into_new(measured: Measured, rows: Array, makes: Array) -> Array:
    """Whether the operator before each collective, or before its call, on the same thread makes a tensor."""
    d = measured.trace.dependencies
    call = np.where(measured.issued_by[rows] >= 0, measured.issued_by[rows], rows)
    follows = d["kind"] == int(DependencyKind.THREAD)
    before = np.full(len(measured.trace), -1, dtype=np.int64)
    before[d["dst"][follows]] = d["src"][follows]
    found: Array = (before[call] >= 0) & makes[before[call]]
    return found


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
