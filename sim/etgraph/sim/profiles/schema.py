"""The form of a profile's file as JSON Schema, for editors; from what the dataclasses declare.

`python -m etgraph.sim.profiles.schema > docs/simulation/profile.schema.json` writes it.
"""

from __future__ import annotations

import json
from typing import Any

from etgraph.model.settings.declaration import Leaf, declared
from etgraph.model.settings.schema import definition_name, plain_schema, quantity_schema, record_schema
from etgraph.model.settings.units import QUANTITIES
from etgraph.sim.profiles.profile import Profile

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


def schema_text() -> str:
    """The schema as the file in the documentation holds it."""
    return json.dumps(profile_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(schema_text(), end="")
