"""Columns of one table: NumPy arrays that kernels can use, Arrow at the border, both over the same memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from etgraph.model.errors import EtgraphError
from etgraph.model.schema import Column, Table

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Array = np.ndarray[Any, np.dtype[Any]]

_ROWS_SHOWN = 20
"""Rows of a table that a notebook shows."""


class Columns:
    """The columns of one table of a trace, immutable.

    `columns["name"]` is a read-only NumPy array with one value a row; nulls are the type's reserved value, texts are
    codes of a dictionary (`texts`). A nullable column that was never filled takes no memory until it is asked for.
    """

    __slots__ = ("_blank", "_data", "_dictionaries", "_length", "_masks", "table")

    def __init__(
        self,
        table: Table,
        data: Mapping[str, Any],
        dictionaries: Mapping[str, Any] | None = None,
        masks: Mapping[str, Any] | None = None,
        *,
        length: int | None = None,
    ) -> None:
        """`data` maps column names to arrays, `dictionaries` text columns to their strings, `masks` to validity.

        A mask is true where there is a value; only types without a reserved value take one. Raises KeyError for a
        column that the table does not have, ValueError for one that is missing though required or of another length,
        OverflowError for a number that the column's type cannot hold.
        """
        self.table = table
        self._data: dict[str, Array] = {}
        for name, values in data.items():
            column = table.column(name)
            array = np.ascontiguousarray(_of_type(values, column)).view()
            array.flags.writeable = False
            self._data[name] = array
        lengths = {len(a) for a in self._data.values()} | ({length} if length is not None else set())
        if len(lengths) > 1:
            raise ValueError(f"columns of table {table.name} differ in length: {sorted(lengths)}")
        self._length = lengths.pop() if lengths else 0
        self._masks: dict[str, Array] = {}
        for name, mask in (masks or {}).items():
            if name not in self._data or table.column(name).null is not None or len(mask) != self._length:
                raise ValueError(f"table {table.name}: column {name} cannot take a mask of {len(mask)} rows")
            if not np.all(mask):
                self._masks[name] = np.asarray(mask, dtype=bool)
        self._dictionaries: dict[str, pa.StringArray] = {}
        self._blank: dict[str, Array] = {}
        for column in table.columns:
            if column.name not in self._data and not column.nullable and self._length:
                raise ValueError(f"table {table.name} needs column {column.name}")
            if column.type == "text" and column.name in self._data:
                self._dictionaries[column.name] = _strings((dictionaries or {}).get(column.name, ()))

    @classmethod
    def empty(cls, table: Table) -> Columns:
        """A table without rows."""
        return cls(table, {}, length=0)

    def __len__(self) -> int:
        return self._length

    def __repr__(self) -> str:
        return f"<{self.table.name}: {self._length} rows, columns {', '.join(self.filled)}>"

    def _repr_html_(self) -> str:
        head: str = self.take(np.arange(min(self._length, _ROWS_SHOWN))).to_pandas().to_html()
        return f"{head}<p>{self.table.name}: {self._length} rows</p>"

    @property
    def filled(self) -> tuple[str, ...]:
        """Names of the columns that were given values (which may all be null)."""
        return tuple(c.name for c in self.table.columns if c.name in self._data)

    @property
    def nbytes(self) -> int:
        """Bytes that the columns and their dictionaries take in memory (or map from a file)."""
        held = (*self._data.values(), *self._masks.values(), *self._dictionaries.values())
        return sum(int(array.nbytes) for array in held)

    def __getitem__(self, name: str) -> Array:
        array = self._data.get(name)
        return self._nothing(name) if array is None else array

    def _nothing(self, name: str) -> Array:
        """A column that was never filled: all null."""
        if name not in self._blank:
            column = self.table.column(name)
            array = np.full(self._length, 0 if column.null is None else column.null, dtype=column.dtype)
            array.flags.writeable = False
            self._blank[name] = array
        return self._blank[name]

    def is_null(self, name: str) -> Array:
        """Boolean array, true where the column has no value."""
        column = self.table.column(name)
        if name not in self._data:
            return np.full(self._length, column.nullable)
        if column.null is None:
            mask = self._masks.get(name)
            return np.zeros(self._length, dtype=bool) if mask is None else ~mask
        values = self._data[name]
        return np.isnan(values) if column.dtype.kind == "f" else values == column.null

    def texts(self, name: str) -> pa.StringArray:
        """The dictionary of a text column: position = code."""
        return self._dictionaries[name] if name in self._dictionaries else _strings(())

    def value(self, name: str, row: int) -> Any:
        """One value as Python's own type: None for null, str for text, the enum's member where it is known."""
        column = self.table.column(name)
        if name not in self._data:
            return None
        raw = self._data[name][row]
        if column.null is None:
            mask = self._masks.get(name)
            if mask is not None and not mask[row]:
                return None
        elif (raw != raw) if column.dtype.kind == "f" else raw == column.null:
            return None
        if column.type == "text":
            return self._dictionaries[name][int(raw)].as_py()
        value = raw.item()
        if column.values is not None:
            return column.values._value2member_map_.get(value, value)
        return value

    def values(self, name: str) -> list[Any]:
        """The values of a column as `value` gives them one by one; the quicker way to those of many rows."""
        if name not in self._data:
            return [None] * self._length
        import pyarrow as pa

        column, codes, null = self.table.column(name), self._data[name], self.is_null(name)
        if column.type == "text":
            texts: list[Any] = self._dictionaries[name].take(pa.array(codes, mask=null)).to_pylist()
            return texts
        told = codes.tolist()
        if column.values is not None:
            known = column.values._value2member_map_
            told = [known.get(number, number) for number in told]
        return [None if missing else value for missing, value in zip(null.tolist(), told)] if null.any() else told

    def row(self, row: int) -> dict[str, Any]:
        """One row as a dictionary of Python values."""
        return {c.name: self.value(c.name, row) for c in self.table.columns}

    def code(self, name: str, text: str) -> int:
        """The code of a text in a text column's dictionary, -1 where it does not occur."""
        import pyarrow.compute as pc

        return int(pc.index(self.texts(name), text).as_py())

    def codes_where(self, name: str, test: Any) -> Array:
        """Boolean array over the dictionary of a text column: `test(text)` of each of its strings."""
        strings = self.texts(name).to_pylist()
        return np.fromiter((bool(test(s)) for s in strings), dtype=bool, count=len(strings))

    def replace(
        self,
        data: Mapping[str, Any],
        dictionaries: Mapping[str, Any] | None = None,
        masks: Mapping[str, Any] | None = None,
    ) -> Columns:
        """The same table with some columns exchanged; the others are shared, not copied."""
        kept = {k: d for k, d in self._dictionaries.items() if k not in data}
        for name in data:
            if name in self._dictionaries and name not in (dictionaries or {}):
                kept[name] = self._dictionaries[name]
        return Columns(
            self.table,
            {**self._data, **data},
            {**kept, **(dictionaries or {})},
            {**{k: m for k, m in self._masks.items() if k not in data}, **(masks or {})},
            length=self._length,
        )

    def take(self, rows: Array) -> Columns:
        """The rows of a boolean mask or an array of row numbers, in its order; dictionaries are shared."""
        if rows.dtype == bool:
            if len(rows) != self._length:
                raise ValueError(f"a mask of {len(rows)} rows for table {self.table.name} of {self._length}")
            rows = np.flatnonzero(rows)
        data = {name: array[rows] for name, array in self._data.items()}
        masks = {name: mask[rows] for name, mask in self._masks.items()}
        return Columns(self.table, data, self._dictionaries, masks, length=len(rows))

    @staticmethod
    def concat(parts: Sequence[Columns]) -> Columns:
        """The rows of all parts (at least one) in order; dictionaries are merged."""
        table = parts[0].table
        if len(parts) == 1:
            return parts[0]
        filled = {name for part in parts for name in part._data if len(part)}
        data: dict[str, Array] = {}
        dictionaries: dict[str, pa.StringArray] = {}
        masks: dict[str, Array] = {}
        for column in table.columns:
            name = column.name
            if name not in filled:
                continue
            if column.type == "text":
                data[name], dictionaries[name] = _merge_texts([(p[name], p.texts(name)) for p in parts])
            else:
                data[name] = np.concatenate([p[name] for p in parts])
            if column.null is None and column.nullable:
                masks[name] = np.concatenate([~p.is_null(name) for p in parts])
        return Columns(table, data, dictionaries, masks, length=sum(len(p) for p in parts))

    def to_arrow(self) -> pa.Table:
        """An Arrow table over the same memory: nulls are nulls, texts are dictionaries, enums are their numbers.

        Columns that were never filled are left out. Each field's metadata carries unit and meaning.
        """
        import pyarrow as pa

        arrays, fields = [], []
        for column in self.table.columns:
            if column.name not in self._data:
                continue
            array = self._arrow_column(column)
            meta = {"meaning": column.meaning} | ({"unit": column.unit} if column.unit else {})
            arrays.append(array)
            fields.append(pa.field(column.name, array.type, nullable=column.nullable, metadata=meta))
        schema = pa.schema(fields, metadata={"etgraph.table": self.table.name, "etgraph.rows": str(self._length)})
        return pa.Table.from_arrays(arrays, schema=schema)

    def _arrow_column(self, column: Column) -> pa.Array:
        import pyarrow as pa

        values = self._data[column.name]
        if column.dtype == np.bool_:
            return pa.array(values, mask=self.is_null(column.name))
        null = self.is_null(column.name) if column.nullable else None
        nulls = 0 if null is None else int(np.count_nonzero(null))
        valid = None
        if null is not None and nulls:
            valid = pa.py_buffer(np.packbits(~null, bitorder="little"))
        physical = pa.Array.from_buffers(
            pa.from_numpy_dtype(column.dtype), len(values), [valid, pa.py_buffer(values)], null_count=nulls
        )
        if column.type == "text":
            return pa.DictionaryArray.from_arrays(physical, self._dictionaries[column.name], safe=False)
        return physical

    @classmethod
    def from_arrow(cls, table: Table, arrow: pa.Table, *, trusted: bool = False) -> Columns:
        """Columns over the memory of an Arrow table that has this table's columns (others are ignored).

        `trusted` says that slots under nulls hold the reserved value, as `to_arrow` leaves them: nothing is copied.
        Raises EtgraphError where a column has another type.
        """
        data: dict[str, Array] = {}
        dictionaries: dict[str, Any] = {}
        masks: dict[str, Array] = {}
        for column in table.columns:
            if column.name not in arrow.column_names:
                continue
            array = _one_chunk(arrow.column(column.name))
            if column.type == "text":
                array = _as_dictionary(array, column)
                dictionaries[column.name] = array.dictionary
                array = array.indices
            data[column.name], mask = _numpy_values(array, column, trusted)
            if mask is not None:
                masks[column.name] = mask
        return cls(table, data, dictionaries, masks, length=arrow.num_rows if data else _declared_rows(arrow))

    def to_pandas(self) -> pd.DataFrame:
        """A data frame: texts and enums (by name) as strings, nulls as pandas' own, row numbers as numbers."""
        import pandas as pd

        series: dict[str, Any] = {}
        for column in self.table.columns:
            if column.name not in self._data:
                continue
            null = self.is_null(column.name)
            values = self._data[column.name]
            if column.type == "text":
                strings = np.array([*self._dictionaries[column.name].to_pylist(), None], dtype=object)
                series[column.name] = pd.Series(strings[values], dtype="str")  # the code of null, -1, takes the last
            elif column.values is not None:
                names = {int(member): member.name for member in column.values}
                numbers, position = np.unique(np.where(null, 0, values), return_inverse=True)
                labels = np.array([names.get(n, str(n)) for n in numbers.tolist()], dtype=object)[position]
                labels[null] = None
                series[column.name] = pd.Series(labels, dtype="str")
            elif null.any() and column.dtype.kind in "biu":
                masked = pd.arrays.BooleanArray if column.dtype.kind == "b" else pd.arrays.IntegerArray
                series[column.name] = pd.Series(masked(values.copy(), null))
            else:
                series[column.name] = pd.Series(values)
        return pd.DataFrame(series)

    def equals(self, other: Columns) -> bool:
        """Whether both hold the same values, whatever their dictionaries' order."""
        return len(self) == len(other) and self.table.name == other.table.name and not self.differences(other)

    def differences(self, other: Columns) -> list[str]:
        """Names of the columns whose values differ; tables of different length differ in all."""
        if len(self) != len(other):
            return [c.name for c in self.table.columns]
        return [c.name for c in self.table.columns if not self._same(other, c)]

    def _same(self, other: Columns, column: Column) -> bool:
        name = column.name
        mine, theirs = self.is_null(name), other.is_null(name)
        if not np.array_equal(mine, theirs):
            return False
        if mine.all():
            return True
        a, b = self[name], other[name]
        if column.type == "text":
            (codes, _) = _merge_texts([(a, self.texts(name)), (b, other.texts(name))])
            a, b = codes[: len(a)], codes[len(a) :]
        return bool(np.array_equal(a[~mine], b[~theirs]))


def _of_type(values: Any, column: Column) -> Array:
    """The values as an array of the column's type. NumPy itself checks lists, but lets wider arrays wrap around."""
    if isinstance(values, np.ndarray) and len(values) and values.dtype.kind + column.dtype.kind in ("ii", "iu", "ui"):
        limits = np.iinfo(column.dtype)
        if not np.can_cast(values.dtype, column.dtype) and not limits.min <= values.min() <= values.max() <= limits.max:
            raise OverflowError(f"column {column.name}: a number outside {limits.min} to {limits.max}")
    return np.asarray(values, dtype=column.dtype)


def _strings(values: Any) -> pa.StringArray:
    import pyarrow as pa

    return values if isinstance(values, pa.Array) else pa.array(list(values), type=pa.string())


def _merge_texts(parts: Iterable[tuple[Array, Any]]) -> tuple[Array, Any]:
    """Codes of all parts over one dictionary, in order of first appearance, without duplicates."""
    import pyarrow as pa

    known: dict[str, int] = {}
    codes = []
    for values, strings in parts:
        to_new = np.fromiter(
            (known.setdefault(s, len(known)) for s in strings.to_pylist()), dtype=np.int32, count=len(strings)
        )
        codes.append(np.where(values < 0, np.int32(-1), to_new[values] if len(to_new) else np.int32(-1)))
    return np.concatenate(codes), pa.array(list(known), type=pa.string())


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _as_dictionary(array: Any, column: Column) -> Any:
    import pyarrow as pa

    if isinstance(array, pa.DictionaryArray):
        if array.type.index_type == pa.int32() and array.type.value_type == pa.string():
            return array
        array = array.cast(pa.string())
    if not (pa.types.is_string(array.type) or pa.types.is_large_string(array.type)):
        raise EtgraphError(f"column {column.name}: found {array.type}, expected text")
    return array.cast(pa.string()).dictionary_encode()


def _numpy_values(array: Any, column: Column, trusted: bool) -> tuple[Array, Array | None]:
    import pyarrow as pa

    if array.type != pa.from_numpy_dtype(column.dtype):
        raise EtgraphError(f"column {column.name}: found {array.type}, expected {column.dtype}")
    if column.dtype == np.bool_:
        valid = _bits(array, 0) if array.null_count else None
        values: Array = _bits(array, 1)
        return (values if valid is None else values & valid), valid
    data = array.buffers()[1]
    values = (
        np.frombuffer(data, dtype=column.dtype, count=len(array), offset=array.offset * column.dtype.itemsize)
        if len(array)
        else np.empty(0, dtype=column.dtype)
    )
    if not array.null_count:
        return values, None
    valid = _bits(array, 0) if column.null is None or not trusted else None
    if column.null is None:
        return values, valid
    return (values if valid is None else np.where(valid, values, column.null).astype(column.dtype)), None


def _bits(array: Any, buffer: int) -> Array:
    """A bit buffer of an Arrow array as booleans; Arrow's own conversion would import pandas."""
    if not len(array):
        return np.empty(0, dtype=bool)
    packed = np.frombuffer(array.buffers()[buffer], dtype=np.uint8)
    first = array.offset // 8
    bits = np.unpackbits(packed[first:], count=array.offset % 8 + len(array), bitorder="little")
    return bits[array.offset % 8 :].view(bool)


def _declared_rows(arrow: pa.Table) -> int:
    return int((arrow.schema.metadata or {}).get(b"etgraph.rows", b"0"))
