"""The files of one trace: one Arrow file a table, the attribute files, and what holds them together."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from etgraph.model import TABLES, Attributes, Columns, Metadata, Trace
from etgraph.model.errors import CorruptStore, EtgraphError
from etgraph.store.local.mapping import map_file, open_batches, read_table

if TYPE_CHECKING:
    import pyarrow as pa

HEADER = "trace.json"
CHUNK = 1 << 20
BLOCK = 4096
BLOCKS_BESIDE = 16


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file as the catalogue knows it: name within the trace's folder, size, and checksum of its content."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Header:
    """What holds a trace's files together: rows of each table and of each attribute file, and the metadata."""

    trace: str
    revision: int
    tables: dict[str, int]
    attributes: list[int]
    metadata: Metadata


class DigestingFile:
    """A file open for writing that hashes what goes through it; Arrow writes to it as to any Python file."""

    closed = False

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.bytes = 0

    def write(self, data: Any) -> int:
        """Write and hash one block."""
        view = memoryview(data)
        self._hash.update(view)
        self._file.write(view)
        self.bytes += view.nbytes
        return view.nbytes

    def tell(self) -> int:
        """Number of bytes written so far."""
        return self.bytes

    def flush(self) -> None:
        """Nothing to do: the file is flushed when it is closed."""

    @property
    def sha256(self) -> str:
        """Checksum of what was written."""
        return self._hash.hexdigest()


@contextmanager
def digesting(folder: Path, name: str, written: list[StoredFile]) -> Iterator[DigestingFile]:
    """A new file of that name; when it is complete, its record joins `written`."""
    with open(folder / name, "xb") as file:
        sink = DigestingFile(file)
        yield sink
    written.append(StoredFile(name, sink.bytes, sink.sha256))


def write_table(folder: Path, name: str, table: pa.Table, written: list[StoredFile]) -> None:
    """One uncompressed Arrow IPC file, whose buffers can be mapped."""
    import pyarrow as pa

    with digesting(folder, name, written) as sink, pa.ipc.new_file(pa.PythonFile(sink, mode="w"), table.schema) as out:
        out.write_table(table)


def write_trace(folder: Path, trace: Trace) -> list[StoredFile]:
    """Write all files of a trace into an empty folder and flush them to disk. Raises OSError."""
    written: list[StoredFile] = []
    trace = with_own_attributes(trace)
    rows = {}
    for name, columns in trace.tables.items():
        if len(columns):
            write_table(folder, f"{name}.arrow", _without_empty(columns.to_arrow()), written)
            rows[name] = len(columns)
    for number, path in enumerate(trace.attributes.paths):
        _write_attributes(folder, number, path, trace.attributes, written)
    header = {
        "trace": trace.trace_id,
        "revision": trace.revision,
        "tables": rows,
        "attributes": list(trace.attributes.rows),
        "metadata": trace.metadata.to_json(),
    }
    with digesting(folder, HEADER, written) as sink:
        sink.write(json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"))
    for file in written:
        synchronise(folder / file.name)
    synchronise(folder)
    return written


def _without_empty(table: pa.Table) -> pa.Table:
    """The table without columns that were filled with nulls only."""
    empty = [field.name for field, column in zip(table.schema, table.columns) if column.null_count == len(column)]
    return table.drop_columns(empty) if empty else table


def _write_attributes(folder: Path, number: int, path: Path, attributes: Attributes, written: list[StoredFile]) -> None:
    """Copy one attribute file byte by byte; where it was deleted since it was opened, write its rows anew."""
    with digesting(folder, f"attrs-{number}.arrow", written) as sink:
        if not path.exists():
            _rewrite_attributes(sink, number, attributes)
            return
        with open(path, "rb", buffering=0) as source:
            while block := source.read(CHUNK):
                sink.write(block)


def _rewrite_attributes(sink: DigestingFile, number: int, attributes: Attributes) -> None:
    import pyarrow as pa

    ends = np.cumsum([0, *attributes.rows]).tolist()
    schema = pa.schema([pa.field("json", pa.binary(), nullable=False)])
    options = pa.ipc.IpcWriteOptions(compression=pa.Codec("zstd", compression_level=1), use_threads=False)
    with pa.ipc.new_file(pa.PythonFile(sink, mode="w"), schema, options=options) as out:
        for first, texts in attributes.batches():
            if ends[number] <= first < ends[number + 1]:
                out.write_batch(pa.record_batch([texts], schema=schema))


def with_own_attributes(trace: Trace) -> Trace:
    """The trace with only the attribute rows that it refers to, if those are fewer than half."""
    total = len(trace.attributes)
    if not total:
        return trace
    holders = [name for name, columns in trace.tables.items() if "attrs" in columns.filled]
    used = np.zeros(total + 1, dtype=bool)
    for name in holders:
        used[trace.tables[name]["attrs"]] = True
    rows = np.flatnonzero(used[:total])
    if 2 * len(rows) >= total:
        return trace
    to_new = np.full(total + 1, -1, dtype=np.int32)
    to_new[rows] = np.arange(len(rows), dtype=np.int32)
    renumbered: dict[str, Any] = {
        name: trace.tables[name].replace({"attrs": to_new[trace.tables[name]["attrs"]]}) for name in holders
    }
    attributes = trace.attributes.select(rows) if len(rows) else Attributes.none()
    return replace(trace, **renumbered, attributes=attributes)


def size_of(trace: Trace) -> int:
    """About how many bytes publishing a trace takes: contents, and blocks for names, rounding and the catalogue."""
    attributes = [path.stat().st_size for path in trace.attributes.paths if path.exists()]
    tables = [columns.nbytes for columns in trace.tables.values() if len(columns)]
    return sum(attributes) + sum(tables) + BLOCK * (len(attributes) + len(tables) + BLOCKS_BESIDE)


def synchronise(path: Path) -> None:
    """Flush a file, or a folder's list of names, to disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_trace(folder: Path, sizes: Mapping[str, int], *, copied: bool = False) -> Trace:
    """The trace of a folder over mapped files, whose sizes must be those given.

    Raises FileNotFoundError for a missing file, CorruptStore for one that is cut short or unreadable.
    """
    header = _read_header(folder / HEADER, sizes.get(HEADER, 0))
    tables: dict[str, Any] = {}
    for name, rows in header.tables.items():
        if name not in TABLES:
            continue
        path = folder / f"{name}.arrow"
        arrow = read_table(path, sizes.get(path.name, 0), copied=copied)
        try:
            columns = Columns.from_arrow(TABLES[name], arrow, trusted=True)
            for column in TABLES[name].columns:
                if column.type == "text" and column.name in columns.filled:
                    columns.texts(column.name).validate(full=True)
        except (EtgraphError, ValueError, TypeError) as error:
            raise CorruptStore(f"{path}: {error}", hint="'etgraph doctor --verify' names every damaged file") from error
        if len(columns) != rows:
            raise CorruptStore(f"{path}: found {len(columns)} rows, expected {rows}")
        tables[name] = columns
    tables.setdefault("operators", Columns.empty(TABLES["operators"]))
    return Trace(
        **tables,
        attributes=_read_attributes(folder, header.attributes, sizes, copied),
        metadata=header.metadata,
        trace_id=header.trace,
        revision=header.revision,
    )


def _read_header(path: Path, expected: int) -> Header:
    import msgspec

    try:
        # Not msgspec's own reader: documents hold integers beyond 64 bits.
        document = json.loads(map_file(path, expected).to_pybytes().decode("utf-8", "surrogatepass"))
        return msgspec.convert(document, Header, strict=False)
    except (ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise CorruptStore(f"{path}: found {error}, expected the header of a trace") from error


def _read_attributes(folder: Path, rows: Sequence[int], sizes: Mapping[str, int], copied: bool) -> Attributes:
    paths = [folder / f"attrs-{number}.arrow" for number in range(len(rows))]
    # All are opened now: a file that another process deletes later stays readable.
    readers = {n: open_batches(path, sizes.get(path.name, 0), copied=copied) for n, path in enumerate(paths)}
    return Attributes(paths, rows, readers=readers)


def fault_of(path: Path, file: StoredFile) -> str | None:
    """What is wrong with a stored file: missing, of another size, of another content; None where it is sound."""
    digest = hashlib.sha256()
    size = 0
    try:
        with open(path, "rb", buffering=0) as source:
            while block := source.read(CHUNK):
                digest.update(block)
                size += len(block)
    except FileNotFoundError:
        return "the file is missing"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if size != file.bytes:
        return f"found {size} bytes, expected {file.bytes}"
    if digest.hexdigest() != file.sha256:
        return f"found checksum {digest.hexdigest()[:12]}…, expected {file.sha256[:12]}…"
    return None
