"""What a catalogue says of a trace, taken from the trace itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, Protocol

import numpy as np

from etgraph.model import Source, Trace
from etgraph.store.protocol import IterationInfo, TraceInfo

SHORT: Final = 200
"""Characters of an attribute of a file's global metadata up to which a catalogue keeps it."""


class Catalogued(Protocol):
    """What lists traces; see `etgraph.store.Store`."""

    def find(self, reference: str) -> TraceInfo: ...

    def traces(self, *, workload: str | None = None) -> list[TraceInfo]: ...


def describe(trace: Trace) -> TraceInfo:
    """The facts of a trace that a store would list, for one that was read from a path as well."""
    metadata = trace.metadata
    return TraceInfo(
        id=trace.trace_id,
        revision=trace.revision,
        ranks=trace.ranks,
        operators=len(trace),
        dependencies=trace.dependency_counts,
        collectives=len(trace.collectives),
        world_size=metadata.world_size,
        device_model=metadata.device_model,
        start_time=metadata.start_time,
        span_ns=trace.span_ns,
        iterations=iteration_infos(trace),
        report=metadata.report,
        sources=tuple(map(brief, metadata.sources)),
    )


def entry_of(store: Catalogued, trace_id: str, workload: str | None) -> TraceInfo:
    """The entry of a trace under a workload, where it may have several; the newest where it has none there."""
    entries = store.traces(workload=workload) if workload is not None else []
    return next((entry for entry in entries if entry.id == trace_id), None) or store.find(trace_id)


def brief(source: Source) -> Source:
    """A source with little of its document: a Chakra file's version, and those of its attributes that are short."""
    return replace(source, document=_brief(source) if source.format.startswith("chakra") else {})


def _brief(source: Source) -> dict[str, Any]:
    short = [a for a in source.document.get("attr", ()) if len(str(a)) <= SHORT]
    version = source.document.get("version")
    return ({"version": version} if version else {}) | ({"attr": short} if short else {})


def iteration_infos(trace: Trace) -> tuple[IterationInfo, ...]:
    """Iterations by index: name as the lowest rank has it, earliest start and latest end over the ranks."""
    table = trace.iterations
    if not len(table):
        return ()
    indices, first, inverse = np.unique(table["index"], return_index=True, return_inverse=True)
    limits = np.iinfo(np.int64)
    start = np.full(len(indices), limits.max)
    end = np.full(len(indices), limits.min)
    for name, moments, extreme in (("start_ns", start, np.minimum), ("end_ns", end, np.maximum)):
        known = ~table.is_null(name)
        extreme.at(moments, inverse[known], table[name][known])
    return tuple(
        IterationInfo(
            index=int(index),
            name=str(table.value("name", int(row))),
            start_ns=None if a == limits.max else a,
            end_ns=None if b == limits.min else b,
        )
        for index, row, a, b in zip(indices, first, start.tolist(), end.tolist())
    )
