"""The server and who asks it."""

from __future__ import annotations

import graphene

from etgraph.api.context import Viewer as ContextViewer
from etgraph.api.fetch.server import ServerInfo as FetchedServerInfo
from etgraph.api.generating.types import object_type

ServerInfo = object_type(FetchedServerInfo)
Viewer = object_type(
    ContextViewer,
    leave_out=("scopes",),
    more={
        "scopes": graphene.Field(
            graphene.NonNull(graphene.List(graphene.NonNull(graphene.String))),
            description="What it may do: read, ingest, simulate, alert, admin.",
            resolver=lambda root, info: sorted(root.scopes),
        )
    },
)

__all__ = ["ServerInfo", "Viewer"]
