"""What every answer has in common: the trust that it deserves, and one way to become JSON."""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True)
class Trust:
    """How far an answer can be trusted.

    `explained_share` is the part of the answer (0 to 1) that recorded or inferred causes account for, None where
    the question has no such part; `unmatched_collectives` counts collectives that are not recorded whole, and operators
    of collectives and messages that met nobody; `weak_links` counts links below a confidence of 0.9 that it rests on.
    """

    explained_share: float | None = None
    unmatched_collectives: int = 0
    weak_links: int = 0
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = []
        if self.explained_share is not None:
            parts.append(f"{self.explained_share:.1%} explained")
        if self.unmatched_collectives:
            one = self.unmatched_collectives == 1
            what, whose = ("collective or message", "its") if one else ("collectives or messages", "their")
            parts.append(f"{self.unmatched_collectives:,} {what} without all {whose} peers")
        if self.weak_links:
            parts.append(f"{self.weak_links} links of low confidence")
        return "; ".join([*parts, *self.warnings]) or "nothing against it"


def camel_case(name: str) -> str:
    """`window_ns` → `windowNs`: a Python field's name in JSON and GraphQL."""
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)


def to_json(value: Any) -> Any:
    """Plain JSON values of a result: field names in camelCase, enums by name, NaN and infinity as null.

    Takes dataclasses, mappings, sequences, Arrow tables (a list of objects), NumPy arrays and scalars, nested. Keys of
    mappings stay as they are, enums again by name. Raises TypeError for anything else.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {camel_case(f.name): to_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.name
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {k.name if isinstance(k, enum.Enum) else str(k): to_json(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [to_json(v) for v in value]
    if hasattr(value, "to_pylist") and hasattr(value, "column_names"):
        return [{camel_case(k): to_json(v) for k, v in row.items()} for row in value.to_pylist()]
    if hasattr(value, "tolist"):
        return to_json(value.tolist())
    raise TypeError(f"{type(value).__name__} has no JSON form")
