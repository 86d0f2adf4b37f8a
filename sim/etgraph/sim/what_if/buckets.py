"""Gradient buckets of data-parallel training: which gradients are reduced together, and other sizes of buckets.

PyTorch's reducer puts gradients into a bucket in the order in which they become ready, until the bucket holds as many
bytes as it may; when the last one of a bucket is ready, its all-reduce is issued. All are awaited at the end of the
backward pass, in the same order, and copied back (Li et al., PyTorch Distributed, VLDB 2020, and its `reducer.cpp`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from etgraph.model import CommType, Trace
from etgraph.model.arrivals import communicates
from etgraph.model.columns import Array
from etgraph.model.errors import MissingData
from etgraph.model.tensors import Tensor, Unknown, inputs_of
from etgraph.sim import edits
from etgraph.sim.replay.additions import Issued
from etgraph.sim.replay.peers import issues_of
from etgraph.sim.replay.plan import Plan
from etgraph.sim.what_if.observed import Draw

ACCUMULATES = "torch::autograd::AccumulateGrad"
COPIES_BACK = "torch.distributed.ddp.reducer::copy_bucket_to_grad"
WORKERS = 2
"""Threads that carry out gloo's communication; PyTorch has two for each group."""


@dataclass(frozen=True, slots=True)
class Gradients:
    """Gradients of one iteration on one rank in the order in which they become ready.

    `row` is the outermost operator that makes each ready, `bytes` its size, `copy` the operator that copies it back
    from its bucket (-1: not known); `reduces` are the all-reduces in the order in which they were issued, `calls` the
    operators that issued them, and `sizes` the buckets' sizes.
    """

    rank: int
    iteration: int
    row: Array
    bytes: Array
    copy: Array
    reduces: Array
    calls: Array
    sizes: Array


def gradients_of(trace: Trace) -> list[Gradients]:
    """The gradients of each rank's iterations in which some were accumulated and reduced, by iteration and rank."""
    o = trace.operators
    ready = edits.matching(trace, ACCUMULATES)
    copies = edits.matching(trace, COPIES_BACK)
    call, done = issues_of(trace)
    reduces = (o["comm_type"][done] == int(CommType.ALL_REDUCE)) & (o["collective"][done] >= 0)
    call, done = call[reduces], done[reduces]
    found = []
    for step in np.unique(o["iteration"][ready]).tolist():
        own = _in_order(trace, ready[o["iteration"][ready] == step])
        issued = np.flatnonzero(o["iteration"][call] == step)
        issued = issued[np.argsort(o["start_ns"][call[issued]], kind="stable")]
        if step < 0 or not len(issued):
            continue
        back = _in_order(trace, copies[o["iteration"][copies] == step])
        sizes = _reduced_bytes(trace, done[issued])
        found.append(
            Gradients(
                int(trace.iterations["rank"][step]), int(trace.iterations["index"][step]), outermost(trace, own),
                _sizes(trace, own), back if len(back) == len(own) else np.full(len(own), -1), done[issued],
                call[issued], sizes,
            )
        )  # fmt: skip
    return sorted(found, key=lambda g: (g.iteration, g.rank))


def _sized_gradients(trace: Trace) -> list[Gradients]:
    """Those of `gradients_of`; none where their sizes are not recorded."""
    try:
        return gradients_of(trace)
    except MissingData:
        return []


def _reduced_bytes(trace: Trace, rows: Array) -> Array:
    """Bytes of all-reduces: as all their ranks have it, else as they record it themselves."""
    collective, own = trace.operators["collective"][rows], trace.operators["comm_bytes"][rows]
    known = collective >= 0
    own = own.copy()
    own[known] = trace.collectives["bytes"][collective[known]]
    return own


def assign(bytes: Array, capacity: int, first: int | None = None) -> Array:
    """The bucket of each gradient: one is closed when it holds its capacity or more; `first` is that of the first one.

    >>> assign(np.array([100, 10, 10, 30, 5]), 25).tolist()
    [0, 1, 1, 1, 2]
    """
    found, bucket, held = np.zeros(len(bytes), dtype=np.int64), 0, 0
    for place, size in enumerate(bytes.tolist()):
        found[place] = bucket
        held += size
        if held >= (capacity if bucket or first is None else first):
            bucket, held = bucket + 1, 0
    return found


def rebucket(plan: Plan, capacity: int | None, draw: Draw, gradients: list[Gradients] | None = None) -> Plan:
    """With buckets of another capacity in bytes: one that is ready earlier is issued earlier, each costs its issue.

    Without a capacity the buckets are those that they are, at the times that are drawn: what another capacity is to be
    compared with where only the capacity is meant to differ. `gradients` are the trace's, where the caller has them.

    Raises MissingData where the trace does not tell gradients, their sizes, or what they were reduced by, and where
    that was a device.
    """
    trace = plan.trace
    found = gradients_of(trace) if gradients is None else gradients
    if not found:
        raise MissingData(
            "the trace has no gradients with all-reduces of theirs",
            hint=f"operators named {ACCUMULATES} with recorded shapes, and calls that issue all-reduces",
        )
    old = np.concatenate([g.reduces for g in found])
    if np.isin(old, plan.device).any():
        raise MissingData("all-reduces of a device: buckets are known where a thread of the host carries them out")
    calls = np.concatenate([g.calls for g in found])
    new = []
    for iteration in sorted({g.iteration for g in found}):
        same = [g for g in found if g.iteration == iteration]
        buckets = _as_issued(same[0]) if capacity is None else assign(same[0].bytes, capacity)
        if any(len(g.row) != len(buckets) for g in same):
            raise MissingData(f"iteration {iteration}: ranks have different numbers of gradients")
        for bucket in range(int(buckets.max()) + 1):
            inside = np.flatnonzero(buckets == bucket)
            size = int(same[0].bytes[inside].sum())
            new.append(_issued(plan, same, inside, size, draw, bucket % WORKERS))
    return edits.issue(edits.remove(plan, np.union1d(old, calls)), *new)


def _as_issued(g: Gradients) -> Array:
    """The bucket of each gradient, by the sizes of those that were issued."""
    last = len(g.sizes) - 1
    return np.asarray(np.minimum(np.searchsorted(np.cumsum(g.sizes), np.cumsum(g.bytes)), last))


def ready_by_gradients(plan: Plan) -> edits.Ready:
    """After which operators parts of gradient buckets are ready: those that make the last gradient of a share ready.

    On a device that is the last kernel that was launched until then. Of other collectives it is not known.
    """
    trace = plan.trace
    row_of: dict[int, tuple[Gradients, int, int]] = {}
    for g in _sized_gradients(trace):
        held, full = np.cumsum(g.bytes), np.cumsum(g.sizes)
        if np.isin(full, held).all() and full[-1] == held[-1]:
            bounds = zip(g.reduces.tolist(), (full - g.sizes).tolist(), full.tolist())
            row_of |= {reduce: (g, begin, end) for reduce, begin, end in bounds}
    on_device = _last_kernels(plan)

    def ready(members: Array, parts: int) -> Array:
        found = np.full((len(members), parts - 1), -1, dtype=np.int64)
        device = np.isin(members, plan.device)
        for place, member in enumerate(members.tolist()):
            if member in row_of:
                g, begin, end = row_of[member]
                share = begin + (end - begin) * np.arange(1, parts) / parts
                found[place] = g.row[np.searchsorted(np.cumsum(g.bytes), share)]
        found[device] = np.where(found[device] >= 0, on_device[found[device]], -1)
        return found

    return ready


def _last_kernels(plan: Plan) -> Array:
    """For each operator of a thread the last one on a device, communication apart, that it launched until its end."""
    trace = plan.trace
    o, end = trace.operators, trace.end_ns
    found = np.full(len(trace), -1, dtype=np.int64)
    caller, launched = plan.launch // 2, plan.launched
    kernels = ~communicates(trace, launched)
    caller, launched = caller[kernels], launched[kernels]
    for lane in np.unique(o["lane"][caller]).tolist():
        own = np.flatnonzero(o["lane"][caller] == lane)
        own = own[np.argsort(o["start_ns"][caller[own]], kind="stable")]
        rows = np.flatnonzero((o["lane"] == lane) & trace.timed)
        place = np.searchsorted(o["start_ns"][caller[own]], end[rows]) - 1
        found[rows[place >= 0]] = launched[own[place[place >= 0]]]
    return found


def _issued(plan: Plan, same: list[Gradients], inside: Array, size: int, draw: Draw, lane: int) -> Issued:
    count = len(same)
    last = inside[-1] == len(same[0].row) - 1  # then there is nothing left to do but to wait for it
    transfer = draw.transfer_ns(int(CommType.ALL_REDUCE), size, count, 1, waits=last)
    awaited = np.array([g.copy[inside[0]] if g.copy[inside[0]] >= 0 else _next(plan, int(g.row[-1])) for g in same])
    return Issued(
        np.array([g.row[inside[-1]] for g in same]), draw.issue_ns(count), draw.handover_ns(count),
        np.repeat(transfer, count), awaited, draw.waking_ns(count), lane,
    )  # fmt: skip


def _next(plan: Plan, row: int) -> int:
    """The operator that starts next on the thread of one that has ended; raises MissingData where none does."""
    t = plan.threads
    segment = int(t.segment_of[2 * row + 1]) + 1
    while segment < len(t.event) and not t.first[segment]:
        if t.event[segment] % 2 == 0:
            return int(t.event[segment] // 2)
        segment += 1
    raise MissingData(f"{plan.trace.describe(row)}: nothing follows on its thread that could wait for its reduction")


def awaited(plan: Plan) -> Plan:
    """With the reducer's waits, where the trace shows its buckets and copies: it copies none back that is not reduced.

    Few traces record that, and times betray it only where a wait was long; a change may make it long elsewhere. The
    longest pause between the copies of two buckets is the wait for the second one. If its reduction ended within, what
    is left of the pause is the time to wake up, and the rest no work. If it is recorded to end after that, it ended as
    the thread went on: the record is late, as gloo's are.
    """
    if plan.device.size:
        return plan
    t, end = plan.threads, plan.trace.end_ns
    pairs = [_waits(plan, g) for g in _sized_gradients(plan.trace)]
    reduce, segment = np.concatenate([np.zeros((2, 0), dtype=np.int64), *pairs], axis=1)
    if not len(reduce):
        return plan
    host, waking, transfer = plan.host_ns.copy(), plan.waking_ns.copy(), plan.transfer_ns.copy()
    known = waking[segment] > 0
    usual = int(np.median(waking[segment][known])) if known.any() else 0
    waking[segment] = np.where(known, waking[segment], usual)
    behind = t.ns[segment] - end[reduce]
    inside = (behind >= 0) & (behind < t.length_ns[segment])
    waking[segment[inside]] = behind[inside]
    slept = segment[behind < t.length_ns[segment]]
    host[slept] = np.minimum(host[slept], waking[slept])
    late, by = reduce[behind < 0], waking[segment[behind < 0]] - behind[behind < 0]
    transfer[late] = np.maximum(transfer[late] - by, 0)
    own = t.segment_of[2 * late + 1]
    host[own[own >= 0]] = np.minimum(host[own[own >= 0]], transfer[late[own >= 0]])
    return replace(
        plan, host_ns=host, waking_ns=waking, transfer_ns=transfer, wakes=np.append(plan.wakes, 2 * reduce + 1),
        woken=np.append(plan.woken, segment),
    )  # fmt: skip


def _waits(plan: Plan, g: Gradients) -> Array:
    """All-reduces of an iteration and the segments that wait for them; none where buckets and sizes do not agree."""
    t, held, full = plan.threads, np.cumsum(g.bytes), np.cumsum(g.sizes)
    if (g.copy < 0).any() or not np.isin(full, held).all() or full[-1] != held[-1]:
        return np.zeros((2, 0), dtype=np.int64)
    first = np.append(0, np.searchsorted(held, full)[:-1] + 1)
    before = np.where(first > 0, g.copy[first - 1], g.row[-1])
    begin, stop = t.segment_of[2 * before + 1] + 1, t.segment_of[2 * g.copy[first]] + 1
    longest = [b + int(np.argmax(t.length_ns[b:s])) for b, s in zip(begin.tolist(), stop.tolist())]
    return np.stack([g.reduces, np.array(longest, dtype=np.int64)])


def outermost(trace: Trace, rows: Array) -> Array:
    """The outermost operators around those."""
    parent, rows = trace.operators["parent"], rows.astype(np.int64).copy()
    while (parent[rows] >= 0).any():
        rows = np.where(parent[rows] >= 0, parent[rows], rows)
    return rows


def _in_order(trace: Trace, rows: Array) -> Array:
    ordered: Array = rows[np.argsort(trace.operators["start_ns"][rows], kind="stable")]
    return ordered


def _sizes(trace: Trace, rows: Array) -> Array:
    """Bytes of the first input of each operator. Raises MissingData where one is not recorded."""
    found = []
    for row in rows.tolist():
        text = trace.operators.value("shapes", row)
        try:
            tensor = next((i for i in inputs_of(text) if isinstance(i, Tensor)), None) if text else None
            found.append(tensor.bytes if tensor is not None else -1)
        except Unknown:
            found.append(-1)
        if found[-1] < 0:
            raise MissingData(f"{trace.describe(row)}: the size of its gradient is not recorded")
    return np.array(found, dtype=np.int64)
