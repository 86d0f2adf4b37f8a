"""DATA dependencies by storage: who wrote last what an operator reads."""

from __future__ import annotations

import numpy as np

from etgraph.ingest.draft import Draft, dependencies
from etgraph.ingest.possible import with_possible
from etgraph.ingest.tree import visits
from etgraph.model import DependencyKind
from etgraph.model.columns import Array

METHOD = "last writer of the storage"
CONFIDENCE = 0.95
"""A guess: schemas say what is written, but what an operator without one does to its arguments is not recorded."""


def add_data(draft: Draft) -> Draft:
    """Add a DATA dependency from the operator that last wrote a storage to each one that reads it.

    In the order in which the host's file says that operators started, on its own as linked with a device's. A pair of
    which one encloses the other is none: the outer one passes the memory on. One whose writer ends after the reader
    starts contradicts the times: it is left out and counted.
    """
    if not draft.tensors:
        return draft
    trace = draft.trace
    operator, storage, writes = (draft.tensors[name] for name in ("operator", "storage", "writes"))
    writer = last_writers(operator, storage, writes)
    found = np.flatnonzero(writer >= 0)
    src, dst = _distinct(writer[found], operator[found].astype(np.int64))
    src, dst = _not_recorded(draft, src, dst)
    enter, leave = visits(trace.operators["parent"])
    around = ((enter[src] <= enter[dst]) & (enter[dst] <= leave[src])) | (
        (enter[dst] <= enter[src]) & (enter[src] <= leave[dst])
    )
    added = dependencies(DependencyKind.DATA, src[~around], dst[~around], METHOD, inferred=True, confidence=CONFIDENCE)
    return with_possible(draft, added, "dataAgainstTime")


def last_writers(operator: Array, storage: Array, writes: Array) -> Array:
    """For each read the operator that last wrote that storage before it, another one than itself; -1 for none.

    All arrays have one value an access, in order; what an operator reads comes before what it writes.
    """
    order = np.argsort(storage, kind="stable")
    same = storage[order]
    position = np.arange(len(order))
    last = np.maximum.accumulate(np.where(writes[order], position, -1))
    before = np.concatenate([[-1], last[:-1]])
    first = np.searchsorted(same, same, side="left")
    known = ~writes[order] & (before >= first)
    writer = np.full(len(order), -1, dtype=np.int64)
    writer[order[known]] = operator[order[before[known]]]
    return np.where(writer == operator, -1, writer)


def _not_recorded(draft: Draft, src: Array, dst: Array) -> tuple[Array, Array]:
    """The pairs that have no DATA dependency yet, such as a recorded flow from forward to backward."""
    d = draft.trace.dependencies
    data = d["kind"] == int(DependencyKind.DATA)
    width = len(draft.trace)
    new = ~np.isin(dst * width + src, d["dst"][data].astype(np.int64) * width + d["src"][data])
    return src[new], dst[new]


def _distinct(src: Array, dst: Array) -> tuple[Array, Array]:
    """Each pair once, by target."""
    if not len(src):
        return src, dst
    width = int(max(src.max(), dst.max())) + 1
    keys = np.unique(dst * width + src)
    return keys % width, keys // width
