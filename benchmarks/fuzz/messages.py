"""Chakra messages that are changed: trees of fields are bent and written again, and bytes are changed blindly."""

from __future__ import annotations

import copy
import random
from typing import Any, TypeAlias

Field: TypeAlias = list[Any]
"""Number, wire type, and what follows the tag: an int, bytes, or fields of a message inside."""

MESSAGES_INSIDE = {8, 9, 10}
GROUP_END = 4


def varint(number: int, padding: int = 0) -> bytes:
    """A number as a varint; `padding` bytes that say nothing follow."""
    out = bytearray()
    number &= 2**64 - 1
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    for _ in range(padding):
        out[-1] |= 128
        out.append(0)
    return bytes(out)


def _varint_at(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, at
        shift += 7


def tree(data: bytes, depth: int = 0) -> list[Field]:
    """The fields of a well-formed message; parts that parse as messages where messages are expected are trees too."""
    fields: list[Field] = []
    at = 0
    while at < len(data):
        tag, at = _varint_at(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = _varint_at(data, at)
            fields.append([number, wire, value])
        elif wire == 2:
            size, at = _varint_at(data, at)
            part = data[at : at + size]
            at += size
            inside = (depth == 0 and number in MESSAGES_INSIDE) or (depth == 1 and number % 2 == 0 and number > 2)
            fields.append([number, wire, tree(part, depth + 1) if inside else part])
        else:
            size = 4 if wire == 5 else 8
            fields.append([number, wire, data[at : at + size]])
            at += size
    return fields


def written(fields: list[Field], rng: random.Random | None = None) -> bytes:
    """The message of a tree; with `rng` some lengths and tags are longer than they need be."""
    out = []
    for number, wire, payload in fields:
        padding = rng.randrange(1, 6) if rng is not None and rng.randrange(12) == 0 else 0
        out.append(varint(number << 3 | wire, padding if padding < 5 else 0))
        if wire == 0:
            out.append(varint(payload, padding))
        elif wire == 2:
            part = payload if isinstance(payload, bytes) else written(payload, rng)
            out += (varint(len(part), padding if padding < 5 else 1), part)
        elif isinstance(payload, bytes):
            out.append(payload)
        else:
            out += (written(payload, rng), varint(number << 3 | GROUP_END))
    return b"".join(out)


def _unknown(rng: random.Random, depth: int = 0) -> Field:
    """A field that the schema does not know, of any wire type."""
    number = rng.choice((11, 33, 63, 64, 500, 2**29 - 1))
    wire = rng.choice((0, 1, 2, 3, 5))
    if wire == 3:
        return [number, 3, [] if depth > 3 else [_unknown(rng, depth + 1) for _ in range(rng.randrange(3))]]
    if wire == 0:
        return [number, 0, rng.choice((0, 1, 2**64 - 1, rng.getrandbits(40)))]
    return [number, wire, rng.randbytes({1: 8, 2: rng.randrange(5), 5: 4}[wire])]


def _inner(fields: list[Field], rng: random.Random) -> list[Field]:
    """The fields of the message itself, or of one inside it."""
    while rng.randrange(2):
        inside = [f[2] for f in fields if isinstance(f[2], list)]
        if not inside:
            break
        fields = rng.choice(inside)
    return fields


def _number(rng: random.Random) -> int:
    return rng.choice((0, 1, 2, 127, 128, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63, 2**64 - 1, rng.getrandbits(64)))


def bend(fields: list[Field], rng: random.Random, other: list[Field]) -> None:
    """Change one thing about a tree."""
    at = _inner(fields, rng)
    which = rng.randrange(14)
    place = rng.randrange(len(at)) if at else -1
    if which < 2 or place < 0:
        at.insert(rng.randrange(len(at) + 1), _unknown(rng))
        return
    field = at[place]
    if which == 2:
        at.insert(rng.randrange(len(at) + 1), copy.deepcopy(field))
    elif which == 3:
        rng.shuffle(at)
    elif which == 4:
        del at[place]
    elif which == 5:
        field[0] = rng.choice((0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 27, 29, 30, 31, 32, 2**29 - 1, 2**29))
    elif which == 6 and not isinstance(field[2], list):
        field[1], field[2] = 0, _number(rng)
    elif which == 7 and other:
        at.insert(rng.randrange(len(at) + 1), copy.deepcopy(rng.choice(_inner(other, rng) or other)))
    elif which == 8 and field[1] == 0:
        field[2] = _number(rng)
    elif which == 9 and field[1] == 0:
        values = [field[2], *(_number(rng) for _ in range(rng.randrange(3)))]
        at[place] = [field[0], 2, b"".join(varint(v, rng.randrange(2)) for v in values)]
    elif which == 10 and field[1] == 2 and isinstance(field[2], bytes):
        try:
            at[place : place + 1] = [[field[0], 0, byte] for byte in field[2][:5]]
        except ValueError:
            pass
    elif which == 11 and isinstance(field[2], bytes):
        field[2] = damaged(field[2], rng)
    elif which == 12:
        at.insert(place, [field[0], 2, b"" if rng.randrange(2) else []])
    else:
        at.insert(place, [rng.choice((4, 5)), rng.choice((0, 2)), b""])
        at[place][2] = _number(rng) if at[place][1] == 0 else varint(_number(rng))


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Some bytes of it changed, without regard to what they are."""
    out = bytearray(data)
    for _ in range(1 + (rng.randrange(3) == 0) * rng.randrange(4)):
        which = rng.randrange(8)
        at = rng.randrange(len(out) + 1)
        if which == 0 and at < len(out):
            out[at] ^= 1 << rng.randrange(8)
        elif which == 1 and at < len(out):
            out[at] = rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))
        elif which == 2:
            out[at:at] = rng.randbytes(rng.randrange(1, 4))
        elif which == 3:
            del out[at : at + rng.randrange(1, 5)]
        elif which == 4:
            del out[at:]
        elif which == 5:
            out[at:at] = b"\xff" * rng.randrange(1, 12) + bytes([rng.randrange(128)])
        elif which == 6 and at < len(out):
            out[at] = (out[at] & 0xF8) | rng.randrange(8)
        elif which == 7:
            begin = rng.randrange(len(out) + 1)
            out[at:at] = out[begin : begin + rng.randrange(20)]
    return bytes(out)


def message(data: bytes, rng: random.Random, other: bytes) -> bytes:
    """A message made from one of the pool, with a second at hand."""
    which = rng.randrange(16)
    if which < 6:
        return damaged(data, rng)
    if which == 6:
        return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]
    if which == 7:
        return rng.randbytes(rng.randrange(24))
    if which == 8:
        depth = rng.choice((1, 5, 97, 98, 99, 100, 101, 150))
        deep = [[11, 3, []]]
        for _ in range(depth - 1):
            deep = [[11, 3, deep]]
        fields = tree(data)
        _inner(fields, rng).extend(deep)
        return written(fields)
    fields, more = tree(data), tree(other)
    for _ in range(rng.randrange(1, 4)):
        bend(fields, rng, more)
    out = written(fields, rng if which == 15 else None)
    return damaged(out, rng) if which == 9 else out


def stream(messages: list[bytes], rng: random.Random) -> bytes:
    """Messages after their lengths, some of which may be wrong."""
    out = bytearray()
    for part in messages:
        padding = rng.randrange(1, 5) if rng.randrange(10) == 0 else 0
        size = len(part)
        if rng.randrange(20) == 0:
            size = rng.choice((0, size + 1, max(size - 1, 0), 2**28, 2**28 + 1, 2**30, 2**31, 2**40, 2**63, 2**64 - 1))
        out += varint(size, padding)
        out += part
    return damaged(bytes(out), rng) if rng.randrange(3) == 0 else bytes(out)
