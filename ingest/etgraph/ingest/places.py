"""Where the bytes of a file lie: a file of its own, or a part of one, such as a member of an archive."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from etgraph.model.errors import InputError

READ = 1 << 16


_NO_TEXT = re.compile("[\udc80-\udcff]")


def portable(name: str) -> str:
    """A file's name as text that can be written anywhere: bytes of it that are no UTF-8 as `<ff>`.

    A letter at the end of what stands for them would hide a word that follows, such as that of a rank.
    """
    text = _NO_TEXT.sub(lambda byte: f"<{ord(byte[0]) & 255:02x}>", name)
    return text.encode(errors="backslashreplace").decode()


class Bytes(Protocol):
    """A stream of bytes."""

    def read(self, count: int, /) -> bytes:
        """Up to that many bytes, none at the end."""


@dataclass(frozen=True, slots=True)
class Deflated:
    """A part that is compressed as members of zip archives are: how long it is when decompressed, and its CRC-32."""

    size: int
    crc: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where to find the bytes of a file, in this process or in another one.

    `path` is the file that is opened; `offset` and `length` say which part of it, all of it where there is no length.
    `shown` is what a user calls it, such as `run.zip!rank0/kineto.json.gz`, where that is not the path.
    """

    path: Path
    shown: str = ""
    offset: int = 0
    length: int | None = None
    deflated: Deflated | None = None

    def __str__(self) -> str:
        return self.shown or str(self.path)

    @property
    def seekable(self) -> bool:
        """Whether the bytes lie in the file as they are."""
        return self.deflated is None

    def size(self) -> int:
        """Bytes that it takes where it lies. Raises OSError."""
        return self.path.stat().st_size if self.length is None else self.length

    def part(self, shown: str, offset: int, length: int, deflated: Deflated | None = None) -> Place:
        """A part of this, which must be seekable."""
        return Place(self.path, shown, self.offset + offset, length, deflated)

    @contextmanager
    def open(self) -> Iterator[Bytes]:
        """The bytes as a stream. Raises OSError; reading raises InputError where a compressed part is damaged."""
        with self.path.open("rb") as file:
            if self.length is None and self.deflated is None:
                yield file
                return
            file.seek(self.offset)
            part = _Part(file, self.size(), str(self))
            yield part if self.deflated is None else _Inflated(part, self.deflated, str(self))

    def checksum(self) -> str:
        """SHA-256 of the bytes as they lie there, compressed or not, as hex digits. Raises OSError, InputError."""
        digest = hashlib.sha256()
        with self.open() as stream:
            while piece := stream.read(1 << 20):
                digest.update(piece)
        return digest.hexdigest()


class _Part:
    """The next bytes of a file, and no more."""

    def __init__(self, file: Bytes, length: int, shown: str) -> None:
        self._file = file
        self._left = length
        self._shown = shown

    def read(self, count: int, /) -> bytes:
        found = self._file.read(min(count, self._left))
        if not found and count and self._left:
            raise InputError(
                self._shown, found="the end of the archive", expected=f"{self._left:,} bytes more of this member"
            )
        self._left -= len(found)
        return found


class _Inflated:
    """The bytes that a deflated part expands to; at its end its size and checksum are those that the archive says."""

    def __init__(self, part: Bytes, said: Deflated, shown: str) -> None:
        self._part = part
        self._said = said
        self._shown = shown
        self._inflate = zlib.decompressobj(wbits=-15)
        self._waiting = b""
        self._size = 0
        self._crc = 0

    def read(self, count: int, /) -> bytes:
        if count <= 0:
            return b""
        while not self._inflate.eof:
            self._waiting = self._waiting or self._part.read(READ)
            ended = not self._waiting
            try:
                found = self._inflate.decompress(self._waiting, count)
            except zlib.error as error:
                raise self._damaged(f"damaged data ({error})") from None
            self._waiting = self._inflate.unconsumed_tail
            if found:
                self._size += len(found)
                self._crc = zlib.crc32(found, self._crc)
                if self._size > self._said.size:
                    raise self._damaged(f"more than {self._said.size:,} bytes")
                return found
            if ended and not self._inflate.eof:
                raise self._damaged("data that is cut short")
        if (self._size, self._crc) != (self._said.size, self._said.crc):
            raise self._damaged(f"{self._size:,} bytes with checksum {self._crc:08x}")
        return b""

    def _damaged(self, found: str) -> InputError:
        expected = f"{self._said.size:,} bytes with checksum {self._said.crc:08x}"
        return InputError(self._shown, found=found, expected=expected)
