"""The form of a file of changes as JSON Schema, for editors; from what the changes declare.

`python -m etgraph.sim.what_if.schema > docs/simulation/changes.schema.json` writes it.
"""

from __future__ import annotations

import json
from typing import Any

from etgraph.model.settings.declaration import Leaf, declared
from etgraph.model.settings.schema import plain_schema, quantity_schema, record_schema
from etgraph.sim.what_if.declared import CHANGES


def changes_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a file of changes."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "etgraph changes of a run",
        "type": "object",
        "properties": {
            "changes": {
                "type": "array",
                "items": {"oneOf": [_change(name, kind) for name, kind in CHANGES.items()]},
                "minItems": 1,
                "description": "what is changed, in this order",
            }
        },
        "required": ["changes"],
        "additionalProperties": False,
    }


def _change(name: str, kind: type) -> dict[str, Any]:
    fields = declared(kind).fields
    schema = record_schema(declared(kind), _leaf, also={"change": {"const": name}})
    required = ["change", *(key for key, field in fields.items() if field.required)]
    return {**schema, "description": kind.__doc__, "required": required}


def _leaf(leaf: Leaf) -> dict[str, Any]:
    return plain_schema(leaf) if leaf.quantity is None else quantity_schema(leaf.quantity)


def schema_text() -> str:
    """The schema as the file in the documentation holds it."""
    return json.dumps(changes_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(schema_text(), end="")
