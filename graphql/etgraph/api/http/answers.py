"""Answers as bytes: what is sent, compressed or not, and those over immutable traces kept to be sent again."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import msgspec

from etgraph.api.bounded import Bounded
from etgraph.api.context import Viewer
from etgraph.api.http.reads import Read
from etgraph.store import Store

CACHED_ROOTS: Final = frozenset({"__typename", "comparison", "trace", "waterfall"})
"""Root fields whose answers follow from the traces that they name. Others tell of the server or of the moment."""
_WORTH_PACKING: Final = 1_000
_OVERHEAD: Final = 2_000
"""What an entry takes beside what it holds."""


@dataclass(frozen=True)
class Answer:
    """The body of an answer; `lasting` says that the same request gets it again while its traces are the same."""

    body: bytes
    lasting: bool = False

    @cached_property
    def packed(self) -> bytes | None:
        """The body as gzip; None where that is not worth it."""
        if len(self.body) < _WORTH_PACKING:
            return None
        return gzip.compress(self.body, compresslevel=5, mtime=0)

    @cached_property
    def etag(self) -> str:
        """What names these bytes."""
        return hashlib.sha256(self.body).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer with what it was read from."""

    answer: Answer
    reads: tuple[Read, ...]
    cost: int

    def holds(self, store: Store) -> bool:
        """Whether all that was read would be read again, by who sees the store so."""
        return all(read.is_same(store) for read in self.reads)

    @property
    def bytes(self) -> int:
        """About how much memory the notes take."""
        return sum(len(repr(read)) for read in self.reads)


Key = tuple[str, str | None, bytes, tuple[str | None, tuple[str, ...]]]


def key_of(document: str, operation: str | None, variables: Mapping[str, Any], viewer: Viewer) -> Key:
    """What tells answers apart: the document's hash, operation, variables, and what the viewer may see."""
    values = msgspec.json.encode(variables, order="sorted")
    return document, operation, values, (viewer.team, tuple(sorted(viewer.scopes)))


class Answers:
    """Answers over immutable traces, within a bound of bytes."""

    def __init__(self, most_bytes: int) -> None:
        self._kept: Bounded[Key, Kept] = Bounded(most_bytes)

    def get(self, key: Key, store: Store) -> Kept | None:
        """The answer, if the catalogue still says what it was read from; `store` is as the viewer sees it now."""
        found = self._kept.get(key)
        if found is not None and not found.holds(store):
            self._kept.drop(key)
            return None
        return found

    def put(self, key: Key, kept: Kept) -> None:
        """Keep an answer, with its packed form beside it."""
        packed = kept.answer.packed
        size = len(kept.answer.body) + len(packed or b"") + len(key[2]) + kept.bytes
        self._kept.put(key, kept, _OVERHEAD + size)


def encoded(value: Any) -> bytes:
    """A JSON document as bytes."""
    return msgspec.json.encode(value)


__all__ = ["CACHED_ROOTS", "Answer", "Answers", "Kept", "encoded", "key_of"]
