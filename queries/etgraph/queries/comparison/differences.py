"""In what hardware, topology, versions and recording of two traces differ."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from etgraph.model import Trace
from etgraph.queries.comparison.result import Difference

_OF_ONE_RUN = re.compile(
    r"time|trace_?(?:id|name)|host_?name|process|uuid|\bpid\b|started_by|\brank\b|world_size|hash|url|path|dir|errors|"
    r"pg_config",
    re.IGNORECASE,
)
"""What a profiler writes of the one run, in which two of the same program differ, and what is told in other words."""
_DEVICE = (
    ("numSms", "units of the device"), ("totalGlobalMem", "memory of the device, bytes"),
    ("warpSize", "warp size"),
)  # fmt: skip
_LONGEST = 120


def differences_of(base: Sequence[Trace], other: Sequence[Trace]) -> tuple[Difference, ...]:
    """What the first traces of the sides say of themselves and differs: devices and ranks, then versions and flags."""
    first, second = facts(base[0]), facts(other[0])
    return tuple(
        Difference(what, first.get(what), second.get(what))
        for what in dict.fromkeys([*first, *second])
        if first.get(what) != second.get(what)
    )


def facts(trace: Trace) -> dict[str, str]:
    """What a trace was recorded on, with how many ranks, by which versions and with which flags, as texts."""
    metadata = trace.metadata
    document: Mapping[str, Any] = metadata.sources[0].document if metadata.sources else {}
    found: dict[str, str | None] = {"device model": metadata.device_model}
    devices = [device for device in document.get("deviceProperties") or () if isinstance(device, Mapping)]
    if devices:
        found["devices of the host"] = str(len(devices))
        found |= {what: str(devices[0][key]) for key, what in _DEVICE if devices[0].get(key)}
    found["world size"] = None if metadata.world_size is None else str(metadata.world_size)
    found["ranks recorded"] = ", ".join(map(str, trace.ranks))
    found["process groups"] = _groups(trace)
    found["format"] = ", ".join(dict.fromkeys(source.format for source in metadata.sources)) or None
    found["timeline"] = metadata.timeline
    found |= dict(_texts(document))
    return {what: text for what, text in found.items() if text}


def _groups(trace: Trace) -> str:
    """The sizes of the process groups, each with how often it occurs."""
    sizes = [len(ranks) for ranks in trace.group_ranks if ranks]
    return ", ".join(f"{sizes.count(size)} of {size}" for size in sorted(set(sizes), reverse=True))


def _texts(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """The plain values of a document with the names that lead to them, without those of the one run."""
    for key, value in document.items():
        name = f"{prefix}{key}"
        if key == "deviceProperties" or _OF_ONE_RUN.search(str(key)):
            continue
        if isinstance(value, Mapping):
            yield from _texts(value, f"{name}.")
        elif isinstance(value, (str, int, float)):
            yield name, str(value)[:_LONGEST]
        elif isinstance(value, list) and all(isinstance(one, (str, int, float)) for one in value):
            yield name, ", ".join(map(str, value))[:_LONGEST]
