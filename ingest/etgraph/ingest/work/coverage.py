"""How much of the computation time lies under operators whose work is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etgraph.model import Category, DependencyKind, NodeType, Trace
from etgraph.model.columns import Array
from etgraph.model.graph import nearest_above

_SHOWN = 20
_COMMUNICATION = ("c10d::", "gloo:", "nccl:", "ucc:", "mpi:")


@dataclass(frozen=True, slots=True)
class Coverage:
    """Computation time by whether its work is known. Times in ns.

    `total_ns` is all computation time: that of device operators which neither communicate nor copy, or, in a trace
    without a device, the self time of host operators that do not communicate. `base_ns` is the part under operators
    with recorded dims, `covered_ns` the part of that under operators with known work. `uncovered` names what is left,
    by the innermost operator with recorded dims, longest first.
    """

    covered_ns: int
    base_ns: int
    total_ns: int
    uncovered: tuple[tuple[str, int], ...]
    on_device: bool

    @property
    def share(self) -> float | None:
        """Covered part of the base; None where there is none."""
        return self.covered_ns / self.base_ns if self.base_ns else None


def coverage(trace: Trace) -> Coverage:
    """The computation time of a trace that operators with known work account for.

    A device operator counts by what launched it: it is covered where the launching call or any operator around it has
    some work (above 0; views and wrappers launch nothing). A host operator's own time is covered where its work is
    known, 0 included, or where an operator around it has some.
    """
    o = trace.operators
    communicates = _communicates(trace)
    device = (o["category"] == int(Category.KERNEL)) & ~communicates
    other_device = np.isin(o["category"], (int(Category.KERNEL), int(Category.DEVICE), int(Category.MEMCPY)))
    timed = ~o.is_null("duration_ns")
    known_work = ~o.is_null("flops") | ~o.is_null("bytes")
    works = (o["flops"] > 0) | (o["bytes"] > 0)
    host = o["category"] == int(Category.CPU_OP)
    shaped = host & (o["shapes"] >= 0)
    if (other_device & timed).any():
        rows = np.flatnonzero(device & timed)
        time, at = o["duration_ns"][rows], _launchers(trace)[rows]
        covered = _first(o["parent"], at, works & host) >= 0
    else:
        rows = np.flatnonzero(host & timed & ~communicates)
        time, at = _self_time(o["parent"], np.where(timed, o["duration_ns"], 0))[rows], rows
        covered = known_work[rows] | (_first(o["parent"], at, works & host) >= 0)
    inner = _first(o["parent"], at, shaped)
    base = inner >= 0
    left = base & ~covered
    return Coverage(
        covered_ns=int(time[base & covered].sum()),
        base_ns=int(time[base].sum()),
        total_ns=int(time.sum()),
        uncovered=_names(trace, inner[left], time[left]),
        on_device=bool((other_device & timed).any()),
    )


def _communicates(trace: Trace) -> Array:
    o = trace.operators
    by_name = o.codes_where("name", lambda name: name.startswith(_COMMUNICATION))
    named = by_name[o["name"]] if len(by_name) else np.zeros(len(o), dtype=bool)
    own = named | ((o["kind"] >= int(NodeType.COMM_SEND)) & (o["kind"] <= int(NodeType.COMM_COLL)))
    # What calls a host's communication directly waits for it in its own time.
    callers = o["parent"][own & (o["parent"] >= 0)]
    own[callers] = True
    return own


def _launchers(trace: Trace) -> Array:
    """The call that launched each device operator, -1 where none is known.

    Of a graph launch only the first on each stream has a LAUNCH; the rest of a stream up to the next launch are its
    successors, and stay without one: one call launched them all, and no operator with dims stands for each.
    """
    d = trace.dependencies
    launcher = np.full(len(trace), -1, dtype=np.int64)
    launches = d["kind"] == int(DependencyKind.LAUNCH)
    launcher[d["dst"][launches]] = d["src"][launches]
    return launcher


def _self_time(parent: Array, duration: Array) -> Array:
    """The time of each operator without that of the operators that it calls, at least 0."""
    own = duration.astype(np.int64).copy()
    inside = np.flatnonzero(parent >= 0)
    np.subtract.at(own, parent[inside], duration[inside])
    return np.maximum(own, 0)


def _first(parent: Array, at: Array, wanted: Array) -> Array:
    """For each row the nearest of itself and the operators around it that is wanted, -1 where none is."""
    nearest = nearest_above(parent, wanted)
    return np.where(at >= 0, nearest[at], -1)


def _names(trace: Trace, rows: Array, time: Array) -> tuple[tuple[str, int], ...]:
    codes, inverse = np.unique(trace.operators["name"][rows], return_inverse=True)
    total = np.bincount(inverse, weights=time, minlength=len(codes)) if len(rows) else np.zeros(0)
    order = np.argsort(-total, kind="stable")[:_SHOWN]
    texts = trace.operators.texts("name")
    return tuple((texts[int(codes[i])].as_py(), int(total[i])) for i in order.tolist())
