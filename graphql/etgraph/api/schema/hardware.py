"""Hardware profiles: what a device and its network can do."""

from __future__ import annotations

import graphene

from etgraph.api.generating.types import object_type
from etgraph.sim.profiles import Profile, fingerprint

HardwareProfile = object_type(
    Profile,
    more={
        "ranks": graphene.Field(
            graphene.NonNull(graphene.Int), description="Devices that its network joins.",
            resolver=lambda root, info: root.ranks,
        ),
        "fingerprint": graphene.Field(
            graphene.NonNull(graphene.String), description="Another one for each content of a profile of the name.",
            resolver=lambda root, info: fingerprint(root),
        ),
    },
)  # fmt: skip

__all__ = ["HardwareProfile"]
