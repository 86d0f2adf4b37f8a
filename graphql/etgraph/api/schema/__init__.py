"""The types of the API, a module a noun, and the schema that they make. Nothing here gets data: see `fetch`."""

from __future__ import annotations

import graphene

from etgraph.api.schema.mutation import ERRORS, Mutation
from etgraph.api.schema.query import Query

SCHEMA = graphene.Schema(query=Query, mutation=Mutation, types=list(ERRORS.values()))
"""The whole schema."""

__all__ = ["SCHEMA"]
