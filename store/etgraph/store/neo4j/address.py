"""Where a Neo4j server is and who asks: the URL of a store, apart from its credentials."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from etgraph.model.errors import UsageError

DEFAULT_PORT: Final = 7687


@dataclass(frozen=True, slots=True)
class Address:
    """A server, one of its databases (None: the user's home database), and the credentials, which never print."""

    uri: str
    database: str | None
    user: str
    password: str = field(repr=False)

    @property
    def url(self) -> str:
        """What `connect` takes to reach the same database, without credentials."""
        return f"{self.uri}/{self.database}" if self.database else self.uri


def parse(url: str) -> Address:
    """The address that a URL means: `scheme://[user:password@]host[:port][/database]`.

    Credentials come from the URL, else from `ETGRAPH_NEO4J_USER` and `ETGRAPH_NEO4J_PASSWORD`, else from the server
    that `etgraph neo4j start` runs on this machine. Raises UsageError for a URL that is none; it never quotes one.
    """
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    try:
        host, port = parts.hostname, parts.port or DEFAULT_PORT
    except ValueError:
        raise UsageError(f"store {scheme}://…: found a port that is no number from 0 to 65535") from None
    shown = f"{scheme}://{f'[{host}]' if host and ':' in host else host}:{port}"
    if not host:
        raise UsageError(f"store {scheme}://: found no host, expected {scheme}://host:{DEFAULT_PORT}")
    database = unquote(parts.path.strip("/")) or None
    query = parse_qs(parts.query)
    if "database" in query:
        database = query.pop("database")[0]
    if query or parts.fragment or (database and "/" in database):
        raise UsageError(f"store {shown}: found more than a database after the host, expected {shown}/database")
    user, password = _credentials(host, port, parts.username, parts.password)
    return Address(shown, database, user, password)


def _credentials(host: str, port: int, user: str | None, password: str | None) -> tuple[str, str]:
    if password is not None:
        return unquote(user or "neo4j"), unquote(password)
    named = os.environ.get("ETGRAPH_NEO4J_USER")
    secret = os.environ.get("ETGRAPH_NEO4J_PASSWORD")
    if secret is not None:
        return unquote(user) if user else named or "neo4j", secret
    from etgraph.store.neo4j_server.state import local_credentials

    return local_credentials(host, port) or (unquote(user or named or "neo4j"), "")
