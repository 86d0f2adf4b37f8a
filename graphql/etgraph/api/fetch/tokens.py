"""Opaque texts that clients hand back: ids of nodes, and cursors, the places at which pages end."""

from __future__ import annotations

import binascii
import hashlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any, Final

from etgraph.alerts.standing.naming import ID as ALERT_ID
from etgraph.api.jobs.job import ID as JOB_ID
from etgraph.model.errors import NotFound, UsageError
from etgraph.store.references import ID

VERSION: Final = 1
"""Of cursors; those of another one are refused."""
LONGEST: Final = 4096
"""Characters of a text that is looked at."""


def cursor(listed: str, *place: Any) -> str:
    """A place in a list; `listed` says of which list, with all that decides about its rows and their order."""
    return _packed([VERSION, _fingerprint(listed), *place])


def place_of(text: str | None, listed: str) -> list[Any] | None:
    """The place that a cursor of that list means. Raises UsageError for a text that is none, or another list's."""
    if text is None:
        return None
    found = _unpacked(text)
    if not isinstance(found, list) or len(found) < 3 or found[0] != VERSION:
        raise UsageError(f"cursor {text[:20]!r}: this version did not make it", hint="begin without a cursor")
    if found[1] != _fingerprint(listed):
        raise UsageError(
            f"cursor {text[:20]!r} is of another list: of another trace or revision, filter or order",
            hint="page with the arguments that the cursor came from, or begin without one",
        )
    return found[2:]


def node_id(kind: str, *parts: Any) -> str:
    """The id of a node that has none of its own."""
    return _packed([kind, *parts])


def node_of(text: str) -> tuple[str, list[Any]]:
    """Kind and parts of a node's id; traces, alerts and jobs have their own. Raises NotFound for what is none."""
    if ID.fullmatch(text):
        return "Trace", [text]
    if ALERT_ID.fullmatch(text):
        return "Alert", [text]
    if JOB_ID.fullmatch(text):
        return "Job", [text]
    found = _unpacked(text)
    if not isinstance(found, list) or len(found) < 2 or not isinstance(found[0], str):
        raise NotFound(f"no node {text[:20]!r}")
    return found[0], found[1:]


def _fingerprint(listed: str) -> str:
    return hashlib.sha256(listed.encode()).hexdigest()[:12]


def _packed(value: Any) -> str:
    return urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).decode().rstrip("=")


def _unpacked(text: str) -> Any:
    """The value that a text holds, None where it holds none."""
    if len(text) > LONGEST:
        return None
    try:
        return json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return None


__all__ = ["cursor", "node_id", "node_of", "place_of"]
