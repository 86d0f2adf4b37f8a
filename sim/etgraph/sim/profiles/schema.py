"""The form of a profile's file as JSON Schema, for editors; from what the dataclasses declare.

`python -m etgraph.sim.profiles.schema > docs/simulation/profile.schema.json` writes it.
"""

from __future__ import annotations

import json
import re
from typing import Any

from etgraph.sim.profiles.declaration import Kind, Leaf, Record, Rows, Table, declared
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
        **_record(declared(Profile), also=_OF_FILES),
        "$defs": {_name(quantity): _with_source(_quantity(quantity)) for quantity in QUANTITIES},
    }


def _record(record: Record, *, also: dict[str, Any] | None = None) -> dict[str, Any]:
    properties = {key: {**_kind(field.kind), "description": field.meaning} for key, field in record.fields.items()}
    return {"type": "object", "properties": (also or {}) | properties, "additionalProperties": False}


def _kind(kind: Kind) -> dict[str, Any]:
    if isinstance(kind, Record):
        return _record(kind)
    if isinstance(kind, Rows):
        return {"type": "array", "items": _record(kind.of) | {"required": ["name"] * kind.named}}
    if isinstance(kind, Table):
        inner = _kind(kind.of)
        if kind.keys:
            return {"type": "object", "properties": dict.fromkeys(kind.keys, inner), "additionalProperties": False}
        return {"type": "object", "additionalProperties": inner}
    if kind.quantity is not None:
        return {"$ref": f"#/$defs/{_name(kind.quantity)}"}
    return _with_source(_leaf(kind))


def _with_source(value: dict[str, Any]) -> dict[str, Any]:
    """A value, or the same with its source beside it."""
    figure = {
        "type": "object",
        "properties": {"value": value, "source": {"type": "string"}},
        "required": ["value"],
        "additionalProperties": False,
    }
    return {"anyOf": [value, figure]}


def _leaf(leaf: Leaf) -> dict[str, Any]:
    if leaf.choices:
        return {"enum": list(leaf.choices)}
    least = {"minimum": leaf.least} if leaf.least is not None else {}
    return {"type": {int: "integer", float: "number", str: "string"}[leaf.type], **least}


def _name(quantity: Quantity) -> str:
    return quantity.name.replace(" ", "-")


def _quantity(quantity: Quantity) -> dict[str, Any]:
    return {"type": "string", "pattern": _pattern(quantity), "examples": [quantity.example]}


def _pattern(quantity: Quantity) -> str:
    return f"^{_NUMBER}({'|'.join(re.escape(unit) for unit in quantity.units)})\\s*$"


def schema_text() -> str:
    """The schema as the file in the documentation holds it."""
    return json.dumps(profile_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(schema_text(), end="")
