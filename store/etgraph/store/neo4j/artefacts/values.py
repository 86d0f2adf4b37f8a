"""The columns of a table as properties of nodes: numbers, texts and times as they are, what is nested as JSON."""

from __future__ import annotations

import json
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from etgraph.model.errors import CorruptStore, UsageError

OWN: Final = frozenset({"key"})
"""Properties of a row's node that are no column's."""


def names_of(schema: pa.Schema) -> list[str]:
    """The properties that hold the columns: their names, a number after those that a node could not have (again)."""
    names: list[str] = []
    for at, name in enumerate(schema.names):
        plain = name and name not in OWN and schema.names.count(name) == 1 and "`" not in name and _is_text(name)
        names.append(name if plain else f"{name if _is_text(name) else ''}#{at}".replace("`", "'"))
    return names


def to_values(column: pa.ChunkedArray, field: pa.Field) -> list[Any]:
    """A column as values of properties, None for null. Raises UsageError for a type that a graph cannot hold."""
    form = _form(field)
    if form == "dictionary":
        return to_values(column.cast(field.type.value_type), pa.field(field.name, field.type.value_type))
    if form == "count":
        return column.cast(_integer(field.type)).to_pylist()  # type: ignore[no-any-return]
    values = column.to_pylist()
    if form == "json":
        return [None if v is None else json.dumps(v, separators=(",", ":")) for v in values]
    if form == "decimal":
        return [None if v is None else str(v) for v in values]
    if form == "large":
        return [v if v is None or v < 2**63 else str(v) for v in values]
    return values  # type: ignore[no-any-return]


def from_values(values: list[Any], field: pa.Field) -> pa.Array:
    """The inverse of `to_values`. Raises CorruptStore for a value that the column cannot hold."""
    form, kind = _form(field), field.type
    try:
        if form == "dictionary":
            return pc.cast(from_values(values, pa.field(field.name, kind.value_type)), kind)
        if form == "count":
            return pa.array(values, _integer(kind)).cast(kind)
        if form == "json":
            return pa.array([None if v is None else json.loads(v) for v in values], kind)
        if form == "decimal":
            return pa.array(values, pa.string()).cast(kind)
        if form == "large":
            return pa.array([None if v is None else int(v) for v in values], kind)
        return pa.array(values, kind)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise CorruptStore(f"artefact, column {field.name}: {error}") from error


def _form(field: pa.Field) -> str:
    kind = field.type
    if pa.types.is_dictionary(kind):
        return "dictionary"
    if kind == pa.uint64():
        return "large"
    if pa.types.is_temporal(kind) and not pa.types.is_interval(kind):
        return "count"
    if pa.types.is_decimal(kind):
        return "decimal"
    if (
        pa.types.is_null(kind) or pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)
        or pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)
    ):  # fmt: skip
        return "plain"
    if _is_json(kind):
        return "json"
    raise UsageError(
        f"artefact, column {field.name}: found the type {kind}, expected numbers, texts, times or lists of these",
        hint="cast the column first",
    )


def _is_json(kind: pa.DataType) -> bool:
    """Whether values are lists or structures of what JSON can hold."""
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _is_json(kind.value_type)
    if pa.types.is_struct(kind):
        return all(_is_json(kind.field(at).type) for at in range(kind.num_fields))
    return bool(
        pa.types.is_null(kind) or pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)
        or pa.types.is_string(kind) or pa.types.is_large_string(kind)
    )  # fmt: skip


def _integer(kind: pa.DataType) -> pa.DataType:
    return pa.int32() if kind.bit_width == 32 else pa.int64()


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
