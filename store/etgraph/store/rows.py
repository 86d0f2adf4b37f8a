"""Rows of a trace's tables a page at a time, and the dependencies around operators: what is asked, what comes back.

Requests come in lists, so that what is asked of many things at once takes one call. Pages follow each other by keys:
the value that rows are ordered by and the number of the row, never by counting from the start.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from etgraph.model.errors import UsageError
from etgraph.model.schema import TABLES, Column, DependencyKind, Table

ROW: Final = "row"
"""Stands for the number of a row in its table where a column may be named."""
LONGEST_GLOB: Final = 200
"""Characters of a pattern."""

Row = Mapping[str, Any]
"""A row by the names of its columns, with `row`, its number. Enums are members where the number is known, texts are
texts, references are numbers of rows; but `parent` is the index within the rank, and `attrs` is left out. Process
groups also have `ranks`, their members in the group's order."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition on a column, of which all parts that are given must hold. No null satisfies one.

    `column` is one of the table's, `row`, or `reference.column`, that column of the row which the reference leads to.
    `any_of` are values (of enums their numbers, of references numbers of rows), `low` and `high` bounds, themselves
    included, `glob` a pattern of the whole text: `*` stands for any characters, `?` for one.
    """

    column: str
    any_of: tuple[Any, ...] | None = None
    low: int | float | None = None
    high: int | float | None = None
    glob: str | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """Rows by a column, those without a value last; equal ones, and all where it is `row`, as the table has them."""

    column: str = ROW
    descending: bool = False


@dataclass(frozen=True, slots=True)
class RowsRequest:
    """No more than `first` rows of a table that satisfy all conditions, in that order.

    `after` is where the last page ended: the value of its last row in the order's column, and the row's number.
    `between` are the first number of a row that is looked at, and the one after the last.
    """

    trace_id: str
    table: str
    where: tuple[Condition, ...] = ()
    order: Order = Order()
    after: tuple[Any, int] | None = None
    first: int = 100
    between: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Rows in their order, and whether there are more behind them."""

    rows: tuple[Row, ...] = ()
    more: bool = False


@dataclass(frozen=True, slots=True)
class NeighboursRequest:
    """Dependencies of the operator in that row: those on others or, not `incoming`, of others on it.

    In the table's order, no more than `first` behind the one in row `after`; of those kinds, or of all.
    """

    trace_id: str
    row: int
    incoming: bool = True
    kinds: tuple[DependencyKind, ...] | None = None
    after: int | None = None
    first: int = 100


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A dependency, `row` being its own, and the operator at its other end."""

    row: int
    kind: DependencyKind
    inferred: bool
    method: str
    confidence: float
    operator: Row


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Neighbours in order of their dependencies, and whether there are more behind them."""

    found: tuple[Neighbour, ...] = ()
    more: bool = False


def at_rows(trace_id: str, table: str, rows: Iterable[int]) -> RowsRequest:
    """The request for the rows of those numbers."""
    numbers = tuple(sorted(set(rows)))
    return RowsRequest(trace_id, table, (Condition(ROW, any_of=numbers),), first=len(numbers))


def checked(request: RowsRequest) -> RowsRequest:
    """The request. Raises UsageError where its table has no such column, or `after` is no place in its order."""
    if request.table not in TABLES:
        raise UsageError(f"no table {request.table!r}", hint=f"there are {', '.join(TABLES)}")
    table = TABLES[request.table]
    for condition in request.where:
        column = column_of(table, condition.column)
        if condition.glob is not None:
            if column is None or column.type != "text":
                raise UsageError(f"{condition.column}: found a pattern, expected values; patterns are for texts")
            if len(condition.glob) > LONGEST_GLOB:
                raise UsageError(f"pattern: found {len(condition.glob)} characters, expected {LONGEST_GLOB} or fewer")
    ordered_by = column_of(table, request.order.column)
    if ordered_by is not None and (ordered_by.refers or ordered_by.values is not None or ordered_by.type == "uint64"):
        raise UsageError(f"{request.table} have no order by {request.order.column}")
    if request.after is not None:
        _check_place(ordered_by, *request.after)
    return replace(request, after=(None, request.after[1])) if request.after and ordered_by is None else request


def _check_place(column: Column | None, value: Any, row: int) -> None:
    """Raise UsageError for a place that no row can have."""
    text = column is not None and column.type == "text"
    fits = value is None or (isinstance(value, str) if text else type(value) in (int, float) and abs(value) < 2**63)
    if not fits or type(row) is not int or not 0 <= row < 2**31:
        raise UsageError("the place after which the page begins is none of this list's")


def column_of(table: Table, name: str) -> Column | None:
    """The column that a name means, `reference.column` too; None for `row`. Raises UsageError for one that is not."""
    reference, _, rest = name.partition(".")
    if name == ROW:
        return None
    for column in table.columns:
        if column.name == reference:
            return column_of(TABLES[column.refers], rest) if rest else column
    raise UsageError(f"{table.name} have no column {name!r}")


def glob_pattern(glob: str) -> str:
    """A regular expression, the same to Python and to Java, that takes time linear in the text for every `*`."""
    head, *rest = (re.escape(part).replace(r"\?", ".") for part in glob.split("*"))
    if not rest:
        return f"(?s:{head})"
    *inner, tail = rest
    # What lies between two stars matches best where it first can: no need to come back to it.
    return f"(?s:{head}{''.join(f'(?>.*?{part})' for part in inner if part)}.*{tail})"


def wanted_numbers(values: Sequence[Any], limit: int) -> list[int]:
    """Those of the values that number one of so many rows, ascending."""
    return sorted({value for value in values if 0 <= value < limit})


__all__ = [
    "ROW",
    "Condition",
    "Neighbour",
    "Neighbours",
    "NeighboursRequest",
    "Order",
    "Page",
    "Row",
    "RowsRequest",
    "at_rows",
]
