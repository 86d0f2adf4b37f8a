"""Connections: lists a page at a time, as Relay has them."""

from __future__ import annotations

from typing import Any

import graphene

from etgraph.api.fetch.lists import MOST, USUAL
from etgraph.api.scalars import Count


class PageInfo(graphene.ObjectType):
    """Where a page lies in its list."""

    has_next_page = graphene.Boolean(required=True, description="Whether rows follow.")
    has_previous_page = graphene.Boolean(required=True, description="Whether rows come before.")
    start_cursor = graphene.String(description="Where the page begins; null where it is empty.")
    end_cursor = graphene.String(description="Where the page ends, for `after`; null where it is empty.")


def connection_of(name: str, node: Any, what: str, *, counted: bool = True) -> type[graphene.ObjectType]:
    """The connection to nodes of a type; `what` they are, in words. One that is `counted` has `totalCount`."""
    edge = type(
        f"{name}Edge",
        (graphene.ObjectType,),
        {
            "Meta": {"description": f"One of {what}, and its place among them."},
            "cursor": graphene.String(required=True, description="The place, for `after`."),
            "node": graphene.Field(graphene.NonNull(node), description="Itself."),
        },
    )
    count = graphene.Field(Count, description="Rows of all pages together; null where counting would take long.")
    return type(
        f"{name}Connection",
        (graphene.ObjectType,),
        {
            "Meta": {"description": f"A page of {what}."},
            "edges": _list(edge, "The rows with their places."),
            "nodes": _list(node, "The rows alone."),
            "page_info": graphene.Field(graphene.NonNull(PageInfo), description="Where the page lies in the list."),
            **({"total_count": count} if counted else {}),
        },
    )


def _list(of: Any, description: str) -> graphene.Field:
    return graphene.Field(graphene.NonNull(graphene.List(graphene.NonNull(of))), description=description)


def page_arguments() -> dict[str, graphene.Argument]:
    """The arguments of every connection."""
    return {
        "first": graphene.Argument(
            graphene.NonNull(graphene.Int),
            default_value=USUAL,
            description=f"No more rows than this; {MOST:,} at most.",
        ),
        "after": graphene.Argument(
            graphene.String, description="Only rows behind this place: the `endCursor` of the page before."
        ),
    }


__all__ = ["PageInfo", "connection_of", "page_arguments"]
