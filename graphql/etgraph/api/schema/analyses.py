"""The questions that a trace answers, each as a field."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Final

import graphene

from etgraph.api.fetch import analyses
from etgraph.api.generating.arguments import arguments_of
from etgraph.api.generating.descriptions import of_type
from etgraph.api.generating.types import object_type
from etgraph.model.results import camel_case
from etgraph.queries.questions import QUESTIONS
from etgraph.queries.saving import type_of_answers

_FIELDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "comm-matrix": "communication_matrix",
        "iterations": "iteration_summary",
        "operators": "operator_summary",
    }
)
"""Fields of a trace that are not named as their question: those names are taken, or too short."""

_OF_SEVERAL: Final = frozenset({"compare", "waterfall"})
"""Questions about several traces, which are fields of the root."""


def analysis_fields() -> dict[str, graphene.Field]:
    """A field for each question about one trace: all of `QUESTIONS`, whenever one is added."""
    return {_FIELDS.get(name, name.replace("-", "_")): _field(name) for name in QUESTIONS if name not in _OF_SEVERAL}


def _field(question: str) -> graphene.Field:
    function = QUESTIONS[question].function
    return graphene.Field(
        object_type(type_of_answers(question)),
        description=of_type(function),
        args=arguments_of(question, function),
        resolver=partial(_answer, question),
    )


def _answer(question: str, root: Any, info: Any, **arguments: Any) -> Any:
    return analyses.ask(info.context, root.id, question, arguments)


def field_name(question: str) -> str:
    """The name under which a question is a field of `Trace`."""
    return camel_case(_FIELDS.get(question, question.replace("-", "_")))


__all__ = ["analysis_fields", "field_name"]
