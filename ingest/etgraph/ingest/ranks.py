"""Which rank a file belongs to: its metadata first, then its name, else 0; and why."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_NAMES = (
    re.compile(r"(?<![a-z])rank[-_]?(\d{1,6})(?!\d)", re.IGNORECASE),
    re.compile(r"(?<![a-z])worker[-_]?(\d{1,6})(?!\d)", re.IGNORECASE),
    re.compile(r"_e[tg]_(\d{1,6})(?!\d)"),
    re.compile(r"(?:^|(?<!\d\.\d)\.)(\d{1,6})\.(?:et|json)\b"),
)
"""What file names look like that tell a rank. A last part of digits is one (`trace.3.et`) unless it is that of a
version (`1.0.2`) or too long, such as a time or a process id."""


def rank_of(document: dict[str, Any], path: Path) -> tuple[int, str]:
    """The rank of a file and where it was found: `metadata`, `name`, or `default`."""
    distributed = document.get("distributedInfo")
    recorded = distributed.get("rank") if isinstance(distributed, dict) else None
    if isinstance(recorded, str) and recorded.isdecimal():
        recorded = int(recorded)
    if isinstance(recorded, int) and not isinstance(recorded, bool) and 0 <= recorded < 2**31:
        return recorded, "metadata"
    for pattern in _NAMES:
        if match := pattern.search(path.name):
            return int(match[1]), "name"
    return 0, "default"
