"""Protobuf's wire format into arrays: where messages begin and end, and one token for each value in them.

Compiled, because traces have millions of nodes and objects for each of them cost ten times as much. What the standard
allows but no common encoder writes (fields out of order, defaults spelled out, lists in pieces) is read too, and the
messages that have it are marked as odd.

The format: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from etgraph.ingest.chakra.fields import CHILD, KIND, ONEOF, PRESENCE, REPEATED, Kind, name_of
from etgraph.model.columns import Array
from etgraph.model.kernels import kernel

LARGEST: Final = 2**28
"""Bytes of the largest message: places within a block, and within its JSON text, are 32-bit numbers."""

# Kernels take these as constants; an enumeration's members they would not.
_BOOL, _UINT32, _INT32, _SINT32, _SINT64, _ENUM = (
    int(kind) for kind in (Kind.BOOL, Kind.UINT32, Kind.INT32, Kind.SINT32, Kind.SINT64, Kind.ENUM)
)
_FIXED32, _SFIXED32, _FIXED64 = int(Kind.FIXED32), int(Kind.SFIXED32), int(Kind.FIXED64)
_STRING, _MESSAGE = int(Kind.STRING), int(Kind.MESSAGE)
_TAG, _LENGTH, _VARINT, _FOUR, _EIGHT = range(5)
_PAST_END, _LONG_VARINT, _FIELD_NUMBER, _OTHER_WIRE_TYPE, _NO_WIRE_TYPE, _GROUP, _TOO_DEEP, _LONG_TAG = range(1, 9)
_FAULTS: Final = {
    _PAST_END: ("a field that ends after its message", "fields within the message"),
    _LONG_VARINT: ("a varint of more than 10 bytes", "at most 10 bytes"),
    _FIELD_NUMBER: ("field number 0 or one above 2²⁹ - 1", "a field number"),
    _OTHER_WIRE_TYPE: ("another wire type than the field's", "the wire type of the field's type"),
    _NO_WIRE_TYPE: ("wire type 6 or 7", "0 to 5"),
    _GROUP: ("a group that does not end, or ends without having begun", "groups in pairs"),
    _TOO_DEEP: ("groups nested more than 100 deep", "at most 100"),
    _LONG_TAG: ("a tag or a length of more than 5 bytes", "at most 5 bytes"),
}
"""Faults that `_tokens` reports: what was found and what was expected."""


class WireError(Exception):
    """A message is no protobuf of its type: number of the message, place of the fault, what was found and expected."""

    def __init__(self, message: int, at: int, found: str, expected: str, field: str = "") -> None:
        super().__init__(found)
        self.message, self.at, self.found, self.expected, self.field = message, at, found, expected, field


@dataclass(frozen=True, slots=True)
class Tokens:
    """The values of some messages in wire order. Those of message m are `first[m]` to `first[m + 1]`.

    `code` says which field; `value` holds the number's bits, sign-extended; `start` and `end` are the place of a
    text, of bytes, of a message, or of all that is unknown from there to its message's end; `skip` is the token after
    a message's own. `odd` marks messages that another encoder would write in another way.
    """

    data: Array
    first: Array
    code: Array
    value: Array
    start: Array
    end: Array
    skip: Array
    odd: Array


def frames(data: Array) -> tuple[Array, Array, int]:
    """Begins and ends of the messages that are whole, each after its length, and the place where the rest begins.

    Raises WireError for a length that is no number or that no message may have.
    """
    begins, ends, rest, fault = _frames(data, LARGEST)
    if fault:
        at = len(begins)
        if fault == 2:
            raise WireError(at, rest, *_FAULTS[_LONG_VARINT])
        raise WireError(at, rest, f"a message of more than {LARGEST:,} bytes", f"at most {LARGEST:,} bytes")
    return begins, ends, rest


@kernel
def _frames(data: Array, largest: int) -> tuple[Array, Array, int, int]:
    begins = np.empty(len(data) + 1, dtype=np.int64)
    ends = np.empty(len(data) + 1, dtype=np.int64)
    count = 0
    pos = 0
    fault = 0
    while pos < len(data):
        at = pos
        size = 0
        shift = 0
        whole = False
        while at < len(data):
            byte = int(data[at])
            at += 1
            if shift < 63:
                size |= (byte & 127) << shift
            elif byte & 127:
                size = largest + 1
            if byte < 128:
                whole = True
                break
            shift += 7
            if shift > 63:
                fault = 2
                break
        if fault == 0 and whole and size > largest:
            fault = 1
        if fault or not whole or at + size > len(data):
            break
        begins[count] = at
        ends[count] = at + size
        count += 1
        pos = at + size
    return begins[:count].copy(), ends[:count].copy(), pos, fault


def joined(messages: Sequence[bytes]) -> tuple[Array, Array, Array]:
    """Messages one after another, and where each of them begins and ends."""
    ends = np.cumsum([len(message) for message in messages], dtype=np.int64)
    data = np.frombuffer(b"".join(messages), dtype=np.uint8)
    return data, np.concatenate([[0], ends[:-1]]) if len(ends) else ends, ends


def tokens(data: Array, begins: Array, ends: Array, root: int) -> Tokens:
    """The values of messages of one type. Raises WireError for the first message that is none of that type."""
    arrays, (count, fault, message, at, code) = _tokens(
        data, begins, ends, root, KIND, CHILD, REPEATED, PRESENCE, ONEOF
    )
    if fault:
        found, expected = _FAULTS[fault]
        raise WireError(message, at, found, expected, name_of(code))
    first, odd, codes, value, start, end, skip = arrays
    return Tokens(data, first, codes[:count], value[:count], start[:count], end[:count], skip[:count], odd)


@kernel
def _tokens(
    data: Array,
    begins: Array,
    ends: Array,
    root: int,
    kinds: Array,
    children: Array,
    repeated: Array,
    presence: Array,
    oneof: Array,
) -> tuple[tuple[Array, Array, Array, Array, Array, Array, Array], tuple[int, int, int, int, int]]:
    most = 1
    for m in range(len(begins)):
        most += ends[m] - begins[m]
    first = np.zeros(len(begins) + 1, dtype=np.int64)
    odd = np.zeros(len(begins), dtype=np.bool_)
    code_of = np.empty(most, dtype=np.int16)
    value_of = np.empty(most, dtype=np.int64)
    start_of = np.empty(most, dtype=np.int32)
    end_of = np.empty(most, dtype=np.int32)
    skip_of = np.empty(most, dtype=np.int32)
    # Messages around the place: type, end, own token, number of the last field, token of what is unknown, oneof set.
    type_at = np.zeros(8, dtype=np.int64)
    stop_at = np.zeros(8, dtype=np.int64)
    token_at = np.zeros(8, dtype=np.int64)
    last_at = np.zeros(8, dtype=np.int64)
    rest_at = np.zeros(8, dtype=np.int64)
    set_at = np.zeros(8, dtype=np.int64)
    group = np.zeros(101, dtype=np.int64)
    t = 0
    fault = 0
    code = root * 64
    pos = 0
    m = 0
    while m < len(begins) and fault == 0:
        first[m] = t
        pos = begins[m]
        depth = 0
        code = root * 64
        type_at[0] = root
        stop_at[0] = ends[m]
        last_at[0] = 0
        rest_at[0] = -1
        set_at[0] = 0
        groups = 0
        state = _TAG  # what comes next
        kind = 0
        packed = False
        limit = stop_at[0]
        while True:
            if packed and state != _LENGTH and pos == limit:
                packed = False
                limit = stop_at[depth]
                state = _TAG
            if state == _TAG and pos == stop_at[depth]:
                if groups > 0:
                    fault = _GROUP
                    break
                if rest_at[depth] >= 0:
                    end_of[rest_at[depth]] = pos
                if depth == 0:
                    break
                skip_of[token_at[depth]] = t
                depth -= 1
                limit = stop_at[depth]
                continue
            if state == _TAG:
                code = type_at[depth] * 64
            v = 0
            begin = pos
            if state <= _VARINT and pos < limit and data[pos] < 128:
                v = int(data[pos])
                pos += 1
            elif state <= _VARINT:
                shift = 0
                while True:
                    if pos >= limit:
                        fault = _PAST_END
                        break
                    byte = int(data[pos])
                    pos += 1
                    if shift < 63:
                        v |= (byte & 127) << shift
                    elif byte & 1:
                        v += -0x7FFF_FFFF_FFFF_FFFF - 1
                    if byte < 128:
                        break
                    shift += 7
                    if shift > 63:
                        fault = _LONG_VARINT
                        break
                    if shift > 28 and state < _VARINT:
                        fault = _LONG_TAG
                        break
                if fault:
                    break
            else:
                width = 4 if state == _FOUR else 8
                if pos + width > limit:
                    fault = _PAST_END
                    break
                for i in range(min(width, 7)):
                    v |= int(data[pos + i]) << (8 * i)
                if width == 8:
                    high = int(data[pos + 7])
                    v |= (high & 127) << 56
                    if high > 127:
                        v += -0x7FFF_FFFF_FFFF_FFFF - 1
                pos += width
            if state == _TAG:
                number = (v >> 3) & 0x1FFF_FFFF
                wire = v & 7
                if number == 0 or v < 0 or (v >> 32) != 0:
                    fault = _FIELD_NUMBER
                    break
                if wire > 5:
                    fault = _NO_WIRE_TYPE
                    break
                known = groups == 0 and number < 64 and kinds[type_at[depth] * 64 + number] != 0
                if known:
                    code = type_at[depth] * 64 + number
                    kind = kinds[code]
                    last = last_at[depth]
                    if kind < _FIXED32:
                        own = 0
                    elif kind < _FIXED64:
                        own = 5
                    elif kind < _STRING:
                        own = 1
                    else:
                        own = 2
                    scalars = repeated[code] == 1 and kind < _STRING
                    if number < last or rest_at[depth] >= 0 or (number == last and (repeated[code] == 0 or scalars)):
                        odd[m] = True
                    if oneof[code] == 1:
                        if set_at[depth] == 1:
                            odd[m] = True
                        set_at[depth] = 1
                    last_at[depth] = number
                    if wire == own:
                        if scalars:
                            odd[m] = True
                        state = _LENGTH if own == 2 else (_VARINT if own == 0 else (_FOUR if own == 5 else _EIGHT))
                    elif wire == 2 and scalars:
                        packed = True
                        state = _LENGTH
                    else:
                        fault = _OTHER_WIRE_TYPE
                        break
                else:
                    code = type_at[depth] * 64
                    kind = 0
                    if wire == 4:
                        if groups == 0 or group[groups] != number:
                            fault = _GROUP
                            break
                        groups -= 1
                    else:
                        if groups == 0 and rest_at[depth] < 0:
                            rest_at[depth] = t
                            code_of[t] = code
                            value_of[t] = 0
                            start_of[t] = begin
                            end_of[t] = begin
                            skip_of[t] = t + 1
                            t += 1
                        if wire == 3:
                            if groups + depth >= 100:
                                fault = _TOO_DEEP
                                break
                            groups += 1
                            group[groups] = number
                        else:
                            state = (
                                _VARINT if wire == 0 else (_EIGHT if wire == 1 else (_LENGTH if wire == 2 else _FOUR))
                            )
                continue
            if state == _LENGTH:
                if v < 0 or v > limit - pos:
                    pos = begin
                    fault = _PAST_END
                    break
                if packed:
                    if v == 0:
                        odd[m] = True
                    limit = pos + v
                    state = _VARINT if kind < _FIXED32 else (_FOUR if kind < _FIXED64 else _EIGHT)
                    continue
                state = _TAG
                if kind == 0:
                    pos += v
                    continue
                code_of[t] = code
                value_of[t] = 0
                start_of[t] = pos
                end_of[t] = pos + v
                skip_of[t] = t + 1
                t += 1
                if kind < _MESSAGE:
                    if v == 0 and repeated[code] == 0 and presence[code] == 0:
                        odd[m] = True
                    pos += v
                    continue
                depth += 1
                type_at[depth] = children[code]
                stop_at[depth] = pos + v
                token_at[depth] = t - 1
                last_at[depth] = 0
                rest_at[depth] = -1
                set_at[depth] = 0
                limit = stop_at[depth]
                continue
            if not packed:
                state = _TAG
            if kind == 0:
                continue
            if kind == _BOOL:
                v = 1 if v != 0 else 0
            elif kind in (_UINT32, _FIXED32):
                v &= 0xFFFF_FFFF
            elif kind in (_INT32, _ENUM, _SFIXED32):
                v &= 0xFFFF_FFFF
                if v >= 0x8000_0000:
                    v -= 0x1_0000_0000
            elif kind == _SINT32:
                v &= 0xFFFF_FFFF
                v = (v >> 1) ^ -(v & 1)
            elif kind == _SINT64:
                v = ((v >> 1) & 0x7FFF_FFFF_FFFF_FFFF) ^ -(v & 1)
            if v == 0 and repeated[code] == 0 and presence[code] == 0:
                odd[m] = True
            code_of[t] = code
            value_of[t] = v
            start_of[t] = begin
            end_of[t] = pos
            skip_of[t] = t + 1
            t += 1
        m += 1
    first[m if fault == 0 else m - 1 :] = t
    return (first, odd, code_of, value_of, start_of, end_of, skip_of), (t, fault, m - 1, pos, code)
