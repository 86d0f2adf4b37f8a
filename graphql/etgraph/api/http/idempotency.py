"""Mutations that a client may send again: the header `Idempotency-Key` gets the answer of the first time."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from etgraph.api.bounded import Bounded
from etgraph.api.context import Viewer
from etgraph.api.errors import BadRequest
from etgraph.api.http.answers import Answer

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotency-Replayed"
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_OVERHEAD: Final = 500


@dataclass(slots=True)
class Once:
    """What came of a mutation: to be set by who executes it, set already where that was before."""

    answer: Answer | None = None


@dataclass(frozen=True, slots=True)
class _Entry:
    """The hash of what was asked, and how it ended; neither answer nor error while it runs."""

    body: bytes
    answer: Answer | None = None
    error: Exception | None = None


class IdempotencyKeys:
    """Answers of mutations by viewer and key, for a time and within a bound of bytes."""

    def __init__(self, most_bytes: int, seconds: float) -> None:
        self._entries: Bounded[tuple[str, str | None, str | None, str], _Entry] = Bounded(most_bytes, seconds=seconds)

    @contextmanager
    def once(self, key: str, viewer: Viewer, body: bytes) -> Iterator[Once]:
        """Execute a mutation inside, unless its answer is there. What it raises is raised again the next time, too:
        nobody knows how far it came.

        Raises BadRequest: 400 for a malformed key, 409 while the first one runs, 422 where it had another body.
        """
        if not _KEY.fullmatch(key):
            raise BadRequest(f"{HEADER}: expected 1 to 255 printable characters without blanks")
        place, told = (viewer.name, viewer.team, viewer.token, key), hashlib.sha256(body).digest()
        found = self._entries.claim(place, _Entry(told), _OVERHEAD)
        if found is not None:
            yield Once(_answer_of(found, told))
            return
        once = Once()
        try:
            yield once
        except Exception as error:
            self._entries.put(place, _Entry(told, error=error.with_traceback(None)), _OVERHEAD)
            raise
        assert once.answer is not None
        self._entries.put(place, _Entry(told, once.answer), _OVERHEAD + len(once.answer.body))


def _answer_of(found: _Entry, told: bytes) -> Answer:
    """The answer of the first time, if it was asked the same and is done."""
    if found.body != told:
        raise BadRequest(f"{HEADER}: this key was used for another request", status=422)
    if found.error is not None:
        raise found.error
    if found.answer is None:
        raise BadRequest(f"{HEADER}: the first request with this key is still running", status=409)
    return found.answer


__all__ = ["HEADER", "REPLAYED", "IdempotencyKeys", "Once"]
