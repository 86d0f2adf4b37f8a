"""What types of rows of a trace's tables have in common, and lists of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import graphene

from etgraph.api.fetch import rows
from etgraph.api.generating.columns import column_fields, conditions_of, ordered
from etgraph.api.schema.connection import page_arguments
from etgraph.api.schema.node import Node, row_id_field
from etgraph.model.schema import Table


def row_type(name: str, table: Table, *, node: bool = True, **more: Any) -> type[graphene.ObjectType]:
    """The type of a table's rows: its columns, and more. Where it is a node, its id takes the place of a column's."""
    fields = {"id": row_id_field(name), **column_fields(table, ("id",))} if node else column_fields(table)
    meta = {"description": f"{table.meaning[0].upper()}{table.meaning[1:]}.", "interfaces": (Node,) if node else ()}
    return type(name, (graphene.ObjectType,), {"Meta": meta, **fields, **more})


def referred(kind: Any, column: str, description: str) -> graphene.Field:
    """A field for the row that a column refers to."""
    return graphene.Field(kind, description=description, resolver=partial(_refer, column))


def _refer(column: str, root: Any, info: Any) -> Any:
    return rows.referred(info.context, root, column)


def rows_field(
    connection: Any,
    table: Table,
    description: str,
    owner: Callable[[Any], rows.Owner] = rows.Owner,
    *,
    filters: Sequence[str] = (),
    **conditions: graphene.Argument,
) -> graphene.Field:
    """A list of rows; `owner` tells whose they are, `conditions` are arguments `filter` and `order_by`."""
    return graphene.Field(
        graphene.NonNull(connection),
        description=description,
        args={**conditions, **page_arguments()},
        resolver=partial(_rows, table, filters, owner),
    )


def _rows(
    table: Table,
    filters: Sequence[str],
    owner: Callable[[Any], rows.Owner],
    root: Any,
    info: Any,
    first: int,
    after: str | None = None,
    filter: Any = None,
    order_by: Any = None,
) -> Any:
    where, order = conditions_of(table, filters, filter), ordered(order_by)
    return rows.listed_rows(info.context, root, owner, table.name, where, order, first=first, after=after)


__all__ = ["referred", "row_type", "rows_field"]
