"""Placements: on which device each rank of a job runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from etgraph.model.errors import UsageError
from etgraph.sim.profiles import Profile

Placement = tuple[int, ...]
"""The device of each rank, rank 0 first."""


def interleaved(profile: Profile, ranks: int) -> Placement:
    """Neighbouring ranks on different positions of the innermost tier, over as many of them as the job needs.

    With nodes of 8 and 16 ranks: rank 0 on the first node, rank 1 on the second, rank 2 on the first again.
    """
    size = profile.tiers[0].size if profile.tiers else 1
    return _dealt(ranks, -(-ranks // size), size)


def spread(profile: Profile, ranks: int) -> Placement:
    """As `interleaved`, over all positions of the innermost tier that the profile has."""
    size = profile.tiers[0].size if profile.tiers else 1
    return _dealt(ranks, max(profile.ranks // size, 1), size)


def _dealt(ranks: int, nodes: int, size: int) -> Placement:
    """Ranks given to nodes in turns."""
    return tuple(rank % nodes * size + rank // nodes for rank in range(ranks))


PLACEMENTS: Final[Mapping[str, Callable[[Profile, int], Placement | None]]] = {
    "in-order": lambda profile, ranks: None,
    "interleaved": interleaved,
    "spread": spread,
}
"""Placements that every grid knows: of a job of so many ranks on a profile; None: rank r is on device r."""


def placed(name: str, own: Mapping[str, Placement], profile: Profile, ranks: int) -> Placement | None:
    """The placement of that name. Raises UsageError for one of the grid's own that has too few ranks."""
    if name not in own:
        return PLACEMENTS[name](profile, ranks)
    if len(own[name]) < ranks:
        raise UsageError(f"placement {name!r} names {len(own[name])} devices, expected {ranks}, one for each rank")
    return own[name]
