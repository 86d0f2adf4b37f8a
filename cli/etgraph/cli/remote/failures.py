"""What a server says went wrong, as the error that the same question raises without one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from etgraph.model.errors import (
    CorruptStore,
    CycleError,
    DeadlineExceeded,
    EtgraphError,
    InputError,
    MissingData,
    NotFound,
    StoreError,
    UsageError,
)


class Unreachable(StoreError):
    """No answer comes from the server, or none that is a server's of etgraph."""

    code = "UNREACHABLE"


class ServerFailed(StoreError):
    """The server says of itself that something went wrong inside of it."""

    code = "INTERNAL"


class Refused(StoreError):
    """The server does not know who asks, or that one may not do this."""

    code = "FORBIDDEN"
    http_status = 403


class NotUnderstood(StoreError):
    """The server is of another version, and does not know what it is asked."""

    code = "OTHER_VERSION"


class TooCostly(UsageError):
    """The request asks for more than one request may."""

    code = "COST_EXCEEDED"


_KNOWN: Final[Mapping[str, type[EtgraphError]]] = {
    kind.code: kind
    for kind in (
        CorruptStore, CycleError, DeadlineExceeded, InputError, MissingData, NotFound, Refused, ServerFailed,
        StoreError, TooCostly, UsageError,
    )
}  # fmt: skip
_TOKEN: Final = "ETGRAPH_TOKEN holds the token; 'etgraph token' on the server's side makes one"


def error_of(document: Mapping[str, Any]) -> EtgraphError:
    """The error that an entry of `errors` tells."""
    extensions = document.get("extensions") or {}
    code = str(extensions.get("code") or "INTERNAL")
    message, hint = str(document.get("message") or "the server does not say why"), extensions.get("hint")
    if code == "UNAUTHENTICATED":
        return Refused(message, hint=hint or _TOKEN)
    if code == "INTERNAL":
        asked = extensions.get("requestId")
        return ServerFailed(message, hint=f"its log tells more, under request id {asked}" if asked else hint)
    if not document.get("path") and document.get("locations") and code == "BAD_USER_INPUT":
        return NotUnderstood(f"the server does not know what it was asked: {message}")
    return made(str(extensions.get("reason") or code), message, hint)


def made(code: str, message: str, hint: str | None) -> EtgraphError:
    """An error of a kind by its code; all that have none here are about data, as their root is."""
    kind: Any = _KNOWN.get(code) or type("ServerError", (EtgraphError,), {"code": code})
    # Some kinds are made of more than their message, and say it in that.
    error: EtgraphError = kind.__new__(kind, message)
    EtgraphError.__init__(error, message, hint=hint)
    return error


def raise_for(errors: Sequence[Mapping[str, Any]]) -> None:
    """Raise the first of the errors of an answer, if there are any."""
    if errors:
        raise error_of(errors[0])


__all__ = ["NotUnderstood", "Refused", "ServerFailed", "TooCostly", "Unreachable", "error_of", "made", "raise_for"]
