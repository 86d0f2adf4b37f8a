"""A trace in the making, with the recorded identifiers that only linking needs, and the passes that finish it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from etgraph.model import TABLES, Columns, DependencyKind, Report, Trace
from etgraph.model.columns import Array

NULL = -(2**63)
"""What a recorded identifier is where the source has none."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A trace and, for each of its operators, identifiers as recorded (int64, `NULL` where there is none).

    `ids` may hold `correlation` (of a launch and what it launched), `sequence` (autograd), `record_function`,
    `external`, and `order` (of what starts at one time); of calls that synchronise `stream` (row of the lane that waits
    or is waited for), `event_stream` (lane that the event was recorded on) and `event_record` (correlation of the call
    that did); of host operators `communication` (a number that a collective and the wait for it share) and `issue` (one
    that a call and the operator of gloo's that does it share). `annotation_ids` may hold the first five of the
    annotations. `tensors` are the accesses to memory in the order in which operators start: `operator` (row), `storage`
    (id) and `writes` (whether it is written; else read). None of them is part of the trace: passes turn them into
    dependencies.
    """

    trace: Trace
    ids: Mapping[str, Array] = field(default_factory=dict)
    annotation_ids: Mapping[str, Array] = field(default_factory=dict)
    tensors: Mapping[str, Array] = field(default_factory=dict)

    def id(self, name: str) -> Array:
        """One identifier of all operators."""
        found = self.ids.get(name)
        return np.full(len(self.trace), NULL) if found is None else found

    def with_report(self, report: Report) -> Draft:
        """The same draft with more in its report."""
        metadata = self.trace.metadata
        return replace(self, trace=replace(self.trace, metadata=metadata.with_report(metadata.report + report)))

    def with_operators(self, data: Mapping[str, Any], dictionaries: Mapping[str, Any] | None = None) -> Draft:
        """The same draft with some operator columns exchanged."""
        return replace(self, trace=replace(self.trace, operators=self.trace.operators.replace(data, dictionaries)))

    def with_dependencies(self, *more: Columns) -> Draft:
        """The same draft with more dependencies."""
        joined = Columns.concat([c for c in (self.trace.dependencies, *more) if len(c)] or [self.trace.dependencies])
        return replace(self, trace=replace(self.trace, dependencies=joined))


Pass = Callable[[Draft], Draft]
"""One step of the pipeline: it adds columns, dependencies and a part of the report."""


def dependencies(
    kind: DependencyKind, src: Array, dst: Array, method: str, *, inferred: bool = False, confidence: Any = 1.0
) -> Columns:
    """A table of dependencies of one kind found by one method."""
    count = len(src)
    return Columns(
        TABLES["dependencies"],
        {
            "src": src,
            "dst": dst,
            "kind": np.full(count, int(kind), dtype=np.int8),
            "inferred": np.full(count, inferred),
            "method": np.zeros(count, dtype=np.int32),
            "confidence": np.broadcast_to(np.float32(confidence), count),
        },
        {"method": [method]},
    )


class Texts(dict[str, int]):
    """Texts to codes, in order of first appearance."""

    def __missing__(self, text: str) -> int:
        self[text] = code = len(self)
        return code

    def codes(self, texts: Iterable[str], count: int) -> Array:
        """The codes of many texts."""
        return np.fromiter(map(self.__getitem__, texts), dtype=np.int32, count=count)


class Growing:
    """Columns that grow block by block and are joined once at the end."""

    def __init__(self, types: Mapping[str, str]) -> None:
        self._types = dict(types)
        self._parts: dict[str, list[Array]] = {name: [] for name in types}
        self.length = 0

    def add(self, **columns: Array) -> None:
        """One more block; all columns of the same length."""
        for name, parts in self._parts.items():
            parts.append(np.asarray(columns[name], dtype=self._types[name]))
        self.length += len(parts[-1])

    def join(self) -> dict[str, Array]:
        """The whole columns; the blocks are given up one column at a time."""
        joined = {}
        for name in list(self._parts):
            parts = self._parts.pop(name)
            joined[name] = np.concatenate(parts) if parts else np.zeros(0, dtype=self._types[name])
        return joined


def int64s(values: Sequence[int]) -> Array:
    """Python integers as int64, those that do not fit as `NULL`."""
    try:
        return np.array(values, dtype=np.int64)
    except OverflowError:
        return np.array([v if -(2**63) <= v < 2**63 else NULL for v in values], dtype=np.int64)
