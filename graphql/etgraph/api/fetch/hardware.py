"""The hardware profiles that come with etgraph. Clients name no files of the server."""

from __future__ import annotations

from functools import cache

from etgraph.model.errors import NotFound
from etgraph.sim.profiles import Profile, builtin_names, load


@cache
def profiles() -> tuple[Profile, ...]:
    """All of them: devices first, then nodes and clusters of them."""
    return tuple(sorted(map(load, builtin_names()), key=lambda each: (each.device.kind, bool(each.tiers), each.name)))


def profile(name: str) -> Profile:
    """The profile of that name. Raises NotFound where there is none."""
    if name not in builtin_names():
        raise NotFound(f"no profile {name!r}", hint="hardwareProfiles lists the profiles that there are")
    return load(name)


__all__ = ["profile", "profiles"]
