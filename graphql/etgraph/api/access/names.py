"""Names of teams, and of whom something is shared with."""

from __future__ import annotations

from typing import Final

from etgraph.model.errors import UsageError
from etgraph.store.references import check_name

EVERYONE: Final = "everyone"
"""Stands for all teams where something is shared."""


def check_team(name: str) -> None:
    """Refuse what no team can be called: UsageError."""
    check_name("team", name, "#")
    if name == EVERYONE:
        raise UsageError(f"team: found {name!r}, which stands for all teams, expected another name")


__all__ = ["EVERYONE", "check_team"]
