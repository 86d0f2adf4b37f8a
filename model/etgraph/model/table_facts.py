"""What a table says of itself beside its rows: facts as JSON in the metadata of its schema.

Stores that hold graphs show such facts as properties of the table's node.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


def with_facts(table: pa.Table, place: bytes, facts: Mapping[str, Any]) -> pa.Table:
    """The table with facts under that key of its schema's metadata; names in camelCase, values as JSON has them."""
    return table.replace_schema_metadata({**(table.schema.metadata or {}), place: json.dumps(dict(facts)).encode()})


def facts_of(schema: pa.Schema, place: bytes) -> dict[str, Any]:
    """The facts under that key; none for a table that was given none."""
    facts: dict[str, Any] = json.loads((schema.metadata or {}).get(place, b"{}"))
    return facts
