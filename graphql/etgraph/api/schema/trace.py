"""Traces: what the catalogue knows of one, its parts a page at a time, and the questions that it answers."""

from __future__ import annotations

import graphene

from etgraph.api.fetch import catalogue, simulations
from etgraph.api.generating.types import fields_of, object_type, window, window_arguments
from etgraph.api.scalars import Count
from etgraph.api.schema.analyses import analysis_fields
from etgraph.api.schema.collective import collectives_field
from etgraph.api.schema.connection import connection_of
from etgraph.api.schema.node import Node
from etgraph.api.schema.operator import operators_field
from etgraph.api.schema.place import LaneConnection, ProcessGroupConnection
from etgraph.api.schema.rows import rows_field
from etgraph.model.schema import LANES, PROCESS_GROUPS
from etgraph.queries.saved_simulations import SimulationSummary
from etgraph.store import TraceInfo

MatchReport = object_type(catalogue.MatchReport)
TracePart = object_type(catalogue.TracePart)
Simulation = object_type(SimulationSummary)

Trace = type(
    "Trace",
    (graphene.ObjectType,),
    {
        "Meta": {
            "description": "A stored run: the files of all its ranks, read together, under one workload's name.",
            "interfaces": (Node,),
        },
        **fields_of(TraceInfo, leave_out=("operators", "collectives", "report", "sources"), windows=True),
        "report": graphene.Field(
            graphene.NonNull(MatchReport), description="How its files became a graph.",
            resolver=lambda root, info: catalogue.report(root.value),
        ),
        "operator_count": graphene.Field(
            graphene.NonNull(Count), description="Number of its operators.",
            resolver=lambda root, info: root.value.operators,
        ),
        "collective_count": graphene.Field(
            graphene.NonNull(Count), description="Number of its collectives.",
            resolver=lambda root, info: root.value.collectives,
        ),
        "part": graphene.Field(
            graphene.NonNull(TracePart), description="What is known of some of its iterations alone.",
            args={
                "iterations": graphene.Argument(
                    graphene.NonNull(graphene.List(graphene.NonNull(graphene.Int))), description="Which, by index."
                )
            },
            resolver=lambda root, info, iterations: catalogue.part(info.context, root.value, iterations),
        ),
        "operators": operators_field("Its operators, a page at a time."),
        "collectives": collectives_field("Its collectives, a page at a time."),
        "process_groups": rows_field(ProcessGroupConnection, PROCESS_GROUPS, "Its process groups."),
        "lanes": rows_field(LaneConnection, LANES, "Its threads and streams."),
        "simulations": graphene.Field(
            graphene.NonNull(graphene.List(graphene.NonNull(Simulation))),
            description="The simulations that are kept beside it, oldest first.", args=window_arguments(),
            resolver=lambda root, info, first, offset: window(
                simulations.of_trace(info.context, root.id), first, offset
            ),
        ),
        **analysis_fields(),
    },
)  # fmt: skip

TraceConnection = connection_of("Trace", Trace, "traces")


class Tag(graphene.ObjectType):
    """A name for one of a workload's traces, as in `workload@name`."""

    workload = graphene.String(required=True, description="The workload that has the tag.")
    name = graphene.String(required=True, description="The tag itself.")
    trace = graphene.Field(graphene.NonNull(Trace), description="The trace that it names.")


__all__ = ["MatchReport", "Simulation", "Tag", "Trace", "TraceConnection"]
