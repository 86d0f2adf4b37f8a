"""Workloads: named programs whose runs are traced again and again."""

from __future__ import annotations

import graphene

from etgraph.api.fetch import catalogue
from etgraph.api.generating.types import fields_of
from etgraph.api.schema.connection import connection_of, page_arguments
from etgraph.api.schema.node import Node, workload_id_field
from etgraph.api.schema.trace import TraceConnection
from etgraph.store import WorkloadInfo

Workload = type(
    "Workload",
    (graphene.ObjectType,),
    {
        "Meta": {
            "description": "A named program whose runs are traced again and again.",
            "interfaces": (Node,),
        },
        "id": workload_id_field(),
        **fields_of(WorkloadInfo, leave_out=("traces",), windows=True),
        "traces": graphene.Field(
            graphene.NonNull(TraceConnection), description="Its traces, newest first.", args=page_arguments(),
            resolver=lambda root, info, first, after=None: catalogue.traces_of(
                info.context, root, first=first, after=after
            ),
        ),
    },
)  # fmt: skip

WorkloadConnection = connection_of("Workload", Workload, "workloads")

__all__ = ["Workload", "WorkloadConnection"]
