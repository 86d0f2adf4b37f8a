"""A tree of values as the profile that it describes, with all that is wrong about it."""

from __future__ import annotations

from dataclasses import replace

from etgraph.model.settings.declaration import declared
from etgraph.model.settings.document import Node
from etgraph.model.settings.problems import FileProblems
from etgraph.model.settings.reading import MISSING, Reader, described
from etgraph.sim.profiles.profile import Profile


class ProfileError(FileProblems):
    """A profile cannot be used."""

    code = "BAD_PROFILE"


def profile_of(root: Node) -> Profile:
    """The profile that a tree describes. Raises ProfileError with all its problems."""
    reader = Reader()
    ranks = root.table.pop("ranks", None)
    found = reader.value(root, declared(Profile), ())
    if ranks is not None and found is not MISSING:
        _compare_ranks(reader, ranks, found)
    if reader.problems:
        raise ProfileError(sorted(reader.problems, key=lambda problem: problem.line or 0))
    assert isinstance(found, Profile)
    return replace(found, sources={**found.sources, **reader.sources})


def _compare_ranks(reader: Reader, node: Node, profile: Profile) -> None:
    """A file may say how many devices it means; the tiers must join as many."""
    if node.value != profile.ranks or isinstance(node.value, bool):
        sizes = " × ".join(str(tier.size) for tier in profile.tiers) or "no tiers"
        reader.refuse(node, ("ranks",), described(node), f"{profile.ranks}, as the tiers join ({sizes})")
