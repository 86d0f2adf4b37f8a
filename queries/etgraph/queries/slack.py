"""The model's critical path: how soon every operator could run, how late it may, and the longest chain of a trace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, get_args

import numpy as np

from etgraph.model import DEPENDENCIES, DependencyKind, NodeType, Trace, Trust
from etgraph.model.arrivals import arrivals
from etgraph.model.cancelling import BETWEEN_LOOKS, NEVER, stopped
from etgraph.model.columns import Array
from etgraph.model.errors import UsageError
from etgraph.model.graph import EventGraph, earliest_times, latest_times, tight_path, topological_order
from etgraph.model.kernels import kernel
from etgraph.model.result_tables import row_of
from etgraph.model.results import Result
from etgraph.model.schema import Ends
from etgraph.model.sums import sum_by
from etgraph.model.validation import check_acyclic
from etgraph.model.waits import waits_within
from etgraph.queries.critical_path import DETAILS, CategoryShare, OperatorShare, RankShare, operator_details
from etgraph.queries.trusting import WEAK, trust_of
from etgraph.queries.windows import Iterations, check_contiguous, indices_of

if TYPE_CHECKING:
    import pyarrow as pa

Waiting = Literal["work", "slack"]
"""What the part of a measured duration is in which an operator waited for a message, other ranks or the device."""

BANDS_NS = (0, 1, *(10**power for power in range(3, 10)))
"""Lower ends of the bands in which slack is counted: none, under 1 µs, then by powers of ten up to 1 s and more."""

LINK: Final = row_of(
    "ModelSegment", "a segment of the model's critical path, in ns from the model's zero",
    rank="int32 rank of the operator",
    lane="string thread or stream",
    index="int32 the operator's number within its rank",
    name="string the operator's name",
    kind="string Chakra's node type",
    start_ns="int64 where the path enters the operator",
    end_ns="int64 where the path leaves the operator",
    via="string kind of the dependency by which the path came to the operator; null for the first",
)  # fmt: skip
OPERATOR: Final = row_of(
    "OperatorSlack", "how early and how late an operator may run, in ns from the model's zero",
    rank="int32 rank of the operator",
    index="int32 the operator's number within its rank",
    node_id="string the source's own id",
    name="string the operator's name",
    earliest_start_ns="int64 start where nothing but dependencies holds it",
    earliest_end_ns="int64 end where nothing but dependencies holds it",
    latest_start_ns="int64 latest start with which the whole takes no longer",
    latest_end_ns="int64 latest end with which the whole takes no longer",
    slack_ns="int64 how much later it may start before the whole takes longer",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SlackBand:
    """How many operators have a slack of at least `from_ns` and less than `to_ns` (None: any more)."""

    from_ns: int
    to_ns: int | None
    count: int


@dataclass(frozen=True, slots=True)
class Slack(Result):
    """The model's critical path and the slack of every operator. Times are ns from the model's zero.

    `length_ns` is the makespan of the model, `measured_ns` the time from the first start to the last end in the trace
    or its iterations (None where it has no times); `critical_count` operators have no slack. The shares are of one
    longest path and of its operators' own times: that of a call is told of the operators inside it.

    `segments` holds the path itself, an Arrow table in order of time with the columns rank, lane, index, name, kind,
    start_ns, end_ns and via (kind of the dependency by which the path came to the operator, null for the first). An
    operator through which the path only passes is a segment of no length. `operators` is an Arrow table with one row
    an operator and the columns rank, index, node_id (text), name, earliest_start_ns, earliest_end_ns, latest_start_ns,
    latest_end_ns and slack_ns.
    """

    length_ns: int
    measured_ns: int | None
    critical_count: int
    by_slack: tuple[SlackBand, ...]
    by_category: tuple[CategoryShare, ...]
    by_rank: tuple[RankShare, ...]
    by_operator: tuple[OperatorShare, ...]
    segments: Annotated[pa.Table, LINK]
    operators: Annotated[pa.Table, OPERATOR]
    trust: Trust

    FRAME: ClassVar[str] = "operators"
    TABLE: ClassVar[str] = "by_operator"

    def headline(self) -> str:
        """The answer in a few words."""
        return f"model's critical path, {self.length_ns / 1e6:.3f} ms"


@dataclass(frozen=True, slots=True)
class _Chain:
    """The longest path by operator: row, time from and to, dependency kind and row by which it came (-1: none).

    `whole` are the operators that it goes through from start to end, so that their own weight is on it.
    """

    operator: Array
    start_ns: Array
    end_ns: Array
    via: Array
    dependency: Array
    whole: Array

    @property
    def ns(self) -> Array:
        return self.end_ns - self.start_ns


def slack(trace: Trace, *, rank: int | None = None, iteration: Iterations = None, waiting: Waiting = "work") -> Slack:
    """Critical path method over the event graph: every operator as early, and as late, as the dependencies let it be.

    An operator lasts its duration (none: 0), or longer where its end depends on something else, such as the end of a
    child; every other edge takes no time. Its slack is how much later it may start before the whole takes longer. With
    `rank` and `iteration` only the operators of these are looked at. What operators waited for each other within
    their measured durations counts as work, unless `waiting` is "slack".

    The method: J. Kelley, M. Walker, "Critical-Path Planning and Scheduling" (1959). O(operators + dependencies).
    Raises CycleError with the members of a cycle, MissingData where the trace has no such rank or iteration, and
    UsageError for iterations that do not follow each other: nothing would hold the later one back.
    """
    if waiting not in get_args(Waiting):
        raise UsageError(f"no way {waiting!r} to count waiting: choose work or slack")
    whole, ranks = trace, len(trace.ranks)
    if (steps := indices_of(iteration)) is not None:
        trace = trace.select_iterations(steps)
    if rank is not None:
        trace = trace.select_ranks([rank])
    check_contiguous(whole, rank, iteration)
    events = trace.events
    out = events.successors
    order, cycle = topological_order(events.nodes, events.sources, events.targets, out)
    if len(cycle):
        check_acyclic(trace)
    duration = _durations(trace)
    inside, rest = _waits(trace, events, order, duration)
    weights = _weights(trace, events, duration, inside, rest, waiting)
    earliest = earliest_times(order, out, weights)
    length = int(earliest.max()) if events.nodes else 0
    latest = latest_times(order, out, weights, length)
    n = len(trace)
    chain = _chain(trace, events, weights, earliest, order, length)
    rows, ns = _spent(trace, chain, order, weights[:n])
    floats = latest[: 2 * n : 2] - earliest[: 2 * n : 2]
    others = 0 if rank is None else ranks - 1
    return Slack(
        length,
        None if trace.operators.is_null("start_ns").all() else trace.span_ns,
        int(np.count_nonzero(floats == 0)),
        _by_slack(floats),
        _by_category(trace, rows, ns, length),
        _by_rank(trace, rows, ns),
        _by_operator(trace, rows, ns, length),
        _segments(trace, chain),
        _operators(trace, earliest, latest, floats),
        _trust(trace, chain, inside if waiting == "work" else np.zeros_like(inside), length, others),
    )


def _durations(trace: Trace) -> Array:
    o = trace.operators
    return np.where(o.is_null("duration_ns"), 0, o["duration_ns"])


# Weights


def _weights(trace: Trace, events: EventGraph, duration: Array, inside: Array, rest: Array, waiting: Waiting) -> Array:
    """What each edge takes: an operator its duration, and other edges nothing.

    Without its waiting, an operator works for the rest of its duration, and does so after what it waited for.
    """
    n = len(trace)
    weights = np.zeros(len(events.sources), dtype=np.int64)
    weights[:n] = duration
    if waiting == "slack":
        weights[:n] -= inside
        releases = _releases(trace, events)
        weights[releases] = rest[events.targets[releases] // 2]
    return weights


def _releases(trace: Trace, events: EventGraph) -> Array:
    """Edges that end a wait inside an operator: those to its end, other than its own and its children's."""
    inner = np.zeros(len(DependencyKind), dtype=bool)
    inner[[int(k) for k, meaning in DEPENDENCIES.items() if {Ends.END_END, Ends.START_END} & set(meaning.ends)]] = True
    waits = inner[trace.dependencies["kind"]]
    if not len(trace.collectives) and not waits.any():
        return np.zeros(0, dtype=np.int64)
    recorded = np.append(waits, False)[events.dependency]  # the place of -1 is the last one
    meeting = (events.sources >= 2 * len(trace)) & (events.targets < 2 * len(trace))
    return np.flatnonzero(recorded | meeting)


def _waits(trace: Trace, events: EventGraph, order: Array, duration: Array) -> tuple[Array, Array]:
    """By the measured times: how long each operator waited, what it encloses included, and how long it worked then.

    Both are 0 for an operator of which it is not known when what it waits for was there.
    """
    o, n = trace.operators, len(trace)
    never = np.iinfo(np.int64).min
    start = o["start_ns"]
    timed = ~o.is_null("start_ns") & ~o.is_null("duration_ns")
    measured = np.full(events.nodes, never)
    measured[: 2 * n : 2] = np.where(timed, start, never)
    measured[1 : 2 * n : 2] = np.where(timed, trace.end_ns, never)
    meetings = np.flatnonzero(events.targets >= 2 * n)
    np.maximum.at(measured, events.targets[meetings], measured[events.sources[meetings]])
    releases = _releases(trace, events)
    released = np.full(n, never)
    np.maximum.at(released, events.targets[releases] // 2, measured[events.sources[releases]])
    known = timed & (released != never)
    own = np.where(known, np.clip(np.where(known, released - np.where(known, start, 0), 0), 0, duration), 0)
    rest = np.where(known, duration - own, 0)
    # What does other things besides waits for some of its time only, and works before that, too.
    within = waits_within(trace)
    if len(within.target):
        some, ended = np.unique(within.target), np.full(n, never)
        np.maximum.at(ended, within.target, trace.end_ns[within.source])
        own[some] = np.minimum(sum_by(within.target, within.ns, n), duration)[some]
        rest[some] = (trace.end_ns - ended)[some]
    if not own.any():
        return own, rest
    return _enclosed(order, _callers(trace), own, duration), rest


def _callers(trace: Trace) -> Array:
    """The operator that encloses each one, -1 where none does."""
    d = trace.dependencies
    callers = np.full(len(trace), -1, dtype=np.int64)
    calls = np.flatnonzero(d["kind"] == int(DependencyKind.CALL))
    callers[d["dst"][calls]] = d["src"][calls]
    return callers


@kernel
def _enclosed(order: Array, parent: Array, own: Array, duration: Array, stop: Array = NEVER) -> Array:
    """Each operator's waits, or those of its children where these are longer; children end first in `order`."""
    n = len(own)
    total = np.zeros(n, dtype=np.int64)
    for begin in range(0, len(order), BETWEEN_LOOKS):
        if stopped(stop):
            break
        for event in order[begin : begin + BETWEEN_LOOKS]:
            i = event // 2
            if event % 2 == 1 and i < n:
                total[i] = min(max(total[i], own[i]), duration[i])
                if parent[i] >= 0:
                    total[parent[i]] += total[i]
    return total


# The path


def _chain(trace: Trace, events: EventGraph, weights: Array, earliest: Array, order: Array, length: int) -> _Chain:
    """One longest path as a chain of operators; empty where it has no length."""
    none = np.zeros(0, dtype=np.int64)
    if not length:
        return _Chain(none, none, none, none, none, none)
    n = len(trace)
    last = int(order[np.argmax(earliest[order] == length)])
    nodes, edges = tight_path(last, events.sources, events.targets, weights, earliest, 2 * n)
    of_operators = nodes < 2 * n
    nodes, edges = nodes[of_operators], edges[of_operators]
    operator = nodes // 2
    first = np.flatnonzero(np.concatenate([[True], operator[1:] != operator[:-1]]))
    end = earliest[nodes[np.concatenate([first[1:], [len(nodes)]]) - 1]]
    start = np.concatenate([[0], end[:-1]])
    came = edges[first][1:]
    dependency = np.concatenate([[-1], events.dependency[came]])
    via = np.full(len(first), int(DependencyKind.COLLECTIVE))
    recorded = dependency >= 0
    via[recorded] = trace.dependencies["kind"][dependency[recorded]]
    via[0] = -1
    return _Chain(operator[first], start, end, via, dependency, edges[(edges >= 0) & (edges < n)])


def _spent(trace: Trace, chain: _Chain, order: Array, weight: Array) -> tuple[Array, Array]:
    """Operators whose own time is on the path, and how much: that of a call is told of what it encloses."""
    on_path = np.zeros(len(trace), dtype=np.int64)
    np.add.at(on_path, chain.operator, chain.ns)
    whole = np.zeros(len(trace), dtype=bool)
    whole[chain.whole] = True
    spent = np.where(whole, 0, on_path) + _own_times(order, _callers(trace), weight, whole)
    rows = np.flatnonzero(spent)
    return rows, spent[rows]


@kernel
def _own_times(order: Array, caller: Array, weight: Array, whole: Array, stop: Array = NEVER) -> Array:
    """Own times of the operators in `whole` and in what these enclose; callers start first in `order`.

    One whose children take longer than itself, because they overlap, keeps its time.
    """
    n = len(caller)
    own = np.zeros(n, dtype=np.int64)
    children = np.zeros(n, dtype=np.int64)
    covered = whole.copy()
    for i in range(n):
        if caller[i] >= 0:
            children[caller[i]] += weight[i]
    for begin in range(0, len(order), BETWEEN_LOOKS):
        if stopped(stop):
            break
        for event in order[begin : begin + BETWEEN_LOOKS]:
            i = event // 2
            if event % 2 == 1 or i >= n:
                continue
            c = caller[i]
            if c >= 0 and covered[c] and children[c] <= weight[c]:
                covered[i] = True
            if covered[i]:
                own[i] = weight[i]
                if children[i] <= weight[i]:
                    own[i] -= children[i]
    return own


# The answer


def _by_slack(floats: Array) -> tuple[SlackBand, ...]:
    band = np.searchsorted(BANDS_NS, floats, side="right") - 1
    counts = np.bincount(band, minlength=len(BANDS_NS)).tolist()
    return tuple(
        SlackBand(low, high, number) for low, high, number in zip(BANDS_NS, (*BANDS_NS[1:], None), counts) if number
    )


def _by_category(trace: Trace, rows: Array, ns: Array, length: int) -> tuple[CategoryShare, ...]:
    sums = sum_by(operator_details(trace, rows, arrivals(trace)), ns, len(DETAILS)).tolist()
    shares = [CategoryShare(*DETAILS[code], spent, spent / length) for code, spent in enumerate(sums) if spent]
    return tuple(sorted(shares, key=lambda share: -share.ns))


def _by_rank(trace: Trace, rows: Array, ns: Array) -> tuple[RankShare, ...]:
    position = np.searchsorted(trace.ranks, trace.operators["rank"][rows])
    sums = sum_by(position, ns, len(trace.ranks)).tolist()
    return tuple(RankShare(rank, spent) for rank, spent in zip(trace.ranks, sums) if spent)


def _by_operator(trace: Trace, rows: Array, ns: Array, length: int) -> tuple[OperatorShare, ...]:
    o = trace.operators
    kinds = np.unique(o["kind"][rows])
    group = o["name"][rows].astype(np.int64) * len(kinds) + np.searchsorted(kinds, o["kind"][rows])
    groups = len(o.texts("name")) * len(kinds)
    spent, count = sum_by(group, ns, groups), np.bincount(group, minlength=groups)
    example = np.zeros(groups, dtype=np.int64)
    example[group] = rows
    shares = [
        OperatorShare(o.value("name", row), _kind(o.value("kind", row)), times, own, own / length)
        for row, times, own in zip(*(column[count > 0].tolist() for column in (example, count, spent)))
    ]
    return tuple(sorted(shares, key=lambda share: (-share.ns, share.name, share.kind)))


def _kind(value: Any) -> str:
    return str(getattr(value, "name", value))


def _segments(trace: Trace, chain: _Chain) -> pa.Table:
    import pyarrow as pa

    o = trace.operators
    rows = chain.operator
    kinds, kind = np.unique(o["kind"][rows], return_inverse=True)
    known = NodeType._value2member_map_
    lanes = [trace.lane_label(lane) for lane in range(len(trace.lanes))]
    return pa.table(
        {
            "rank": pa.array(o["rank"][rows]),
            "lane": _texts(o["lane"][rows], pa.array(lanes, type=pa.string())),
            "index": pa.array(o["index"][rows]),
            "name": _texts(o["name"][rows], o.texts("name")),
            "kind": _texts(kind, pa.array([_kind(known.get(k, k)) for k in kinds.tolist()], type=pa.string())),
            "start_ns": pa.array(chain.start_ns),
            "end_ns": pa.array(chain.end_ns),
            "via": _texts(chain.via, pa.array([k.name for k in DependencyKind])),
        }
    )


def _operators(trace: Trace, earliest: Array, latest: Array, floats: Array) -> pa.Table:
    import pyarrow as pa

    o, n = trace.operators, len(trace)
    return pa.table(
        {
            "rank": pa.array(o["rank"]),
            "index": pa.array(o["index"]),
            "node_id": pa.array(o["node_id"], mask=o.is_null("node_id")).cast(pa.string()),
            "name": _texts(o["name"], o.texts("name")),
            "earliest_start_ns": pa.array(earliest[: 2 * n : 2]),
            "earliest_end_ns": pa.array(earliest[1 : 2 * n : 2]),
            "latest_start_ns": pa.array(latest[: 2 * n : 2]),
            "latest_end_ns": pa.array(latest[1 : 2 * n : 2]),
            "slack_ns": pa.array(floats),
        }
    )


def _texts(codes: Array, values: Any) -> pa.Array:
    """Texts by their codes in a dictionary; a code below 0 is null."""
    import pyarrow as pa

    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32), mask=codes < 0), values)


def _trust(trace: Trace, chain: _Chain, waited: Array, length: int, others: int) -> Trust:
    o = trace.operators
    n = len(trace)
    warnings = []
    missing = int(np.count_nonzero(o.is_null("duration_ns")))
    if n and missing == n:
        warnings.append("no operator has a duration: the length is 0, and so is every slack")
    elif missing:
        warnings.append(f"{missing:,} of {n:,} operators have no duration and count as 0")
    if others:
        many = "another rank" if others == 1 else f"{others:,} other ranks"
        warnings.append(f"this is the model of rank {trace.ranks[0]} alone, without {many}")
    if length and (share := int(waited[chain.whole].sum()) / length) > 0:
        warnings.append(f"{share:.1%} of the path is waiting inside operators for other work; it counts as work here")
    used = np.unique(chain.dependency[chain.dependency >= 0])
    weak = int(np.count_nonzero(trace.dependencies["confidence"][used] < WEAK))
    return trust_of(trace, np.arange(n), weak_links=weak, warnings=warnings)


__all__ = ["Slack", "SlackBand", "Waiting", "slack"]
