"""Parts of messages as bytes. Serialised fields that follow each other in order are the serialised message."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np

from etgraph.ingest.chakra.layout import varint
from etgraph.ingest.chakra.messages import AttributeProto
from etgraph.model import Columns, Trace
from etgraph.model.columns import Array
from etgraph.model.kernels import kernel

_ATTR = varint(10 << 3 | 2)
"""Tag of `Node.attr`."""
_LENGTHS = [varint(length) for length in range(1024)]
_ATTR_LENGTHS = [_ATTR + length for length in _LENGTHS]


def delimited(message: bytes) -> bytes:
    """A message after its length, as it stands in a file."""
    size = len(message)
    return (_LENGTHS[size] if size < 1024 else varint(size)) + message


def as_attribute(message: bytes) -> bytes:
    """A serialised AttributeProto as a field of a node."""
    size = len(message)
    return (_ATTR_LENGTHS[size] if size < 1024 else _ATTR + varint(size)) + message


@lru_cache(1 << 16)
def attribute(name: str, field: str, value: Any) -> bytes:
    """An attribute with one value as a field of a node."""
    return as_attribute(AttributeProto(name=name, **{field: value}).SerializeToString())


@lru_cache(1 << 12)
def attribute_list(name: str, field: str, values: tuple[int, ...]) -> bytes:
    """An attribute with a list of values as a field of a node."""
    message = AttributeProto(name=name)
    getattr(message, field).values.extend(values)
    return as_attribute(message.SerializeToString())


def heads(block: Columns, ids: Array, ctrl: tuple[Array, Array], data: tuple[Array, Array], zero: int) -> list[bytes]:
    """The fields of nodes up to `duration_micros`, of each node as the protobuf library writes them.

    `ctrl` and `data` are the ids that the nodes of a block name, one after another, and where the first of each node
    stands among them, with the end of the last. Starts count from `zero`; times are whole microseconds, and 0, which is
    left out in the file, where there are none.
    """
    names = block.texts("name").take(block["name"])
    start, duration = _micros(block, "start_ns", zero), _micros(block, "duration_ns", 0)
    _, offsets, texts = names.buffers()
    name_ends = np.frombuffer(offsets, dtype=np.int32, count=len(names) + 1)
    room = np.empty(64 * len(ids) + int(name_ends[-1]) + 10 * (len(ctrl[0]) + len(data[0])), dtype=np.uint8)
    numbers = [values.astype(np.int64) for values in (ids, block["kind"], start, duration, *ctrl, *data)]
    ends = _heads(room, np.frombuffer(texts or b"", dtype=np.uint8), name_ends, *numbers)
    written = room[: int(ends[-1])].tobytes()
    return [written[a:b] for a, b in pairwise(ends.tolist())]


def _micros(block: Columns, column: str, zero: int) -> Array:
    return np.where(block.is_null(column), 0, np.maximum((block[column] + zero) // 1000, 0))


@kernel
def _heads(
    room: Array,
    names: Array,
    name_ends: Array,
    ids: Array,
    kinds: Array,
    starts: Array,
    durations: Array,
    ctrl: Array,
    ctrl_ends: Array,
    data: Array,
    data_ends: Array,
) -> Array:
    ends = np.zeros(len(ids) + 1, dtype=np.int64)
    n = 0
    for node in range(len(ids)):
        for field in range(1, 8):
            value = 0
            size = 0
            first = 0
            last = 0
            values = ctrl
            if field == 1:
                value = int(ids[node])
            elif field == 2:
                first = int(name_ends[node])
                last = int(name_ends[node + 1])
                size = last - first
            elif field == 3:
                value = int(kinds[node])
            elif field == 4:
                first = int(ctrl_ends[node])
                last = int(ctrl_ends[node + 1])
            elif field == 5:
                values = data
                first = int(data_ends[node])
                last = int(data_ends[node + 1])
            elif field == 6:
                value = int(starts[node])
            else:
                value = int(durations[node])
            if field == 4 or field == 5:
                for i in range(first, last):
                    rest = int(values[i])
                    size += 1
                    while rest < 0 or rest > 127:
                        rest = (rest >> 7) & 0x01FF_FFFF_FFFF_FFFF
                        size += 1
            if value == 0 and size == 0:
                continue
            room[n] = field << 3 | (2 if size > 0 else 0)
            n += 1
            rest = size if size > 0 else value
            while rest < 0 or rest > 127:
                room[n] = rest & 127 | 128
                rest = (rest >> 7) & 0x01FF_FFFF_FFFF_FFFF
                n += 1
            room[n] = rest
            n += 1
            if field == 2:
                for i in range(first, last):
                    room[n] = names[i]
                    n += 1
                continue
            for i in range(first, last):
                rest = int(values[i])
                while rest < 0 or rest > 127:
                    room[n] = rest & 127 | 128
                    rest = (rest >> 7) & 0x01FF_FFFF_FFFF_FFFF
                    n += 1
                room[n] = rest
                n += 1
        ends[node + 1] = n
    return ends


def group_names(trace: Trace) -> list[str]:
    """Name of each process group."""
    texts = trace.process_groups.texts("name").to_pylist()
    return [texts[code] for code in trace.process_groups["name"].tolist()] or [""]
