"""The questions that a trace answers, each as a field."""

from __future__ import annotations

from functools import partial
from typing import Any

import graphene

from etgraph.api.fetch import analyses
from etgraph.api.generating.arguments import arguments_of
from etgraph.api.generating.descriptions import of_type
from etgraph.api.generating.types import object_type
from etgraph.api.schema.inputs import REFERENCE, SideInput
from etgraph.queries.comparison import Comparison
from etgraph.queries.questions import OF_SEVERAL, QUESTIONS, field_of
from etgraph.queries.saving import type_of_answers
from etgraph.queries.waterfall import Waterfalls


def analysis_fields() -> dict[str, graphene.Field]:
    """A field for each question about one trace: all of `QUESTIONS`, whenever one is added."""
    return {field_of(name): _field(name) for name in QUESTIONS}


def _field(question: str) -> graphene.Field:
    function = QUESTIONS[question].function
    return graphene.Field(
        object_type(type_of_answers(question)),
        description=of_type(function),
        args=arguments_of(question, function, after=1),
        resolver=partial(_answer, question),
    )


def comparison_field() -> graphene.Field:
    """The comparison of the traces of two sides, a field of the root."""
    function = OF_SEVERAL["compare"].function
    return graphene.Field(
        object_type(Comparison),
        description=of_type(function),
        args={
            "base": _side("The runs that the others are compared with."),
            "other": _side("The runs that are compared with them."),
            **arguments_of("compare", function, after=2),
            "simulation": graphene.Argument(
                graphene.ID, description="The other side on the timeline of this simulation of its traces."
            ),
        },
        resolver=lambda root, info, **asked: analyses.compare(info.context, **asked),
    )


def waterfall_field() -> graphene.Field:
    """Lost time of several traces, a field of the root."""
    return graphene.Field(
        object_type(Waterfalls),
        description="What the steps of several traces lose, a row each: how workloads compare.",
        args={
            "references": graphene.Argument(_references(), description=f"Which traces. {REFERENCE}"),
            **arguments_of("waterfall", QUESTIONS["waterfall"].function, after=1, simulation=False),
        },
        resolver=lambda root, info, references, **asked: analyses.waterfall(info.context, references, asked),
    )


def _side(description: str) -> graphene.Argument:
    side = graphene.NonNull(graphene.List(graphene.NonNull(SideInput)))
    return graphene.Argument(side, description=description)


def _references() -> Any:
    return graphene.NonNull(graphene.List(graphene.NonNull(graphene.String)))


def _answer(question: str, root: Any, info: Any, **arguments: Any) -> Any:
    return analyses.ask(info.context, root, question, arguments)


__all__ = ["analysis_fields", "comparison_field", "waterfall_field"]
