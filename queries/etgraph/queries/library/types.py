"""The types of parameters and columns: which values they hold, how a text becomes one, what they are in Arrow."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

_INT64: Final = range(-(2**63), 2**63)


@dataclass(frozen=True, slots=True)
class Type:
    """One type: its name in a header, in words, whether a value is of it, and how a text is read as one.

    `parse` raises ValueError for a text that is none. `arrow` is the name of the type in Arrow.
    """

    name: str
    words: str
    holds: Callable[[Any], bool]
    parse: Callable[[str], Any]
    arrow: str


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value in _INT64


def _is_number(value: Any) -> bool:
    return isinstance(value, float) or _is_integer(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_list_of(holds: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, (list, tuple)) and all(map(holds, value))


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"


def _list(text: str) -> list[Any]:
    """A JSON list, or texts with commas between them."""
    if not text.lstrip().startswith("["):
        return [part.strip() for part in text.split(",")]
    found = json.loads(text)
    assert isinstance(found, list)
    return found


TYPES: Final = MappingProxyType(
    {
        t.name: t
        for t in (
            Type("trace", "a trace: its id, a workload, workload@tag", _is_text, str, "string"),
            Type("string", "a text", _is_text, str, "string"),
            Type("integer", "an integer of 64 bits", _is_integer, int, "int64"),
            Type("float", "a number", _is_number, float, "float64"),
            Type("boolean", "true or false", lambda value: isinstance(value, bool), _boolean, "bool"),
            Type("strings", "a list of texts", _is_list_of(_is_text), _list, "list<string>"),
            Type(
                "integers",
                "a list of integers",
                _is_list_of(_is_integer),
                lambda text: [int(item) for item in _list(text)],
                "list<int64>",
            ),
        )
    }
)
"""The types that a header may name."""

UNITS: Final = frozenset({"-", "ns", "B", "B/s", "flop"})
"""Units of columns; `-` is none."""
