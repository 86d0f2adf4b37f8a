"""Rules of teams, the alerts that they raise, silences, and what came of each check."""

from __future__ import annotations

from typing import Any, Literal

import graphene

from etgraph.alerts.standing.alert import Alert as FetchedAlert
from etgraph.alerts.standing.alert import AlertState
from etgraph.alerts.standing.evaluation import Evaluation as FetchedEvaluation
from etgraph.alerts.standing.evaluation import EvaluationStatus
from etgraph.alerts.standing.rule_sets import RuleSet as FetchedRuleSet
from etgraph.alerts.standing.silences import LONGEST
from etgraph.alerts.standing.silences import Silence as FetchedSilence
from etgraph.api.fetch import standing
from etgraph.api.generating.descriptions import of_type
from etgraph.api.generating.enums import choice_of
from etgraph.api.generating.types import fields_of, object_type
from etgraph.api.scalars import DateTime
from etgraph.api.schema.connection import connection_of, page_arguments
from etgraph.api.schema.node import Node

AlertStateEnum = choice_of(AlertState, "AlertState", "What holds of an alert.")
AlertLevelEnum = choice_of(Literal["error", "warn"], "AlertLevel", "What comes of a rule that is broken.")
AlertVerdictEnum = choice_of(
    Literal["broken", "incomparable", "undecided"], "AlertVerdict", "The verdict on a rule that raised an alert."
)
EvaluationStatusEnum = choice_of(EvaluationStatus, "EvaluationStatus", "What came of rules on a trace.")

RuleSet = object_type(FetchedRuleSet)
Silence = object_type(FetchedSilence)
Alert = type(
    "Alert",
    (graphene.ObjectType,),
    {
        "Meta": {"description": of_type(FetchedAlert), "interfaces": (Node,)},
        **fields_of(FetchedAlert, leave_out=("state",), windows=False),
        "id": graphene.Field(
            graphene.NonNull(graphene.ID),
            description="Names it among everything; those of later traces have greater ones.",
            resolver=lambda root, info: root.id,
        ),
        "state": graphene.Field(graphene.NonNull(AlertStateEnum), description="What holds of it now."),
        "firing": graphene.Field(
            graphene.NonNull(graphene.Boolean),
            description="Whether somebody is to look at it: broken or not to be compared, not resolved, not silenced.",
            resolver=lambda root, info: root.is_firing,
        ),
    },
)
AlertConnection = connection_of("Alert", Alert, "alerts", counted=False)
Evaluation = type(
    "Evaluation",
    (graphene.ObjectType,),
    {
        "Meta": {"description": of_type(FetchedEvaluation)},
        **fields_of(FetchedEvaluation, leave_out=("status",), windows=False),
        "status": graphene.Field(graphene.NonNull(EvaluationStatusEnum), description="What came of the rules."),
    },
)
EvaluationConnection = connection_of("Evaluation", Evaluation, "evaluations", counted=False)


def _only(kind: Any, description: str) -> graphene.Argument:
    return graphene.Argument(kind, description=description)


def _text(description: str) -> graphene.Argument:
    return graphene.Argument(graphene.NonNull(graphene.String), description=description)


def _texts(description: str, usual: list[str]) -> graphene.Argument:
    kind = graphene.NonNull(graphene.List(graphene.NonNull(graphene.String)))
    return graphene.Argument(kind, default_value=usual, description=description)


def _glob(description: str) -> graphene.Argument:
    return graphene.Argument(graphene.NonNull(graphene.String), default_value="*", description=description)


_WORKLOAD = _only(graphene.String, "Only of this workload.")
_RULES = _only(graphene.String, "Only by the set of rules of this name.")
_TRACE = _only(graphene.ID, "Only of the trace of this id.")
_ID_OR_SHORT = graphene.Argument(graphene.NonNull(graphene.ID), description="Its id, or digits 15 to 26 of it.")
_TEAM = _only(graphene.String, "Of this team, for the scope admin; else of one's own.")


def _value(choice: Any) -> Any:
    return choice and choice.value


def rules_field() -> graphene.Field:
    """The sets of rules, a field of the root."""
    return graphene.Field(
        graphene.NonNull(graphene.List(graphene.NonNull(RuleSet))),
        description="The rules that new traces of the viewer's team are checked by; of all teams for the scope admin.",
        resolver=lambda root, info: standing.rules(info.context),
    )


def alerts_field() -> graphene.Field:
    """Alerts a page at a time, a field of the root."""
    return graphene.Field(
        graphene.NonNull(AlertConnection),
        description="Alerts of the viewer's team, those of the newest traces first; of all teams for the scope admin.",
        args={
            "workload": _only(graphene.String, "Only of this workload, or of those that fit a glob of * and ?."),
            "rule": _only(graphene.String, "Only of the rule of this id, or of those that fit a glob."),
            "rules": _RULES,
            "state": _only(AlertStateEnum, "Only those in this state."),
            "level": _only(AlertLevelEnum, "Only of rules of this level."),
            "status": _only(AlertVerdictEnum, "Only those that this verdict raised."),
            "trace": _TRACE,
            **page_arguments(),
        },
        resolver=lambda root, info, state=None, level=None, status=None, **asked: standing.alerts(
            info.context, state=_value(state), level=_value(level), status=_value(status), **asked
        ),
    )


def alert_field() -> graphene.Field:
    """One alert, a field of the root."""
    return graphene.Field(
        Alert,
        description="The alert of that id.",
        args={"id": _ID_OR_SHORT},
        resolver=lambda root, info, id: standing.alert(info.context, id),
    )


def evaluations_field() -> graphene.Field:
    """What came of rules, a field of the root."""
    return graphene.Field(
        graphene.NonNull(EvaluationConnection),
        description="What the rules of the viewer's team came to on its traces, newest first.",
        args={
            "workload": _WORKLOAD,
            "trace": _TRACE,
            "rules": _RULES,
            "status": _only(EvaluationStatusEnum, "Only those that came to this."),
            **page_arguments(),
        },
        resolver=lambda root, info, status=None, **asked: standing.evaluations(
            info.context, status=_value(status), **asked
        ),
    )


def silences_field() -> graphene.Field:
    """Silences, a field of the root."""
    return graphene.Field(
        graphene.NonNull(graphene.List(graphene.NonNull(Silence))),
        description="Silences of the viewer's team that have not expired, newest first.",
        args={
            "expired": graphene.Argument(
                graphene.NonNull(graphene.Boolean), default_value=False, description="Also those that have."
            )
        },
        resolver=lambda root, info, expired: standing.silences(info.context, expired=expired),
    )


SET_RULES = {
    "name": _text("What they are called: letters and digits, with - . _ between them."),
    "text": _text("The file of rules, or `default` for those that come with etgraph."),
    "workloads": _texts("Globs of the workloads whose traces are checked.", ["*"]),
    "baseline": _texts(
        "What rules that name none compare with: references, `branch:NAME`, `last:N`, and `@tag` for that tag of the "
        "trace's own workload. Without any it is `@baseline` where the workload has that tag, else `last:5`.",
        [],
    ),
    "version": _only(graphene.Int, "Only where the set is in this version; 0 where there must be none."),
    "team": _TEAM,
}
"""Arguments by which rules are set."""
REMOVE_RULES = {"name": _text("What they are called."), "team": _TEAM}
"""Arguments by which rules are taken away."""
ACKNOWLEDGE = {
    "id": _ID_OR_SHORT,
    "note": _only(graphene.String, "What is to be said of it."),
}
"""Arguments by which an alert is acknowledged."""
SILENCE = {
    "reason": _text("Why."),
    "expires": graphene.Argument(
        graphene.NonNull(DateTime), description=f"Until when; within {LONGEST.days} days of its start."
    ),
    "starts": _only(DateTime, "Since when; now if not said."),
    "rule": _glob("Glob of the rules."),
    "workload": _glob("Glob of the workloads."),
    "operator": _only(graphene.String, "Glob that one of those responsible must fit."),
    "team": _TEAM,
}
"""Arguments by which alerts are silenced."""

__all__ = [
    "ACKNOWLEDGE",
    "REMOVE_RULES",
    "SET_RULES",
    "SILENCE",
    "Alert",
    "Evaluation",
    "RuleSet",
    "Silence",
    "alert_field",
    "alerts_field",
    "evaluations_field",
    "rules_field",
    "silences_field",
]
