"""Which rank a file belongs to: its metadata first, then its name, else 0; and why."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_NAMES = (
    re.compile(r"rank[-_]?(\d+)", re.IGNORECASE),
    re.compile(r"worker[-_]?(\d+)", re.IGNORECASE),
    re.compile(r"(?:^|[._-])(\d+)\.(?:et|json)\b"),
    re.compile(r"_e[tg]_(\d+)"),
)


def rank_of(document: dict[str, Any], path: Path) -> tuple[int, str]:
    """The rank of a file and where it was found: `metadata`, `name`, or `default`."""
    distributed = document.get("distributedInfo")
    if isinstance(distributed, dict) and isinstance(distributed.get("rank"), int) and distributed["rank"] >= 0:
        return distributed["rank"], "metadata"
    for pattern in _NAMES:
        if match := pattern.search(path.name):
            return int(match[1]), "name"
    return 0, "default"
