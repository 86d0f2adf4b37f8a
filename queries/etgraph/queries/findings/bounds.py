"""What bounds a step: on what most of its critical path is spent."""

from __future__ import annotations

from collections import Counter
from types import MappingProxyType
from typing import Final

from etgraph.queries.critical_path import CriticalPath

BOUNDS: Final = ("device", "host", "communication", "late entry", "unexplained")
"""What a step can be bound by: the closed list."""
BOUND_SHARE: Final = 0.9
"""With this part of its path on devices, a step is bound by these alone: what its host does is hidden."""

_BY_CATEGORY = MappingProxyType(
    {"computation": "device", "memory": "device", "communication": "communication", "cpu": "host", "launch": "host"}
)
_BY_DETAIL = MappingProxyType(
    {
        "cpu-kernel": "host", "queue-full": "device", "host-gap": "host", "late-entry": "late entry",
        "early-exit": "late entry",
    }
)  # fmt: skip
"""Where the detail says another thing than its category. A launch that finds the queue full waits for the device."""


def bound_of(path: CriticalPath, unrecorded_ns: int = 0) -> tuple[str, float]:
    """One of `BOUNDS`, and the part of the path that it has.

    What ran before the recording began is no part of it; `unrecorded_ns` of it are latencies of launches that waited
    for that.
    """
    spent: Counter[str] = Counter({"host": -unrecorded_ns})
    for row in path.by_category:
        if row.detail != "before-recording":
            spent[_BY_DETAIL.get(row.detail, _BY_CATEGORY.get(row.category, "unexplained"))] += row.ns
    name = max(BOUNDS, key=lambda bound: spent[bound])
    return name, spent[name] / max(spent.total(), 1)


__all__ = ["BOUNDS", "BOUND_SHARE", "bound_of"]
