"""Where operators run and with whom: threads and streams, process groups, iterations of a rank."""

from __future__ import annotations

import graphene

from etgraph.api.schema.connection import connection_of
from etgraph.api.schema.rows import referred, row_type
from etgraph.model.schema import ITERATIONS, LANES, PROCESS_GROUPS

Lane = row_type(
    "Lane", LANES,
    recorded_id=graphene.Field(
        graphene.NonNull(graphene.String), description="Thread or stream id as recorded.",
        resolver=lambda root, info: root.values["id"],
    ),
)  # fmt: skip

ProcessGroup = row_type(
    "ProcessGroup", PROCESS_GROUPS,
    ranks=graphene.Field(
        graphene.NonNull(graphene.List(graphene.NonNull(graphene.Int))),
        description="Its members in its order; empty where they are not known.",
        resolver=lambda root, info: root.ranks,
    ),
)  # fmt: skip

RankIteration = row_type(
    "RankIteration", ITERATIONS, node=False, lane=referred(Lane, "lane", "Thread that carries the annotation.")
)

LaneConnection = connection_of("Lane", Lane, "threads and streams")
ProcessGroupConnection = connection_of("ProcessGroup", ProcessGroup, "process groups")

__all__ = ["Lane", "LaneConnection", "ProcessGroup", "ProcessGroupConnection", "RankIteration"]
