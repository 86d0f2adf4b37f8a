"""Collectives: rendezvous of several ranks."""

from __future__ import annotations

from typing import Any, Final

import graphene

from etgraph.api.fetch import rows
from etgraph.api.generating.columns import filter_of, order_of
from etgraph.api.schema.connection import connection_of
from etgraph.api.schema.operator import operators_field
from etgraph.api.schema.place import ProcessGroup
from etgraph.api.schema.rows import referred, row_type, rows_field
from etgraph.model.schema import COLLECTIVES
from etgraph.store.rows import ROW, Condition

FILTERS: Final = ("type", "bytes", "size", "sequence", "group.name")
ORDERS: Final = ("bytes", "sequence")

CollectiveFilter = filter_of("CollectiveFilter", COLLECTIVES, FILTERS, "Conditions on collectives; all must hold.")
CollectiveOrder = order_of("CollectiveOrder", COLLECTIVES, ORDERS, "An order of collectives.")


def _members(collective: Any) -> rows.Owner:
    return rows.Owner(collective.trace, (Condition("collective", any_of=(collective.values[ROW],)),))


Collective = row_type(
    "Collective", COLLECTIVES,
    index=graphene.Field(
        graphene.NonNull(graphene.Int), description="Its number in the trace, by which analyses name it.",
        resolver=lambda root, info: root.values[ROW],
    ),
    group=referred(ProcessGroup, "group", "Process group that meets."),
    operators=operators_field("The operators that meet, one or more a rank.", _members),
)  # fmt: skip

CollectiveConnection = connection_of("Collective", Collective, "collectives")


def collectives_field(description: str) -> graphene.Field:
    """A list of collectives of a trace."""
    return rows_field(
        CollectiveConnection, COLLECTIVES, description, filters=FILTERS,
        filter=graphene.Argument(CollectiveFilter, description="Only collectives that satisfy this."),
        order_by=graphene.Argument(CollectiveOrder, description="Their order; else as the trace has them."),
    )  # fmt: skip


__all__ = ["Collective", "CollectiveConnection", "collectives_field"]
