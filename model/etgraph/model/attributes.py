"""Attributes off the heap: what a source says beyond the modelled columns, as JSON text in compressed files.

One row an event, in the order in which the source was read; tables point into it with their `attrs` column. The files
are Arrow IPC with zstd-compressed batches, so that one row can be read without the others.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
import weakref
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from etgraph.model.columns import Array
from etgraph.model.errors import CorruptStore
from etgraph.model.temporary import TemporaryFolder, shared_folder

BATCH = 4096
"""Rows a compressed batch; reading one row reads its batch."""


class Attributes:
    """Rows of JSON text in one or more files, in order."""

    __slots__ = ("_ends", "_keep", "_last", "_readers", "paths")

    def __init__(
        self, paths: Sequence[Path], rows: Sequence[int], keep: object = None, readers: Mapping[int, Any] | None = None
    ) -> None:
        """`rows` is the number of rows of each file; `keep` is held as long as the files are needed.

        `readers` are Arrow file readers by number of file, for those that are open already and may be deleted.
        """
        self.paths = tuple(paths)
        self._ends = np.cumsum(np.asarray(rows, dtype=np.int64)) if len(rows) else np.zeros(0, dtype=np.int64)
        self._keep = keep
        self._readers: dict[int, Any] = dict(readers or {})
        self._last: tuple[tuple[int, int], Any] | None = None

    @classmethod
    def none(cls) -> Attributes:
        """No attributes at all."""
        return cls((), ())

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getstate__(self) -> object:
        if not self.paths:
            return object.__getstate__(self)
        raise TypeError("attributes live in files of this process; publish the trace or pass its path instead")

    @property
    def rows(self) -> tuple[int, ...]:
        """Rows of each file."""
        return tuple(int(n) for n in np.diff(self._ends, prepend=0))

    def text(self, row: int) -> bytes:
        """The JSON text of one row. Raises IndexError outside 0 … len - 1, CorruptStore for a damaged file."""
        if not 0 <= row < len(self):
            raise IndexError(f"attribute row {row} of {len(self)}")
        file = int(np.searchsorted(self._ends, row, side="right"))
        local = row - (int(self._ends[file - 1]) if file else 0)
        text: bytes = self._texts(file, local // BATCH)[local % BATCH].as_py()
        return text

    def get(self, row: int) -> dict[str, Any]:
        """The attributes of one row, decoded; empty for a null row (below 0).

        A number beyond every float is None: JSON knows no limits. Its digits stand in `text`.
        """
        if row < 0:
            return {}
        found: dict[str, Any] = decoded(self.text(row))
        return found

    def texts(self, rows: Array) -> list[bytes | None]:
        """The JSON texts of some rows, a batch at a time; None for a null row (below 0)."""
        found: list[bytes | None] = [None] * len(rows)
        order = np.argsort(rows, kind="stable")
        for at, last, texts in self._pieces(rows[order]):
            for position, text in zip(order[at:last].tolist(), texts.to_pylist()):
                found[position] = text
        return found

    def array(self, rows: Array) -> Any:
        """The same as an Arrow binary array, without a Python object for each."""
        import pyarrow as pa

        order = np.argsort(rows, kind="stable")
        ordered = rows[order]
        pieces = [texts for _, _, texts in self._pieces(ordered)]
        if (nulls := int(np.searchsorted(ordered, 0))) or not pieces:
            pieces.insert(0, pa.nulls(nulls, pa.binary()))
        joined = pieces[0] if len(pieces) == 1 else pa.concat_arrays(pieces)
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(len(order))
        return joined if bool((order[1:] > order[:-1]).all()) else joined.take(place)

    def _pieces(self, ordered: Array) -> Iterator[tuple[int, int, Any]]:
        """Texts of rows that ascend, batch by batch, with which of the rows they are; null rows are left out."""
        at = int(np.searchsorted(ordered, 0))
        while at < len(ordered):
            row = int(ordered[at])
            if row >= len(self):
                raise IndexError(f"attribute row {row} of {len(self)}")
            file = int(np.searchsorted(self._ends, row, side="right"))
            start = int(self._ends[file - 1]) if file else 0
            number = (row - start) // BATCH
            first = start + number * BATCH
            last = int(np.searchsorted(ordered, min(first + BATCH, int(self._ends[file]))))
            rows, texts = ordered[at:last] - first, self._texts(file, number)
            in_a_row = bool((np.diff(rows) == 1).all())
            yield at, last, texts.slice(rows[0], len(rows)) if in_a_row else texts.take(rows)
            at = last

    def batches(self) -> Iterator[tuple[int, Any]]:
        """All rows in order, as (first row, Arrow binary array), one batch in memory at a time."""
        start = 0
        for file in range(len(self.paths)):
            for number in range(self._reader(file).num_record_batches):
                texts = self._texts(file, number)
                yield start, texts
                start += len(texts)

    def select(self, rows: Array) -> Attributes:
        """A new file with only those rows, which must ascend without repeats."""
        with AttributeWriter() as writer:
            for first, texts in self.batches():
                low, high = np.searchsorted(rows, (first, first + len(texts)))
                if low < high:
                    writer.extend(texts.take(rows[low:high] - first).to_pylist())
        return writer.attributes

    def edited(self, changes: Mapping[int, bytes], more: Sequence[bytes] = ()) -> Attributes:
        """A new file with other texts in some rows, and more rows at the end. O(rows): all are written again."""
        rows = sorted(changes)
        with AttributeWriter() as writer:
            for first, texts in self.batches():
                low, high = bisect_left(rows, first), bisect_left(rows, first + len(texts))
                if low < high:
                    listed = texts.to_pylist()
                    for row in rows[low:high]:
                        listed[row - first] = changes[row]
                    writer.extend(listed)
                else:
                    writer.extend_array(texts)
            writer.extend(more)
        return writer.attributes

    @staticmethod
    def concat(parts: Sequence[Attributes]) -> Attributes:
        """The rows of all parts in order; the files stay where they are."""
        firsts = list(zip(np.cumsum([0, *(len(part.paths) for part in parts)]).tolist(), parts, strict=False))
        return Attributes(
            [path for part in parts for path in part.paths],
            [rows for part in parts for rows in part.rows],
            keep=tuple(parts),
            readers={first + file: reader for first, part in firsts for file, reader in part._readers.items()},
        )

    def _texts(self, file: int, number: int) -> Any:
        """One batch of a file. The last one is kept, so that reading row after row decompresses each batch once."""
        import pyarrow as pa

        last = self._last
        if last is not None and last[0] == (file, number):
            return last[1]
        try:
            texts = self._reader(file).get_batch(number).column(0)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise CorruptStore(f"{self.paths[file]}: batch {number}: found {error}, expected attributes") from error
        self._last = ((file, number), texts)
        return texts

    def _reader(self, file: int) -> Any:
        import pyarrow as pa

        if file not in self._readers:
            path = self.paths[file]
            try:
                self._readers[file] = pa.ipc.open_file(pa.memory_map(str(path)))
            except (pa.ArrowException, OSError) as error:
                raise CorruptStore(f"{path}: found {error}, expected an Arrow file of attributes") from error
        return self._readers[file]


class AttributeWriter:
    """Writes attribute rows to a file as they come, a batch at a time.

    Used as a context manager. Without a path the file is temporary: it goes with the writer and the last `Attributes`
    over it, at once when writing fails, and later where the process is killed (see `etgraph.model.temporary`).
    """

    def __init__(self, path: Path | None = None) -> None:
        self._remove: Callable[[], object] = lambda: None
        self._folder: TemporaryFolder | None = None
        if path is None:
            self._folder = shared_folder()
            handle, name = tempfile.mkstemp(suffix=".attrs", dir=self._folder.path)
            os.close(handle)
            path = Path(name)
            self._remove = weakref.finalize(self, _remove, name)
        self.path = path
        self._rows = 0
        self._waiting: list[bytes] = []
        self._arrays: list[Any] = []
        self._writer: Any = None
        self._done = False

    def __enter__(self) -> AttributeWriter:
        import pyarrow as pa

        self._schema = pa.schema([pa.field("json", pa.binary(), nullable=False)])
        options = pa.ipc.IpcWriteOptions(compression=pa.Codec("zstd", compression_level=1), use_threads=False)
        self._writer = pa.ipc.new_file(str(self.path), self._schema, options=options)
        return self

    def append(self, text: bytes) -> int:
        """Add one row of JSON text; returns its number."""
        return self.extend((text,))

    def extend(self, texts: Sequence[bytes]) -> int:
        """Add rows of JSON text; returns the number of the first."""
        first = self._rows
        self._rows += len(texts)
        self._waiting += texts
        if self._held >= BATCH:
            self._write(whole_only=True)
        return first

    def extend_array(self, texts: Any) -> int:
        """Add rows of JSON text from an Arrow binary array, without a Python object for each; the first's number."""
        first = self._rows
        self._rows += len(texts)
        self._take_waiting()
        self._arrays.append(texts)
        if self._held >= BATCH:
            self._write(whole_only=True)
        return first

    @property
    def _held(self) -> int:
        """Rows that are not written yet."""
        return len(self._waiting) + sum(map(len, self._arrays))

    def _take_waiting(self) -> None:
        import pyarrow as pa

        if self._waiting:
            self._arrays.append(pa.array(self._waiting, type=pa.binary()))
            self._waiting = []

    def _write(self, *, whole_only: bool) -> None:
        """Write the rows that are there as batches; a last one that is not full only at the end."""
        import pyarrow as pa

        self._take_waiting()
        texts = pa.concat_arrays(self._arrays)
        written = len(texts) // BATCH * BATCH if whole_only else len(texts)
        for first in range(0, written, BATCH):
            self._writer.write_batch(pa.record_batch([texts[first : min(first + BATCH, written)]], schema=self._schema))
        rest = texts[written:]
        self._arrays = [rest] if len(rest) else []

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            try:
                if kind is None and self._held:
                    self._write(whole_only=False)
            finally:
                self._writer.close()
            self._done = kind is None
        finally:
            if not self._done:
                self._remove()
                self._folder = None  # an error's traceback may hold this writer for long

    @property
    def attributes(self) -> Attributes:
        """What was written, once the writer is closed; RuntimeError before, and after a failure."""
        if not self._done:
            raise RuntimeError("the attribute file is not complete")
        return Attributes([self.path], [self._rows], keep=self)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass


def decoded(text: bytes) -> Any:
    """The value of a JSON text; numbers beyond every float, which JSON allows, are None. Raises msgspec.DecodeError."""
    import msgspec

    try:
        return msgspec.json.decode(text)
    except msgspec.ValidationError:
        return json.loads(text, parse_float=_float, parse_int=_int)


def _float(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None


def _int(digits: str) -> int | None:
    try:
        return int(digits)
    except ValueError:  # more digits than Python converts
        return None
