"""Rows of stored traces' tables: pages of them, what they refer to, and their neighbours, for whole batches at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from etgraph.api.context import Context
from etgraph.api.fetch.batches import One, together
from etgraph.api.fetch.lists import Listed, checked_first, listed, together_in_pages
from etgraph.api.fetch.tokens import cursor, place_of
from etgraph.model.errors import UsageError
from etgraph.model.schema import TABLES, DependencyKind
from etgraph.store import TraceInfo
from etgraph.store.rows import ROW, Condition, NeighboursRequest, Order, RowsRequest, at_rows


@dataclass(frozen=True, slots=True)
class StoredRow:
    """A row of a table of a stored trace; its columns are its attributes."""

    trace: TraceInfo
    table: str
    values: Mapping[str, Any]

    def __getattr__(self, name: str) -> Any:
        try:
            return self.values[name]
        except KeyError:
            raise AttributeError(name) from None


@dataclass(frozen=True, slots=True)
class Owner:
    """What has a list of rows: the trace, and conditions by which rows are the owner's own."""

    trace: TraceInfo
    where: tuple[Condition, ...] = ()


def pages(
    context: Context,
    owners: Sequence[Owner],
    table: str,
    where: tuple[Condition, ...] = (),
    order: Order | None = None,
    *,
    first: int,
    after: str | None,
) -> list[Listed[One[StoredRow]]]:
    """A page of rows for each owner, in one call of the store; another one where somebody asks how many there are."""
    order = order or Order()
    requests, names = [], []
    for owner in owners:
        name = f"{table} {owner.trace.id} {owner.trace.revision} {owner.where} {where} {order}"
        place = place_of(after, name)
        names.append(name)
        requests.append(
            RowsRequest(
                owner.trace.id, table, (*owner.where, *where), order, _place(place), first=checked_first(first)
            )
        )  # fmt: skip
    found = context.store.rows(requests)
    counts: list[int] = []

    def count(number: int) -> int:
        if not counts:
            counts.extend(context.store.count_rows(requests))
        return counts[number]

    nodes = together_in_pages(
        [[StoredRow(owner.trace, table, row) for row in page.rows] for owner, page in zip(owners, found)]
    )
    return [
        listed(
            nodes[number],
            [cursor(names[number], _ordered_by(row, order), row[ROW]) for row in page.rows],
            more=page.more,
            begun=after is not None,
            count=lambda number=number: count(number),  # type: ignore[misc]
        )
        for number, page in enumerate(found)
    ]


def listed_rows(
    context: Context,
    root: One[Any],
    owner: Callable[[Any], Owner],
    table: str,
    where: tuple[Condition, ...],
    order: Order,
    *,
    first: int,
    after: str | None,
) -> Listed[One[StoredRow]]:
    """The page of one owner of rows, fetched with those of all that were fetched together with it."""
    return root.ask(
        (table, where, order, first, after),
        lambda roots: pages(context, [owner(each) for each in roots], table, where, order, first=first, after=after),
    )


def _place(place: list[Any] | None) -> tuple[Any, int] | None:
    if place is None:
        return None
    if len(place) != 2:
        raise UsageError("the cursor is none of this list's")
    return place[0], place[1]


def _ordered_by(row: Mapping[str, Any], order: Order) -> Any:
    return None if order.column == ROW else row[order.column]


def referred(context: Context, row: One[StoredRow], column: str) -> One[StoredRow] | None:
    """The row that a reference of this one leads to."""

    def fetch(rows: Sequence[StoredRow]) -> list[One[StoredRow] | None]:
        table = TABLES[rows[0].table].column(column).refers
        found = at(context, table, ((one.trace, one.values[column]) for one in rows if one.values[column] is not None))
        return [found.get((one.trace.id, one.values[column])) for one in rows]

    return row.ask(("referred", column), fetch)


def at(context: Context, table: str, wanted: Iterable[tuple[TraceInfo, int]]) -> dict[tuple[str, int], One[StoredRow]]:
    """Rows of a table by trace and number, as one batch."""
    traces: dict[str, TraceInfo] = {}
    rows: dict[str, set[int]] = {}
    for trace, row in wanted:
        traces[trace.id] = trace
        rows.setdefault(trace.id, set()).add(row)
    found = context.store.rows([at_rows(trace, table, numbers) for trace, numbers in rows.items()]) if rows else []
    nodes = together(StoredRow(traces[trace], table, row) for trace, page in zip(rows, found) for row in page.rows)
    return {(node.value.trace.id, node.value.values[ROW]): node for node in nodes}


def parent(context: Context, operator: One[StoredRow]) -> One[StoredRow] | None:
    """The operator that encloses this one. It lies as many rows away as its index does, or fewer."""

    def fetch(rows: Sequence[StoredRow]) -> list[One[StoredRow] | None]:
        wanted = {_parent_key(one): one for one in rows if one.parent is not None}
        requests = [
            RowsRequest(
                one.trace.id, "operators",
                (Condition("rank", any_of=(one.rank,)), Condition("index", any_of=(one.parent,))), first=1,
                between=_between(one.values[ROW], one.parent - one.index),
            )
            for one in wanted.values()
        ]  # fmt: skip
        found = context.store.rows(requests) if requests else []
        members = together_in_pages(
            [[StoredRow(one.trace, "operators", row) for row in page.rows] for one, page in zip(wanted.values(), found)]
        )
        by_key = {key: page[0] for key, page in zip(wanted, members) if page}
        return [by_key.get(_parent_key(one)) for one in rows]

    return operator.ask("parent", fetch)


def _parent_key(row: StoredRow) -> tuple[str, int, int | None]:
    return row.trace.id, row.rank, row.parent


def _between(row: int, distance: int) -> tuple[int, int]:
    return (max(row + distance, 0), row) if distance < 0 else (row, row + distance + 1)


@dataclass(frozen=True, slots=True)
class Dependency:
    """A dependency, and the operator at its other end."""

    kind: DependencyKind
    inferred: bool
    method: str
    confidence: float
    operator: One[StoredRow]


def neighbours(
    context: Context,
    operator: One[StoredRow],
    *,
    incoming: bool,
    kinds: tuple[DependencyKind, ...] | None,
    first: int,
    after: str | None,
) -> Listed[Dependency]:
    """Dependencies of an operator on others, or of others on it."""

    def fetch(rows: Sequence[StoredRow]) -> list[Listed[Dependency]]:
        names = [f"{incoming} {one.trace.id} {one.trace.revision} {one.values[ROW]} {kinds}" for one in rows]
        places = [_row_of(place_of(after, name)) for name in names]
        requests = [
            NeighboursRequest(one.trace.id, one.values[ROW], incoming, kinds, place, checked_first(first))
            for one, place in zip(rows, places)
        ]
        found = context.store.neighbours(requests)
        operators = together_in_pages(
            [
                [StoredRow(one.trace, "operators", each.operator) for each in page.found]
                for one, page in zip(rows, found)
            ]
        )
        return [
            listed(
                [
                    Dependency(each.kind, each.inferred, each.method, each.confidence, other)
                    for each, other in zip(page.found, others)
                ],
                [cursor(name, each.row) for each in page.found],
                more=page.more,
                begun=after is not None,
            )
            for name, page, others in zip(names, found, operators)
        ]

    return operator.ask(("neighbours", incoming, kinds, first, after), fetch)


def _row_of(place: list[Any] | None) -> int | None:
    if place is None:
        return None
    if type(place[0]) is not int or not 0 <= place[0] < 2**63:
        raise UsageError("the cursor is none of this list's")
    return int(place[0])


def attributes(context: Context, operator: One[StoredRow]) -> Mapping[str, Any]:
    """What the source says of an operator beyond its columns."""
    return operator.ask(
        "attributes", lambda rows: context.store.attributes([(one.trace.id, one.values[ROW]) for one in rows])
    )


__all__ = [
    "Dependency",
    "Owner",
    "StoredRow",
    "at",
    "attributes",
    "listed_rows",
    "neighbours",
    "pages",
    "parent",
    "referred",
]
