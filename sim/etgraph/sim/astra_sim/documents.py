"""ASTRA-sim's configuration files: JSON and YAML objects, and their values checked one by one."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

from etgraph.model.errors import InputError

T = TypeVar("T")
Readable = str | PathLike[str] | Mapping[str, Any]
"""A file, or what one holds."""


@dataclass(frozen=True, slots=True)
class Document:
    """An object with named values, where it comes from, and on which lines its keys stand."""

    file: str
    values: Mapping[str, Any]
    lines: Mapping[str, int] = field(default_factory=dict)

    def error(self, key: str, found: str, expected: str) -> InputError:
        """An error that names file, line and key."""
        place = f"line {self.lines[key]}, {key}" if key in self.lines else key
        return InputError(self.file, found=found, expected=expected, place=place)

    def get(self, key: str, check: Callable[[Any], T | None], expected: str, default: T | None = None) -> T:
        """A value as `check` gives it. InputError where that is None, or where there is none and no default."""
        if key not in self.values:
            if default is None:
                raise self.error(key, "nothing", expected)
            return default
        value = check(self.values[key])
        if value is None:
            raise self.error(key, shown(self.values[key]), expected)
        return value

    def number(self, key: str, *, least: float = 0, above: bool = False, default: float | None = None) -> float:
        """A finite number from `least` on, or above it."""

        def check(value: Any) -> float | None:
            number = finite(value)
            return None if number is None or number < least or (above and number == least) else number

        return self.get(key, check, f"a number {'above' if above else 'from'} {least:g}", default)

    def whole(self, key: str, *, least: int = 0, default: int | None = None) -> int:
        """A whole number from `least` on; what stands behind the point is cut off."""

        def check(value: Any) -> int | None:
            number = finite(value)
            return None if number is None or int(number) < least or int(number) >= 1 << 62 else int(number)

        return self.get(key, check, f"a whole number from {least}", default)

    def flag(self, key: str) -> bool:
        """A number or boolean, 0 and absent being false."""
        return self.get(key, lambda v: None if finite(v) is None else bool(v), "0 or 1", False)

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts, empty where it is absent."""
        return self.get(key, lambda v: list_of(v, str), "a list of names", ())


def finite(value: Any) -> float | None:
    """A number, or None for what is none. Booleans are 0 and 1."""
    number = isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
    return value if number else None


def list_of(value: Any, kind: type[T]) -> tuple[T, ...] | None:
    """The elements of a list, None where it is no list or one is of another type."""
    fits = isinstance(value, (list, tuple)) and all(isinstance(each, kind) for each in value)
    return tuple(value) if fits else None


def shown(value: Any) -> str:
    """A value in a message."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def read_json(source: Readable, what: str) -> Document:
    """The object in a JSON file. Raises InputError; `what` names the content."""
    if isinstance(source, Mapping):
        return Document(what, source)
    import json

    text = _text(source)
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(str(source), found=str(error), expected="JSON") from None
    document = Document(str(source), values if isinstance(values, dict) else {}, _lines(text))
    return _object(document, values, what)


def read_yaml(source: Readable, what: str) -> Document:
    """The mapping in a YAML file. Raises InputError; `what` names the content."""
    if isinstance(source, Mapping):
        return Document(what, source)
    import yaml

    try:
        node = yaml.compose(text := _text(source), Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = None if mark is None else f"line {mark.line + 1}"
        found = getattr(error, "problem", None) or str(error)
        raise InputError(str(source), found=found, expected="YAML", place=place) from None
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    lines = {str(key.value): key.start_mark.line + 1 for key, _ in pairs}
    document = Document(str(source), values if isinstance(values, dict) else {}, lines)
    return _object(document, values, what)


def _object(document: Document, values: Any, what: str) -> Document:
    if not isinstance(values, dict):
        raise InputError(document.file, found=shown(values), expected=f"an object: {what}")
    return document


def _text(source: str | PathLike[str]) -> str:
    try:
        return Path(source).read_text("utf-8")
    except OSError as error:
        raise InputError(str(source), found=error.strerror or str(error), expected="a readable file") from None
    except UnicodeDecodeError:
        raise InputError(str(source), found="bytes that are not UTF-8", expected="text") from None


def _lines(text: str) -> dict[str, int]:
    """The line of the first occurrence of each key of a JSON text."""
    found: dict[str, int] = {}
    for match in re.finditer(r'"((?:[^"\\]|\\.)*)"\s*:', text):
        found.setdefault(match[1], text.count("\n", 0, match.start()) + 1)
    return found
