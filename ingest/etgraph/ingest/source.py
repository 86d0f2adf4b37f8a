"""Source files: opened once, decompressed as a stream, hashed on the way, bounded in size."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etgraph.ingest.places import Place, portable
from etgraph.ingest.ranks import rank_of
from etgraph.model.errors import InputError, NotFound

READ = 1 << 20
_ZSTD_READ = 1 << 10
"""Bytes given to the decompressor at once: it hands out all that they expand to, up to 32 768 times as much."""
GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"
EMPTY = "an empty file"
HEAD = 1 << 16
"""Bytes by which it is told what a file is."""
_OTHERWISE_PACKED = {
    re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)"): "bzip2",
    re.compile(rb"\xfd7zXZ\0"): "xz",
    re.compile(rb"7z\xbc\xaf\x27\x1c"): "7-Zip",
    re.compile(rb"Rar!\x1a\x07"): "RAR",
}


def otherwise_packed(head: bytes) -> str | None:
    """What a file with these first bytes is compressed by, where that is not supported."""
    packer = next((name for begin, name in _OTHERWISE_PACKED.items() if begin.match(head)), None)
    return None if packer is None else f"a file compressed by {packer}, which is not supported"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much files may grow when they are decompressed: a bomb must not fill the memory or the disk.

    `max_ratio` binds beyond the first 256 MB only; traces compress 10 to 50 times. The others are of an archive, with
    the archives inside it: how many members it has, how many bytes all of them, how many archives lie in each other.
    """

    max_bytes: int = 64 << 30
    max_ratio: int = 250
    ratio_from: int = 256 << 20
    max_members: int = 100_000
    max_archive_bytes: int = 1 << 40
    max_depth: int = 3


class SourceFile:
    """One file to read, plain, `.gz` or `.zst`; which one is told by its first bytes, not by its name.

    It lies at a path, or anywhere else that a `Place` says, such as in an archive. `rank` is the rank that everything
    but its own content tells, and from what; without it the name is asked.
    """

    def __init__(
        self, path: Path | Place, limits: Limits | None = None, *, name: str = "", rank: tuple[int, str] | None = None
    ) -> None:
        self.place = path if isinstance(path, Place) else Place(path)
        self.path = Path(str(self.place))
        self.name = name or portable(self.path.name)
        self.limits = limits or Limits()
        self._rank = rank
        self.bytes = 0
        self._hash = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """SHA-256 of the decompressed bytes read so far, as hex digits."""
        return self._hash.hexdigest()

    def error(self, found: str, expected: str, place: str | None = None, hint: str | None = None) -> InputError:
        """An error about this file."""
        return InputError(str(self.place), found=found, expected=expected, place=place, hint=hint)

    def rank_of(self, document: dict[str, Any]) -> tuple[int, str]:
        """The rank of this file, given its top-level keys, and from what: the recorded one goes first."""
        recorded, found_in = rank_of(document, self.path)
        return (recorded, found_in) if found_in == "metadata" or self._rank is None else self._rank

    def head(self) -> bytes:
        """The first decompressed bytes, some KB up to about a megabyte, if there are as many; those before damage.

        A part of a packed file that is expanded at once may be shorter than what tells what the file is.
        """
        parts: list[bytes] = []
        try:
            with self._opened() as file:
                for chunk in self._decompressed(file):
                    parts.append(chunk)
                    if sum(map(len, parts)) >= HEAD:
                        break
        except (OSError, InputError):
            pass
        return b"".join(parts)

    @contextmanager
    def _opened(self) -> Iterator[_Raw]:
        with self.place.open() as file:
            yield _Raw(file)

    def chunks(self) -> Generator[bytes, None, None]:
        """Decompressed bytes in order, about a megabyte at a time; of a larger file one is read ahead in a thread.

        Raises NotFound, InputError for a file that is empty, unreadable, cut short, damaged or a bomb.
        """
        blocks = self._counted()
        pool: ThreadPoolExecutor | None = None
        try:
            chunk = next(blocks, None)
            while chunk is not None:
                if len(chunk) < READ:  # most likely the last one, for which a thread is not worth its start
                    yield chunk
                    chunk = next(blocks, None)
                    continue
                pool = pool or ThreadPoolExecutor(1, thread_name_prefix="etgraph-read")
                coming = pool.submit(next, blocks, None)
                yield chunk
                chunk = coming.result()
        finally:
            # Never waits: an iterator left behind is ended by the garbage collector, in any thread and under any lock,
            # also under those that the reading thread takes to end.
            if pool is not None:
                pool.shutdown(wait=False)
        if not self.bytes:
            raise self.error(EMPTY, "a trace")

    def _counted(self) -> Iterator[bytes]:
        limits = self.limits
        try:
            with self._opened() as file:
                compressed = max(self.place.size(), 1)
                for chunk in self._decompressed(file):
                    self.bytes += len(chunk)
                    ratio = self.bytes / compressed
                    if self.bytes > limits.max_bytes or (
                        self.bytes > limits.ratio_from and ratio > limits.max_ratio
                    ):  # fmt: skip
                        raise self.error(
                            f"{self.bytes:,} bytes or more after decompression ({ratio:.0f} times the file)",
                            f"at most {limits.max_bytes:,} bytes and {limits.max_ratio} times",
                            hint="if the file is what it should be, raise the limits: read(path, limits=Limits(…))",
                        )
                    self._hash.update(chunk)
                    yield chunk
        except FileNotFoundError as error:
            raise NotFound(f"{self.place}: no such file") from error
        except OSError as error:
            raise self.error(error.strerror or str(error), "a readable file") from error

    def _decompressed(self, file: Any) -> Iterator[bytes]:
        head = file.peek(4)
        if head.startswith(GZIP):
            yield from self._gunzip(file)
        elif head == ZSTD:
            yield from self._unzstd(file)
        else:
            while chunk := file.read(READ):
                yield chunk

    def _gunzip(self, file: Any) -> Iterator[bytes]:
        member = zlib.decompressobj(wbits=31)
        waiting = b""
        while True:
            waiting = waiting or file.read(READ)
            if not waiting:
                break
            if member.eof:
                waiting = waiting.lstrip(b"\0")
                if not waiting:
                    continue
                member = zlib.decompressobj(wbits=31)
            try:
                chunk = member.decompress(waiting, READ)
            except zlib.error as error:
                raise self.error(
                    f"damaged gzip data ({error})", "a whole gzip file", f"byte {file.tell()} of the compressed file"
                ) from error
            waiting = member.unused_data if member.eof else member.unconsumed_tail
            if chunk:
                yield chunk
        if not member.eof:
            if tail := member.flush():
                yield tail
            raise self.error(
                "a gzip file that is cut short", "a whole gzip file", f"after {self.bytes:,} decompressed bytes"
            )

    def _unzstd(self, file: Any) -> Iterator[bytes]:
        import zstandard

        frame = zstandard.ZstdDecompressor().decompressobj()
        waiting = b""
        parts: list[bytes] = []
        size = 0
        while True:
            waiting = waiting or file.read(_ZSTD_READ)
            if not waiting:
                break
            if frame.eof:
                frame = zstandard.ZstdDecompressor().decompressobj()
            try:
                parts.append(frame.decompress(waiting))
            except zstandard.ZstdError as error:
                raise self.error(
                    f"damaged zstd data ({error})", "a whole zstd file", f"byte {file.tell()} of the compressed file"
                ) from error
            waiting = frame.unused_data if frame.eof else b""
            size += len(parts[-1])
            if size >= READ:
                yield b"".join(parts)
                parts, size = [], 0
        if size:
            yield b"".join(parts)
        if not frame.eof:
            raise self.error(
                "a zstd file that is cut short", "a whole zstd file", f"after {self.bytes:,} decompressed bytes"
            )


class _Raw:
    """Compressed bytes from the start, some of them looked at before they are read."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._ahead = b""
        self._read = 0

    def peek(self, count: int) -> bytes:
        """The next bytes, which stay unread."""
        while len(self._ahead) < count and (more := self._file.read(count - len(self._ahead))):
            self._ahead += more
        return self._ahead[:count]

    def read(self, count: int) -> bytes:
        """Up to that many bytes; none at the end."""
        found: bytes = self._file.read(count - len(self._ahead)) if count > len(self._ahead) else b""
        found, self._ahead = self._ahead[:count] + found, self._ahead[count:]
        self._read += len(found)
        return found

    def tell(self) -> int:
        """How many bytes were read."""
        return self._read
