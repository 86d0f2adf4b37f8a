"""Chakra's Feeder form: one JSON object whose `workload_graph` lists the nodes, into wire messages."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from etgraph.ingest.chakra.values import shown

ARRAY: Final = "workload_graph"
"""The key of the list of nodes."""

_CTRL_DEPS = ("ctrlDeps", "ctrl_deps")
_DATA_DEPS = ("dataDeps", "data_deps")
_I64, _U64, _EXACT = 2**63, 2**64, 2**53
_ID = "a whole number from 0 to 2⁶⁴ - 1"

Fail = Callable[[str, str, str], Exception]
"""Makes the error for a bad value of what was found, what was expected, and the key."""


def node(element: dict[str, Any], fail: Fail) -> bytes:
    """One element as a serialised Node.

    A key that the wire format has no field for becomes an attribute of its name, of the type of its value. So does a
    runtime that is no whole number of microseconds, and one of 0, which the wire does not tell from none. Raises
    `fail(found, expected, key)` for an element without `Id` and for a value of a wrong type or out of range.
    """
    from etgraph.ingest.chakra.messages import Node

    result = Node()
    if "Id" not in element:
        raise fail("no key 'Id'", _ID, "Id")
    for key, value in element.items():
        try:
            _take(result, element, key, value, fail)
        except UnicodeEncodeError:
            raise fail("half of a surrogate pair", "text", ascii(key[:60])) from None
        except RecursionError:
            raise fail("values nested too deeply", "at most some hundred levels", key[:60]) from None
    serialised: bytes = result.SerializeToString(deterministic=True)
    return serialised


def metadata(rest: dict[str, Any]) -> bytes:
    """The other keys of the top object as attributes of a serialised GlobalMetadata without a version."""
    from etgraph.ingest.chakra.messages import GlobalMetadata

    result = GlobalMetadata()
    for key, value in rest.items():
        _attribute(result, key, value)
    serialised: bytes = result.SerializeToString(deterministic=True)
    return serialised


def _take(result: Any, element: dict[str, Any], key: str, value: Any, fail: Fail) -> None:
    """One key of an element into the node."""
    if key == "Id":
        result.id = _whole(value, _U64, _ID, key, fail)
    elif key == "Name":
        if type(value) is not str:
            raise fail(shown(value), "a text", key)
        result.name = value
    elif key == "NodeType":
        result.type = _whole(value, 2**31, "the number of a type of node", key, fail)
    elif key in _CTRL_DEPS:
        result.ctrl_deps.extend(_ids(element, key, _CTRL_DEPS, fail))
    elif key in _DATA_DEPS:
        result.data_deps.extend(_ids(element, key, _DATA_DEPS, fail))
    elif key == "runtime" and value is not None:
        if type(value) not in (int, float):
            raise fail(shown(value), "a number of microseconds", key)
        if 0 < value < _U64 and value == int(value):
            result.duration_micros = int(value)
        else:
            _attribute(result, key, value)
    elif key == "is_cpu_op" and type(value) is not bool:
        raise fail(shown(value), "true or false", key)
    else:
        _attribute(result, key, value)


def _whole(value: Any, end: int, expected: str, key: str, fail: Fail) -> int:
    if type(value) is not int or not 0 <= value < end:
        raise fail(shown(value), expected, key)
    return value


def _ids(element: dict[str, Any], key: str, spellings: tuple[str, str], fail: Fail) -> list[int]:
    """The ids that a list of dependencies names."""
    if all(spelling in element for spelling in spellings):
        raise fail(f"both {spellings[0]!r} and {spellings[1]!r}", "one of them", key)
    value = element[key]
    if type(value) is not list:
        raise fail(shown(value), "a list of ids", key)
    return [_whole(item, _U64, _ID, f"{key}[{at}]", fail) for at, item in enumerate(value)]


def _attribute(result: Any, name: str, value: Any) -> None:
    """Add an attribute of the value's own type; what no type holds exactly is kept as JSON text, null as no value."""
    attribute = result.attr.add(name=name)
    if value is None:
        return
    if type(value) is list:
        kind = _kind_of_all(value)
        if kind is not None:
            values = getattr(attribute, f"{kind}_list")
            values.SetInParent()
            values.values.extend(value)
            return
    elif (kind := _kind(value)) is not None:
        setattr(attribute, f"{kind}_val", value)
        return
    attribute.string_val = json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _kind(value: Any) -> str | None:
    """The type of an attribute that holds a value exactly; None where there is none."""
    if type(value) is bool:
        return "bool"
    if type(value) is str:
        return "string"
    if type(value) is float:
        return "double"
    if type(value) is int and -_I64 <= value < _U64:
        return "int64" if value < _I64 else "uint64"
    return None


def _kind_of_all(values: list[Any]) -> str | None:
    """The type of an attribute that holds a list exactly; whole numbers that a double holds may stand among doubles."""
    if not values:
        return "string"
    kinds = {_kind(value) for value in values}
    if len(kinds) == 1:
        return kinds.pop()
    if kinds == {"int64", "uint64"}:
        return "uint64" if min(values) >= 0 else None
    if kinds == {"int64", "double"}:
        return "double" if all(type(v) is float or abs(v) <= _EXACT for v in values) else None
    return None
