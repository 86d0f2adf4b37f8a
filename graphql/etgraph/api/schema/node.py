"""Things that have an id of their own, under which `node` gives them."""

from __future__ import annotations

from functools import partial
from typing import Any

import graphene

from etgraph.alerts.standing.alert import Alert
from etgraph.api.fetch import nodes
from etgraph.api.fetch.batches import One
from etgraph.api.fetch.nodes import TABLES_OF
from etgraph.api.fetch.rows import StoredRow
from etgraph.api.fetch.tokens import node_id
from etgraph.api.jobs.job import Job
from etgraph.store import TraceInfo


def type_name(value: One[Any]) -> str:
    """The name of the type of a node."""
    if isinstance(value.value, TraceInfo):
        return "Trace"
    if isinstance(value.value, StoredRow):
        return next(name for name, table in TABLES_OF.items() if table == value.value.table)
    if isinstance(value.value, Alert):
        return "Alert"
    return "Job" if isinstance(value.value, Job) else "Workload"


class Node(graphene.Interface):
    """Something that has an id of its own."""

    id = graphene.ID(required=True, description="Names it among everything; `node` takes it.")

    @classmethod
    def resolve_type(cls, instance: Any, info: Any) -> Any:
        """The type of a node."""
        return info.schema.get_type(type_name(instance)).graphene_type


def row_id_field(kind: str) -> graphene.Field:
    """The field `id` of rows of a table."""
    return graphene.Field(
        graphene.NonNull(graphene.ID),
        description="Names it among everything, for this revision of the trace.",
        resolver=partial(_row_id, kind),
    )


def _row_id(kind: str, root: Any, info: Any) -> str:
    return nodes.row_id(kind, root)


def workload_id_field() -> graphene.Field:
    """The field `id` of workloads."""
    return graphene.Field(
        graphene.NonNull(graphene.ID),
        description="Names it among everything.",
        resolver=lambda root, info: node_id("Workload", root.name),
    )


__all__ = ["Node", "row_id_field", "type_name", "workload_id_field"]
