"""The fields of Chakra's messages as tables that kernels can index, made from the message descriptors.

A field is known by its code: the number of its message in `MESSAGES` times `NUMBERS`, plus its own number. Number 0,
which no field has, stands for what the schema does not know.
"""

from __future__ import annotations

import enum
from typing import Any, Final

import numpy as np
from google.protobuf.descriptor import FieldDescriptor

from etgraph.ingest.chakra.messages import MESSAGES
from etgraph.model.columns import Array

NUMBERS: Final = 64


class Kind(enum.IntEnum):
    """How a value lies on the wire: varints up to ENUM, then 4 bytes, then 8 bytes, then a length and so many bytes."""

    UNKNOWN = 0
    BOOL = 1
    UINT32 = 2
    UINT64 = 3
    INT32 = 4
    INT64 = 5
    SINT32 = 6
    SINT64 = 7
    ENUM = 8
    FIXED32 = 9
    SFIXED32 = 10
    FLOAT = 11
    FIXED64 = 12
    SFIXED64 = 13
    DOUBLE = 14
    STRING = 15
    BYTES = 16
    MESSAGE = 17


_KINDS: Final = {
    getattr(FieldDescriptor, f"TYPE_{kind.name}"): kind for kind in Kind if kind is not Kind.UNKNOWN
}  # fmt: skip
_INDEX: Final = {message.full_name: number for number, message in enumerate(MESSAGES)}


def number_of(message: str) -> int:
    """The number of a message by its short name."""
    return next(i for i, m in enumerate(MESSAGES) if m.name == message)


def code_of(message: str, field: str) -> int:
    """The code of a field by its names."""
    number = number_of(message)
    return number * NUMBERS + int(MESSAGES[number].fields_by_name[field].number)


METADATA: Final = number_of("GlobalMetadata")
NODE: Final = number_of("Node")
FIELDS: Final[dict[int, Any]] = {
    i * NUMBERS + field.number: field for i, message in enumerate(MESSAGES) for field in message.fields
}
"""Descriptor of each field by its code."""


def _table(dtype: str, value: Any, fill: int = 0) -> Array:
    table = np.full(len(MESSAGES) * NUMBERS, fill, dtype=dtype)
    for code, field in FIELDS.items():
        table[code] = value(field)
    table.flags.writeable = False
    return table


KIND: Final = _table("i1", lambda f: _KINDS[f.type])
"""Kind of each field."""
CHILD: Final = _table("i1", lambda f: _INDEX[f.message_type.full_name] if f.message_type else -1, -1)
"""Message inside each field of kind MESSAGE."""
REPEATED: Final = _table("i1", lambda f: f.is_repeated)
"""1 where a field may occur several times."""
PRESENCE: Final = _table("i1", lambda f: f.containing_oneof is not None or f.message_type is not None)
"""1 where a field that holds its default differs from one that is absent."""
ONEOF: Final = _table("i1", lambda f: f.containing_oneof is not None)
"""1 where only one of several fields may be set."""


def name_of(code: int) -> str:
    """A field in words, for errors: `Node.ctrl_deps`."""
    field = FIELDS.get(code)
    return f"{MESSAGES[code // NUMBERS].name}.{field.name}" if field else MESSAGES[code // NUMBERS].name
