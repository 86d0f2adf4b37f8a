"""Stores to test, and small traces to put in them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from etgraph.model import (
    TABLES,
    Attributes,
    AttributeWriter,
    Columns,
    CommType,
    DependencyKind,
    Ignored,
    Metadata,
    NodeType,
    Report,
    Source,
    Trace,
)
from etgraph.store import Store

MakeTrace = Callable[..., Trace]


def trace_id_of(name: str) -> str:
    """A well-formed trace id for a name."""
    return hashlib.sha256(name.encode()).hexdigest()


@pytest.fixture
def make_trace() -> MakeTrace:
    """`make_trace(name, ranks=2, each=6, revision=1, attributes=True)`: a trace whose values follow from its name."""
    return _trace


def _trace(name: str = "a", *, ranks: int = 2, each: int = 6, revision: int = 1, attributes: bool = True) -> Trace:
    random = np.random.default_rng([revision, *name.encode()])
    count = ranks * each
    rank = np.repeat(np.arange(ranks), each)
    index = np.tile(np.arange(each), ranks)
    iterations = np.repeat(np.arange(2), ranks)
    data: dict[str, Any] = {
        "rank": rank,
        "index": index,
        "node_id": np.arange(count, dtype=np.uint64) + np.uint64(2**63),
        "name": index % 3,
        "kind": np.full(count, NodeType.COMP),
        "category": np.full(count, 5),
        "lane": rank,
        "start_ns": index * 100 + 7,
        "duration_ns": np.where(index == 3, np.iinfo(np.int64).min, random.integers(1, 90, count)),
        "iteration": (index * 2 // each) * ranks + rank,
        "flops": np.full(count, np.iinfo(np.int64).min),
        "waves": np.where(index % 2 == 0, np.nan, index / np.float32(10)),
    }
    if attributes:
        data["attrs"] = np.where(index % 2 == 0, -1, rank * (each // 2) + index // 2)
    inside = np.flatnonzero(np.diff(rank, append=-1) == 0)
    return Trace(
        operators=Columns(
            TABLES["operators"], data, {"name": ["mm", "relu", "größe"]}, {"node_id": np.arange(count) % 5 != 0}
        ),
        dependencies=Columns(
            TABLES["dependencies"],
            {
                "src": inside,
                "dst": inside + 1,
                "kind": np.full(len(inside), DependencyKind.STREAM),
                "inferred": inside % 2 == 0,
                "method": np.zeros(len(inside)),
                "confidence": np.full(len(inside), 0.5),
            },
            {"method": ["order"]},
        ),
        lanes=Columns(
            TABLES["lanes"],
            {"rank": range(ranks), "kind": [1] * ranks, "process": [0] * ranks, "id": [0] * ranks},
            {"process": ["0"], "id": ["7"]},
        ),
        collectives=Columns(TABLES["collectives"], {"type": [CommType.ALL_REDUCE], "bytes": [4096]}),
        iterations=Columns(
            TABLES["iterations"],
            {
                "index": iterations,
                "rank": np.tile(np.arange(ranks), 2),
                "name": iterations,
                "start_ns": iterations * 1000 + np.tile(np.arange(ranks), 2),
                "end_ns": iterations * 1000 + 900 + np.tile(np.arange(ranks), 2),
            },
            {"name": ["ProfilerStep#0", "ProfilerStep#1"]},
        ),
        attributes=_attributes(ranks, each) if attributes else Attributes.none(),
        metadata=Metadata(
            sources=(Source("rank0.json", "kineto", 0, 123, "0" * 64, document={"schemaVersion": 1, "big": 2**70}),),
            world_size=ranks,
            device_model="Test GPU",
            start_time="2026-01-02T03:04:05Z",
            clock_offsets_ns={0: 0, 1: -5},
            report=Report(
                host_operators=3,
                pairs={1: "other iteration"},
                counts={"skipped": 2},
                warnings=("one thing",),
                ignored=(Ignored("notes.txt", "no trace"),),
            ),
        ),
        trace_id=trace_id_of(name),
        revision=revision,
    )


def _attributes(ranks: int, each: int) -> Attributes:
    """One file a rank, a row for every second operator, as readers make them."""
    parts = []
    for rank in range(ranks):
        with AttributeWriter() as writer:
            writer.extend([b'{"rank":%d,"row":%d}' % (rank, row) for row in range(1, each, 2)])
        parts.append(writer.attributes)
    return Attributes.concat(parts)


@pytest.fixture
def same() -> Callable[[Trace, Trace], None]:
    """Assert that two traces hold the same values, whatever files they lie in."""

    def check(found: Trace, expected: Trace) -> None:
        for name, columns in expected.tables.items():
            assert found.tables[name].differences(columns) == [], name
        assert found.metadata == expected.metadata
        assert (found.trace_id, found.revision) == (expected.trace_id, expected.revision)
        rows = expected.operators["attrs"]
        for row in np.flatnonzero(rows >= 0)[:50].tolist():
            assert found.operator_attributes(row) == expected.operator_attributes(row)

    return check


@pytest.fixture
def store(new_store: Callable[[], Store]) -> Iterator[Store]:
    """An empty store of each backend."""
    with new_store() as opened:
        yield opened


@pytest.fixture
def revised() -> Callable[[Trace, int], Trace]:
    """The same trace as a pipeline of another revision would have made it."""
    return lambda trace, revision: replace(trace, revision=revision)
