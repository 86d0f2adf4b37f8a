"""JSON values into the fields of protobuf messages, strictly: what a field cannot hold is an error, not a loss.

The mapping is that of protobuf (https://protobuf.dev/programming-guides/json). A key that no field has, a value that
its field cannot hold exactly, and bytes that are no base64 are refused. It is written out here because protobuf's own
`ParseDict` drops or rounds some of these and takes several times as long.
"""

from __future__ import annotations

import base64
import json
import math
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

UNKNOWN: Final = "unknown"
"""Name under which the bytes of unknown fields stand in what is kept of a message."""
_WHOLE: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,19})")
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]*={0,2}")
_NOT_FINITE: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_NAN: Final = re.compile(r"NaN\(0x([0-9a-f]{8}|[0-9a-f]{16})\)")
"""A not-a-number that says its bits."""


def shown(value: Any) -> str:
    """A JSON value in an error's message."""
    if value is None or type(value) is bool:
        return json.dumps(value)
    if type(value) is dict:
        return "an object"
    if type(value) is list:
        return "a list"
    if type(value) is int and value.bit_length() > 80:
        return f"a number of {value.bit_length()} bits"
    return ascii(value[:40] if type(value) is str else value)


class WrongValue(Exception):
    """What is wrong with a value, and the keys that lead to it; becomes an InputError."""

    def __init__(self, found: str, expected: str, path: str = "") -> None:
        super().__init__(found, expected, path)
        self.found = found
        self.expected = expected
        self.path = path

    def below(self, key: str) -> WrongValue:
        """The same of the object that holds the value under this key."""
        separator = "." if self.path and not self.path.startswith("[") else ""
        return WrongValue(self.found, self.expected, key + separator + self.path)


@dataclass(frozen=True, slots=True)
class _Field:
    """One field: how its JSON value becomes that of the message, or what message it holds."""

    name: str
    slot: str
    """The oneof that it belongs to, otherwise its own name."""
    repeated: bool
    convert: Callable[[Any], Any] | None
    message: Any


@cache
def _fields(descriptor: Any) -> tuple[str, dict[str, _Field]]:
    """A message's name, and its fields by both spellings of their keys."""
    # Whether a field is repeated has two spellings over the releases of protobuf; a list is what only these hold.
    repeated = {f.name for f in descriptor.fields if isinstance(f.default_value, list)}
    fields: dict[str, _Field] = {}
    for f in descriptor.fields:
        oneof = f.containing_oneof
        convert = None if f.message_type else _converter(f)
        field = _Field(f.name, oneof.name if oneof else f.name, f.name in repeated, convert, f.message_type)
        fields[f.name] = fields[f.json_name] = field
    return descriptor.name, fields


def fill(message: Any, value: Any, *, kept: bool = False) -> None:
    """Set the fields of a message from a JSON object; null is a field left out.

    `kept` takes the form of `text.kept`, in which each object may have the bytes of unknown fields. Raises WrongValue.
    """
    name, fields = _fields(message.DESCRIPTOR)
    if type(value) is not dict:
        raise WrongValue(shown(value), "an object")
    filled: dict[str, str] = {}
    for key, given in value.items():
        field = fields.get(key)
        if field is None and kept and key == UNKNOWN:
            continue
        if field is None:
            raise WrongValue(f"the unknown key {key[:60]!r}", f"a key of {name}")
        if given is None:
            continue
        if field.slot in filled:
            raise WrongValue(f"both {filled[field.slot]!r} and {key!r}", "one of them")
        filled[field.slot] = key
        try:
            _set(message, field, given, kept)
        except WrongValue as wrong:
            raise wrong.below(key) from None
    if kept and UNKNOWN in value:
        message.MergeFromString(_bytes(value[UNKNOWN]))


def _set(message: Any, field: _Field, given: Any, kept: bool) -> None:
    convert = field.convert
    if not field.repeated:
        if convert is not None:
            setattr(message, field.name, convert(given))
            return
        part = getattr(message, field.name)
        part.SetInParent()
        fill(part, given, kept=kept)
        return
    if type(given) is not list:
        raise WrongValue(shown(given), "a list")
    parts = getattr(message, field.name)
    values = []
    for at, item in enumerate(given):
        try:
            if convert is not None:
                values.append(convert(item))
            else:
                fill(parts.add(), item, kept=kept)
        except WrongValue as wrong:
            raise wrong.below(f"[{at}]") from None
    if values:
        parts.extend(values)


def _converter(field: Any) -> Callable[[Any], Any]:
    """From a JSON value to that of a scalar field; raises WrongValue for one that it cannot hold."""
    if field.type == field.TYPE_DOUBLE:
        return _double
    if field.type == field.TYPE_FLOAT:
        return _float
    if field.type == field.TYPE_BOOL:
        return _bool
    if field.type == field.TYPE_STRING:
        return _string
    if field.type == field.TYPE_BYTES:
        return _bytes
    if field.type == field.TYPE_ENUM:
        names = {value.name: value.number for value in field.enum_type.values}
        numbers = _integers(32, signed=True, expected=f"name or number of a {field.enum_type.name}")
        return lambda value: names[value] if type(value) is str and value in names else numbers(value)
    bits = 32 if field.cpp_type in (field.CPPTYPE_INT32, field.CPPTYPE_UINT32) else 64
    return _integers(bits, signed=field.cpp_type in (field.CPPTYPE_INT32, field.CPPTYPE_INT64))


def _integers(bits: int, *, signed: bool, expected: str = "") -> Callable[[Any], int]:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    expected = expected or f"a whole number from {low} to {high}"

    def convert(value: Any) -> int:
        if type(value) is int:
            number = value
        elif (type(value) is str and _WHOLE.fullmatch(value)) or (
            type(value) is float and value.is_integer() and abs(value) < 2**53
        ):
            number = int(value)
        else:
            raise WrongValue(shown(value), expected)
        if not low <= number <= high:
            raise WrongValue(shown(value), expected)
        return number

    return convert


def _double(value: Any, expected: str = "a number that a double can hold") -> float:
    if type(value) is str and value in _NOT_FINITE:
        return _NOT_FINITE[value]
    if type(value) is str and (bits := _NAN.fullmatch(value)):
        wide = len(bits[1]) > 8
        raw = int(bits[1], 16).to_bytes(8 if wide else 4, "little")
        return float(struct.unpack("<d" if wide else "<f", raw)[0])
    if type(value) in (int, float) or (type(value) is str and _NUMBER.fullmatch(value)):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if math.isfinite(number):
            return number
    raise WrongValue(shown(value), expected)


def _float(value: Any) -> float:
    number = _double(value, expected := "a number that a float can hold")
    try:
        struct.pack("<f", number)
    except OverflowError:
        raise WrongValue(shown(value), expected) from None
    return number


def _bool(value: Any) -> bool:
    if type(value) is not bool:
        raise WrongValue(shown(value), "true or false")
    return value


def _string(value: Any) -> str:
    if type(value) is not str:
        raise WrongValue(shown(value), "a string")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise WrongValue("half of a surrogate pair", "text") from None
    return value


def _bytes(value: Any) -> bytes:
    text = value.rstrip("=") if type(value) is str and _BASE64.fullmatch(value) else "?"
    try:
        return base64.b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        raise WrongValue(shown(value), "bytes in base64") from None
