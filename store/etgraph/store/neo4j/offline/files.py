"""CSV files as `neo4j-admin database import` reads them, one for each label and each relationship between two labels.

A column of such a file has one type. Where a property is a number in some rows and a text in others, the rows go to
different files. A text always stands in quotes, so that an empty one is no null.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import numpy as np

from etgraph.model.columns import Array
from etgraph.model.property_graph import Values

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.csv

KINDS: Final = {bool: "boolean", int: "long", float: "double", str: "string", bytes: "byte[]", list: "long[]"}
"""Names of the types of properties in a header."""
ARRAY_DELIMITER: Final = ";"
BUFFER: Final = 4 << 20
"""Characters that the tool reads at once, unless it is told to read more. A row must fit."""


@dataclass(slots=True)
class ImportFiles:
    """The files of a folder, each opened when it gets its first rows. A context manager, which closes them."""

    folder: Path
    nodes_written: int = 0
    relationships_written: int = 0
    longest_row: int = 0
    """An upper bound of the characters of a row."""
    _arguments: list[str] = field(default_factory=list)
    _multiline: set[str] = field(default_factory=set)
    """Files in which some text has more than one line; the tool reads them more slowly."""
    _writers: dict[str, pyarrow.csv.CSVWriter] = field(default_factory=dict)
    _open: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def nodes(self, label: str, ids: Sequence[int], fields: Mapping[str, str], values: Mapping[str, Values]) -> None:
        """Write nodes of a label. `fields` names all properties that such a node may have, and the type of each.

        The property `key`, where it is a field, is the id itself. Raises OverflowError for an integer beyond 64 bits.
        """
        named = "key" if "key" in fields else ""
        columns = {f"{named}:ID({label})": {"long": _integers(ids)}}
        self._write(f"--nodes={label}=", label, columns, len(ids), fields, values)
        self.nodes_written += len(ids)

    def relationships(
        self,
        source: str,
        type: str,
        target: str,
        ends: tuple[Array | Sequence[int], Array | Sequence[int]],
        fields: Mapping[str, str] | None = None,
        values: Mapping[str, Values] | None = None,
    ) -> None:
        """Write relationships of a type between nodes of two labels, given by their ids."""
        columns = {
            f":{end}_ID({label})": {"long": _integers(ids)}
            for end, label, ids in zip(("START", "END"), (source, target), ends, strict=True)
        }
        count = len(ends[0])
        self._write(f"--relationships={type}=", f"{source}-{type}-{target}", columns, count, fields or {}, values or {})
        self.relationships_written += count

    def arguments(self) -> list[str]:
        """What the tool must be told of these files, apart from the database."""
        options = [
            "--id-type=integer",
            f"--array-delimiter={ARRAY_DELIMITER}",
            "--ignore-empty-strings=false",
            "--trim-strings=false",
            "--legacy-style-quoting=false",
        ]
        if self._multiline:
            options.append(f"--multiline-fields={','.join(f'./{name}' for name in sorted(self._multiline))}")
            options.append("--multiline-fields-format=v2")
        if 2 * self.longest_row > BUFFER:
            options.append(f"--read-buffer-size={2 * self.longest_row}")
        return options + sorted(self._arguments)

    # Within

    def _write(
        self,
        argument: str,
        stem: str,
        columns: dict[str, dict[str, pa.Array]],
        count: int,
        fields: Mapping[str, str],
        values: Mapping[str, Values],
    ) -> None:
        """Write some rows, each to the file whose columns have the types of its values."""
        import pyarrow as pa

        assert not values.keys() - fields.keys(), f"{stem}: no type is known for {values.keys() - fields.keys()}"
        if not count:
            return
        names = list(columns)
        for name, kind in fields.items():
            if name != "key":
                held = values.get(name)
                columns[name] = {kind: pa.nulls(count, _arrow(kind))} if held is None else by_kind(held, kind)
        for kinds, rows in _groups(columns, count):
            header = [name if name in names else f"{name}:{kinds[name]}" for name in columns]
            odd = [f"-{n}-{kinds[n].replace('[]', 's')}" for n in fields if n in kinds and kinds[n] != fields[n]]
            arrays = [parts[kinds[name]] for name, parts in columns.items()]
            if rows is not None:
                arrays = [array.take(pa.array(rows)) for array in arrays]
            self._append(argument, f"{stem}{''.join(odd)}", header, [kinds[name] for name in columns], arrays)

    def _append(self, argument: str, stem: str, header: list[str], kinds: list[str], arrays: list[pa.Array]) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        cells = [_text(array, kind) for array, kind in zip(arrays, kinds, strict=True)]
        batch = pa.record_batch(cells, names=header)
        texts = [cell for cell in cells if cell.type == pa.string()]
        longest = [pc.max(pc.binary_length(cell)).as_py() or 0 for cell in texts]
        # A quote within a text is written twice, and a number has up to twenty digits.
        self.longest_row = max(self.longest_row, sum(2 * length for length in longest) + 24 * len(cells))
        name = f"{stem}.csv"
        if name not in self._multiline and any(
            bool(pc.any(pc.match_substring(cell, end)).as_py()) for cell in texts for end in "\n\r"
        ):
            self._multiline.add(name)
        self._writer(argument, name, batch.schema).write_batch(batch)

    def _writer(self, argument: str, name: str, schema: pa.Schema) -> pyarrow.csv.CSVWriter:
        import pyarrow.csv

        if name not in self._writers:
            options = pyarrow.csv.WriteOptions(include_header=True, quoting_style="needed")
            writer = pyarrow.csv.CSVWriter(str(self.folder / name), schema, write_options=options)
            self._writers[name] = self._open.enter_context(writer)
            self._arguments.append(f"{argument}./{name}")
        return self._writers[name]


def by_kind(held: Values, kind: str) -> dict[str, pa.Array]:
    """Values as one array for each type that occurs, `kind` first, where it need not; nulls stand for the others.

    >>> {kind: array.to_pylist() for kind, array in by_kind(Values([1, None, "2"]), "long").items()}
    {'long': [1, None, None], 'string': [None, None, '2']}
    """
    import pyarrow as pa

    listed = held.values if held.texts is None else held.texts
    kinds = dict.fromkeys([kind, *(KINDS[t] for t in set(map(type, listed)) if t is not type(None))])
    arrays = {
        k: pa.array(
            listed if len(kinds) == 1 else [v if v is not None and KINDS[type(v)] == k else None for v in listed],
            type=_arrow(k),
        )
        for k in kinds
    }
    if held.texts is None:
        return arrays
    positions = pa.array(held.values, type=pa.int32())
    return {k: array.take(positions) for k, array in arrays.items()}


def _groups(columns: Mapping[str, Mapping[str, pa.Array]], count: int) -> Iterator[tuple[dict[str, str], Array | None]]:
    """Types of all columns, and the rows whose values have them (None: all)."""
    first = {name: next(iter(parts)) for name, parts in columns.items()}
    mixed = [name for name, parts in columns.items() if len(parts) > 1]
    if not mixed:
        yield first, None
        return
    which = np.zeros((count, len(mixed)), dtype=np.int8)
    for at, name in enumerate(mixed):
        for number, array in enumerate(columns[name].values()):
            which[array.is_valid().to_numpy(zero_copy_only=False), at] = number
    found, group = np.unique(which, axis=0, return_inverse=True)
    for number, choice in enumerate(found.tolist()):
        chosen = {name: list(columns[name])[at] for name, at in zip(mixed, choice, strict=True)}
        yield first | chosen, np.flatnonzero(group.reshape(-1) == number)


def _integers(ids: Array | Sequence[int]) -> pa.Array:
    import pyarrow as pa

    return pa.array(ids, type=pa.int64())


def _arrow(kind: str) -> pa.DataType:
    """The type of an array with values of a type."""
    import pyarrow as pa

    return {
        "long": pa.int64(),
        "double": pa.float64(),
        "boolean": pa.bool_(),
        "string": pa.string(),
        "byte[]": pa.binary(),
        "long[]": pa.list_(pa.int64()),
    }[kind]


def _text(array: pa.Array, kind: str) -> pa.Array:
    """The cells of a column: what Arrow would write otherwise, or not at all, as texts."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if kind == "double":
        infinite = pc.if_else(pc.greater(array, 0), "Infinity", "-Infinity")
        finite = pc.if_else(pc.is_inf(array), infinite, pc.cast(array, pa.string()))
        return pc.if_else(pc.is_nan(array), "NaN", finite)
    if kind == "long[]":
        return pa.array(
            [None if v is None else ARRAY_DELIMITER.join(map(str, v)) for v in array.to_pylist()], type=pa.string()
        )
    if kind == "byte[]":
        signed = [None if v is None else np.frombuffer(v, dtype=np.int8).tolist() for v in array.to_pylist()]
        return pa.array([None if v is None else ARRAY_DELIMITER.join(map(str, v)) for v in signed], type=pa.string())
    return array
