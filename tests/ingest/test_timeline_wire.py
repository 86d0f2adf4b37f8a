"""Messages by the column, read by the protobuf library."""

from __future__ import annotations

from typing import Any

import numpy as np
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given
from hypothesis import strategies as st

from etgraph.ingest.writers.timeline.wire import Constant, Fixed64, Message, Number, encode, field

_TYPES = {"u": 4, "i": 3, "f": 6, "d": 1, "b": 12}


def message_class() -> Any:
    """A list of messages with an unsigned, a signed, fixed numbers, doubles, bytes and a message of the same kind."""
    file = FileDescriptorProto(name="rows.proto", package="rows", syntax="proto2")
    row = file.message_type.add(name="Row")
    for number, name in ((1, "u"), (2, "i"), (1000, "f"), (4, "d"), (5, "b")):
        label = 3 if name in "fd" else 1
        row.field.add(name=name, number=number, label=label, type=_TYPES[name])
    row.field.add(name="within", number=17, label=1, type=11, type_name=".rows.Row")
    file.message_type.add(name="Rows").field.add(name="row", number=3, label=3, type=11, type_name=".rows.Row")
    pool = DescriptorPool()
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName("rows.Rows"))


ROWS = message_class()
SIZES = st.sampled_from([0, 1, 127, 128, 2**32, 2**63 - 1]) | st.integers(0, 2**63 - 1)
ONE = st.fixed_dictionaries({
    "u": st.none() | SIZES | st.just(2**64 - 1), "i": SIZES | SIZES.map(lambda v: -v - 1),
    "f": st.lists(SIZES, max_size=3), "d": st.lists(st.floats(allow_nan=False), max_size=2),
    "b": st.booleans(), "within": st.none() | SIZES,
})  # fmt: skip


@given(st.lists(ONE, min_size=1, max_size=8))
def test_rows_come_back(rows: list[dict[str, Any]]) -> None:
    u, i, f, d, b, within = ([row[name] for row in rows] for name in ("u", "i", "f", "d", "b", "within"))
    there = np.array([v is not None for v in within])
    fields = [
        Number(1, np.array([v or 0 for v in u], dtype=np.uint64), np.array([v is not None for v in u])),
        Number(2, np.array(i, dtype=np.int64)),
        Fixed64(1000, np.array([len(v) for v in f]), np.array([n for values in f for n in values], dtype=np.uint64)),
        Fixed64(4, np.array([len(v) for v in d]), np.array([n for values in d for n in values], dtype=float)),
        Constant(field(5, b"x" * 200), np.array(b)),
        Message(17, [Number(2, np.array([v or 0 for v in within], dtype=np.int64), there)], there),
    ]
    data = encode(Message(3, fields))
    found = ROWS.FromString(data)
    assert len(found.row) == len(rows)
    for row, message in zip(rows, found.row):
        assert (message.u if message.HasField("u") else None) == row["u"]
        assert message.i == row["i"]
        assert (list(message.f), list(message.d)) == (row["f"], row["d"])
        assert message.b == (b"x" * 200 if row["b"] else b"")
        assert (message.within.i if message.HasField("within") else None) == row["within"]
    assert found.ByteSize() == len(data)
