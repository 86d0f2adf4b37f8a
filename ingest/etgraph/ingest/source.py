"""Source files: opened once, decompressed as a stream, hashed on the way, bounded in size."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etgraph.model.errors import InputError, NotFound

READ = 1 << 20
_ZSTD_READ = 1 << 10
"""Bytes given to the decompressor at once: it hands out all that they expand to, up to 32 768 times as much."""
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a file may grow when it is decompressed: a bomb must not fill the memory or the disk.

    `max_ratio` binds beyond the first 256 MB only; traces compress 10 to 50 times.
    """

    max_bytes: int = 64 << 30
    max_ratio: int = 250
    ratio_from: int = 256 << 20


class SourceFile:
    """One file to read, plain, `.gz` or `.zst`; which one is told by its first bytes, not by its name."""

    def __init__(self, path: Path, limits: Limits | None = None) -> None:
        self.path = path
        self.name = path.name
        self.limits = limits or Limits()
        self.bytes = 0
        self._hash = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """SHA-256 of the decompressed bytes read so far, as hex digits."""
        return self._hash.hexdigest()

    def error(self, found: str, expected: str, place: str | None = None, hint: str | None = None) -> InputError:
        """An error about this file."""
        return InputError(str(self.path), found=found, expected=expected, place=place, hint=hint)

    def head(self) -> bytes:
        """The first decompressed bytes, up to about a megabyte; none of a file that `chunks` will refuse."""
        try:
            with self.path.open("rb") as file:
                return next(self._decompressed(file), b"")
        except (OSError, InputError):
            return b""

    def chunks(self) -> Iterator[bytes]:
        """Decompressed bytes in order, about a megabyte at a time, one chunk read ahead in another thread.

        Raises NotFound, InputError for a file that is empty, unreadable, cut short, damaged or a bomb.
        """
        blocks = self._counted()
        pool = ThreadPoolExecutor(1, thread_name_prefix="etgraph-read")
        try:
            coming = pool.submit(next, blocks, None)
            while (chunk := coming.result()) is not None:
                coming = pool.submit(next, blocks, None)
                yield chunk
        finally:
            # Never waits: an iterator left behind is ended by the garbage collector, in any thread and under any lock,
            # also under those that the reading thread takes to end.
            pool.shutdown(wait=False)
        if not self.bytes:
            raise self.error("an empty file", "a trace")

    def _counted(self) -> Iterator[bytes]:
        limits = self.limits
        try:
            with self.path.open("rb") as file:
                compressed = max(self.path.stat().st_size, 1)
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
            raise NotFound(f"{self.path}: no such file") from error
        except OSError as error:
            raise self.error(error.strerror or str(error), "a readable file") from error

    def _decompressed(self, file: Any) -> Iterator[bytes]:
        head = file.read(4)
        file.seek(0)
        if head.startswith(_GZIP):
            yield from self._gunzip(file)
        elif head == _ZSTD:
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
