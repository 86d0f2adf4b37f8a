"""What operators take by themselves: no time of others inside them, and no waiting for other ranks or devices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from etgraph.alerts.structure import counted
from etgraph.model import Category, DependencyKind, Trace, Trust
from etgraph.model.arrivals import arrivals, communicates
from etgraph.model.columns import Array
from etgraph.model.results import Result
from etgraph.model.sums import sum_by
from etgraph.model.waits import waits_within
from etgraph.queries.keys import groups, types
from etgraph.queries.windows import Iterations, Window, operators_of, windows_of

_CALLS = (int(Category.RUNTIME), int(Category.DRIVER))


@dataclass(frozen=True, slots=True)
class OperatorTime:
    """The time of the operators of one name on one rank, in ns; communication left out."""

    name: str
    rank: int
    own_ns: int


@dataclass(frozen=True, slots=True)
class CollectiveTime:
    """The time of the collectives of one type in one group on one rank, in ns, from when the last rank had come.

    Of collectives whose other ranks are not recorded it is all of their time.
    """

    type: str
    group: str
    rank: int
    transfer_ns: int


@dataclass(frozen=True, slots=True)
class Times(Result):
    """What operators and collectives take in the window, rank by rank."""

    operators: tuple[OperatorTime, ...]
    collectives: tuple[CollectiveTime, ...]
    trust: Trust

    FRAME: ClassVar[str] = "operators"
    TABLE: ClassVar[str] = "operators"


def times(
    trace: Trace, *, rank: int | None = None, iteration: Iterations = None, window: Window = "annotation"
) -> Times:
    """Own times of the operators of the window, which belong to it by launch, by name and rank.

    What another time of the same work would not change is left out: what is inside an operator, on the same thread, is
    told of that; waiting is nobody's. Raises what `windows_of` raises. O(operators + dependencies).
    """
    rows = operators_of(trace, windows_of(trace, rank, iteration, window, contiguous=False))
    rows = rows[trace.timed[rows]]
    o, own = trace.operators, own_ns(trace)
    talks = communicates(trace, rows)
    named = rows[~talks & (o["name"][rows] >= 0)]
    names = o.texts("name").to_pylist()
    meet = rows[talks]
    of_type, of_group = types(trace, meet), groups(trace, meet)
    return Times(
        tuple(
            OperatorTime(names[name], rank, ns)
            for (name, rank), ns in _summed(own[named], o["name"][named], o["rank"][named])
            if ns
        ),
        tuple(
            CollectiveTime(of_type.texts[type].lower(), of_group.texts[group], rank, ns)
            for (type, group, rank), ns in _summed(own[meet], of_type.code, of_group.code, o["rank"][meet])
        ),
        Trust(),
    )


def own_ns(trace: Trace) -> Array:
    """The time of each operator in which nothing inside it ran and it waited for nothing; 0 for those without times."""
    o, d, end = trace.operators, trace.dependencies, trace.end_ns
    timed = trace.timed
    whole = np.where(timed, o["duration_ns"], 0)
    came = arrivals(trace)
    met = came.met & timed & (came.last >= 0)
    whole[met] -= np.clip(came.last_ns[met] - o["start_ns"][met], 0, whole[met])
    above = trace.enclosing
    inside = np.flatnonzero((above >= 0) & timed)
    inside = inside[o["lane"][inside] == o["lane"][above[inside]]]
    own = whole - sum_by(above[inside], np.where(timed, o["duration_ns"], 0)[inside], len(trace))
    waits = waits_within(trace)
    longest = np.zeros(len(trace), dtype=np.int64)
    np.maximum.at(longest, waits.target, waits.ns)
    syncs = np.flatnonzero(d["kind"] == int(DependencyKind.SYNC))
    src, dst = d["src"][syncs], d["dst"][syncs]
    calls = timed[src] & timed[dst] & np.isin(o["category"][dst], _CALLS)
    src, dst = src[calls], dst[calls]
    np.maximum.at(longest, dst, np.minimum(end[src], end[dst]) - o["start_ns"][dst])
    found: Array = np.maximum(own - longest, 0)
    return found


def _summed(ns: Array, *columns: Array) -> list[tuple[tuple[int, ...], int]]:
    """The sum for every combination of values that occurs."""
    return [(values, int(ns[where].sum())) for values, _, where in counted(*columns)]


__all__ = ["CollectiveTime", "OperatorTime", "Times", "own_ns", "times"]
