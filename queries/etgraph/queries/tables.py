"""Answers as Arrow tables and back, by the annotations of their dataclasses.

One field of an answer becomes the table's rows, so that a store which shows rows shows these: an Arrow table as it is,
a tuple of dataclasses with a column for each of their fields. All other fields are JSON in the schema's metadata, and
further Arrow tables are there as compressed streams. Rows may also be a property, which is shown and not read back.
"""

from __future__ import annotations

import dataclasses
import json
import types
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, Union, get_args, get_origin

from etgraph.model.results import Result, annotations_of

if TYPE_CHECKING:
    import pyarrow as pa

R = TypeVar("R", bound=Result)

_FIELDS: Final = b"etgraph.fields"
"""Metadata of a schema: the fields beside the rows; a table among them is its number."""
_TABLE: Final = b"etgraph.table."
"""Metadata of a schema, before a number: a table that is not the rows."""
_JSON: Final = {b"etgraph.json": b""}
"""Metadata of a column that holds values as JSON, since no type of Arrow's does."""


def to_table(answer: Result, rows: str) -> pa.Table:
    """The answer as one table whose rows are those of the field `rows`; a field without rows makes none.

    Raises TypeError for a value that is none of these: dataclasses, Arrow tables, NumPy arrays, mappings, sequences,
    enums, numbers, texts and None.
    """
    import msgspec
    import numpy as np
    import pyarrow as pa

    others: list[pa.Table] = []

    def foreign(value: Any) -> Any:
        if isinstance(value, pa.Table):
            others.append(value)
            return len(others) - 1
        if isinstance(value, Mapping):
            return dict(value)
        if isinstance(value, np.ndarray):
            return {"values": value.ravel().tolist(), "shape": value.shape, "type": value.dtype.str}
        if isinstance(value, np.generic):
            return value.item()
        raise TypeError(f"{type(answer).__name__}: found a {type(value).__name__}, expected what a table can hold")

    def plain(value: Any) -> Any:
        return msgspec.to_builtins(value, str_keys=True, enc_hook=foreign)

    shown = getattr(answer, rows)
    table, whole = pa.table({}), False
    if isinstance(shown, pa.Table):
        table, whole = shown, True
    elif isinstance(shown, tuple) and shown and dataclasses.is_dataclass(shown[0]) and len({*map(type, shown)}) == 1:
        table, whole = _columns(plain(shown), type(shown[0])), True
    told = {
        field.name: plain(getattr(answer, field.name))
        for field in dataclasses.fields(answer)  # type: ignore[arg-type]
        if not (whole and field.name == rows)
    }
    metadata = {_FIELDS: json.dumps(told).encode()}
    metadata |= {_TABLE + str(at).encode(): _stream(other) for at, other in enumerate(others)}
    return table.replace_schema_metadata({**(table.schema.metadata or {}), **metadata})


def from_table(table: pa.Table, kind: type[R], rows: str) -> R:
    """The answer that `to_table` made a table of.

    Raises KeyError, TypeError, ValueError or an error of msgspec's or Arrow's for a table that is none of that kind.
    """
    import msgspec
    import numpy as np
    import pyarrow as pa

    metadata = table.schema.metadata or {}
    told = json.loads(metadata[_FIELDS])

    def foreign(wanted: Any, value: Any) -> Any:
        origin = get_origin(wanted) or wanted
        if value is None and origin in (pa.Table, np.ndarray, np.ma.MaskedArray):
            return None
        if origin is np.ma.MaskedArray:
            unknown = [each is None for each in value["values"]]
            filled = [0 if each is None else each for each in value["values"]]
            return np.ma.masked_array(np.array(filled, dtype=value["type"]), unknown).reshape(value["shape"])
        if origin is np.ndarray:
            return np.array(value["values"], dtype=value["type"]).reshape(value["shape"])
        if origin is pa.Table:
            with pa.ipc.open_stream(metadata[_TABLE + str(value).encode()]) as stream:
                return stream.read_all()
        raise TypeError(f"expected what a table can hold, found a field of type {wanted}")

    values = {}
    hints = annotations_of(kind)
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        hint = hints[field.name]
        if field.name == rows and field.name not in told:
            if pa.Table in (hint, *get_args(hint)):
                own = {key: value for key, value in metadata.items() if not key.startswith(b"etgraph.")}
                values[field.name] = table.replace_schema_metadata(own or None)
                continue
            told[field.name] = _rows(table)
        values[field.name] = msgspec.convert(told[field.name], hint, str_keys=True, dec_hook=foreign)
    return kind(**values)


def _stream(table: pa.Table) -> bytes:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as stream:
        stream.write_table(table)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


# Tuples of dataclasses


def _columns(rows: Sequence[Mapping[str, Any]], row: type) -> pa.Table:
    """A column for each field of a dataclass."""
    import pyarrow as pa

    hints = annotations_of(row)
    fields, columns = [], []
    for field in dataclasses.fields(row):
        values = [each[field.name] for each in rows]
        kind, metadata = _arrow_type(hints[field.name]), None
        try:
            column = pa.array(values, kind) if kind is not None else None
        except (pa.ArrowException, OverflowError, TypeError, UnicodeError):
            column = None
        if column is None:
            column, metadata = pa.array(map(json.dumps, values), pa.string()), _JSON
        fields.append(pa.field(field.name, column.type, metadata=metadata))
        columns.append(column)
    return pa.table(columns, schema=pa.schema(fields))


def _rows(table: pa.Table) -> list[dict[str, Any]]:
    names = table.schema.names
    columns = [
        [json.loads(value) for value in column.to_pylist()] if (field.metadata or {}) == _JSON else column.to_pylist()
        for field, column in zip(table.schema, table.columns)
    ]
    return [dict(zip(names, values)) for values in zip(*columns)]


def _arrow_type(hint: Any) -> pa.DataType | None:
    """The type of a column for a field, None where its values are not of one plain type."""
    import pyarrow as pa

    if get_origin(hint) in (Union, types.UnionType):
        among = [each for each in get_args(hint) if each is not types.NoneType]
        return _arrow_type(among[0]) if len(among) == 1 else None
    if get_origin(hint) is Literal:
        kinds = {type(value) for value in get_args(hint)}
        return _arrow_type(kinds.pop()) if len(kinds) == 1 else None
    plain = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string()}
    return plain.get(hint)
