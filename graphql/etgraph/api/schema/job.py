"""Jobs: work that workers do, such as ingesting an upload."""

from __future__ import annotations

import graphene

from etgraph.api.fetch import jobs as fetch_jobs
from etgraph.api.generating.descriptions import of_type
from etgraph.api.generating.enums import choice_of
from etgraph.api.generating.types import fields_of
from etgraph.api.jobs.job import Job as FetchedJob
from etgraph.api.jobs.job import JobKind, JobState
from etgraph.api.schema.connection import connection_of
from etgraph.api.schema.node import Node
from etgraph.api.schema.trace import Trace

JobStateEnum = choice_of(JobState, "JobState", "What a job is at.")
JobKindEnum = choice_of(JobKind, "JobKind", "What a job does.")

Job = type(
    "Job",
    (graphene.ObjectType,),
    {
        "Meta": {"description": of_type(FetchedJob), "interfaces": (Node,)},
        **fields_of(FetchedJob, leave_out=("kind", "state"), windows=False),
        "id": graphene.Field(
            graphene.NonNull(graphene.ID), description="Names it among everything; later jobs have greater ones.",
            resolver=lambda root, info: root.id,
        ),
        "kind": graphene.Field(graphene.NonNull(JobKindEnum), description="What it does."),
        "state": graphene.Field(graphene.NonNull(JobStateEnum), description="What it is at."),
        "traces": graphene.Field(
            graphene.NonNull(graphene.List(graphene.NonNull(Trace))),
            description="The traces of `traceIds` that are there, as the catalogue has them now.",
            resolver=lambda root, info: fetch_jobs.traces_of(info.context, root),
        ),
    },
)  # fmt: skip

JobConnection = connection_of("Job", Job, "jobs", counted=False)

__all__ = ["Job", "JobConnection", "JobKindEnum", "JobStateEnum"]
