"""What a step consists of: operators by name, collectives by type, dependencies by kind; without any time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from etgraph.model import DependencyKind, Trace, Trust
from etgraph.model.arrivals import NULL, communicates
from etgraph.model.columns import Array, Columns
from etgraph.model.numbering import distinct
from etgraph.model.results import Result
from etgraph.queries.keys import groups, types
from etgraph.queries.windows import Iterations, Window, operators_of, windows_of


@dataclass(frozen=True, slots=True)
class OperatorCount:
    """Operators of one name on one rank."""

    name: str
    rank: int
    count: int


@dataclass(frozen=True, slots=True)
class CollectiveCount:
    """Operators of one type of collective in one group on one rank; `bytes` leaves out those of unknown size."""

    type: str
    group: str
    rank: int
    count: int
    bytes: int


@dataclass(frozen=True, slots=True)
class DependencyCount:
    """Dependencies of one kind that end at operators of one rank."""

    kind: str
    rank: int
    count: int


@dataclass(frozen=True, slots=True)
class Structure(Result):
    """How many operators, collectives and dependencies there are in the window, rank by rank."""

    operators: tuple[OperatorCount, ...]
    collectives: tuple[CollectiveCount, ...]
    dependencies: tuple[DependencyCount, ...]
    trust: Trust

    FRAME: ClassVar[str] = "operators"
    TABLE: ClassVar[str] = "operators"


def structure(
    trace: Trace, *, rank: int | None = None, iteration: Iterations = None, window: Window = "annotation"
) -> Structure:
    """Counts of the operators of the window, which belong to it by launch, and of the dependencies between them.

    No times are needed. Types of collectives are in lower case, as `compare` has them. Raises what `windows_of` raises.
    O(operators).
    """
    rows = operators_of(trace, windows_of(trace, rank, iteration, window, contiguous=False, times=False))
    o, d = trace.operators, trace.dependencies
    names = o.texts("name").to_pylist()
    named = rows[o["name"][rows] >= 0]
    talks = rows[communicates(trace, rows)]
    of_type, of_group = types(trace, talks), groups(trace, talks)
    inside = np.zeros(len(trace), dtype=bool)
    inside[rows] = True
    ends = inside[d["src"]] & inside[d["dst"]]
    kind, ranks = d["kind"][ends], o["rank"][d["dst"][ends]]
    return Structure(
        tuple(
            OperatorCount(names[name], own, count)
            for (name, own), count, _ in counted(o["name"][named], o["rank"][named])
        ),
        tuple(
            CollectiveCount(of_type.texts[type].lower(), of_group.texts[group], own, count, _bytes(o, talks[which]))
            for (type, group, own), count, which in counted(of_type.code, of_group.code, o["rank"][talks])
        ),
        tuple(
            DependencyCount(DependencyKind(number).name, own, count) for (number, own), count, _ in counted(kind, ranks)
        ),
        Trust(),
    )


def counted(*columns: Array) -> list[tuple[tuple[int, ...], int, Array]]:
    """Every combination of values that occurs: the values, how often, and where."""
    if not len(columns[0]):
        return []
    code, count = distinct(*(column.astype(np.int64) for column in columns))
    order = np.argsort(code, kind="stable")
    where = np.split(order, np.cumsum(np.bincount(code, minlength=count))[:-1])
    return [(tuple(int(column[rows[0]]) for column in columns), len(rows), rows) for rows in where if len(rows)]


def _bytes(operators: Columns, rows: Array) -> int:
    size = operators["comm_bytes"][rows]
    return int(size[size != NULL].sum())


__all__ = ["CollectiveCount", "DependencyCount", "OperatorCount", "Structure", "counted", "structure"]
