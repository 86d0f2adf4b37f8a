"""The root of queries."""

from __future__ import annotations

from typing import Any

import graphene

from etgraph.api.access.asking import MOST_SECONDS
from etgraph.api.fetch import access, catalogue, hardware, nodes
from etgraph.api.fetch import cypher as fetch_cypher
from etgraph.api.fetch import jobs as fetch_jobs
from etgraph.api.fetch import simulations as fetch_simulations
from etgraph.api.fetch.server import server_info, store_checks
from etgraph.api.generating.types import object_type
from etgraph.api.scalars import Attributes
from etgraph.api.schema.access import AuditEventConnection, Share, Token
from etgraph.api.schema.alerts import check_field, history_field
from etgraph.api.schema.analyses import comparison_field, waterfall_field
from etgraph.api.schema.connection import page_arguments
from etgraph.api.schema.cypher import CypherResult, NamedQueryType
from etgraph.api.schema.hardware import HardwareProfile
from etgraph.api.schema.inputs import REFERENCE, LabelInput, labels_of
from etgraph.api.schema.job import Job, JobConnection, JobKindEnum, JobStateEnum
from etgraph.api.schema.node import Node
from etgraph.api.schema.server import ServerInfo, Viewer
from etgraph.api.schema.standing import alert_field, alerts_field, evaluations_field, rules_field, silences_field
from etgraph.api.schema.trace import Tag, Trace, TraceConnection
from etgraph.api.schema.workload import Workload, WorkloadConnection
from etgraph.queries import Workloads
from etgraph.store import Check


def reference_argument() -> graphene.Argument:
    """The argument by which a trace is named."""
    return graphene.Argument(graphene.NonNull(graphene.String), description=REFERENCE)


def _name(what: str) -> graphene.Argument:
    return graphene.Argument(graphene.NonNull(graphene.String), description=f"Name of the {what}.")


def _all_of(kind: Any) -> Any:
    return graphene.NonNull(graphene.List(graphene.NonNull(kind)))


_WORKLOAD = graphene.Argument(graphene.String, description="Only of this workload.")
_TEAM = graphene.Argument(graphene.String, description="Only what this team published.")
_LIMIT = graphene.Argument(
    graphene.NonNull(graphene.Int),
    default_value=1000,
    description=f"No more rows than this; {fetch_cypher.MOST_ROWS:,} at most.",
)
_PARAMETERS = graphene.Argument(Attributes, description="Values of the query's parameters, by name.")


class Query(graphene.ObjectType):
    """What can be read."""

    node = graphene.Field(
        Node,
        description="The node of an id.",
        args={"id": graphene.Argument(graphene.NonNull(graphene.ID), description="The `id` of a node.")},
        resolver=lambda root, info, id: nodes.node(info.context, id),
    )
    trace = graphene.Field(
        Trace,
        description="The trace that a reference means.",
        args={"reference": reference_argument()},
        resolver=lambda root, info, reference: catalogue.trace(info.context, reference),
    )
    traces = graphene.Field(
        graphene.NonNull(TraceConnection),
        description="Stored traces, newest first; one that several workloads name is there for each of them.",
        args={
            "workload": _WORKLOAD,
            "team": _TEAM,
            "labels": graphene.Argument(
                graphene.List(graphene.NonNull(LabelInput)), description="Only those that carry all of these labels."
            ),
            **page_arguments(),
        },
        resolver=lambda root, info, labels=None, **asked: catalogue.traces(
            info.context, labels=labels_of(labels), **asked
        ),
    )
    workload = graphene.Field(
        Workload,
        description="The workload of that name; null where there is none.",
        args={"name": _name("workload")},
        resolver=lambda root, info, name: catalogue.workload(info.context, name),
    )
    workloads = graphene.Field(
        graphene.NonNull(WorkloadConnection),
        description="Workloads that have traces, those with the newest first.",
        args={"team": _TEAM, **page_arguments()},
        resolver=lambda root, info, **asked: catalogue.workloads(info.context, **asked),
    )
    workload_summary = graphene.Field(
        graphene.NonNull(object_type(Workloads)),
        description="The workloads with what the steps of each lose, and a summary of each team.",
        args={"team": _TEAM},
        resolver=lambda root, info, **asked: catalogue.summaries(info.context, **asked),
    )
    tags = graphene.Field(
        _all_of(Tag),
        description="Tags, by workload and name.",
        args={"workload": _WORKLOAD},
        resolver=lambda root, info, **asked: catalogue.tags(info.context, **asked),
    )
    simulations = graphene.Field(
        object_type(fetch_simulations.SavedSimulations),
        description="The simulations that are kept beside a trace, and how each met what was measured.",
        args={"reference": reference_argument()},
        resolver=lambda root, info, reference: fetch_simulations.with_validations(info.context, reference),
    )
    comparison = comparison_field()
    waterfall = waterfall_field()
    check = check_field()
    history = history_field()
    rules = rules_field()
    alerts = alerts_field()
    alert = alert_field()
    evaluations = evaluations_field()
    silences = silences_field()
    jobs = graphene.Field(
        graphene.NonNull(JobConnection),
        description="Jobs of the viewer's team, newest first; of all teams for the scope admin.",
        args={
            "state": graphene.Argument(JobStateEnum, description="Only those in this state."),
            "kind": graphene.Argument(JobKindEnum, description="Only those of this kind."),
            **page_arguments(),
        },
        resolver=lambda root, info, state=None, kind=None, **page: fetch_jobs.jobs(
            info.context, state=state and state.value, kind=kind and kind.value, **page
        ),
    )
    job = graphene.Field(
        Job,
        description="The job of that id.",
        args={"id": graphene.Argument(graphene.NonNull(graphene.ID), description="Its id.")},
        resolver=lambda root, info, id: fetch_jobs.job(info.context, id),
    )
    hardware_profiles = graphene.Field(
        _all_of(HardwareProfile),
        description="The profiles that come with etgraph: devices first, then nodes and clusters of them.",
        resolver=lambda root, info: hardware.profiles(),
    )
    hardware_profile = graphene.Field(
        HardwareProfile,
        description="The profile of that name.",
        args={"name": _name("profile")},
        resolver=lambda root, info, name: hardware.profile(name),
    )
    named_queries = graphene.Field(
        _all_of(NamedQueryType),
        description="The library of Cypher queries that a store in Neo4j answers.",
        resolver=lambda root, info: fetch_cypher.named_queries(),
    )
    named_query = graphene.Field(
        CypherResult,
        description="The answer of a query of the library. Traces among its parameters are given as references. "
        "A query of a team is of the viewer's, unless it has the scope admin.",
        args={"name": _name("query"), "parameters": _PARAMETERS, "limit": _LIMIT},
        resolver=lambda root, info, **asked: fetch_cypher.run(info.context, **asked),
    )
    cypher = graphene.Field(
        CypherResult,
        description="The rows of a Cypher query that reads, on a store in Neo4j. For the scope admin.",
        args={
            "query": graphene.Argument(graphene.NonNull(graphene.String), description="The query's text."),
            "parameters": _PARAMETERS,
            "timeout": graphene.Argument(
                graphene.NonNull(graphene.Float),
                default_value=MOST_SECONDS,
                description=f"Seconds after which the store ends it; {MOST_SECONDS:g} at most.",
            ),
            "limit": _LIMIT,
        },
        resolver=lambda root, info, **asked: fetch_cypher.cypher(info.context, **asked),
    )
    server_info = graphene.Field(
        graphene.NonNull(ServerInfo),
        description="What answers.",
        resolver=lambda root, info: server_info(info.context),
    )
    store_checks = graphene.Field(
        _all_of(object_type(Check)),
        description="Whether the store is in order, as `etgraph doctor` says it. For the scope admin.",
        args={
            "verify": graphene.Argument(
                graphene.NonNull(graphene.Boolean), default_value=False,
                description="Read all that is stored, and compare it with its checksums.",
            )
        },
        resolver=lambda root, info, verify: store_checks(info.context, verify=verify),
    )  # fmt: skip
    viewer = graphene.Field(
        graphene.NonNull(Viewer), description="Who asks.", resolver=lambda root, info: info.context.viewer
    )
    shares = graphene.Field(
        _all_of(Share),
        description="What the viewer's team shares with others; what every team does for the scope admin.",
        resolver=lambda root, info: access.shares(info.context),
    )
    tokens = graphene.Field(
        _all_of(Token),
        description="Every token, oldest first, without what it is proved by. For the scope admin.",
        resolver=lambda root, info: access.tokens(info.context),
    )
    audit_log = graphene.Field(
        graphene.NonNull(AuditEventConnection),
        description="Who changed what, or tried to, the newest first. For the scope admin.",
        args=page_arguments(),
        resolver=lambda root, info, **asked: access.audit_log(info.context, **asked),
    )


__all__ = ["Query", "reference_argument"]
