"""The root of mutations: what can be changed. Each gives what was done, or the error that is its outcome."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import graphene

from etgraph.api.access.scopes import SCOPES
from etgraph.api.fetch import access, changes, standing
from etgraph.api.generating.descriptions import of_type
from etgraph.api.generating.types import object_type
from etgraph.api.scalars import Attributes
from etgraph.api.schema.access import Share, Token
from etgraph.api.schema.inputs import LabelInput, labels_of
from etgraph.api.schema.job import Job
from etgraph.api.schema.query import reference_argument
from etgraph.api.schema.standing import ACKNOWLEDGE, REMOVE_RULES, SET_RULES, SILENCE, Alert, RuleSet, Silence
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
        resolver=lambda root, info, **given: changes.outcome(
            info.context, info.field_name, given, lambda: does(info.context, **given)
        ),
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


def _group() -> graphene.Argument:
    return _text("A team, or `everyone`.")


def _told(kind: Any, description: str, value: Callable[[Any], Any]) -> graphene.Field:
    """A field of a success, as a function of what was done."""
    return graphene.Field(graphene.NonNull(kind), description=description, resolver=lambda root, info: value(root))


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
            "workload": _told(graphene.String, "The workload.", lambda done: done.more[0]),
            "name": _told(graphene.String, "The tag.", lambda done: done.more[1]),
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
            "id": _told(graphene.ID, "Id of the trace that was.", lambda done: done.more),
        },
    )
    keep_answer = _mutation(
        "KeepAnswer",
        "Work an answer out and keep it beside its trace, from where whoever asks the same gets it.",
        changes.keep,
        {
            "reference": reference_argument(),
            "question": _text("The question; `serverInfo` tells which there are."),
            "choices": graphene.Argument(Attributes, description="Arguments of the question by name."),
            "simulation": graphene.Argument(
                graphene.ID, description="On the timeline of this simulation of the trace: its id, or the beginning."
            ),
        },
        {"trace": _trace()},
    )
    score_simulations = _mutation(
        "ScoreSimulations",
        "Score the simulations of a workload's other traces that predict a trace, against its measured times.",
        changes.score,
        {"reference": reference_argument()},
        {"trace": _trace()},
    )
    simulate = _mutation(
        "Simulate",
        "Predict when every operator of a trace starts and how long it takes.",
        changes.simulate,
        {
            "reference": reference_argument(),
            "profile": graphene.Argument(
                graphene.String,
                description="On this hardware: a built-in profile, or the text of a whole one. Else as it ran.",
            ),
            "iterations": graphene.Argument(
                graphene.List(graphene.NonNull(graphene.Int)),
                description="Only these iterations of the trace, by index. What is kept is of a whole one.",
            ),
            "save": graphene.Argument(
                graphene.NonNull(graphene.Boolean), default_value=False,
                description="Keep it beside the trace, so that analyses take it as `simulation`. A job does that.",
            ),
            "wait": graphene.Argument(
                graphene.NonNull(graphene.Boolean), default_value=True,
                description="Answer when the job has ended; where that takes long, or without this, while it is at it.",
            ),
        },
        {
            "trace": _trace(),
            "simulation": graphene.Field(
                SimulationResult, description="What was predicted; null while the job is at it.",
                resolver=lambda root, info: root.more.simulation,
            ),
            "job": graphene.Field(
                Job, description="The job that keeps it; null where it is not to be kept.",
                resolver=lambda root, info: root.more.job,
            ),
        },
    )  # fmt: skip
    remove_simulation = _mutation(
        "RemoveSimulation",
        "Delete a simulation that is kept beside a trace, with the answers on its timeline.",
        changes.drop_simulation,
        {"reference": reference_argument(), "simulation": _text("Its id, or the beginning of it.")},
        {"trace": _trace(), "id": _told(graphene.ID, "Id of the simulation that was.", lambda done: done.more)},
    )
    cancel_job = _mutation(
        "CancelJob",
        "Have a job stopped: at once where it waits, soon where it runs; one that has ended stays as it is.",
        changes.cancel_job,
        {"id": graphene.Argument(graphene.NonNull(graphene.ID), description="Its id.")},
        {"job": _told(Job, "The job as it is now.", lambda done: done.more)},
    )
    set_rules = _mutation(
        "SetRules",
        "Keep rules by which new traces of a team are checked, in place of those of the same name.",
        standing.set_rules,
        SET_RULES,
        {"rules": _told(RuleSet, "The rules as they are kept.", lambda kept: kept)},
    )
    remove_rules = _mutation(
        "RemoveRules",
        "Take rules away; alerts that they raised are resolved.",
        standing.remove_rules,
        REMOVE_RULES,
        {"rules": _told(RuleSet, "The rules that were.", lambda removed: removed)},
    )
    check_trace = _mutation(
        "CheckTrace",
        "Have a trace of one's own checked by the rules for its workload, as if it came now.",
        standing.check_trace,
        {"reference": reference_argument()},
        {
            "jobs": graphene.Field(
                graphene.NonNull(graphene.List(graphene.NonNull(Job))), description="The jobs that do it.",
                resolver=lambda root, info: root,
            )
        },
    )  # fmt: skip
    acknowledge_alert = _mutation(
        "AcknowledgeAlert",
        "Note that somebody looks after an alert.",
        standing.acknowledge,
        ACKNOWLEDGE,
        {"alert": _told(Alert, "The alert as it is now.", lambda alert: alert)},
    )
    silence = _mutation(
        "Silence",
        "Let alerts not be heard for a while, those that come too.",
        standing.silence,
        SILENCE,
        {"silence": _told(Silence, "The silence.", lambda made: made)},
    )
    remove_silence = _mutation(
        "RemoveSilence",
        "End a silence.",
        standing.remove_silence,
        {"id": graphene.Argument(graphene.NonNull(graphene.ID), description="Its id.")},
        {"silence": _told(Silence, "The silence that was.", lambda removed: removed)},
    )
    share_trace = _mutation(
        "ShareTrace",
        "Let a team, or everyone, read a trace of one's own.",
        lambda context, reference, **group: access.share(context, reference, group["with"]),
        {"reference": reference_argument(), "with": _group()},
        {"trace": _trace(), "share": _told(Share, "What is shared with whom.", lambda done: done.more)},
    )
    unshare_trace = _mutation(
        "UnshareTrace",
        "Take back that a team, or everyone, may read a trace.",
        lambda context, reference, **group: access.unshare(context, reference, group["with"]),
        {"reference": reference_argument(), "with": _group()},
        {"trace": _trace()},
    )
    share_workload = _mutation(
        "ShareWorkload",
        "Let a team, or everyone, read all of one's own traces under a workload, those to come included.",
        lambda context, workload, **group: access.share_workload(context, workload, group["with"]),
        {"workload": _text("The workload."), "with": _group()},
        {"share": _told(Share, "What is shared with whom.", lambda share: share)},
    )
    unshare_workload = _mutation(
        "UnshareWorkload",
        "Take back that a team, or everyone, may read a workload; single traces that are shared stay so.",
        lambda context, workload, **group: access.unshare_workload(context, workload, group["with"]),
        {"workload": _text("The workload."), "with": _group()},
        {
            "workload": _told(graphene.String, "The workload.", lambda done: done[0]),
            "shared_with": _told(graphene.String, "The team, or `everyone`.", lambda done: done[1]),
        },
    )
    create_token = _mutation(
        "CreateToken",
        "Make a token. For the scope admin.",
        access.create_token,
        {
            "name": _text("What its owner is called in logs."),
            "team": _text("The team that it acts for."),
            "scopes": graphene.Argument(
                graphene.NonNull(graphene.List(graphene.NonNull(graphene.String))),
                description=f"What it may do: {', '.join(SCOPES)}.",
            ),
            "days": graphene.Argument(graphene.Int, description="For so many days; without, for ever."),
        },
        {
            "token": _told(Token, "What is known of it.", lambda made: made.token),
            "secret": _told(
                graphene.String, "What its owner sends as `Authorization: Bearer`. It is never told again.",
                lambda made: made.secret,
            ),
        },
    )  # fmt: skip
    revoke_token = _mutation(
        "RevokeToken",
        "End a token: at once where it is asked, within two seconds everywhere. For the scope admin.",
        access.revoke_token,
        {"id": _text("Its id.")},
        {"token": _told(Token, "What is known of it.", lambda token: token)},
    )


__all__ = ["ERRORS", "Mutation"]
