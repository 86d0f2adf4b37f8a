"""Names of records that stand in the order of their moments, and that the same cause gives the same one."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime
from typing import Final

ID: Final = re.compile(r"[0-9a-f]{32}")
SHORT: Final = re.compile(r"[0-9a-f]{12}")
_MOMENT: Final = 14
"""Hexadecimal digits of a name that tell its moment, in µs of Unix time."""


def name_at(moment: str, *cause: str) -> str:
    """The name for what that cause brought about at a moment (ISO 8601, UTC): later ones come behind it.

    >>> name_at("1970-01-01T00:00:00.000016Z", "a") < name_at("1970-01-01T00:00:01Z", "a")
    True
    """
    digest = hashlib.sha256(json.dumps(cause).encode()).hexdigest()
    return first_at(moment) + digest[: 32 - _MOMENT]


def short(name: str) -> str:
    """What a person calls it: twelve digits of those that do not tell its moment, which is that of others too.

    >>> short("000647f00ba42e" + "c4d5e6f70819" + "202122")
    'c4d5e6f70819'
    """
    return name[_MOMENT : _MOMENT + 12]


def first_at(moment: str) -> str:
    """What all names of a moment begin with: it comes before them, and behind those of earlier moments.

    >>> first_at("1970-01-01T00:00:00.000016Z")
    '00000000000010'
    """
    since = datetime.fromisoformat(moment) - datetime(1970, 1, 1, tzinfo=UTC)
    microseconds = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    return f"{microseconds:0{_MOMENT}x}"


def last_at(moment: str) -> str:
    """A text behind all names of a moment, and before those of later ones."""
    return first_at(moment) + "g"


__all__ = ["ID", "SHORT", "first_at", "last_at", "name_at", "short"]
