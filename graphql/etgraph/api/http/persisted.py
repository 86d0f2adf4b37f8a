"""Persisted queries: a client sends the hash of a document it sent before, in the shape of Apollo's APQ."""

from __future__ import annotations

import re
from typing import Any

from etgraph.api.bounded import Bounded
from etgraph.api.errors import BadRequest
from etgraph.api.http.request import Asked
from etgraph.api.limits.documents import hash_of
from etgraph.model.errors import NotFound

_HASH = re.compile(r"[0-9a-f]{64}")


class PersistedQueryNotFound(NotFound):
    """No document has that hash: the client sends it, with the hash, and need not the next time."""

    def __init__(self) -> None:
        # The very text by which clients know it.
        super().__init__("PersistedQueryNotFound", hint="send the query with its hash, and from then on the hash alone")


class PersistedQueries:
    """Texts of documents by their hash, within a bound of bytes."""

    def __init__(self, most_bytes: int) -> None:
        self._texts: Bounded[str, str] = Bounded(most_bytes)

    def text_of(self, asked: Asked) -> str:
        """The document that a request means. Raises PersistedQueryNotFound, and BadRequest for a hash that is wrong."""
        wanted = _hash(asked.extensions.get("persistedQuery"))
        if wanted is None:
            assert asked.query is not None
            return asked.query
        if asked.query is None:
            found = self._texts.get(wanted)
            if found is None:
                raise PersistedQueryNotFound
            return found
        if hash_of(asked.query) != wanted:
            raise BadRequest("extensions.persistedQuery: the hash is not the SHA-256 of the query")
        return asked.query

    def keep(self, asked: Asked) -> None:
        """Remember a document that turned out valid, if the request gave its hash."""
        wanted = _hash(asked.extensions.get("persistedQuery"))
        if wanted is not None and asked.query is not None:
            self._texts.put(wanted, asked.query, len(asked.query))


def _hash(value: Any) -> str | None:
    """The hash that `extensions.persistedQuery` gives."""
    if value is None:
        return None
    if not isinstance(value, dict) or value.get("version") != 1:
        raise BadRequest("extensions.persistedQuery: expected an object with version 1 and sha256Hash")
    found = value.get("sha256Hash")
    if not isinstance(found, str) or not _HASH.fullmatch(found):
        raise BadRequest("extensions.persistedQuery.sha256Hash: expected 64 hexadecimal digits in lower case")
    return found


__all__ = ["PersistedQueries", "PersistedQueryNotFound"]
