"""Answers out of JSON: the inverse of `etgraph.model.results.to_json`, by the annotations of their dataclasses."""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, TypeVar, get_args, get_origin

import numpy as np
import pyarrow as pa

from etgraph.model.result_tables import ResultRow, declared_fields, only, row_declared
from etgraph.model.results import camel_case

T = TypeVar("T")

_ARROW: Final = {
    "int32": pa.int32(),
    "int64": pa.int64(),
    "double": pa.float64(),
    "string": pa.string(),
    "bool": pa.bool_(),
}


def read(kind: type[T], found: Mapping[str, Any], without: Collection[str] = ()) -> T:
    """The dataclass that a JSON object says. Fields `without` which it was asked for are empty.

    Raises KeyError, TypeError or ValueError for an object that is none.
    """
    return kind(
        **{
            name: value_of(hint, None if name in without else found[camel_case(name)], empty=name in without)
            for name, hint in declared_fields(kind).items()
        }
    )


def value_of(hint: Any, value: Any, *, empty: bool = False) -> Any:
    """A value of a field as its annotation has it; an `empty` list or table has no rows."""
    one = only(hint)
    origin = get_origin(one) or one
    if one is pa.Table:
        row = row_declared(hint)
        return None if row is None or (value is None and not empty) else _table(row, value or [])
    if origin is tuple and (value is not None or empty):
        return _tuple(get_args(one), value or [])
    if value is None:
        # JSON has no NaN.
        return math.nan if hint is float else None
    if dataclasses.is_dataclass(one):
        assert isinstance(one, type)
        return read(one, value)
    if origin is np.ma.MaskedArray:
        unknown = [[cell is None for cell in row] for row in value]
        return np.ma.masked_array(_matrix([[cell or 0 for cell in row] for row in value]), unknown)
    if origin is np.ndarray:
        return _matrix(value)
    if origin in (dict, Mapping):
        return {_key(get_args(one)[0], key): value_of(get_args(one)[1], each) for key, each in value.items()}
    if isinstance(one, type) and issubclass(one, enum.Enum):
        return one[value]
    return value


def _tuple(kinds: Sequence[Any], values: Sequence[Any]) -> tuple[Any, ...]:
    if len(kinds) == 2 and kinds[1] is ...:
        return tuple(value_of(kinds[0], each) for each in values)
    return tuple(value_of(kind, each) for kind, each in zip(kinds, values, strict=True))


def _key(kind: Any, key: str) -> Any:
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return kind[key]
    return int(key) if kind is int else key


def _matrix(rows: Sequence[Sequence[int]]) -> Any:
    return np.array(rows, dtype=np.int64).reshape(len(rows), len(rows[0]) if rows else 0)


def _table(row: ResultRow, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    schema = pa.schema([(column.name, _ARROW[column.type]) for column in row.columns])
    names = {camel_case(column.name): column.name for column in row.columns}
    columns = [pa.array([each[name] for each in rows], schema.field(own).type) for name, own in names.items()]
    return pa.table(columns, schema=schema)


__all__ = ["read", "value_of"]
