"""Cypher: rows of a query, and the library of named ones."""

from __future__ import annotations

import graphene

from etgraph.api.fetch.cypher import CypherRows
from etgraph.api.generating.types import object_type
from etgraph.api.scalars import Value
from etgraph.queries.library import NamedQuery, Parameter

CypherResult = object_type(
    CypherRows,
    leave_out=("rows",),
    more={
        "rows": graphene.Field(
            graphene.NonNull(graphene.List(graphene.NonNull(graphene.List(Value)))),
            description="The rows, each a list in the order of `columns`.",
        )
    },
)

QueryParameter = object_type(
    Parameter,
    more={
        "required": graphene.Field(
            graphene.NonNull(graphene.Boolean), description="Whether a call must give it.",
            resolver=lambda root, info: root.required,
        )
    },
)  # fmt: skip

NamedQueryType = object_type(NamedQuery, leave_out=("text",))

__all__ = ["CypherResult", "NamedQueryType", "QueryParameter"]
