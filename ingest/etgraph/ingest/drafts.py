"""A draft in a folder: how one process hands a rank to another, and how a rank outlives a reading that broke off.

A file for each table and one for the ids (Arrow IPC), the attributes as they are, and the facts as JSON. The last file
to be written lists the others with their sizes and checksums; a folder without it, or that it does not describe, holds
nothing.
"""

from __future__ import annotations

import os
import shutil
import zlib
from pathlib import Path
from typing import Any, Final

import msgspec

from etgraph.ingest.draft import Draft
from etgraph.model import TABLES, Attributes, Columns, Metadata, Trace
from etgraph.model.errors import CorruptStore

CONTENTS: Final = "contents.json"
_IDS = "ids.arrow"
_FACTS = "facts.json"


class _Contents(msgspec.Struct):
    """What a folder holds: bytes and CRC-32 of each file, and the rows of each file of attributes."""

    files: dict[str, tuple[int, int]]
    attribute_rows: list[int]


def save_draft(draft: Draft, folder: Path) -> None:
    """Write a draft into a folder that does not exist yet; it appears there whole or not at all. Raises OSError."""
    import pyarrow as pa

    partial = folder.with_name(f"{folder.name}.partial-{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        trace = draft.trace
        for name, columns in trace.tables.items():
            if len(columns):
                _write(partial / f"{name}.arrow", columns.to_arrow())
        _write(partial / _IDS, pa.table({name: pa.array(values) for name, values in draft.ids.items()}))
        (partial / _FACTS).write_bytes(msgspec.json.encode(trace.metadata.to_json()))
        for number, path in enumerate(trace.attributes.paths):
            _link(path, partial / f"attributes-{number}.arrow")
        files = {path.name: (path.stat().st_size, _checksum(path)) for path in sorted(partial.iterdir())}
        contents = msgspec.json.encode(_Contents(files, list(trace.attributes.rows)))
        with (partial / CONTENTS).open("wb") as file:
            file.write(contents)
            file.flush()
            os.fsync(file.fileno())
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def is_whole(folder: Path) -> bool:
    """Whether a folder holds a draft, every byte of it."""
    try:
        contents = _contents(folder)
        return all(
            (path := folder / name).stat().st_size == size and _checksum(path) == crc
            for name, (size, crc) in contents.files.items()
        )
    except (OSError, CorruptStore):
        return False


def load_draft(folder: Path, keep: object = None) -> Draft:
    """The draft of a folder, over its files: they must stay as long as the draft or a part of it is used.

    `keep` is held that long. Raises CorruptStore where the folder holds none.
    """
    import pyarrow as pa

    contents = _contents(folder)
    try:
        tables: dict[str, Any] = {
            name: Columns.from_arrow(table, _read(folder / f"{name}.arrow"), trusted=True)
            for name, table in TABLES.items()
            if f"{name}.arrow" in contents.files
        }
        ids = _read(folder / _IDS)
        metadata = Metadata.from_json(msgspec.json.decode((folder / _FACTS).read_bytes()))
    except (OSError, pa.ArrowException, msgspec.DecodeError) as error:
        raise CorruptStore(f"{folder}: found {error}, expected a rank that was read") from error
    rows = contents.attribute_rows
    paths = [folder / f"attributes-{number}.arrow" for number in range(len(rows))]
    tables.setdefault("operators", Columns.empty(TABLES["operators"]))
    trace = Trace(**tables, attributes=Attributes(paths, rows, keep=keep), metadata=metadata)
    return Draft(trace, {name: ids.column(name).to_numpy() for name in ids.column_names})


def _contents(folder: Path) -> _Contents:
    try:
        return msgspec.json.decode((folder / CONTENTS).read_bytes(), type=_Contents)
    except (OSError, msgspec.DecodeError) as error:
        raise CorruptStore(f"{folder}: found {error}, expected a rank that was read") from error


def _write(path: Path, table: Any) -> None:
    import pyarrow as pa

    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


def _read(path: Path) -> Any:
    import pyarrow as pa

    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


def _link(source: Path, target: Path) -> None:
    """Another name for a file, or a copy where the file system gives none."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _checksum(path: Path) -> int:
    crc = 0
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            crc = zlib.crc32(piece, crc)
    return crc
