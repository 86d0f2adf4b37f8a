"""A file of settings as a tree of values that know their place, and what it builds on merged below it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

from etgraph.model.errors import InputError, NotFound
from etgraph.model.settings.positions import Path as Place
from etgraph.model.settings.positions import positions
from etgraph.model.settings.problems import FileProblems, Problem

_FIGURE = frozenset({"value", "source"})
_AMOUNT = re.compile(r"=\s*([0-9][0-9.]*\s*(?:%|[A-Za-z]+(?:/s)?))")
"""An amount that is no text."""
_PLACE = re.compile(r"^(.*) \(at (?:line (\d+), column (\d+)|end of document)\)$", re.DOTALL)
_BARE = re.compile(r"[A-Za-z0-9_-]+")

Value: TypeAlias = "str | int | float | bool | list[Node] | dict[str, Node] | object"


@dataclass(frozen=True, slots=True)
class Node:
    """A value with where it stands. `references` are its file's: what sources beside figures may be short for."""

    value: Value
    file: str
    line: int | None = None
    references: Mapping[str, str] = field(default_factory=dict)

    @property
    def table(self) -> dict[str, Node]:
        """The keys of a table; none where it is no table."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def figure(self) -> tuple[Node, Node | None] | None:
        """The value and the source of a table that is a figure with its source beside it."""
        if "value" in self.table and self.table.keys() <= _FIGURE:
            return self.table["value"], self.table.get("source")
        return None


def text_of(path: Path, hint: str) -> str:
    """The text of a TOML file. Raises NotFound, with that hint, where there is none, InputError for what is no text."""
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        raise NotFound(f"{path}: there is no such file", hint=hint) from None
    except UnicodeDecodeError as error:
        raise InputError(
            str(path), found="bytes that are no UTF-8", expected="TOML", place=f"byte {error.start}"
        ) from None
    except OSError as error:
        found = "a folder" if path.is_dir() else f"what cannot be read ({error.strerror or error})"
        raise InputError(str(path), found=found, expected="a TOML file") from None


def document(text: str, file: str, error: type[FileProblems]) -> Node:
    """The tree of a TOML text. Raises the error for what is no TOML."""
    try:
        values = tomllib.loads(text)
        lines = positions(text)
    except (ValueError, RecursionError) as problem:
        raise error([_syntax(str(problem), text, file)]) from None
    references = values.pop("references", {})
    if not isinstance(references, dict) or not all(isinstance(each, str) for each in references.values()):
        raise error([Problem(file, lines["references",], "references", "something else", "texts by name")])
    return _node(values, (), lines, file, references)


def _node(value: Any, path: Place, lines: Mapping[Place, int], file: str, references: Mapping[str, str]) -> Node:
    line = lines.get(path)
    if isinstance(value, dict):
        value = {key: _node(each, (*path, key), lines, file, references) for key, each in value.items()}
    elif isinstance(value, list):
        value = [_node(each, (*path, at), lines, file, references) for at, each in enumerate(value)]
    return Node(value, file, line, references)


def _syntax(message: str, text: str, file: str) -> Problem:
    """The problem of a text that is no TOML."""
    match = _PLACE.match(message)
    what, line = message, None
    if match:
        what = match[1]
        line = int(match[2]) if match[2] else text.count("\n", 0, len(text.rstrip())) + 1
    if what.startswith(("Cannot overwrite", "Cannot declare", "Cannot mutate", "Duplicate")):
        return Problem(file, line, "", f"a key or table that is there already ({what})", "each of them once")
    bare = _AMOUNT.search(text.splitlines()[line - 1]) if line and text.strip() else None
    hint = f'an amount with a unit is a text: "{bare[1]}"' if bare else None
    return Problem(file, line, "", f"what is no TOML ({what[:1].lower() + what[1:]})", "TOML", hint)


def merged(base: Node, over: Node) -> Node:
    """What one file says, and where it says nothing what the other one does.

    Tables are merged key by key, rows that have a name by that; rows of new names come after the known ones.
    """
    if isinstance(base.value, dict) and isinstance(over.value, dict) and over.figure is None:
        both = {
            key: merged(value, over.value[key]) if key in over.value else value for key, value in base.value.items()
        }
        return replace(over, value=both | {key: value for key, value in over.value.items() if key not in both})
    if isinstance(base.value, list) and isinstance(over.value, list):
        if all(name_of(row) for row in (*base.value, *over.value)):
            return replace(over, value=list(_rows(base.value, over.value)))
    return over


def _rows(base: list[Node], over: list[Node]) -> Iterator[Node]:
    known = {name_of(row) for row in base}
    for row in base:
        yield next((merged(row, own) for own in over if name_of(own) == name_of(row)), row)
    first: set[str | None] = set()
    for own in over:
        # A name that stands twice in one file is told of, not merged.
        if name_of(own) not in known or name_of(own) in first:
            yield own
        first.add(name_of(own))


def name_of(row: Node) -> str | None:
    """The name of a row, if it has one."""
    name = row.table.get("name")
    return name.value if name is not None and isinstance(name.value, str) else None


def spelled(keys: tuple[str, ...]) -> str:
    """Keys as the path that files and overrides write: those with other characters than letters in quotes.

    >>> spelled(("device", "floors", "softmax and loss"))
    'device.floors."softmax and loss"'
    """
    return ".".join(quoted_key(key) for key in keys)


def quoted_key(key: str) -> str:
    """A key as TOML writes it."""
    return key if _BARE.fullmatch(key) else quoted(key)


def quoted(text: str) -> str:
    """A text as TOML writes it on one line."""
    import json

    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


@lru_cache(maxsize=1024)
def split(path: str) -> tuple[str, ...]:
    """The keys of a path; quotes may be left out around keys without a dot.

    >>> split('device.floors."softmax and loss"')
    ('device', 'floors', 'softmax and loss')
    """
    try:
        found: Any = tomllib.loads(f"{path} = 0")
    except ValueError:
        return tuple(path.split("."))
    keys = []
    while isinstance(found, dict) and len(found) == 1:
        ((key, found),) = found.items()
        keys.append(key)
    return tuple(keys)
