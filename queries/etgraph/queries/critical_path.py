"""The measured critical path: what the end of a step waited for, back to its start."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final
from weakref import WeakValueDictionary

import numpy as np

from etgraph.model import Category, DependencyKind, NodeType, Trace, Trust
from etgraph.model.arrivals import NULL, Arrivals, alone, arrivals, communicates
from etgraph.model.columns import Array
from etgraph.model.intervals import union
from etgraph.model.result_tables import row_of
from etgraph.model.results import Result
from etgraph.model.runtime_calls import BLOCKING
from etgraph.model.schema import LAUNCH_QUEUE_FULL
from etgraph.model.sums import sum_by
from etgraph.queries import walk as walking
from etgraph.queries.grouping import groups_of
from etgraph.queries.trusting import WEAK, trust_of
from etgraph.queries.walk import TOLERANCE_NS, Steps, Terrain, survey, walk
from etgraph.queries.windows import Interval, Iterations, Window, indices_of, left_out, on_lanes, rows_of, windows_of

if TYPE_CHECKING:
    import pyarrow as pa

DETAILS: tuple[tuple[str, str], ...] = (
    ("computation", "kernel"), ("computation", "cpu-kernel"), ("computation", "occupancy"),
    ("communication", "transfer"), ("communication", "waiting"),
    ("memory", "copy"), ("memory", "set"),
    ("cpu", "operator"), ("cpu", "runtime-call"), ("cpu", "synchronisation"),
    ("launch", "latency"), ("launch", "queue-full"),
    ("idle", "late-entry"), ("idle", "early-exit"), ("idle", "before-recording"), ("idle", "host-gap"),
    ("idle", "dependency-latency"), ("idle", "unexplained"),
)  # fmt: skip
"""The closed list of what a segment can be: category and detail."""
_CODE = {detail: code for code, (_, detail) in enumerate(DETAILS)}
SHORT_GAP_NS = 50_000
"""A shorter pause on a thread is the host's own work between operators, whatever other threads do meanwhile."""
_DISPATCH = re.compile(r"^(?:autograd::|c10d::|torch::|DistributedDataParallel|Optimizer\.|enumerate\(|\[|## )")
"""Host operators that call others and compute nothing themselves."""

SEGMENT: Final = row_of(
    "PathSegment", "a segment of a critical path: time that one operator, or a pause before one, holds",
    rank="int32 rank that the path is on",
    lane="string thread or stream",
    index="int32 the operator's number within its rank; null in pauses",
    name="string the operator's name; null in pauses",
    category="string computation, communication, memory, cpu, launch or idle",
    detail="string what within the category",
    start_ns="int64 where the segment begins, from the trace's zero",
    end_ns="int64 where the segment ends, from the trace's zero",
    via="string kind of the stored dependency by which the path came to the operator; null where it begins",
    source="string file:line of the user's code",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class CategoryShare:
    """Time of the path in one category and detail. `share` is of the path's length."""

    category: str
    detail: str
    ns: int
    share: float


@dataclass(frozen=True, slots=True)
class RankShare:
    """Time of the path on one rank."""

    rank: int
    ns: int


@dataclass(frozen=True, slots=True)
class IterationShare:
    """Time of the path in operators of one iteration and in the pauses before them; None: in no iteration's.

    The path is in the iteration from `start_ns` to `end_ns`, where it may be in others meanwhile.
    """

    iteration: int | None
    ns: int
    share: float
    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class OperatorShare:
    """Time of the path under operators of one name: `count` operators, not segments.

    `iterations` is the number of iterations in which they are on the path; None for the model, whose path is one.
    """

    name: str
    kind: str
    count: int
    ns: int
    share: float
    iterations: int | None = None


@dataclass(frozen=True, slots=True)
class CriticalPath(Result):
    """The path through a window: its segments tile the window, so that their lengths sum to `window_ns`.

    `segments` is an Arrow table in order of time with the columns rank, lane, index, name (null in pauses), category,
    detail, start_ns, end_ns, via (kind of the stored dependency by which the path came to the operator, null where it
    begins) and source.
    """

    start_ns: int
    end_ns: int
    window_ns: int
    length_ns: int
    by_category: tuple[CategoryShare, ...]
    by_rank: tuple[RankShare, ...]
    by_iteration: tuple[IterationShare, ...]
    by_operator: tuple[OperatorShare, ...]
    segments: Annotated[pa.Table, SEGMENT]
    trust: Trust

    FRAME: ClassVar[str] = "segments"
    TABLE: ClassVar[str] = "by_category"

    def headline(self) -> str:
        """The answer in a few words."""
        return f"critical path, {self.window_ns / 1e6:.3f} ms"


def critical_path(
    trace: Trace, *, rank: int | None = None, iteration: Iterations = None, window: Window = "annotation"
) -> CriticalPath:
    """The measured critical path: walk back from the window's end along what released each operator.

    Without `rank` it goes over all ranks that have such a window, from the earliest start to the latest end of their
    windows: to the rank that came last to a collective, and from a receive to the sender. With `rank` it stays on that
    rank, and what it spent before the last of the others came is waiting.

    On a thread the innermost open operator owns the time; on a device an operator goes back to the later of its launch
    and what its stream or another dependency held it for. A pause is explained up to the usual latency of its cause;
    the rest, and every pause without a cause, is `unexplained`.

    Raises MissingData where the trace has no such rank or iteration, or no measured times; UsageError for iterations
    that do not follow each other.
    """
    return ground_of(trace).path(rank, iteration, window)


class Ground:
    """What all paths of a trace share, and those that were asked for; `ground_of` gives that of a trace."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self._paths: dict[tuple[int | None, tuple[int, ...] | None, Window], CriticalPath] = {}

    @cached_property
    def came(self) -> Arrivals:
        """Who came last where ranks meet."""
        return arrivals(self.trace)

    @cached_property
    def terrain(self) -> Terrain:
        """What the walk needs to know of the trace."""
        return survey(self.trace)

    def path(self, rank: int | None, iteration: Iterations, window: Window) -> CriticalPath:
        """See `critical_path`."""
        asked = rank, indices_of(iteration), window
        if asked not in self._paths:
            windows = windows_of(self.trace, rank, iteration, window)
            self._paths[asked] = _path(self.trace, windows, rank, self.came, self.terrain)
        return self._paths[asked]


_grounds: WeakValueDictionary[int, Ground] = WeakValueDictionary()


def ground_of(trace: Trace) -> Ground:
    """The ground of a trace: as long as somebody holds it, all who ask about that trace share it."""
    ground = _grounds.get(id(trace))
    if ground is None:
        ground = _grounds[id(trace)] = Ground(trace)
    return ground


def time_on_path(trace: Trace, path: CriticalPath) -> Array:
    """Time of every operator of the trace on a path of it, in ns."""
    rows = operators_on(trace, path.segments)
    start, end = (path.segments.column(name).to_numpy() for name in ("start_ns", "end_ns"))
    own = rows >= 0
    return sum_by(rows[own], (end - start)[own], len(trace))


def _path(
    trace: Trace, windows: Sequence[Interval], rank: int | None, came: Arrivals, terrain: Terrain
) -> CriticalPath:
    ends = on_lanes(trace, windows, [one.end_ns for one in windows], np.iinfo(np.int64).max)
    found = walk(trace, windows, came if rank is None else None, terrain)
    found, _ = _cut(found, np.where(found.operator < 0, ends[found.lane], NULL))
    steps, waits = _split_at_arrivals(found, came)
    detail = np.where(waits, _CODE["waiting"], details(trace, steps, came))
    detail[(steps.operator < 0) & (steps.start_ns >= ends[steps.lane])] = _CODE["early-exit"]
    length = steps.end_ns - steps.start_ns
    total = int(length.sum())
    start_ns, end_ns = min(one.start_ns for one in windows), max(one.end_ns for one in windows)
    ranks, steps_of = trace.lanes["rank"][steps.lane], _iterations(trace, steps)
    return CriticalPath(
        start_ns,
        end_ns,
        end_ns - start_ns,
        total,
        _by_category(detail, length, total),
        _by_rank(ranks, length),
        _by_iteration(steps_of, steps, total),
        _by_operator(trace, steps, steps_of, length, total),
        _segments(trace, steps, detail, ranks),
        _trust(trace, steps, detail, length, windows, rank, came),
    )


def _split_at_arrivals(steps: Steps, came: Arrivals) -> tuple[Steps, Array]:
    """The steps, those of communication cut where the last peer came, and which of them come before that."""
    own = steps.operator >= 0
    last = np.where(own, came.last_ns[steps.operator], NULL)
    waits = (last > steps.start_ns) & own & (steps.end_ns > steps.start_ns)
    cut, first = _cut(steps, last)
    waits = np.repeat(waits, 1 + ((last > steps.start_ns) & (last < steps.end_ns)))
    waits[first + 1] = False
    return cut, waits


def _cut(steps: Steps, moment: Array) -> tuple[Steps, Array]:
    """The steps, each in two where its moment lies within it, and the places of the first parts."""
    both = (moment > steps.start_ns) & (moment < steps.end_ns)
    at = np.flatnonzero(both)
    first = at + np.arange(len(at))
    columns = {name: np.repeat(getattr(steps, name), 1 + both) for name in Steps.__dataclass_fields__}
    columns["end_ns"][first] = columns["start_ns"][first + 1] = moment[at]
    return Steps(**columns), first


def details(trace: Trace, steps: Steps, came: Arrivals) -> Array:
    """What every step is, as a position in `DETAILS`."""
    pauses = {
        walking.LATENCY: "latency", walking.GAP: "host-gap", walking.DEPENDENCY_LATENCY: "dependency-latency",
        walking.UNEXPLAINED: "unexplained", walking.BEFORE_RECORDING: "before-recording",
        walking.LATE_ENTRY: "late-entry",
    }  # fmt: skip
    detail = np.empty(len(steps.operator), dtype=np.int64)
    for what, name in pauses.items():
        detail[steps.what == what] = _CODE[name]
    own = steps.operator >= 0
    detail[own] = operator_details(trace, steps.operator[own], came)
    detail[_holders(steps) & (detail == _CODE["kernel"])] = _CODE["occupancy"]
    gaps = np.flatnonzero((steps.what == walking.GAP) & (steps.end_ns - steps.start_ns > SHORT_GAP_NS))
    rank = trace.lanes["rank"][steps.lane[gaps]]
    for one in np.unique(rank).tolist():
        at = gaps[rank == one]
        busy = _busy(trace, one, steps.start_ns[at], steps.end_ns[at])
        waits = 2 * busy > steps.end_ns[at] - steps.start_ns[at]
        detail[at[waits]] = _CODE["unexplained"]
    return detail


def _holders(steps: Steps) -> Array:
    """Whether each step is an operator's that held the device back from the operator of the next one."""
    own = np.flatnonzero(steps.operator >= 0)
    held = (steps.via[own][1:] == int(DependencyKind.OCCUPANCY)) & (steps.end_ns[own[:-1]] <= steps.start_ns[own[1:]])
    found = np.zeros(len(steps.operator), dtype=bool)
    found[own[:-1][held]] = True
    return found


def _iterations(trace: Trace, steps: Steps) -> Array:
    """The iteration that every step belongs to, -1 for none: a pause belongs to that of the operator after it."""
    own = np.flatnonzero(steps.operator >= 0)
    if not len(own) or not len(trace.iterations):
        return np.full(len(steps.operator), -1)
    after = own[np.minimum(np.searchsorted(own, np.arange(len(steps.operator))), len(own) - 1)]
    row = trace.operators["iteration"][steps.operator[after]]
    return np.where(row >= 0, trace.iterations["index"][row], -1)


def operator_details(trace: Trace, rows: Array, came: Arrivals) -> Array:
    """What the own time of those operators is, as a position in `DETAILS`."""
    o = trace.operators
    category, kind, name = o["category"][rows], o["kind"][rows], o["name"][rows]
    blocks, dispatches = o.codes_where("name", BLOCKING.search), o.codes_where("name", _DISPATCH.search)
    on_cpu = ~np.isin(trace.ranks, np.unique(o["rank"][o["category"] >= int(Category.KERNEL)]))
    cpu_only = np.isin(o["rank"][rows], np.array(trace.ranks)[on_cpu])
    meets = communicates(trace, rows)
    by_work, by_queue = _released(trace)
    runtime = np.isin(category, (int(Category.RUNTIME), int(Category.DRIVER)))
    return np.select(
        [
            meets & alone(trace, rows, came),
            meets,
            runtime & (blocks[name] | by_work[rows]),
            runtime & by_queue[rows],
            runtime,
            category == int(Category.MEMCPY),
            category == int(Category.MEMSET),
            category >= int(Category.KERNEL),
            (category == int(Category.CPU_OP)) & (kind == int(NodeType.COMP)) & cpu_only & ~dispatches[name],
        ],
        [_CODE[d] for d in ("waiting", "transfer", "synchronisation", "queue-full", "runtime-call", "copy", "set",
                            "kernel", "cpu-kernel")],
        _CODE["operator"],
    )  # fmt: skip


def _released(trace: Trace) -> tuple[Array, Array]:
    """For every operator whether device work released it: what a blocking call wants, or room in the launch queue."""
    d = trace.dependencies
    edges = np.flatnonzero(d["kind"] == int(DependencyKind.SYNC))
    full, method = d.codes_where("method", LAUNCH_QUEUE_FULL.__eq__), d["method"][edges]
    for_room = np.append(full, False)[method]  # -1: no method is told
    by_work, by_queue = np.zeros(len(trace), dtype=bool), np.zeros(len(trace), dtype=bool)
    by_work[d["dst"][edges[~for_room]]] = by_queue[d["dst"][edges[for_room]]] = True
    return by_work, by_queue


def _busy(trace: Trace, rank: int, start: Array, end: Array) -> Array:
    """Time within each interval during which some thread of the rank ran an operator."""
    o = trace.operators
    rows = rows_of(trace, rank)
    rows = rows[(o["category"][rows] < int(Category.KERNEL)) & (trace.enclosing[rows] < 0) & trace.timed[rows]]
    return union(o["start_ns"][rows], trace.end_ns[rows]).within(start, end)


def _by_category(detail: Array, length: Array, total: int) -> tuple[CategoryShare, ...]:
    sums = sum_by(detail, length, len(DETAILS)).tolist()
    shares = [CategoryShare(*DETAILS[code], ns, ns / total if total else 0.0) for code, ns in enumerate(sums) if ns]
    return tuple(sorted(shares, key=lambda s: -s.ns))


def _by_rank(ranks: Array, length: Array) -> tuple[RankShare, ...]:
    found, inverse = np.unique(ranks, return_inverse=True)
    sums = sum_by(inverse, length, len(found)).tolist()
    return tuple(RankShare(rank, ns) for rank, ns in zip(found.tolist(), sums) if ns)


def _by_iteration(iterations: Array, steps: Steps, total: int) -> tuple[IterationShare, ...]:
    lasts = steps.end_ns > steps.start_ns
    start_ns, end_ns = steps.start_ns[lasts], steps.end_ns[lasts]
    found, first, inverse = np.unique(iterations[lasts], return_index=True, return_inverse=True)
    ns = sum_by(inverse, end_ns - start_ns, len(found))
    last = np.zeros(len(found), dtype=np.int64)
    last[inverse] = np.arange(len(inverse))
    columns = [column.tolist() for column in (found, ns, start_ns[first], end_ns[last])]
    return tuple(
        IterationShare(None if index < 0 else index, spent, spent / total, from_ns, to_ns)
        for index, spent, from_ns, to_ns in zip(*columns)
    )


def _by_operator(trace: Trace, steps: Steps, iterations: Array, length: Array, total: int) -> tuple[OperatorShare, ...]:
    o = trace.operators
    own = (steps.operator >= 0) & (length > 0)
    rows = steps.operator[own]
    names, inverse = np.unique(o["name"][rows], return_inverse=True)
    ns = sum_by(inverse, length[own], len(names))
    position = np.unique(rows, return_index=True)[1]
    count = np.bincount(inverse[position], minlength=len(names))
    some = iterations[own] >= 0
    each = groups_of(inverse[some], iterations[own][some])
    number = np.bincount(inverse[some][each.example], minlength=len(names))
    example = np.zeros(len(names), dtype=np.int64)
    example[inverse] = rows
    order = np.lexsort((names, -ns))
    return tuple(
        OperatorShare(
            o.value("name", int(example[i])), _kind(o.value("kind", int(example[i]))), int(count[i]), int(ns[i]),
            int(ns[i]) / total if total else 0.0, int(number[i]),
        )
        for i in order.tolist() if ns[i]
    )  # fmt: skip


def _kind(value: Any) -> str:
    return str(getattr(value, "name", value))


def _segments(trace: Trace, steps: Steps, detail: Array, ranks: Array) -> pa.Table:
    import pyarrow as pa

    o = trace.operators
    own = steps.operator >= 0
    rows = np.where(own, steps.operator, 0)
    labels = [trace.lane_label(lane) for lane in range(len(trace.lanes))]
    via = [k.name for k in DependencyKind]

    def texts(codes: Array, values: Sequence[str], present: Array) -> pa.Array:
        # Values may repeat, such as names of lanes; those of a dictionary must not.
        known = {text: code for code, text in enumerate(dict.fromkeys(values))}
        to_code = np.array([known[text] for text in values] or [0], dtype=np.int32)
        return pa.DictionaryArray.from_arrays(
            pa.array(to_code[codes], mask=~present), pa.array(list(known), pa.string())
        )

    categories, details = zip(*DETAILS)
    everywhere = np.ones(len(own), dtype=bool)
    source = o["source"][rows]
    return pa.table(
        {
            "rank": pa.array(ranks.astype(np.int32)),
            "lane": texts(steps.lane, labels, steps.lane >= 0),
            "index": pa.array(o["index"][rows], mask=~own),
            "name": texts(o["name"][rows], o.texts("name").to_pylist(), own),
            "category": texts(detail, categories, everywhere),
            "detail": texts(detail, details, everywhere),
            "start_ns": pa.array(steps.start_ns),
            "end_ns": pa.array(steps.end_ns),
            "via": texts(np.maximum(steps.via, 0), via, steps.via >= 0),
            "source": texts(np.maximum(source, 0), o.texts("source").to_pylist(), own & (source >= 0)),
        }
    )


def operators_on(trace: Trace, segments: pa.Table) -> Array:
    """Row of the operator of every segment of a path, -1 for a pause."""
    rank = segments.column("rank").to_numpy()
    index = segments.column("index").fill_null(-1).to_numpy()
    found = np.full(len(index), -1, dtype=np.int64)
    for one in np.unique(rank).tolist():
        own, rows = np.flatnonzero((rank == one) & (index >= 0)), trace.rank_rows[one]
        found[own] = rows.start + np.searchsorted(trace.operators["index"][rows], index[own])
    return found


def _weak_links(trace: Trace, steps: Steps) -> int:
    """Dependencies of low confidence that the path came by."""
    d, n = trace.dependencies, len(trace)
    weak = d["confidence"] < WEAK
    own = np.flatnonzero(steps.operator >= 0)
    if not weak.any() or len(own) < 2:
        return 0
    src, dst, via = steps.operator[own[:-1]], steps.operator[own[1:]], steps.via[own[1:]]
    doubted = (d["kind"][weak].astype(np.int64) * n + d["src"][weak]) * n + d["dst"][weak]
    there, back = (via * n + src) * n + dst, (via * n + dst) * n + src
    return len(np.unique(there[np.isin(there, doubted)])) + len(np.unique(back[np.isin(back, doubted)]))


def _trust(
    trace: Trace,
    steps: Steps,
    detail: Array,
    length: Array,
    windows: Sequence[Interval],
    rank: int | None,
    came: Arrivals,
) -> Trust:
    total = int(length.sum())
    ns = sum_by(detail, length, len(DETAILS))
    warnings = list(left_out(trace, windows, rank))
    passed = np.unique(trace.lanes["rank"][steps.lane])
    if there := sorted(set(passed.tolist()) - {one.rank for one in windows}):
        warnings = [f"the path goes through ranks without such a window: {', '.join(map(str, there))}"]
    released, _ = _released(trace)
    blind = (detail == _CODE["synchronisation"]) & ~released[steps.operator]
    blocked = int(length[blind].sum())
    if blocked and blocked >= 0.0005 * total:
        warnings.append(
            f"{blocked / total:.1%} of it is inside blocking calls whose cause, the device's work, is not resolved"
        )
    waiting = ns[_CODE["waiting"]]
    if waiting and waiting >= 0.0005 * total:
        warnings.append(
            f"{waiting / total:.1%} of it is communication that waits, or may wait, for ranks not on the path"
        )
    explained = 1.0 - float(ns[_CODE["unexplained"]]) / total if total else None
    ranks = sorted({one.rank for one in windows} | set(passed.tolist()))
    rows = np.concatenate([rows_of(trace, one) for one in ranks])
    return trust_of(
        trace,
        rows,
        came=came,
        explained_share=explained,
        weak_links=_weak_links(trace, steps),
        warnings=warnings,
    )


__all__ = [
    "DETAILS", "TOLERANCE_NS", "CriticalPath", "Ground", "critical_path", "ground_of", "operators_on", "time_on_path",
]  # fmt: skip
