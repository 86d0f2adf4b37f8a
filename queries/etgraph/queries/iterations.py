"""Iterations: how long each step took, which ones were unlike the others, and what made them so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, get_args

import numpy as np

from etgraph.model import Category, Trace, Trust
from etgraph.model.columns import Array
from etgraph.model.errors import EtgraphError, MissingData, UsageError
from etgraph.model.results import Result
from etgraph.queries.critical_path import CriticalPath, ground_of
from etgraph.queries.trusting import trust_of
from etgraph.queries.unusual import outliers, unsettled
from etgraph.queries.windows import Iterations, Window, indices_of

MOST_CAUSES = 12
"""Steps whose cause is told, those over all ranks and furthest from usual first: each takes a critical path."""
LOOKED_AT = 2_000_000
"""Of a large trace fewer causes are told, so that no more operators are looked at for them all together."""


@dataclass(frozen=True, slots=True)
class Cause:
    """What a step has more of on its critical path than the usual step, or less (below 0).

    `ns` is the difference in that category and detail, `operator_ns` the part of it under operators called `name`,
    which differ most in it (None where no operator is meant, such as in a pause).
    """

    category: str
    detail: str
    ns: int
    name: str | None
    operator_ns: int | None

    def __str__(self) -> str:
        text = f"{self.ns / 1e6:+.3f} ms {self.category}: {self.detail}"
        if self.name is None or self.operator_ns is None:
            return text
        if 2 * abs(self.operator_ns) < abs(self.ns):
            return f"{text}, in many operators, {self.operator_ns / 1e6:+.3f} ms in {self.name}"
        return f"{text}, {self.operator_ns / 1e6:+.3f} ms in {self.name}"


@dataclass(frozen=True, slots=True)
class Step:
    """One step on one rank, or over all ranks (`rank` None: from the earliest start to the latest end).

    `excess_ns` is the difference to the median of the settled steps. `warm_up` and `outlier` are None where there are
    too few steps to tell. `slowest_rank` and `spread_ns`, the slowest rank's time above the fastest one's, are of all
    ranks.
    """

    index: int
    rank: int | None
    name: str
    start_ns: int
    duration_ns: int
    excess_ns: int
    warm_up: bool | None
    outlier: bool | None
    cause: Cause | None
    slowest_rank: int | None = None
    spread_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Distribution:
    """The times of a rank's settled steps; `count` is of all. `variation` is the standard deviation by the mean."""

    rank: int | None
    count: int
    warm_up_steps: int | None
    outliers: int | None
    median_ns: int
    p95_ns: int
    min_ns: int
    max_ns: int
    mean_ns: int
    variation: float | None


@dataclass(frozen=True, slots=True)
class StepTimes(Result):
    """Steps in order, each over all ranks and on every rank; `by_rank` begins with that over all ranks.

    The figures beside them are the first row of `by_rank`.
    """

    count: int
    warm_up_steps: int | None
    outliers: int | None
    median_ns: int
    p95_ns: int
    min_ns: int
    max_ns: int
    mean_ns: int
    variation: float | None
    by_rank: tuple[Distribution, ...]
    rows: tuple[Step, ...]
    trust: Trust

    FRAME: ClassVar[str] = "rows"
    TABLE: ClassVar[str] = "rows"

    def headline(self) -> str:
        """The answer in a few words."""
        return f"{self.count} steps, median {self.median_ns / 1e6:.3f} ms"


@dataclass(frozen=True, slots=True)
class _Series:
    """The steps of one rank or of all, by index; times in ns."""

    rank: int | None
    index: Array
    name: tuple[str, ...]
    start_ns: Array
    end_ns: Array
    slowest: Array
    spread_ns: Array

    @property
    def ns(self) -> Array:
        return self.end_ns - self.start_ns


def iterations(
    trace: Trace, *, rank: int | None = None, iteration: Iterations = None, window: Window = "annotation"
) -> StepTimes:
    """The time of every step, the steps at the beginning that are unlike the later ones, outliers, and why.

    Steps are judged beside all other steps of their rank, also where only some are asked for. The usual step is the
    settled one whose time is nearest to the median. Why a step is not like it is read from the difference of their
    critical paths. Raises MissingData where the trace has no such rank or step, or no steps with times.
    """
    if window not in get_args(Window):
        raise UsageError(f"no window {window!r}: choose annotation, device or launch")
    series, missing = _measured(trace, rank, window)
    wanted = _wanted(iteration, series)
    several = rank is None and len(series) > 1
    everyone = [_over_ranks(series), *series] if several else series
    judged = [_judged(one) for one in everyone]
    by_rank = tuple(distribution for distribution, _ in judged)
    rows = [step for _, steps in judged for step in steps if step.index in wanted]
    rows, unknown = _explained(trace, window, everyone, by_rank, rows)
    whole = by_rank[0]
    own = slice(None) if rank is None else trace.rank_rows[rank]
    return StepTimes(
        whole.count, whole.warm_up_steps, whole.outliers, whole.median_ns, whole.p95_ns, whole.min_ns, whole.max_ns,
        whole.mean_ns, whole.variation, by_rank,
        tuple(sorted(rows, key=lambda step: (step.index, -1 if step.rank is None else step.rank))),
        trust_of(trace, np.arange(len(trace))[own], warnings=[*missing, *unknown]),
    )  # fmt: skip


# Measuring


def _measured(trace: Trace, rank: int | None, window: Window) -> tuple[list[_Series], list[str]]:
    """The steps with times of each rank asked for, and what to say of those without."""
    i = trace.iterations
    if rank is not None and rank not in trace.rank_rows:
        raise MissingData(f"no rank {rank}: the trace holds ranks {', '.join(map(str, trace.ranks)) or 'none'}")
    if not len(i):
        raise MissingData(
            "the trace has no iterations", hint="steps are marked by an annotation such as ProfilerStep#7"
        )
    own = np.isin(i["rank"], trace.ranks if rank is None else [rank])
    start, end, known = _windows(trace, window)
    timed = np.flatnonzero(own & known & (end > start))
    if not len(timed):
        raise MissingData(
            f"no iteration has measured times{'' if window == 'annotation' else f' in the {window} window'}",
            hint="execution traces of the host alone record none" if window == "annotation" else
            "ask with --window annotation",
        )  # fmt: skip
    left = int(np.count_nonzero(own)) - len(timed)
    names = i.texts("name")
    series = []
    for one in np.unique(i["rank"][timed]).tolist():
        rows = timed[i["rank"][timed] == one]
        rows = rows[np.argsort(i["index"][rows], kind="stable")]
        none = np.full(len(rows), -1)
        series.append(
            _Series(
                one, i["index"][rows], tuple(names[code].as_py() for code in i["name"][rows].tolist()),
                start[rows], end[rows], none, none,
            )
        )  # fmt: skip
    if not left:
        return series, []
    steps = "1 step of a rank has" if left == 1 else f"{left} steps of ranks have"
    return series, [f"{steps} no time in such a window: left out"]


def _windows(trace: Trace, window: Window) -> tuple[Array, Array, Array]:
    """Start and end of every iteration's window, and whether it has one."""
    i, o = trace.iterations, trace.operators
    start, end = i["start_ns"], i["end_ns"]
    known = ~i.is_null("start_ns") & ~i.is_null("end_ns")
    if window == "annotation":
        return start, end, known
    step = o["iteration"]
    device = np.flatnonzero(trace.timed & (step >= 0) & (o["category"] >= int(Category.KERNEL)))
    first, last = np.full(len(i), np.iinfo(np.int64).max), np.full(len(i), np.iinfo(np.int64).min)
    np.minimum.at(first, step[device], o["start_ns"][device])
    np.maximum.at(last, step[device], trace.end_ns[device])
    some = last > first
    if window == "device":
        return first, last, known & some
    return np.minimum(start, first), np.maximum(end, last), known & some


def _wanted(iteration: Iterations, series: Sequence[_Series]) -> set[int]:
    held = {int(index) for one in series for index in one.index}
    named = indices_of(iteration)
    wanted = held if named is None else set(named)
    for index in sorted(wanted - held):
        raise MissingData(f"no iteration {index} with times: there are {', '.join(map(str, sorted(held)))}")
    return wanted


def _over_ranks(series: Sequence[_Series]) -> _Series:
    """Each step from its earliest start to its latest end on any rank."""
    index = np.concatenate([one.index for one in series])
    start, end = (np.concatenate([getattr(one, name) for one in series]) for name in ("start_ns", "end_ns"))
    rank = np.concatenate([np.full(len(one.index), one.rank) for one in series])
    steps, first, place = np.unique(index, return_index=True, return_inverse=True)
    names = [name for one in series for name in one.name]
    begin, finish = start[first].copy(), end[first].copy()
    np.minimum.at(begin, place, start)
    np.maximum.at(finish, place, end)
    order = np.lexsort((-rank, end - start, place))
    last = np.append(np.flatnonzero(np.diff(place[order])), len(order) - 1)
    slowest, fastest = order[last], order[np.append(0, last[:-1] + 1)]
    spread = (end - start)[slowest] - (end - start)[fastest]
    return _Series(None, steps, tuple(names[row] for row in first.tolist()), begin, finish, rank[slowest], spread)


# Judging


def _judged(series: _Series) -> tuple[Distribution, list[Step]]:
    """A series' distribution, and its steps without their causes."""
    ns = series.ns
    warm_up = unsettled(ns)
    settled = ns[warm_up or 0 :]
    far = outliers(settled)
    median = int(np.median(settled))
    found = [None] * len(ns) if far is None else [False] * (warm_up or 0) + far.tolist()
    mean = float(np.mean(settled))
    distribution = Distribution(
        series.rank, len(ns), warm_up, None if far is None else int(far.sum()), median,
        int(np.percentile(settled, 95, method="inverted_cdf")), int(settled.min()), int(settled.max()), round(mean),
        float(np.std(settled, ddof=1)) / mean if len(settled) > 1 else None,
    )  # fmt: skip
    columns = (series.index, series.start_ns, ns, series.slowest, series.spread_ns)
    steps = [
        Step(
            index, series.rank, series.name[place], start, length, length - median,
            None if warm_up is None else place < warm_up, found[place], None,
            None if slowest < 0 else slowest, None if slowest < 0 else spread,
        )
        for place, (index, start, length, slowest, spread) in enumerate(zip(*(c.tolist() for c in columns)))
    ]  # fmt: skip
    return distribution, steps


# Explaining


def _explained(
    trace: Trace, window: Window, series: Sequence[_Series], by_rank: Sequence[Distribution], rows: Sequence[Step]
) -> tuple[list[Step], list[str]]:
    """The steps, the most unusual of them with their cause, and what to say of others that have none."""
    unusual = [place for place, step in enumerate(rows) if step.warm_up or step.outlier]
    unusual.sort(key=lambda place: (rows[place].rank is not None, -abs(rows[place].excess_ns)))
    usual = {one.rank: _usual_step(one, distribution) for one, distribution in zip(series, by_rank)}
    several = len(series) > 1
    ground = ground_of(trace) if unusual else None
    paths: dict[tuple[int | None, int], CriticalPath | None] = {}

    def path(rank: int | None, index: int) -> CriticalPath | None:
        if ground is not None and (rank, index) not in paths:
            paths[rank, index] = _path(lambda: ground.path(rank, index, window))
        return paths.get((rank, index))

    told, most = list(rows), min(MOST_CAUSES, max(1, LOOKED_AT // len(trace)))
    for place in unusual[:most]:
        step = rows[place]
        one, other = path(step.rank, step.index), path(step.rank, usual[step.rank])
        if one is not None and other is not None:
            told[place] = replace(step, cause=_difference(one, other, sign=1 if step.excess_ns > 0 else -1))
    untold = len(unusual) - most
    if untold <= 0:
        return told, []
    steps = "1 more step is" if untold == 1 else f"{untold} more steps are"
    ask = "a rank or an iteration" if several else "an iteration"
    return told, [f"{steps} unlike the others, of which no cause is told; ask with {ask}"]


def _usual_step(series: _Series, distribution: Distribution) -> int:
    """Index of the settled step whose time is nearest to the median."""
    first = distribution.warm_up_steps or 0
    return int(series.index[first + int(np.argmin(np.abs(series.ns[first:] - distribution.median_ns)))])


def _path(ask: Callable[[], CriticalPath]) -> CriticalPath | None:
    """A step's critical path; None where the trace cannot tell it, which leaves the step's time as it is."""
    try:
        return ask()
    except EtgraphError:
        return None


def _difference(one: CriticalPath, other: CriticalPath, sign: int) -> Cause | None:
    """The detail by which one path is longer than the other (`sign` 1) or shorter (-1), and the operator within it."""
    more: dict[tuple[str, str], int] = {}
    for path, factor in ((one, 1), (other, -1)):
        for share in path.by_category:
            more[share.category, share.detail] = more.get((share.category, share.detail), 0) + factor * share.ns
    category, detail = max(more, key=lambda key: (sign * more[key], key), default=("", ""))
    if not category or sign * more[category, detail] <= 0:
        return None
    by_name: dict[str | None, int] = {}
    for path, factor in ((one, 1), (other, -1)):
        for operator, ns in _by_name(path, detail).items():
            by_name[operator] = by_name.get(operator, 0) + factor * ns
    name = max(by_name, key=lambda key: (sign * by_name[key], key or ""), default=None)
    return Cause(category, detail, more[category, detail], name, None if name is None else by_name[name])


def _by_name(path: CriticalPath, detail: str) -> dict[str | None, int]:
    """Time of a path's segments of one detail, by the operator's name (None: a pause)."""
    table = path.segments
    (details, kinds), (codes, names) = _codes(table["detail"]), _codes(table["name"])
    own = details == (kinds.index(detail) if detail in kinds else -1)
    length = table["end_ns"].to_numpy()[own] - table["start_ns"].to_numpy()[own]
    sums = np.zeros(len(names) + 1, dtype=np.int64)
    np.add.at(sums, codes[own], length)  # the place of -1, a pause, is the last one
    return {names[code] if code < len(names) else None: int(sums[code]) for code in np.flatnonzero(sums).tolist()}


def _codes(column: Any) -> tuple[Array, list[str]]:
    """An Arrow column of texts as numbers into a list of them, -1 for null."""
    array = column.combine_chunks()
    encoded = array if hasattr(array, "dictionary") else array.dictionary_encode()
    return encoded.indices.fill_null(-1).to_numpy(), encoded.dictionary.to_pylist()


__all__ = ["Cause", "Distribution", "Step", "StepTimes", "iterations"]
