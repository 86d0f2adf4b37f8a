"""Who asks: everybody who reaches a server on its own machine, or who has a token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import flask

from etgraph.api.access.scopes import SCOPES
from etgraph.api.access.tokens import Tokens
from etgraph.api.context import Viewer
from etgraph.api.errors import Unauthenticated

ViewerOf: TypeAlias = Callable[[flask.Request], Viewer]
"""Tells who sends a request. Raises Unauthenticated for somebody unknown, Forbidden for somebody not let in."""

_CHALLENGE: Final = 'Bearer realm="etgraph"'


def local_viewer(request: flask.Request) -> Viewer:
    """Whoever can reach a server that listens to its own machine alone: the machine's user, who may do all."""
    return Viewer("local", None, frozenset(SCOPES))


def token_viewer(tokens: Tokens) -> ViewerOf:
    """Tells senders apart by the tokens that they send as `Authorization: Bearer etg_…`."""

    def viewer_of(request: flask.Request) -> Viewer:
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        if not scheme:
            raise Unauthenticated(
                "this server answers who sends a token", hint="send the header Authorization: Bearer etg_…"
            )
        if scheme.lower() != "bearer":
            raise Unauthenticated(f"Authorization: found {scheme[:20]!r}, expected Bearer and a token")
        return tokens.viewer(text.strip())

    return viewer_of


def challenge(error: Exception, request: flask.Request) -> dict[str, str]:
    """The headers that go with an error: what a sender who is unknown has to send (RFC 6750)."""
    if not isinstance(error, Unauthenticated):
        return {}
    tried = "Authorization" in request.headers
    return {"WWW-Authenticate": _CHALLENGE + (', error="invalid_token"' if tried else "")}


__all__ = ["ViewerOf", "challenge", "local_viewer", "token_viewer"]
