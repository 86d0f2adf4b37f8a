"""Messages as JSON text, straight from their tokens: the form in which what no column holds is kept, and Jsonizer's.

Protobuf's JSON mapping (https://protobuf.dev/programming-guides/json/) says how each type is written. What is kept
differs from it in three ways: fields have the names of the schema, 64-bit integers are numbers, and what the schema
does not know stands as base64 under `UNKNOWN`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from etgraph.ingest.chakra.fields import CHILD, FIELDS, KIND, NODE, REPEATED, Kind, code_of
from etgraph.ingest.chakra.limits import LATEST_MICROS, LONGEST_MICROS
from etgraph.ingest.chakra.messages import Node
from etgraph.ingest.chakra.values import UNKNOWN
from etgraph.ingest.chakra.wire import Tokens
from etgraph.model.columns import Array
from etgraph.model.kernels import kernel

if TYPE_CHECKING:
    import pyarrow as pa

_NAN: Final = {11: 0x7FC00000, 14: 0x7FF8000000000000}
"""The usual not-a-number of each width; others say their bits."""


@dataclass(frozen=True, slots=True)
class _Names:
    """The quoted names of fields by code, and those of the values of `Node.type`."""

    keys: Array
    key_ends: Array
    types: Array
    type_ends: Array


def _bytes(texts: list[str]) -> tuple[Array, Array]:
    return np.frombuffer("".join(texts).encode(), dtype=np.uint8), np.cumsum([0, *map(len, texts)]).astype(np.int32)


def _names(camel_case: bool) -> _Names:
    keys = []
    for code in range(len(KIND)):
        field = FIELDS.get(code)
        name = UNKNOWN if field is None else field.json_name if camel_case else field.name
        keys.append(f'"{name}":')
    types = [f'"{value.name}"' for value in Node.DESCRIPTOR.fields_by_name["type"].enum_type.values]
    return _Names(*_bytes(keys), *_bytes(types))


_KEPT: Final = _names(camel_case=False)
_JSONIZER: Final = _names(camel_case=True)


def kept(tokens: Tokens) -> pa.BinaryArray:
    """One JSON object a message with all that its columns do not hold: of a Node, fields above 7 and unknown ones.

    Of the others those stand there whose value no column can hold: times beyond `LONGEST_MICROS` and `LATEST_MICROS`,
    and the type that stands for null.
    """
    return _objects(tokens, _KEPT, whole=False)


def jsonizer(tokens: Tokens) -> pa.BinaryArray:
    """One JSON object a message in protobuf's own mapping, without the fields that the schema does not know."""
    return _objects(tokens, _JSONIZER, whole=True)


def with_member(text: bytes, name: str, value: Any) -> bytes:
    """A JSON object's text with one more member.

    >>> with_member(b"{}", "a", 1), with_member(b'{"a":1}', "b", [])
    (b'{"a":1}', b'{"a":1,"b":[]}')
    """
    import msgspec

    between = b"," if len(text) > len(b"{}") else b""
    return text[:-1] + between + msgspec.json.encode({name: value})[1:]


def _objects(tokens: Tokens, names: _Names, whole: bool) -> Any:
    import pyarrow as pa

    reals, real_ends = _reals(tokens, bits=not whole)
    text, ends = _write(
        tokens.data, tokens.first, tokens.code, tokens.value, tokens.start, tokens.end, tokens.skip, KIND, CHILD,
        REPEATED, names.keys, names.key_ends, names.types, names.type_ends, reals, real_ends, whole, NODE,
        code_of("Node", "type"), LATEST_MICROS, LONGEST_MICROS,
    )  # fmt: skip
    offsets = pa.py_buffer(ends.astype(np.int32))
    return pa.Array.from_buffers(pa.binary(), len(ends) - 1, [None, offsets, pa.py_buffer(text)])


def _reals(tokens: Tokens, *, bits: bool) -> tuple[Array, Array]:
    """The shortest digits of all floating-point values, in order, as JSON; unusual NaNs by their bits."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = KIND[tokens.code]
    at = np.flatnonzero((kind == int(Kind.FLOAT)) | (kind == int(Kind.DOUBLE)))
    if not len(at):
        return np.zeros(0, dtype=np.uint8), np.zeros(1, dtype=np.int32)
    texts = np.empty(len(at), dtype=object)
    for which, width, unsigned in ((Kind.FLOAT, np.float32, np.uint32), (Kind.DOUBLE, np.float64, np.uint64)):
        rows = np.flatnonzero(kind[at] == int(which))
        raw = tokens.value[at[rows]].astype(unsigned)
        values = raw.view(width)
        written = np.array(pc.cast(pa.array(values), pa.string()).to_pylist(), dtype=object)
        written[written == "-0"] = "-0.0"
        for row in np.flatnonzero(~np.isfinite(values)).tolist():
            plain = not bits or int(raw[row]) == _NAN[int(which)]
            written[row] = '"NaN"' if plain else f'"NaN({int(raw[row]):#0{2 + 2 * width().nbytes}x})"'
            if not np.isnan(values[row]):
                written[row] = '"Infinity"' if values[row] > 0 else '"-Infinity"'
        texts[rows] = written
    return _bytes(texts.tolist())


# Kernels take these as constants; an enumeration's members they would not.
_UNKNOWN, _BOOL, _UINT64, _INT64, _SINT64 = (
    int(kind) for kind in (Kind.UNKNOWN, Kind.BOOL, Kind.UINT64, Kind.INT64, Kind.SINT64)
)
_FLOAT, _FIXED64, _SFIXED64, _DOUBLE = (int(k) for k in (Kind.FLOAT, Kind.FIXED64, Kind.SFIXED64, Kind.DOUBLE))
_STRING, _BYTES, _MESSAGE = int(Kind.STRING), int(Kind.BYTES), int(Kind.MESSAGE)


@kernel
def _write(
    data: Array,
    first: Array,
    code_of: Array,
    value_of: Array,
    start_of: Array,
    end_of: Array,
    skip_of: Array,
    kinds: Array,
    children: Array,
    repeated: Array,
    keys: Array,
    key_ends: Array,
    types: Array,
    type_ends: Array,
    reals: Array,
    real_ends: Array,
    whole: bool,
    node: int,
    type_code: int,
    latest: int,
    longest: int,
) -> tuple[Array, Array]:
    count = len(first) - 1
    room = 2 * count + 64 * len(code_of)
    for t in range(len(code_of)):
        if kinds[code_of[t]] < _MESSAGE:
            room += 6 * (end_of[t] - start_of[t])
    out = np.empty(room, dtype=np.uint8)
    ends = np.zeros(count + 1, dtype=np.int64)
    digits = np.empty(20, dtype=np.uint8)
    # Objects around the place: token after their last, field of the last member, whether its list is open.
    stop_at = np.zeros(8, dtype=np.int64)
    last_at = np.zeros(8, dtype=np.int64)
    list_at = np.zeros(8, dtype=np.bool_)
    alphabet = np.zeros(64, dtype=np.uint8)
    for i in range(26):
        alphabet[i] = 65 + i
        alphabet[26 + i] = 97 + i
    for i in range(10):
        alphabet[52 + i] = 48 + i
    alphabet[62] = 43
    alphabet[63] = 47
    n = 0
    real = 0
    for m in range(count):
        depth = 0
        stop_at[0] = first[m + 1]
        last_at[0] = -1
        list_at[0] = False
        out[n] = 123
        n += 1
        t = first[m]
        while True:
            while t == stop_at[depth]:
                if list_at[depth]:
                    out[n] = 93
                    n += 1
                out[n] = 125
                n += 1
                depth -= 1
                if depth < 0:
                    break
            if depth < 0:
                break
            code = code_of[t]
            kind = kinds[code]
            value = int(value_of[t])
            if kind in (_FLOAT, _DOUBLE):
                real += 1
            number = code & 63
            if kind == _UNKNOWN and whole:
                t += 1
                continue
            if depth == 0 and not whole and code >> 6 == node and 0 < number < 8:
                held = True
                if number == 3:
                    held = value != -0x8000_0000
                elif number == 6:
                    held = 0 <= value <= latest
                elif number == 7:
                    held = 0 <= value <= longest
                if held:
                    t += 1
                    continue
            if last_at[depth] == code and repeated[code] == 1:
                out[n] = 44
                n += 1
            else:
                if list_at[depth]:
                    out[n] = 93
                    n += 1
                if last_at[depth] >= 0:
                    out[n] = 44
                    n += 1
                for i in range(key_ends[code], key_ends[code + 1]):
                    out[n] = keys[i]
                    n += 1
                list_at[depth] = repeated[code] == 1
                if repeated[code] == 1:
                    out[n] = 91
                    n += 1
                last_at[depth] = code
            t += 1
            if kind == _MESSAGE:
                depth += 1
                stop_at[depth] = skip_of[t - 1]
                last_at[depth] = -1
                list_at[depth] = False
                out[n] = 123
                n += 1
            elif kind == _STRING:
                out[n] = 34
                n += 1
                part = data[start_of[t - 1] : end_of[t - 1]]
                special = 0
                for i in range(len(part)):
                    special |= (part[i] < 32) | (part[i] == 34) | (part[i] == 92)
                if special == 0:
                    out[n : n + len(part)] = part
                    n += len(part)
                else:
                    for i in range(len(part)):
                        byte = part[i]
                        if byte < 32:
                            out[n] = 92
                            out[n + 1] = 117
                            out[n + 2] = 48
                            out[n + 3] = 48
                            out[n + 4] = 48 + (byte >> 4)
                            low = byte & 15
                            out[n + 5] = low + 48 if low < 10 else low + 87
                            n += 6
                            continue
                        if byte == 34 or byte == 92:
                            out[n] = 92
                            n += 1
                        out[n] = byte
                        n += 1
                out[n] = 34
                n += 1
            elif kind in (_BYTES, _UNKNOWN):
                out[n] = 34
                n += 1
                i = start_of[t - 1]
                end = end_of[t - 1]
                while i < end:
                    a = int(data[i])
                    b = int(data[i + 1]) if i + 1 < end else 0
                    c = int(data[i + 2]) if i + 2 < end else 0
                    out[n] = alphabet[a >> 2]
                    out[n + 1] = alphabet[(a & 3) << 4 | b >> 4]
                    out[n + 2] = alphabet[(b & 15) << 2 | c >> 6] if i + 1 < end else 61
                    out[n + 3] = alphabet[c & 63] if i + 2 < end else 61
                    n += 4
                    i += 3
                out[n] = 34
                n += 1
            elif kind in (_FLOAT, _DOUBLE):
                for i in range(real_ends[real - 1], real_ends[real]):
                    out[n] = reals[i]
                    n += 1
            elif kind == _BOOL:
                if value != 0:
                    out[n] = 116
                    out[n + 1] = 114
                    out[n + 2] = 117
                    out[n + 3] = 101
                    n += 4
                else:
                    out[n] = 102
                    out[n + 1] = 97
                    out[n + 2] = 108
                    out[n + 3] = 115
                    out[n + 4] = 101
                    n += 5
            elif whole and code == type_code and 0 <= value < len(type_ends) - 1:
                for i in range(type_ends[value], type_ends[value + 1]):
                    out[n] = types[i]
                    n += 1
            else:
                quoted = whole and (kind in (_UINT64, _INT64, _SINT64, _FIXED64, _SFIXED64))
                if quoted:
                    out[n] = 34
                    n += 1
                filled = 0
                if value < 0 and kind != _UINT64 and kind != _FIXED64:
                    out[n] = 45
                    n += 1
                    value = -value
                if value < 0:
                    # From 2**63 on: the first division is without a sign, and its remainder is in the low bits.
                    tenth = ((value >> 1) & 0x7FFF_FFFF_FFFF_FFFF) // 5
                    digits[0] = 48 + ((value - tenth * 10) & 15)
                    filled = 1
                    value = tenth
                while True:
                    digits[filled] = 48 + value % 10
                    value //= 10
                    filled += 1
                    if value == 0:
                        break
                for i in range(filled - 1, -1, -1):
                    out[n] = digits[i]
                    n += 1
                if quoted:
                    out[n] = 34
                    n += 1
        ends[m + 1] = n
    return out[:n].copy(), ends
