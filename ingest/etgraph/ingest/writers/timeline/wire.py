"""Protobuf messages of one shape by the column: a field is an array with one value a message, encoded all at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from etgraph.model.columns import Array

VARINT, FIXED64, BYTES = 0, 1, 2
"""Types on the wire."""


class Field(Protocol):
    """A field of every message: the bytes it takes in each, and how to put it where it belongs."""

    @property
    def sizes(self) -> Array:
        """Bytes in each message, 0 where the field is not there."""
        ...

    def put(self, out: Array, at: Array) -> None:
        """Write it into `out`, for each message at the given place."""
        ...


def tag(number: int, wire: int) -> Array:
    """The bytes that begin a field."""
    return np.frombuffer(varint(number << 3 | wire), dtype=np.uint8)


def varint(value: int) -> bytes:
    """One unsigned number."""
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    found.append(value)
    return bytes(found)


def field(number: int, value: int | bytes) -> bytes:
    """One field of one message."""
    if isinstance(value, int):
        return varint(number << 3 | VARINT) + varint(value & 0xFFFFFFFFFFFFFFFF)
    return varint(number << 3 | BYTES) + varint(len(value)) + value


class Constant:
    """The same bytes in every message, or in those that have it."""

    def __init__(self, data: bytes, present: Array) -> None:
        self._data = np.frombuffer(data, dtype=np.uint8)
        self.sizes: Array = np.where(present, len(data), 0)

    def put(self, out: Array, at: Array) -> None:
        """See `Field.put`."""
        _put_bytes(out, at[self.sizes > 0], self._data)


class Number:
    """A varint: unsigned, or signed in two's complement."""

    def __init__(self, number: int, values: Array, present: Array | None = None) -> None:
        self._tag, self._present = tag(number, VARINT), present
        self._values = values.astype(np.uint64)
        self._digits = _digits(self._values)
        whole = self._digits + len(self._tag)
        self.sizes: Array = whole if present is None else np.where(present, whole, 0)

    def put(self, out: Array, at: Array) -> None:
        """See `Field.put`."""
        values, digits = self._values, self._digits
        if self._present is not None:
            at, values, digits = at[self._present], values[self._present], digits[self._present]
        _put_bytes(out, at, self._tag)
        _put_varints(out, at + len(self._tag), values, digits)


class Fixed64:
    """A repeated fixed64, or a double: `counts` values in each message, one after another in `values`."""

    def __init__(self, number: int, counts: Array, values: Array) -> None:
        self._tag, self._counts = tag(number, FIXED64), counts
        self._values = values.astype("<f8" if values.dtype.kind == "f" else "<u8")
        self.sizes: Array = counts * (len(self._tag) + 8)

    def put(self, out: Array, at: Array) -> None:
        """See `Field.put`."""
        if not len(self._values):
            return
        width = len(self._tag) + 8
        nth = np.arange(len(self._values)) - np.repeat(np.cumsum(self._counts) - self._counts, self._counts)
        place = np.repeat(at, self._counts) + nth * width
        _put_bytes(out, place, self._tag)
        octets = self._values.view(np.uint8).reshape(-1, 8)
        out[(place + len(self._tag))[:, None] + np.arange(8)] = octets


class Message:
    """A message within each message, or within those that are `present`, which its own fields must not exceed."""

    def __init__(self, number: int, fields: Sequence[Field], present: Array | None = None) -> None:
        self._tag, self._fields, self._present = tag(number, BYTES), fields, present
        self._inner = _total(fields)
        self._digits = _digits(self._inner.astype(np.uint64))
        whole = len(self._tag) + self._digits + self._inner
        self.sizes: Array = whole if present is None else np.where(present, whole, 0)

    def put(self, out: Array, at: Array) -> None:
        """See `Field.put`."""
        chosen = slice(None) if self._present is None else self._present
        start, inner, digits = at[chosen], self._inner[chosen], self._digits[chosen]
        _put_bytes(out, start, self._tag)
        _put_varints(out, start + len(self._tag), inner.astype(np.uint64), digits)
        place = at + len(self._tag) + self._digits
        for field in self._fields:
            field.put(out, place)
            place = place + field.sizes


def encode(message: Message) -> bytes:
    """The messages one after another."""
    ends = np.cumsum(message.sizes)
    out = np.empty(int(ends[-1]) if len(ends) else 0, dtype=np.uint8)
    message.put(out, ends - message.sizes)
    return out.tobytes()


def _total(fields: Sequence[Field]) -> Array:
    total = fields[0].sizes.astype(np.int64)
    for field in fields[1:]:
        total = total + field.sizes
    return total


def _digits(values: Array) -> Array:
    """Bytes of each number as a varint."""
    digits = np.ones(len(values), dtype=np.int64)
    rest = values >> np.uint64(7)
    while rest.any():
        digits += rest > 0
        rest = rest >> np.uint64(7)
    return digits


def _put_bytes(out: Array, at: Array, data: Array) -> None:
    for offset, byte in enumerate(data.tolist()):
        out[at + offset] = byte


def _put_varints(out: Array, at: Array, values: Array, digits: Array) -> None:
    for n in range(int(digits.max(initial=0))):
        if n:
            more = digits > n
            at, values, digits = at[more] + 1, values[more] >> np.uint64(7), digits[more]
        out[at] = (values & np.uint64(127)).astype(np.uint8) | ((digits > n + 1).astype(np.uint8) << np.uint8(7))
