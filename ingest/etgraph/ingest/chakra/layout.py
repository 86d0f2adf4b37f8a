"""The order of fields in messages that were not written as the protobuf library writes them, and how to restore it.

A layout is a list with an entry for each field as it stands on the wire: its number; [number, n] for n values of a list
in one piece; [number, layout] for a message that has a layout itself. What is canonical needs no layout: fields ascend,
lists of numbers are one piece, defaults are left out, and what the schema does not know comes last.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from typing import Any, Final

from google.protobuf.message_factory import GetMessageClass

from etgraph.ingest.chakra.fields import CHILD, KIND, NUMBERS, ONEOF, PRESENCE, REPEATED, Kind
from etgraph.ingest.chakra.messages import MESSAGES

Layout = list[Any]

_BYTES: Final = 2
"""The wire type of everything that has a length."""


def varint(value: int) -> bytes:
    """A number from 0 to 2⁶⁴ - 1 as a varint."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def _value_end(data: bytes, at: int, wire: int, number: int) -> tuple[int, int]:
    """Begin of a value's own bytes, and their end. The data was checked before."""
    if wire == 0:
        return at, _read_varint(data, at)[1]
    if wire == _BYTES:
        size, at = _read_varint(data, at)
        return at, at + size
    if wire == 3:
        begin = at
        while True:
            tag, after = _read_varint(data, at)
            if tag & 7 == 4:
                return begin, after
            at = _value_end(data, after, tag & 7, tag >> 3)[1]
    return at, at + (8 if wire == 1 else 4)


def _fields(data: bytes) -> Iterator[tuple[int, int, bytes, bytes]]:
    """Number, wire type, own bytes, and bytes with tag and length of each field."""
    at = 0
    while at < len(data):
        tag, after = _read_varint(data, at)
        begin, end = _value_end(data, after, tag & 7, tag >> 3)
        yield tag >> 3, tag & 7, data[begin:end], data[at:end]
        at = end


def _own_wire(kind: int) -> int:
    if kind < Kind.FIXED32:
        return 0
    return 5 if kind < Kind.FIXED64 else 1 if kind < Kind.STRING else _BYTES


def _code(message: int, number: int) -> int:
    return message * NUMBERS + (number if number < NUMBERS else 0)


def _elements(packed: bytes, kind: int) -> list[bytes]:
    out, at = [], 0
    while at < len(packed):
        end = _value_end(packed, at, _own_wire(kind), 0)[1]
        out.append(packed[at:end])
        at = end
    return out


def canonical(data: bytes, message: int) -> bytes:
    """The same message as the protobuf library writes it."""
    out: bytes = GetMessageClass(MESSAGES[message]).FromString(data).SerializeToString(deterministic=True)
    return out


def layout(data: bytes, message: int) -> Layout | None:
    """The layout of a valid message of that number in `MESSAGES`, None where it is canonical.

    Of a field that may occur once the last occurrence counts, as everywhere in protobuf.
    """
    if canonical(data, message) == data:
        return None
    found = list(_fields(data))
    last: dict[int, int] = {}
    for position, (number, _, _, _) in enumerate(found):
        code = _code(message, number)
        if KIND[code] and not REPEATED[code]:
            last[-1 if ONEOF[code] else number] = position
    count: dict[int, int] = defaultdict(int)
    for number, _, _, _ in found:
        count[number] += 1
    entries: Layout = []
    for position, (number, wire, value, _) in enumerate(found):
        code = _code(message, number)
        kind = int(KIND[code])
        if kind and not REPEATED[code] and last[-1 if ONEOF[code] else number] != position:
            continue
        inner: Any = None
        if kind == Kind.MESSAGE and (REPEATED[code] or count[number] == 1):
            inner = layout(value, int(CHILD[code]))
        elif REPEATED[code] and wire == _BYTES and kind < Kind.STRING:
            inner = len(_elements(value, kind))
        entries.append(number if inner is None else [number, inner])
    return entries


def arranged(data: bytes, message: int, layout: Sequence[Any]) -> bytes:
    """A canonical message with its fields as the layout has them; fields that it does not name come last."""
    parts: dict[int, deque[bytes]] = defaultdict(deque)
    for number, _, value, whole in _fields(data):
        code = _code(message, number)
        if REPEATED[code] and KIND[code] < Kind.STRING:
            parts[number].extend(_elements(value, int(KIND[code])))
        else:
            parts[number].append(value if KIND[code] == Kind.MESSAGE else whole)
    out = []
    had = {number for number, values in parts.items() if values}
    for entry in layout:
        number, inner = entry if isinstance(entry, list) else (entry, None)
        if parts[number] or number not in had or isinstance(inner, int):
            out.append(_written(message, number, inner, parts[number]))
    for number, rest in parts.items():
        code = _code(message, number)
        if rest and REPEATED[code] and KIND[code] < Kind.STRING:
            out.append(_written(message, number, len(rest), rest))
        while rest:
            out.append(_written(message, number, None, rest))
    return b"".join(out)


def _written(message: int, number: int, inner: Any, parts: deque[bytes]) -> bytes:
    """The next field of that number; a default where there is none and the field may say so."""
    code = _code(message, number)
    kind = int(KIND[code])
    if isinstance(inner, int):
        packed = b"".join(parts.popleft() for _ in range(min(inner, len(parts))))
        return varint(number << 3 | _BYTES) + varint(len(packed)) + packed
    if not parts:
        default = {0: b"\0", 5: b"\0" * 4, 1: b"\0" * 8, _BYTES: b"\0"}[_own_wire(kind)]
        spelled = kind and not REPEATED[code] and not PRESENCE[code]
        return varint(number << 3 | _own_wire(kind)) + default if spelled else b""
    value = parts.popleft()
    if kind == Kind.MESSAGE:
        if isinstance(inner, list):
            value = arranged(value, int(CHILD[code]), inner)
        return varint(number << 3 | _BYTES) + varint(len(value)) + value
    if REPEATED[code] and kind < Kind.STRING:
        return varint(number << 3 | _own_wire(kind)) + value
    return value
