"""What happened at moments rather than over intervals: instants, samples of counters, memory in use."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from etgraph.model import Trace
from etgraph.model.columns import Array

MOMENTS: Final = ("instants", "memory_events", "counters")
"""The tables whose rows happened at one moment."""
_DEVICES: Final = {0: "CPU", 1: "CUDA", 6: "HIP", 9: "MTIA"}
"""PyTorch's types of devices, as far as memory is recorded for them."""


@dataclass(frozen=True, slots=True)
class Series:
    """A counter of one rank: whole bytes, or real numbers without a unit, at moments in order of time."""

    name: str
    time_ns: Array
    values: Array

    @property
    def in_bytes(self) -> bool:
        """Whether the values are bytes."""
        return self.values.dtype.kind == "i"


def counters(trace: Trace, rows: Array) -> Iterator[Series]:
    """The series of some rows of the trace's counters, by name; samples that are no finite numbers are left out."""
    columns = trace.counters
    rows = rows[np.isfinite(columns["value"][rows])]
    rows = rows[np.argsort(columns["time_ns"][rows], kind="stable")]
    for code in np.unique(columns["name"][rows]).tolist():
        own = rows[columns["name"][rows] == code]
        yield Series(columns.texts("name")[code].as_py(), columns["time_ns"][own], columns["value"][own].astype(float))


def memory(trace: Trace, rows: Array) -> Iterator[Series]:
    """Bytes in use by each device of some rows of the memory events, and bytes that its allocator holds.

    Where the recorder gives no totals, it is the sum of the changes since the recording began.
    """
    columns = trace.memory_events
    rows = rows[np.argsort(columns["time_ns"][rows], kind="stable")]
    type, number = columns["device_type"][rows].astype(np.int64), columns["device"][rows].astype(np.int64)
    keys = type << 32 | (number & 0xFFFFFFFF)
    for key in np.unique(keys).tolist():
        own = rows[keys == key]
        device = _device(columns.value("device_type", int(own[0])), columns.value("device", int(own[0])))
        for name in ("allocated", "reserved"):
            known = own[~columns.is_null(name)[own]]
            if len(known):
                yield Series(f"memory {name}, {device}", columns["time_ns"][known], columns[name][known])
        if columns.is_null("allocated")[own].all():
            change = np.cumsum(columns["bytes"][own])
            yield Series(f"memory allocated since the recording began, {device}", columns["time_ns"][own], change)


def _device(type: int | None, number: int | None) -> str:
    name = "unknown device" if type is None else _DEVICES.get(type, f"device type {type}")
    return name if number is None or number < 0 else f"{name} {number}"
