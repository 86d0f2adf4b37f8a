"""Who asks: the seam at which a server learns to tell its users apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import flask

from etgraph.api.context import Viewer

ViewerOf: TypeAlias = Callable[[flask.Request], Viewer]
"""Tells who sends a request. Raises Unauthenticated for somebody unknown, Forbidden for somebody not let in."""

SCOPES: Final = frozenset({"read", "ingest", "simulate", "alert", "admin"})


def local_viewer(request: flask.Request) -> Viewer:
    """Whoever can reach a server that listens to its own machine alone: the machine's user, who may do all."""
    return Viewer("local", None, SCOPES)


__all__ = ["SCOPES", "ViewerOf", "local_viewer"]
