"""Which pages in a browser may send requests: those that this server serves, and those of configured origins.

A page of any site can make a browser on this machine send requests to this machine. Browsers say where a request comes
from (`Sec-Fetch-Site`, `Origin`), and a name that somebody points at 127.0.0.1 betrays itself as `Host`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import flask

from etgraph.api.errors import Forbidden

LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
"""Names of this machine for itself."""


@dataclass(frozen=True, slots=True)
class Guard:
    """`hosts` are the names under which the server is asked (none: any), `origins` those of pages that may ask it."""

    hosts: tuple[str, ...]
    origins: tuple[str, ...] = ()

    def check(self, request: flask.Request) -> None:
        """Raise Forbidden for a request under a foreign name, or from a page of another site."""
        host = name_of(request.host)
        if self.hosts and host not in self.hosts:
            raise Forbidden(
                f"Host: found {host!r}, expected one of {', '.join(self.hosts)}",
                hint="the setting `hosts` names further ones",
            )
        origin = request.headers.get("Origin")
        if origin is not None and origin in self.origins:
            return
        site = request.headers.get("Sec-Fetch-Site")
        foreign = site not in ("same-origin", "none") if site is not None else not _is_own(origin, request)
        if foreign:
            raise Forbidden(
                f"a page of another site sent this request (Origin: {origin}, Sec-Fetch-Site: {site})",
                hint="the setting `origins` names pages that may",
            )

    def allow(self, request: flask.Request, response: flask.Response, methods: Sequence[str]) -> None:
        """Add what lets a page of a configured origin read the answer; nothing for others."""
        if not self.origins:
            return
        response.vary.add("Origin")
        origin = request.headers.get("Origin")
        if origin not in self.origins:
            return
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = "ETag, Idempotency-Replayed, X-Request-Id"
        if request.method == "OPTIONS":
            response.headers["Access-Control-Allow-Methods"] = ", ".join(methods)
            response.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type, Idempotency-Key"
            response.headers["Access-Control-Max-Age"] = "600"


def name_of(host: str) -> str:
    """A host without its port and brackets, in lower case.

    >>> name_of("LocalHost:8000"), name_of("[::1]:8000")
    ('localhost', '::1')
    """
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:  # brackets around what is no address
        return ""


def _is_own(origin: str | None, request: flask.Request) -> bool:
    """Whether an `Origin` is this server's own, or that of no page."""
    return origin is None or origin.partition("://")[2] == request.host


__all__ = ["LOOPBACK", "Guard", "name_of"]
