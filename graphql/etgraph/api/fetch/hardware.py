"""The hardware profiles that come with etgraph. Clients name no files of the server."""

from __future__ import annotations

from functools import cache
from typing import Final

from etgraph.model.errors import NotFound, UsageError
from etgraph.model.settings.document import document
from etgraph.sim.profiles import Profile, ProfileError, builtin_names, load, loads

GIVEN: Final = "profile.toml"
"""What messages call the text of a profile that a client gives."""


@cache
def profiles() -> tuple[Profile, ...]:
    """All of them: devices first, then nodes and clusters of them."""
    return tuple(sorted(map(load, builtin_names()), key=lambda each: (each.device.kind, bool(each.tiers), each.name)))


def given_profile(text: str) -> Profile:
    """The profile that an argument gives: a built-in one by its name, or all of one as the text of a file.

    Raises NotFound for an unknown name, UsageError for a text that builds on another file, ProfileError for a bad one.
    """
    if "\n" not in text:
        return profile(text)
    if "extends" in document(text, GIVEN, ProfileError).table:
        raise UsageError(
            f"{GIVEN}: found `extends`, expected a profile that is whole",
            hint="'etgraph profile show FILE --toml' prints it with all that it builds on",
        )
    return loads(text, file=GIVEN)


def profile(name: str) -> Profile:
    """The profile of that name. Raises NotFound where there is none."""
    if name not in builtin_names():
        raise NotFound(f"no profile {name!r}", hint="hardwareProfiles lists the profiles that there are")
    return load(name)


__all__ = ["given_profile", "profile", "profiles"]
