"""Parquet: a folder with one file for each table, for DuckDB, pandas, Polars and Spark."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from etgraph.ingest.writers.output import Target, Written, folder_output, mark_folder, name_of
from etgraph.ingest.writers.rows import blocks, metadata_document
from etgraph.model import Columns, Trace
from etgraph.model.progress import Progress, silent
from etgraph.model.schema import Column, Table

if TYPE_CHECKING:
    import pyarrow as pa

GROUP: Final = 1 << 16
"""Rows of a row group, which is what is in memory at one time."""
_GROUP_BYTES: Final = 1 << 23
"""Bytes of attributes after which their row group ends."""


def write_parquet(trace: Trace, target: Target, progress: Progress | None = None) -> Written:
    """Write every table of a trace as `TABLE.parquet` in a folder, with zstd, and `etgraph.json` that tells of it.

    All columns of the schema are there; nulls are nulls, texts and enumerations (by name) dictionaries. References are
    row numbers of the table that the field's metadata names under `refers`, from 0, in the order of its file; meaning
    and unit are there too. `attributes.parquet` holds what has no column, one JSON text a row. Raises ExportError
    where the folder cannot be written, UsageError for a stream.
    """
    progress = progress or silent
    tables = trace.tables
    total, done, replaced = sum(map(len, tables.values())) + len(trace.attributes), 0, 0
    with folder_output(target) as folder:
        for name, columns in tables.items():
            schema = _schema(columns.table, trace)
            with _writer(folder / f"{name}.parquet", schema) as writer:
                for first, block in blocks(columns, GROUP):
                    progress(f"writing {name.replace('_', ' ')}", done + first, total)
                    arrays = [_array(block, column) for column in columns.table.columns]
                    writer.write_table(_table(arrays, schema), row_group_size=GROUP)
            done += len(columns)
        replaced = _write_attributes(trace, folder / "attributes.parquet", progress, done, total)
        rows = {name: len(columns) for name, columns in tables.items()} | {"attributes": len(trace.attributes)}
        mark_folder(
            folder,
            {
                "format": "etgraph-parquet",
                "version": 1,
                "trace": trace.trace_id,
                "revision": trace.revision,
                "tables": rows,
                "metadata": metadata_document(trace),
            },
        )
        size = sum(path.stat().st_size for path in folder.iterdir())
    progress("done", total, total)
    return Written("parquet", name_of(target), len(trace), len(trace.dependencies), size, replaced)


def _writer(path: Path, schema: pa.Schema) -> Any:
    import pyarrow.parquet as pq

    return pq.ParquetWriter(path, schema, compression="zstd")


def _table(arrays: list[Any], schema: pa.Schema) -> pa.Table:
    import pyarrow as pa

    return pa.Table.from_arrays(arrays, schema=schema)


def _schema(table: Table, trace: Trace) -> pa.Schema:
    import pyarrow as pa

    fields = []
    for column in table.columns:
        about = {"meaning": column.meaning, "unit": column.unit, "refers": column.refers}
        kind = pa.dictionary(pa.int32(), pa.string()) if _is_named(column) else pa.from_numpy_dtype(column.dtype)
        fields.append(
            pa.field(column.name, kind, nullable=column.nullable, metadata={k: v for k, v in about.items() if v})
        )
    return pa.schema(
        fields,
        metadata={"etgraph.table": table.name, "etgraph.meaning": table.meaning, "etgraph.trace": trace.trace_id},
    )


def _is_named(column: Column) -> bool:
    return column.type == "text" or column.values is not None


def _array(block: Columns, column: Column) -> pa.Array:
    """One column of a block; a dictionary holds only what the block uses, since each row group repeats it."""
    import pyarrow as pa

    if column.name not in block.filled:
        kind = pa.dictionary(pa.int32(), pa.string()) if _is_named(column) else pa.from_numpy_dtype(column.dtype)
        return pa.nulls(len(block), kind)
    values, null = block[column.name], block.is_null(column.name)
    mask = null if null.any() else None
    if not _is_named(column):
        return pa.array(values, mask=mask)
    used, codes = np.unique(values[~null] if mask is not None else values, return_inverse=True)
    if column.type == "text":
        names = block.texts(column.name).take(pa.array(used))
    else:
        assert column.values is not None
        known = {int(member): member.name for member in column.values}
        names = pa.array([known.get(number, str(number)) for number in used.tolist()], type=pa.string())
    indices = np.zeros(len(block), dtype=np.int32)
    indices[~null] = codes
    return pa.DictionaryArray.from_arrays(pa.array(indices, mask=mask), names)


def _write_attributes(trace: Trace, path: Path, progress: Progress, done: int, total: int) -> int:
    """Write what has no column, as JSON text. Returns how many texts were not UTF-8 and had to be mended."""
    import pyarrow as pa

    meaning = "everything else that the source says of a row, as JSON"
    schema = pa.schema(
        [pa.field("attrs", pa.string(), nullable=False, metadata={"meaning": meaning})],
        metadata={
            "etgraph.table": "attributes",
            "etgraph.meaning": "rows to which the columns attrs of other tables refer",
        },
    )
    mended = 0
    with _writer(path, schema) as writer:
        for first, texts in _gathered(trace):
            progress("writing attributes", done + first, total)
            try:
                strings = texts.cast(pa.string())
            except pa.ArrowInvalid:
                decoded = [text.decode("utf-8", "replace") for text in texts.to_pylist()]
                mended += sum(text.count("\ufffd") for text in decoded)
                strings = pa.array(decoded, type=pa.string())
            writer.write_table(_table([strings], schema))
    return mended


def _gathered(trace: Trace) -> Iterator[tuple[int, Any]]:
    """Attributes in arrays of some megabytes."""
    import pyarrow as pa

    waiting: list[Any] = []
    start = 0
    for first, texts in trace.attributes.batches():
        waiting.append(texts)
        if sum(array.nbytes for array in waiting) >= _GROUP_BYTES:
            yield start, pa.concat_arrays(waiting)
            start, waiting = first + len(texts), []
    if waiting:
        yield start, pa.concat_arrays(waiting)
