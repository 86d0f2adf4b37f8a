"""Small documents that a store keeps beside its traces: tokens, shares, jobs and what else a server has to remember.

A record changes as a whole and has a version, so that of two that change it from the same version one is told.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from etgraph.model.errors import StoreError, UsageError

LONGEST_NAME: Final = 500
"""Characters of a record's name."""
LARGEST: Final = 1 << 20
"""Bytes of a document, as JSON."""
_KIND: Final = re.compile(r"[a-z][a-z-]{0,39}")
_FIELD: Final = re.compile(r"[A-Za-z][A-Za-z_]{0,39}")


class Conflict(StoreError):
    """A record is no longer, or is not yet, what it was to be changed from; nothing was changed."""

    code = "CONFLICT"
    http_status = 409


@dataclass(frozen=True, slots=True)
class Record:
    """A document under its kind and name. `created` and `changed` are moments (ISO 8601, UTC)."""

    kind: str
    name: str
    version: int
    document: Mapping[str, Any]
    created: str
    changed: str


class Records(Protocol):
    """The records of a store. Every method may raise StoreError when the store cannot be reached or read.

    A document is what JSON holds, with words as names at its top. Kinds are lower-case words, names any text that no
    two records of a kind share.
    """

    def get(self, kind: str, name: str) -> Record | None:
        """The record, None where there is none."""
        ...

    def find(
        self,
        kind: str,
        where: Mapping[str, str] | None = None,
        *,
        after: str | None = None,
        first: int = 1000,
        newest: bool = False,
    ) -> list[Record]:
        """No more than `first` records of a kind whose documents hold those texts at their top, behind the name
        `after`, by name; `newest`: from the last name to the first.
        """
        ...

    def put(self, kind: str, name: str, document: Mapping[str, Any], version: int | None = None) -> Record:
        """Keep a document; returns the record as it is now, which survives a crash.

        `version` is that of the record which the document is to replace, 0 where there must be none; None replaces
        whatever is there. Raises Conflict where it is another one, UsageError for a malformed kind, name or document.
        """
        ...

    def remove(self, kind: str, name: str, version: int | None = None) -> bool:
        """Delete a record; whether there was one. Raises Conflict where it has another version than the one given."""
        ...


def every(
    records: Records,
    kind: str,
    where: Mapping[str, str] | None = None,
    *,
    after: str | None = None,
    together: int = 1000,
    newest: bool = False,
) -> Iterator[Record]:
    """All that `Records.find` finds, however many, looked up so many `together`; what it raises."""
    while page := records.find(kind, where, after=after, first=together, newest=newest):
        yield from page
        after = page[-1].name


def encoded(kind: str, name: str, document: Mapping[str, Any]) -> str:
    """A document as JSON. Raises UsageError for a kind, name or document that no record may have."""
    if not _KIND.fullmatch(kind):
        raise UsageError(f"kind of a record: found {kind[:60]!r}, expected lower-case letters")
    if not 0 < len(name) <= LONGEST_NAME:
        raise UsageError(f"name of a record: found {len(name)} characters, expected 1 to {LONGEST_NAME}")
    for field in document:
        if not _FIELD.fullmatch(field):
            raise UsageError(f"{kind} {name!r}: found field {field[:60]!r}, expected a word")
    text = json.dumps(document, separators=(",", ":"), allow_nan=False)
    if len(text) > LARGEST:
        raise UsageError(f"{kind} {name!r}: found {len(text):,} bytes, expected {LARGEST:,} or fewer")
    return text


def conflict(kind: str, name: str, expected: int, found: int) -> Conflict:
    """The error for a record of another version."""
    said = f"version {expected}" if expected else "none"
    there = f"version {found}" if found else "none"
    return Conflict(f"{kind} {name!r}: found {there}, expected {said}", hint="read it again, and change what it is now")


__all__ = ["Conflict", "Record", "Records", "every"]
