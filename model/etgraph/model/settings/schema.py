"""What dataclasses declare as pieces of JSON Schema, for editors."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from etgraph.model.settings.declaration import Items, Kind, Leaf, Record, Rows, Table
from etgraph.model.settings.units import Quantity

_NUMBER = r"\s*[+]?[0-9][0-9_]*(\.[0-9]+)?([eE][+-]?[0-9]+)?\s*"

LeafSchema = Callable[[Leaf], dict[str, Any]]
"""The schema of a single value, whose form is the file's own."""


def record_schema(record: Record, leaf: LeafSchema, *, also: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The schema of a table with known keys, and `also` those."""
    properties = {
        key: {**kind_schema(field.kind, leaf), "description": field.meaning} for key, field in record.fields.items()
    }
    return {"type": "object", "properties": {**(also or {}), **properties}, "additionalProperties": False}


def kind_schema(kind: Kind, leaf: LeafSchema) -> dict[str, Any]:
    """The schema of what a field holds."""
    if isinstance(kind, Record):
        return record_schema(kind, leaf)
    if isinstance(kind, Rows):
        return {"type": "array", "items": record_schema(kind.of, leaf) | {"required": ["name"] * kind.named}}
    if isinstance(kind, Items):
        return {"type": "array", "items": leaf(kind.of)}
    if isinstance(kind, Table):
        inner = kind_schema(kind.of, leaf)
        if kind.keys:
            return {"type": "object", "properties": dict.fromkeys(kind.keys, inner), "additionalProperties": False}
        return {"type": "object", "additionalProperties": inner}
    return leaf(kind)


def plain_schema(leaf: Leaf) -> dict[str, Any]:
    """The schema of a number without a unit, a text or a truth value."""
    if leaf.choices:
        return {"enum": list(leaf.choices)}
    if leaf.numbers:
        return {"type": ["string", "number"]}
    bounds = {"minimum": leaf.least, "maximum": leaf.most}
    known = {word: bound for word, bound in bounds.items() if bound is not None}
    return {"type": {int: "integer", float: "number", str: "string", bool: "boolean"}[leaf.type], **known}


def definition_name(quantity: Quantity) -> str:
    """Under which name a kind of figures stands in `$defs`."""
    return quantity.name.replace(" ", "-")


def quantity_schema(quantity: Quantity) -> dict[str, Any]:
    """The schema of a figure with its unit."""
    return {"type": "string", "pattern": _pattern(quantity), "examples": [quantity.example]}


def _pattern(quantity: Quantity) -> str:
    return f"^{_NUMBER}({'|'.join(re.escape(unit) for unit in quantity.units)})\\s*$"
