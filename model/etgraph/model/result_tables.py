"""What the Arrow tables of answers hold: the columns of each, declared beside the answer that it is a field of.

segments: Annotated[pa.Table, row_of("PathSegment", "a segment of the path", rank="int32 rank that it is on")]
"""

from __future__ import annotations

import dataclasses
import re
import types
from collections.abc import Mapping
from typing import Annotated, Any, Final, Union, get_args, get_origin, get_type_hints

_COLUMN: Final = re.compile(r"(int32|int64|double|string|bool) (\S.*)\Z", re.DOTALL)


@dataclasses.dataclass(frozen=True, slots=True)
class ResultColumn:
    """A column: its name, the name of its Arrow type, and what it says. Any of them may hold nulls."""

    name: str
    type: str
    meaning: str


@dataclasses.dataclass(frozen=True, slots=True)
class ResultRow:
    """The rows of a table: what one is called where types have names, what it is, and its columns."""

    name: str
    meaning: str
    columns: tuple[ResultColumn, ...]


def row_of(name: str, meaning: str, /, **columns: str) -> ResultRow:
    """The declaration of a table's rows; each column is its type's name, a space, and what it says."""
    found = []
    for column, told in columns.items():
        match = _COLUMN.match(told)
        if match is None:
            raise ValueError(f"column {column} of {name}: found {told!r}, expected a type and what the column says")
        found.append(ResultColumn(column, match[1], match[2]))
    return ResultRow(name, meaning, tuple(found))


def declared_fields(answers: type) -> Mapping[str, Any]:
    """Annotations of a dataclass' fields, with what is declared beside their types."""
    import pyarrow as pa

    hints = get_type_hints(answers, localns={"pa": pa}, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(answers)}


def only(hint: Any) -> Any:
    """The one type that a value has where it is not None, without what is declared beside it."""
    if get_origin(hint) is Annotated:
        return only(get_args(hint)[0])
    if get_origin(hint) in (Union, types.UnionType):
        (one,) = (each for each in get_args(hint) if each is not types.NoneType)
        return only(one)
    return hint


def has_rows(hint: Any) -> bool:
    """Whether values are lists of objects, tables or matrices, of which an answer gives windows."""
    import numpy as np
    import pyarrow as pa

    one = only(hint)
    return (
        one is pa.Table
        or get_origin(one) in (np.ndarray, np.ma.MaskedArray)
        or (get_origin(one) is tuple and dataclasses.is_dataclass(get_args(one)[0]))
    )


def row_declared(hint: Any) -> ResultRow | None:
    """What is declared of a table's rows."""
    if get_origin(hint) is Annotated:
        return next((each for each in get_args(hint)[1:] if isinstance(each, ResultRow)), None)
    return next((row for each in get_args(hint) if (row := row_declared(each)) is not None), None)


__all__ = ["ResultColumn", "ResultRow", "declared_fields", "has_rows", "only", "row_declared", "row_of"]
