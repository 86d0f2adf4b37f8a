"""What a host call says of its communication, handed to the kernel that it launched, which is the one that meets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np

from etgraph.ingest.communication.members import DEEPEST
from etgraph.ingest.communication.names import communication_call
from etgraph.ingest.draft import NULL, Draft
from etgraph.model import Category, DependencyKind, NodeType, Report
from etgraph.model.columns import Array

NULL32: Final = -(2**31)
_COLUMNS: Final = {"comm_type": NULL32, "comm_bytes": NULL, "group": -1, "peer": NULL32, "tag": NULL32}
_SEND, _COLLECTIVE = int(NodeType.COMM_SEND), int(NodeType.COMM_COLL)


def hand_down(draft: Draft) -> Draft:
    """Fill what communication kernels lack from the calls around their launch; the calls themselves then meet nobody.

    For drafts of host and device files together, after LAUNCH dependencies were found. Of several calls around a
    launch the innermost goes first. A call that has times but launched no kernel that was recorded is counted: its own
    times say only when it was issued. Calls without times keep what they say, for want of anything better.
    """
    trace = draft.trace
    o = trace.operators
    calls = o.codes_where("name", communication_call)[o["name"]] & (o["category"] < int(Category.KERNEL))
    communicates = (o["kind"] >= _SEND) & (o["kind"] <= _COLLECTIVE)
    if not calls.any():
        return draft
    columns: dict[str, Array] = {name: o[name].copy() for name in ("kind", *_COLUMNS)}
    sequence = draft.id("comm_sequence").copy()
    kernels, around = _launches(draft, np.flatnonzero(communicates & (o["category"] >= int(Category.KERNEL))))
    handed = np.zeros(len(o), dtype=bool)
    for _ in range(DEEPEST):
        inside = around >= 0
        kernels, around = kernels[inside], around[inside]
        if not len(around):
            break
        here = calls[around]
        _fill(columns, sequence, kernels[here], around[here])
        handed[around[here]] = True
        around = o["parent"][around]
    timed = (o["start_ns"] != NULL) & (o["duration_ns"] != NULL)
    issued = calls & (handed | timed)
    lost = int((issued & communicates & ~handed).sum())
    if not issued.any():
        return draft
    annotates = o["category"] == int(Category.ANNOTATION)
    plain = np.where(annotates, int(NodeType.METADATA), int(NodeType.COMP))
    columns["kind"] = np.where(issued & communicates, plain, columns["kind"])
    for name, null in _COLUMNS.items():
        columns[name] = np.where(issued, null, columns[name])
    kept: dict[str, Any] = {n: v for n, v in columns.items() if n in o.filled or (v != _COLUMNS.get(n)).any()}
    ids = {**draft.ids, "comm_sequence": sequence} if (sequence != NULL).any() else draft.ids
    result = replace(draft.with_operators(kept), ids=ids)
    why = f"{lost} communication calls launched no kernel that was recorded: they are not matched"
    return result.with_report(Report().with_count("callsWithoutKernel", lost, why)) if lost else result


def _launches(draft: Draft, kernels: Array) -> tuple[Array, Array]:
    """The kernels whose launch is known, and the call that launched each."""
    d = draft.trace.dependencies
    of = np.full(len(draft.trace), -1, dtype=np.int64)
    launches = np.flatnonzero(d["kind"] == int(DependencyKind.LAUNCH))
    of[d["dst"][launches]] = d["src"][launches]
    known = kernels[of[kernels] >= 0]
    return known, of[known]


def _fill(columns: dict[str, Array], sequence: Array, kernels: Array, calls: Array) -> None:
    """Where a kernel has no value, take the call's. `SendRecv` is what its call is."""
    kind, type = columns["kind"], columns["comm_type"]
    told = (kind[calls] >= _SEND) & (kind[calls] <= _COLLECTIVE)
    unsure = told & (kind[kernels] == _COLLECTIVE) & (type[kernels] == NULL32)
    kind[kernels[unsure]] = kind[calls[unsure]]
    for name, null in _COLUMNS.items():
        values = columns[name]
        missing = values[kernels] == null
        if name in ("peer", "tag"):
            missing &= kind[kernels] != _COLLECTIVE
        elif name == "comm_type":
            missing &= kind[kernels] == _COLLECTIVE
        values[kernels[missing]] = values[calls[missing]]
    missing = sequence[kernels] == NULL
    sequence[kernels[missing]] = sequence[calls[missing]]
