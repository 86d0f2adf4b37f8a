"""The form of a profile's file as JSON Schema, for editors; from what the dataclasses declare.

`python -m etgraph.sim.profiles.schema > docs/simulation/profile.schema.json` writes it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from etgraph.sim.profiles.declaration import Items, Kind, Leaf, Record, Rows, Table, declared
from etgraph.sim.profiles.profile import Profile
from etgraph.sim.profiles.units import QUANTITIES, Quantity

_NUMBER = r"\s*[+]?[0-9][0-9_]*(\.[0-9]+)?([eE][+-]?[0-9]+)?\s*"
_OF_FILES: dict[str, Any] = {
    "extends": {"type": "string", "description": "a built-in profile, or a path, that this one builds on"},
    "ranks": {"type": "integer", "minimum": 1, "description": "devices that the tiers join, to be checked"},
    "references": {
        "type": "object",
        "additionalProperties": {"type": "string"},
        "description": "sources by a short name",
    },
}


def profile_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a profile's file. Nothing is required, since a file may build on another one."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "etgraph hardware profile",
        **record_schema(declared(Profile), _figure, also=_OF_FILES),
        "$defs": {definition_name(quantity): _with_source(quantity_schema(quantity)) for quantity in QUANTITIES},
    }


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


def _figure(leaf: Leaf) -> dict[str, Any]:
    if leaf.quantity is not None:
        return {"$ref": f"#/$defs/{definition_name(leaf.quantity)}"}
    return _with_source(plain_schema(leaf))


def _with_source(value: dict[str, Any]) -> dict[str, Any]:
    """A value, or the same with its source beside it."""
    figure = {
        "type": "object",
        "properties": {"value": value, "source": {"type": "string"}},
        "required": ["value"],
        "additionalProperties": False,
    }
    return {"anyOf": [value, figure]}


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


def schema_text() -> str:
    """The schema as the file in the documentation holds it."""
    return json.dumps(profile_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(schema_text(), end="")
