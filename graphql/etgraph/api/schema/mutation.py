"""The root of mutations: what can be changed. Each gives what was done, or the error that is its outcome."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import graphene

from etgraph.api.fetch import changes
from etgraph.api.generating.descriptions import of_type
from etgraph.api.generating.types import object_type
from etgraph.api.schema.inputs import LabelInput, labels_of
from etgraph.api.schema.job import Job
from etgraph.api.schema.query import reference_argument
from etgraph.api.schema.trace import Trace
from etgraph.model.errors import EtgraphError, UsageError
from etgraph.sim.simulation import Simulation


class Error(graphene.Interface):
    """An outcome of a mutation that a client must reckon with: nothing was changed."""

    message = graphene.String(required=True, description="What is wrong: the place, what was found, what was expected.")
    code = graphene.String(
        required=True,
        description="Its kind, as etgraph names it everywhere.",
        resolver=lambda root, info: root.kind.code,
    )
    hint = graphene.String(description="What to do about it; null where there is nothing to say.")

    @classmethod
    def resolve_type(cls, instance: Any, info: Any) -> type[graphene.ObjectType]:
        """The type of an error."""
        return ERRORS[instance.kind]


def _error(kind: type[EtgraphError]) -> type[graphene.ObjectType]:
    """The type of a kind of errors."""
    name = "BadUserInputError" if kind is UsageError else f"{kind.__name__}Error"
    return type(name, (graphene.ObjectType,), {"Meta": {"description": of_type(kind), "interfaces": (Error,)}})


ERRORS = {kind: _error(kind) for kind in changes.EXPECTED}
"""The types of the errors that are outcomes."""


def _mutation(
    field: str,
    description: str,
    does: Callable[..., Any],
    arguments: dict[str, graphene.Argument],
    gives: dict[str, graphene.Field],
) -> graphene.Field:
    """A field of a mutation: its arguments, what it does, and the fields of its success."""
    told = description  # a class body does not see a name that it sets itself
    done = type(
        f"{field}Success",
        (graphene.ObjectType,),
        {"Meta": {"description": f"{description} It is done."}, **gives},
    )

    class Result(graphene.Union):
        class Meta:
            name = f"{field}Result"
            description = f"{told} What came of it."
            types = (done, *ERRORS.values())

        @classmethod
        def resolve_type(cls, instance: Any, info: Any) -> type[graphene.ObjectType]:
            return ERRORS[instance.kind] if isinstance(instance, changes.Failed) else done

    return graphene.Field(
        graphene.NonNull(Result),
        description=description,
        args=arguments,
        resolver=lambda root, info, **given: changes.outcome(info.context, lambda: does(info.context, **given)),
    )


SimulationResult = object_type(
    Simulation,
    more={
        "id": graphene.Field(
            graphene.NonNull(graphene.ID),
            description="Follows from its choices and times, and from nothing else.",
            resolver=lambda root, info: root.id,
        )
    },
)


def _text(description: str) -> graphene.Argument:
    return graphene.Argument(graphene.NonNull(graphene.String), description=description)


def _trace() -> graphene.Field:
    return graphene.Field(graphene.NonNull(Trace), description="The trace as it is now.")


class Mutation(graphene.ObjectType):
    """What can be changed."""

    tag_trace = _mutation(
        "TagTrace",
        "Let `workload@name` mean a trace; a tag that the workload has already moves.",
        changes.tag,
        {"reference": reference_argument(), "name": _text("The tag.")},
        {"trace": _trace()},
    )
    untag_trace = _mutation(
        "UntagTrace",
        "Take a tag away; the trace stays.",
        changes.untag,
        {"workload": _text("The workload that has the tag."), "name": _text("The tag.")},
        {
            "workload": graphene.Field(
                graphene.NonNull(graphene.String), description="The workload.", resolver=lambda root, info: root.more[0]
            ),
            "name": graphene.Field(
                graphene.NonNull(graphene.String), description="The tag.", resolver=lambda root, info: root.more[1]
            ),
        },
    )
    label_trace = _mutation(
        "LabelTrace",
        "Set labels on a trace; those of other keys stay.",
        lambda context, reference, labels: changes.label(context, reference, labels_of(labels)),
        {
            "reference": reference_argument(),
            "labels": graphene.Argument(
                graphene.NonNull(graphene.List(graphene.NonNull(LabelInput))), description="The labels."
            ),
        },
        {"trace": _trace()},
    )
    delete_trace = _mutation(
        "DeleteTrace",
        "Delete a trace with all its names and all that was computed from it.",
        changes.delete,
        {"reference": reference_argument()},
        {
            "id": graphene.Field(
                graphene.NonNull(graphene.ID),
                description="Id of the trace that was.",
                resolver=lambda root, info: root.more,
            )
        },
    )
    simulate = _mutation(
        "Simulate",
        "Predict when every operator of a trace starts and how long it takes.",
        changes.simulate,
        {
            "reference": reference_argument(),
            "profile": graphene.Argument(
                graphene.String,
                description="On this hardware: a built-in profile. Else the trace is run again from its dependencies.",
            ),
            "save": graphene.Argument(
                graphene.NonNull(graphene.Boolean),
                default_value=False,
                description="Keep it beside the trace, so that analyses take it as `simulation`. A job does that.",
            ),
            "wait": graphene.Argument(
                graphene.NonNull(graphene.Boolean),
                default_value=True,
                description="Answer when the job has ended; where that takes long, or without this, while it is at it.",
            ),
        },
        {
            "trace": _trace(),
            "simulation": graphene.Field(
                SimulationResult,
                description="What was predicted; null while the job is at it.",
                resolver=lambda root, info: root.more.simulation,
            ),
            "job": graphene.Field(
                Job,
                description="The job that keeps it; null where it is not to be kept.",
                resolver=lambda root, info: root.more.job,
            ),
        },
    )
    cancel_job = _mutation(
        "CancelJob",
        "Have a job stopped: at once where it waits, soon where it runs; one that has ended stays as it is.",
        changes.cancel_job,
        {"id": graphene.Argument(graphene.NonNull(graphene.ID), description="The job's id.")},
        {
            "job": graphene.Field(
                graphene.NonNull(Job), description="The job as it is now.", resolver=lambda root, info: root.more
            )
        },
    )  # fmt: skip


__all__ = ["ERRORS", "Mutation"]
