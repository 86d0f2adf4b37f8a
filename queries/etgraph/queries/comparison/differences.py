"""In what hardware, topology, versions and recording of two traces differ."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from etgraph.model import Trace
from etgraph.queries.comparison.result import Difference

_TOLD = re.compile(
    r"version|driver|backend|schema|dtype|batch_?size|platform|pg_count|^record_shapes$|^profile_memory$|^with_\w+$",
    re.IGNORECASE,
)
"""What a profiler writes of versions and of how it recorded. Two runs of one program differ in much else."""
_NOT_READ = frozenset({"env", "uname", "deviceProperties", "processes", "pg_config"})
"""Parts of a document with much that is of one machine and one run; environments hold secrets, too."""
_NOTHING = frozenset({"", "None", "N/A"})
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


def _texts(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Names and plain values of a document that tell of versions and of the recording, nested ones too."""
    for key, value in document.items():
        if key in _NOT_READ:
            continue
        if isinstance(value, Mapping):
            yield from _texts(value)
        elif _TOLD.search(str(key)) and isinstance(value, (str, int, float)) and str(value) not in _NOTHING:
            yield str(key), str(value)[:_LONGEST]
