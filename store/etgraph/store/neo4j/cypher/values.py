"""Values of Neo4j as plain ones that JSON can hold."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from typing import Any


def plain(value: Any) -> Any:
    """None, bool, int, float, str, and lists and dictionaries of these.

    Nodes, relationships and paths are dictionaries with labels or type, properties, and the server's ids of elements;
    dates, times and durations are ISO 8601 texts; bytes are base64; points are dictionaries with their coordinates.
    NaN and infinity, which JSON does not have, are None.
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode("ascii")
    return _element(value)


def _element(value: Any) -> Any:
    from neo4j.graph import Node, Path, Relationship
    from neo4j.spatial import Point

    if isinstance(value, Node):
        return {"id": value.element_id, "labels": sorted(value.labels), "properties": _properties(value)}
    if isinstance(value, Relationship):
        start, end = ("" if node is None else node.element_id for node in value.nodes)
        return {
            "id": value.element_id, "type": value.type, "start": start, "end": end, "properties": _properties(value),
        }  # fmt: skip
    if isinstance(value, Path):
        return {
            "nodes": [_element(node) for node in value.nodes],
            "relationships": [_element(relationship) for relationship in value.relationships],
        }
    if isinstance(value, Point):
        return {"srid": value.srid, "coordinates": [plain(float(number)) for number in value]}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    return value.iso_format() if hasattr(value, "iso_format") else str(value)


def _properties(element: Mapping[str, Any]) -> dict[str, Any]:
    return {key: plain(item) for key, item in sorted(element.items())}
