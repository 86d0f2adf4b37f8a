"""The form of a grid's file as JSON Schema, for editors; from what its dataclasses and those of profiles declare.

`python -m etgraph.sim.sweeps.schema > docs/simulation/grid.schema.json` writes it.
"""

from __future__ import annotations

import json
from typing import Any

from etgraph.model.settings.declaration import Items, Kind, Leaf, Record, Rows, Table, declared
from etgraph.model.settings.schema import LeafSchema, definition_name, plain_schema, quantity_schema, record_schema
from etgraph.model.settings.units import QUANTITIES
from etgraph.sim.profiles import Profile
from etgraph.sim.sweeps.grid import Choices, Heading, PointHeading

_MULTIPLE = {"type": "string", "pattern": r"^\s*[x×*]\s*[0-9.eE+-]+\s*$", "examples": ["x2"]}
_OF_PROFILES = ("device", "tiers", "calibration")
"""Keys of a profile that hold figures."""
_ANY = {"type": ["string", "number", "boolean"]}


def grid_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a grid's file."""
    heading = record_schema(declared(Heading), plain_schema)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "etgraph grid of a sweep",
        **heading,
        "properties": heading["properties"]
        | {
            "grid": _settings(_values, _several(_ANY), {}) | {"description": "values to try, all with all others"},
            "points": {
                "type": "array",
                "items": _settings(_value, _ANY, record_schema(declared(PointHeading), plain_schema)["properties"]),
                "minItems": 1,
                "description": "single points",
            },
        },
        "required": ["profiles"],
        "anyOf": [{"required": ["grid"]}, {"required": ["points"]}],
        "$defs": {definition_name(each): {"anyOf": [quantity_schema(each), _MULTIPLE]} for each in QUANTITIES},
    }


def _settings(leaf: LeafSchema, any: dict[str, Any], also: dict[str, Any]) -> dict[str, Any]:
    """A table of choices and of figures of a profile by their paths; a key in quotes may be a whole path."""
    choices = record_schema(declared(Choices), leaf, also=also)
    own = declared(Profile).fields
    figures = {key: _by_path(own[key].kind, leaf) for key in _OF_PROFILES}
    names = rf"^(algorithms|{'|'.join(_OF_PROFILES)})\."
    return choices | {"properties": choices["properties"] | figures, "patternProperties": {names: any}}


def _by_path(kind: Kind, leaf: LeafSchema) -> dict[str, Any]:
    """The keys below a part of a profile: rows by their name, tables by key."""
    if isinstance(kind, Record):
        properties = {
            key: {**_by_path(field.kind, leaf), "description": field.meaning} for key, field in kind.fields.items()
        }
        return {"type": "object", "properties": properties, "additionalProperties": False}
    if isinstance(kind, (Rows, Table)):
        inner = _by_path(kind.of, leaf)
        if isinstance(kind, Table) and kind.keys:
            return {"type": "object", "properties": dict.fromkeys(kind.keys, inner), "additionalProperties": False}
        return {"type": "object", "additionalProperties": inner}
    assert not isinstance(kind, Items)
    return leaf(kind)


def _value(leaf: Leaf) -> dict[str, Any]:
    """A single value; of a figure also a multiple of what is there."""
    if leaf.quantity is not None:
        return {"$ref": f"#/$defs/{definition_name(leaf.quantity)}"}
    plain = plain_schema(leaf)
    return {"anyOf": [plain, _MULTIPLE]} if leaf.type in (int, float) else plain


def _values(leaf: Leaf) -> dict[str, Any]:
    return _several(_value(leaf))


def _several(value: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": value, "minItems": 1}


def schema_text() -> str:
    """The schema as the file in the documentation holds it."""
    return json.dumps(grid_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(schema_text(), end="")
