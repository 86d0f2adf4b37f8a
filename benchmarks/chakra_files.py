"""Chakra files to measure with: a recorded one repeated, and nodes as workload generators write them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.collection import folder
from etgraph.ingest.chakra import wire
from etgraph.ingest.chakra.layout import varint
from etgraph.ingest.chakra.messages import GlobalMetadata, Node
from etgraph.model import CommType, NodeType

RECORDED = "chakra/chakra.0.et"
"""The collection's recorded file: 3 664 nodes with 50 dependencies each on average."""
_NAMES = 300
_DISTINCT = 99_991
"""Distinct combinations of everything but id and dependencies: more than any table of known texts holds."""


def recorded() -> Path | None:
    """The recorded file, where there is a collection that has it."""
    path = folder() / RECORDED
    return path if path.exists() else None


def messages(file: Path) -> list[bytes]:
    """The messages of a file, the metadata first, found by their lengths alone."""
    data = file.read_bytes()
    begins, ends, _ = wire.frames(np.frombuffer(data, dtype=np.uint8))
    return [data[a:b] for a, b in zip(begins.tolist(), ends.tolist(), strict=True)]


def repeated(file: Path, times: int, target: Path) -> int:
    """Write the nodes of a file again and again, each time with later ids; their number."""
    head, *rest = messages(file)
    nodes = [Node.FromString(message) for message in rest]
    later = 1 + max(max(chain([n.id], n.ctrl_deps, n.data_deps)) for n in nodes)
    with target.open("wb") as out:
        _put(out, head)
        for turn in range(times):
            for node in nodes:
                _put(out, _shifted(node, turn * later))
    return times * len(nodes)


def _shifted(node: Any, by: int) -> bytes:
    moved = Node()
    moved.CopyFrom(node)
    moved.id += by
    for deps, ids in ((moved.ctrl_deps, node.ctrl_deps), (moved.data_deps, node.data_deps)):
        deps[:] = [id + by for id in ids]
    written: bytes = moved.SerializeToString()
    return written


def generated(nodes: int, target: Path) -> int:
    """Write nodes of a step of training: 3 of 4 compute, the others communicate, each after one or two before it.

    Returns the number of dependencies.
    """
    rests = list(_rests())
    depends = random.Random(0)
    count = 0
    with target.open("wb") as out:
        _put(out, GlobalMetadata(version="0.0.4").SerializeToString())
        for id in range(nodes):
            name, rest = rests[id % _DISTINCT]
            deps = b""
            if id:
                ids = [id - 1] if id % 2 else sorted({id - 1, max(0, id - depends.randrange(2, 100))})
                packed = b"".join(map(varint, ids))
                deps = b"\x2a" + varint(len(packed)) + packed
                count += len(ids)
            _put(out, (b"\x08" + varint(id) if id else b"") + name + deps + rest)
    return count


def _rests() -> Iterator[tuple[bytes, bytes]]:
    """Everything of a node before its dependencies but the id, and everything after them."""
    for number in range(_DISTINCT):
        node = Node(name=f"layer.{number % _NAMES}.{('matmul', 'attention', 'softmax')[number % 3]}")
        tail = Node(duration_micros=(number * 7919) % 5000)
        tail.attr.add(name="is_cpu_op", bool_val=number % 10 == 0)
        if number % 4:
            node.type = int(NodeType.COMP)
            tail.attr.add(name="num_ops", int64_val=number * 10**7 + 1)
            tail.attr.add(name="tensor_size", uint64_val=number << 14 | 1)
        else:
            node.type = int(NodeType.COMM_COLL)
            tail.attr.add(name="comm_type", int64_val=int(CommType.ALL_REDUCE))
            tail.attr.add(name="comm_size", int64_val=number << 10 | 1)
        yield node.SerializeToString(), tail.SerializeToString()


def _put(out: Any, message: bytes) -> None:
    out.write(varint(len(message)) + message)
