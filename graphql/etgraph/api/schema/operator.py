"""Operators, what is said of each, and the dependencies between them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import graphene

from etgraph.api.fetch import rows
from etgraph.api.fetch import simulations as fetch_simulations
from etgraph.api.generating.columns import column_fields, filter_of, order_of
from etgraph.api.generating.enums import enum_of
from etgraph.api.generating.types import object_type
from etgraph.api.scalars import Attributes
from etgraph.api.schema.connection import connection_of, page_arguments
from etgraph.api.schema.place import Lane, ProcessGroup, RankIteration
from etgraph.api.schema.rows import referred, row_type, rows_field
from etgraph.model.schema import DEPENDENCIES, DEPENDENCY_TABLE, OPERATORS, DependencyKind

FILTERS: Final = (
    "name", "scope", "source", "shapes", "rank", "index", "kind", "category", "start_ns", "duration_ns", "flops",
    "bytes", "waves", "comm_type", "comm_bytes", "peer", "tag", "link", "collective", "iteration.index", "lane.kind",
    "lane.id", "lane.device", "group.name",
)  # fmt: skip
ORDERS: Final = ("name", "start_ns", "duration_ns", "flops", "bytes", "comm_bytes", "waves")

OperatorFilter = filter_of("OperatorFilter", OPERATORS, FILTERS, "Conditions on operators; all must hold.")
OperatorOrder = order_of("OperatorOrder", OPERATORS, ORDERS, "An order of operators.")
Prediction = object_type(fetch_simulations.Prediction)

_HERE: Final = "etgraph.api.schema"
"""Types that refer to each other name those that are not there yet."""


def _neighbours(root: Any, info: Any, *, incoming: bool, kinds: Any = None, first: int, after: Any = None) -> Any:
    wanted = None if kinds is None else tuple(DependencyKind[each.value] for each in kinds)
    return rows.neighbours(info.context, root, incoming=incoming, kinds=wanted, first=first, after=after)


def _neighbours_field(description: str, *, incoming: bool) -> graphene.Field:
    kinds = graphene.List(graphene.NonNull(enum_of(DependencyKind)))
    return graphene.Field(
        f"{_HERE}.operator.DependencyConnection",
        required=True,
        description=description,
        args={"kinds": graphene.Argument(kinds, description="Only these kinds."), **page_arguments()},
        resolver=partial(_neighbours, incoming=incoming),
    )


Operator = row_type(
    "Operator", OPERATORS,
    lane=referred(Lane, "lane", "Thread or stream it ran on."),
    iteration=referred(RankIteration, "iteration", "Iteration it belongs to by launch."),
    group=referred(ProcessGroup, "group", "Process group."),
    collective=referred(f"{_HERE}.collective.Collective", "collective", "Rendezvous it takes part in."),
    parent=graphene.Field(
        f"{_HERE}.operator.Operator", description="Operator of the rank that encloses it.",
        resolver=lambda root, info: rows.parent(info.context, root),
    ),
    attributes=graphene.Field(
        graphene.NonNull(Attributes), description="Everything else that the source says of it.",
        resolver=lambda root, info: rows.attributes(info.context, root),
    ),
    predecessors=_neighbours_field("What it depends on, in the trace's order.", incoming=True),
    successors=_neighbours_field("What depends on it, in the trace's order.", incoming=False),
    predictions=graphene.Field(
        graphene.NonNull(graphene.List(graphene.NonNull(Prediction))),
        description="What kept simulations of the trace say of it, beside the measured `startNs` and `durationNs`.",
        args={
            "simulations": graphene.Argument(
                graphene.List(graphene.NonNull(graphene.ID)), description="Only these: ids, or beginnings of them."
            )
        },
        resolver=lambda root, info, simulations=None: fetch_simulations.predictions(info.context, root, simulations),
    ),
)  # fmt: skip

OperatorConnection = connection_of("Operator", Operator, "operators")

_MEANINGS: Final = "; ".join(f"{kind.name}: {told.meaning}" for kind, told in DEPENDENCIES.items())

Dependency = type(
    "Dependency",
    (graphene.ObjectType,),
    {
        "Meta": {"description": f"A dependency between two operators. By kind, {_MEANINGS}."},
        **column_fields(DEPENDENCY_TABLE),
        "operator": graphene.Field(graphene.NonNull(Operator), description="The operator at its other end."),
    },
)

DependencyConnection = connection_of("Dependency", Dependency, "dependencies", counted=False)


def operators_field(description: str, owner: Callable[[Any], rows.Owner] = rows.Owner) -> graphene.Field:
    """A list of operators; `owner` tells whose they are."""
    return rows_field(
        OperatorConnection, OPERATORS, description, owner, filters=FILTERS,
        filter=graphene.Argument(OperatorFilter, description="Only operators that satisfy this."),
        order_by=graphene.Argument(OperatorOrder, description="Their order; else as the trace has them."),
    )  # fmt: skip


__all__ = ["Dependency", "DependencyConnection", "Operator", "OperatorConnection", "operators_field"]
