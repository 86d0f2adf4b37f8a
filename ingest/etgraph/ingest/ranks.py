"""Which rank a file belongs to: its metadata first, then its name, then the folders around it, else 0; and why."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_WORDS = (
    re.compile(r"(?<![a-z])rank[-_]?(\d{1,6})(?!\d)", re.IGNORECASE),
    re.compile(r"(?<![a-z])worker[-_]?(\d{1,6})(?!\d)", re.IGNORECASE),
)
_NAMES = (
    *_WORDS,
    re.compile(r"_e[tg]_(\d{1,6})(?!\d)"),
    re.compile(r"(?:^|(?<!\d\.\d)\.)(\d{1,6})\.(?:et|json)\b"),
)
"""What file names look like that tell a rank. A last part of digits is one (`trace.3.et`) unless it is that of a
version (`1.0.2`) or too long, such as a time or a process id."""


def rank_of(document: dict[str, Any], path: Path) -> tuple[int, str]:
    """The rank of a file and where it was found: `metadata`, `name`, or `default`."""
    recorded = recorded_rank(document)
    return (recorded, "metadata") if recorded is not None else named_rank((path.name,))


def recorded_rank(document: dict[str, Any]) -> int | None:
    """The rank that the top-level keys of a file tell."""
    distributed = document.get("distributedInfo")
    recorded = distributed.get("rank") if isinstance(distributed, dict) else None
    if isinstance(recorded, str) and recorded.isascii() and recorded.isdigit():
        recorded = int(recorded) if len(recorded) < 11 else None
    if isinstance(recorded, int) and not isinstance(recorded, bool) and 0 <= recorded < 2**31:
        return recorded
    return None


def named_rank(names: Sequence[str]) -> tuple[int, str]:
    """The rank that a file's name tells, else those of the folders and archives around it, the innermost first.

    >>> named_rank(["run", "rank3", "kineto.json"]), named_rank(["rank3", "1.0.2.json"]), named_rank(["steps", "7"])
    ((3, 'folder'), (3, 'folder'), (0, 'default'))
    """
    for pattern in _NAMES:
        if match := pattern.search(names[-1]):
            return int(match[1]), "name"
    for folder in reversed(names[:-1]):
        for pattern in _WORDS:
            if match := pattern.search(folder):
                return int(match[1]), "folder"
    return 0, "default"
