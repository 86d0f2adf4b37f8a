"""A text notation for memory events, one a line, added to a small trace.

    rank 0 | thread 1 | cuda:0   15  @a  +100  =600

At 15 ns, 100 bytes are allocated at an address called `a`, and 600 are in use then. `-100` is a release; without `@a`
the address, and without `=600` the total, is not recorded.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from etgraph.model import TABLES, Columns, LaneKind, Trace
from etgraph.queries.allocations import DEVICE_TYPES

_LINE = re.compile(
    r"^rank (?P<rank>\d+) *\| *thread (?P<lane>\S+) *\| *(?P<kind>\w+)(?::(?P<device>\d+))? +(?P<ns>\d+)"
    r"(?: +@(?P<address>\w+))? +(?P<bytes>[+-]\d+)(?: +=(?P<total>\d+))?$"
)
_TYPES = {name: number for number, name in DEVICE_TYPES.items()}


def with_memory(trace: Trace, text: str) -> Trace:
    """The trace with the memory events that the text describes; ValueError names a line that cannot be read."""
    table = TABLES["memory_events"]
    threads = np.flatnonzero(trace.lanes["kind"] == int(LaneKind.THREAD)).tolist()
    lanes = {(trace.lanes.value("rank", n), trace.lanes.value("id", n)): n for n in threads}
    addresses: dict[str, int] = {}
    data: dict[str, list[Any]] = {column.name: [] for column in table.columns if column.name != "attrs"}
    known = []
    for line in filter(None, map(str.strip, text.splitlines())):
        found = _LINE.match(line)
        if found is None:
            raise ValueError(f"cannot read the line {line!r}")
        rank, null = int(found["rank"]), table.column("allocated").null
        known.append(found["address"] is not None)
        values = {
            "rank": rank, "lane": lanes.get((rank, found["lane"]), -1), "time_ns": int(found["ns"]),
            "address": addresses.setdefault(found["address"] or "", 2**63 + len(addresses)),
            "bytes": int(found["bytes"]),
            "allocated": null if found["total"] is None else int(found["total"]), "reserved": null,
            "device_type": _TYPES[found["kind"]], "device": -1 if found["device"] is None else int(found["device"]),
        }  # fmt: skip
        for name, value in values.items():
            data[name].append(value)
    return replace(trace, memory_events=Columns(table, data, masks={"address": known}))


@st.composite
def programs(draw: st.DrawFn) -> str:
    """Events of two devices in order: allocations and releases of few addresses, some of them unseen."""
    lines, live, ns = [], dict.fromkeys(("cuda:0", "cpu"), 5000), 0
    sizes: dict[tuple[str, str], int] = {}
    told = draw(st.booleans())
    for _ in range(draw(st.integers(1, 15))):
        ns += draw(st.integers(0, 20))
        key = draw(st.sampled_from(list(live))), draw(st.sampled_from("abc"))
        size = -sizes.pop(key) if key in sizes else draw(st.integers(1, 99) | st.integers(-50, -1))
        if size > 0:
            sizes[key] = size
        live[key[0]] += size
        if draw(st.integers(0, 9)):
            total = f" ={live[key[0]]}" if told else ""
            lines.append(f"rank 0 | thread 1 | {key[0]} {ns} @{key[1]} {size:+}{total}")
    return "\n".join(lines or ["rank 0 | thread 1 | cpu 0 @a +1"])
