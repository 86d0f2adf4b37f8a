"""Scopes: what a token may do."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from etgraph.api.context import Viewer
from etgraph.api.errors import Forbidden

SCOPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "read": "read what its team sees",
        "ingest": "publish traces of its team; tag, label, share and delete them",
        "simulate": "simulate what its team sees, and keep what comes of its own traces",
        "alert": "set rules of its team, acknowledge and silence its alerts",
        "admin": "see and do everything, make and revoke tokens, ask in Cypher",
    }
)
"""Every scope, with what it allows; `admin` allows what the others do."""


def require(viewer: Viewer, scope: str) -> None:
    """Raise Forbidden where a viewer lacks a scope."""
    if scope not in SCOPES:
        raise ValueError(f"no scope {scope!r}")
    if scope not in viewer.scopes and not viewer.is_admin:
        raise Forbidden(
            f"this needs the scope {scope}; {viewer.name} has {', '.join(sorted(viewer.scopes)) or 'none'}",
            hint="an administrator makes tokens: etgraph token create",
        )


__all__ = ["SCOPES", "require"]
