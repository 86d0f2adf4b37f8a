"""The form of a file of rules as JSON Schema, for editors; from what the dataclasses declare.

`python -m etgraph.alerts.rules.schema > docs/alerts/rules.schema.json` writes it, and that of a file of tests of rules
`python -m etgraph.alerts.rules.schema tests > docs/alerts/tests.schema.json`.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from etgraph.alerts.rules.rule import Rule
from etgraph.alerts.rules.trying import TestFile
from etgraph.model.settings.declaration import Kind, Leaf, Record, Rows, declared
from etgraph.model.settings.schema import kind_schema, plain_schema, record_schema

_DRAFT = "https://json-schema.org/draft/2020-12/schema"


def schema_of_rules() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a file of rules."""
    return {
        "$schema": _DRAFT,
        "title": "etgraph rules",
        "type": "object",
        "properties": {
            "rules": {"type": "array", "items": _record(declared(Rule)), "minItems": 1, "description": "the rules"}
        },
        "required": ["rules"],
        "additionalProperties": False,
    }


def schema_of_tests() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a file of tests of rules."""
    return {"$schema": _DRAFT, "title": "etgraph tests of rules", **_record(declared(TestFile))}


def _record(record: Record) -> dict[str, Any]:
    """The schema of a record, in which what has no default is required, at every depth."""
    schema = record_schema(record, _leaf)
    for key, field in record.fields.items():
        schema["properties"][key] = {**_kind(field.kind), "description": field.meaning}
    required = [key for key, field in record.fields.items() if field.required]
    return schema | ({"required": required} if required else {})


def _kind(kind: Kind) -> dict[str, Any]:
    if isinstance(kind, Record):
        return _record(kind)
    return {"type": "array", "items": _record(kind.of)} if isinstance(kind, Rows) else kind_schema(kind, _leaf)


def _leaf(leaf: Leaf) -> dict[str, Any]:
    return plain_schema(leaf)


def schema_text(schema: dict[str, Any]) -> str:
    """A schema as the file in the documentation holds it."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(schema_text(schema_of_tests() if sys.argv[1:] == ["tests"] else schema_of_rules()), end="")
