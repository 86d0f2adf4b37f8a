"""Files in archives, archives in each other included, as places that can be read one by one.

Nothing is unpacked where a member's bytes can be read where they lie: in a zip archive or a plain tar archive. Of an
archive that is compressed as a whole, or lies compressed in another, the members that may be traces are put into
temporary files once, compressed, since each of them would else be reached through all that lies before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from etgraph.ingest.discovery import tars, zips
from etgraph.ingest.discovery.members import Member, Refusals
from etgraph.ingest.places import Place
from etgraph.ingest.scratch import Scratch
from etgraph.ingest.source import GZIP, ZSTD, Limits, SourceFile
from etgraph.model.errors import InputError

PEEK: Final = 1 << 16
"""Bytes of a member by which it is decided whether it may be a trace."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that is no archive: where it lies, its name below what was searched, and its first bytes decompressed."""

    place: Place
    name: str
    head: bytes


def is_archive(head: bytes) -> bool:
    """Whether a file with these first (decompressed) bytes is an archive."""
    return head.startswith(zips.MAGIC) or tars.is_tar(head)


def candidates(place: Place, name: str, limits: Limits, scratch: Scratch) -> Iterator[Candidate]:
    """The file at a place, or the files of the archive that it is; in no certain order.

    Raises InputError naming archive and member for what an archive must not hold; OSError.
    """
    return _within(place, name, limits, scratch, Refusals(limits, _size(place.path)), 0)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _within(
    place: Place, name: str, limits: Limits, scratch: Scratch, refuse: Refusals, depth: int
) -> Iterator[Candidate]:
    """The file itself, or the files within it where it is an archive."""
    source = SourceFile(place, limits)
    head = source.head()
    if not is_archive(head):
        yield Candidate(place, name, head)
        return
    depth += 1
    refuse.depth(str(place), depth)
    for member, inner in _members(source, head, limits, scratch, refuse):
        yield from _within(member, f"{name}!{inner}", limits, scratch, refuse, depth)


def _members(
    source: SourceFile, head: bytes, limits: Limits, scratch: Scratch, refuse: Refusals
) -> Iterator[tuple[Place, str]]:
    """The files of an archive and their names in it."""
    place, plain = source.place, _lies_plain(source.place)
    if head.startswith(zips.MAGIC):
        whole = place if plain else _unpacked(source, scratch)
        for m in zips.members(whole, refuse, limits):
            yield whole.part(f"{place}!{m.name}", m.offset, m.length, m.deflated), m.name
    elif plain:
        yield from _of_plain_tar(place, refuse)
    else:
        yield from _of_packed_tar(source, scratch, refuse)


def _lies_plain(place: Place) -> bool:
    """Whether the bytes are not compressed, neither by themselves nor by the archive around them."""
    if not place.seekable:
        return False
    with place.open() as file:
        head = file.read(4)
    return not head.startswith(GZIP) and head != ZSTD


def _unpacked(source: SourceFile, scratch: Scratch) -> Place:
    """The decompressed bytes as a temporary file."""
    path = scratch.new(".archive")
    with path.open("wb") as file, closing(source.chunks()) as chunks:
        for chunk in chunks:
            file.write(chunk)
    return Place(path, str(source.place))


def _of_plain_tar(place: Place, refuse: Refusals) -> Iterator[tuple[Place, str]]:
    size = place.size()
    with place.path.open("rb") as file:
        stream = _Seeking(file, place.offset, size)
        for member in tars.members(stream, str(place), refuse):
            if member.offset + member.length > size:
                raise _cut_short(place, member)
            yield place.part(f"{place}!{member.name}", member.offset, member.length), member.name
            stream.skip(member.length)


def _of_packed_tar(source: SourceFile, scratch: Scratch, refuse: Refusals) -> Iterator[tuple[Place, str]]:
    with closing(source.chunks()) as chunks:
        stream = _Streaming(chunks)
        for member in tars.members(stream, str(source.place), refuse):
            head = stream.read(min(member.length, PEEK))
            shown = f"{source.place}!{member.name}"
            path = scratch.new()
            with path.open("wb") as file:
                copied = len(head) + _put(file, head, stream, member.length - len(head))
            if copied < member.length:
                raise _cut_short(source.place, member)
            yield Place(path, shown), member.name


def _put(file: BinaryIO, head: bytes, stream: _Streaming, rest: int) -> int:
    """Write a member into a file, compressed unless it is already or cannot be a trace; the bytes after its head."""
    from etgraph.ingest.discovery.look import may_be_trace

    if not may_be_trace(head):
        file.write(head)
        return stream.skip(rest)
    if head.startswith((GZIP, ZSTD, *zips.MAGIC)):
        file.write(head)
        return stream.copy(rest, file)
    import zstandard

    with zstandard.ZstdCompressor(level=1).stream_writer(file, closefd=False) as packed:
        packed.write(head)
        return stream.copy(rest, packed)


def _cut_short(place: Place, member: Member) -> InputError:
    return Refusals.refused(str(place), member.name, "the end of the archive", f"{member.length:,} bytes")


class _Seeking:
    """A part of a file as a stream that skips by seeking."""

    def __init__(self, file: BinaryIO, offset: int, size: int) -> None:
        self._file, self._at, self._end = file, offset, offset + size

    def read(self, count: int) -> bytes:
        self._file.seek(self._at)
        found = self._file.read(max(min(count, self._end - self._at), 0))
        self._at += len(found)
        return found

    def skip(self, count: int) -> None:
        self._at += count


class _Streaming:
    """Chunks as a stream."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._chunk = b""
        self._at = 0

    def _next(self, count: int) -> bytes:
        """Up to that many bytes, whatever is there first."""
        if self._at == len(self._chunk):
            self._chunk, self._at = next(self._chunks, b""), 0
        found = self._chunk[self._at : self._at + count]
        self._at += len(found)
        return found

    def read(self, count: int) -> bytes:
        parts: list[bytes] = []
        while count > 0 and (found := self._next(count)):
            parts.append(found)
            count -= len(found)
        return b"".join(parts)

    def skip(self, count: int) -> int:
        """Pass over bytes; how many there were."""
        return self.copy(count, None)

    def copy(self, count: int, target: BinaryIO | None) -> int:
        """Write the next bytes to a file; how many there were."""
        left = count
        while left > 0 and (found := self._next(left)):
            left -= len(found)
            if target is not None:
                target.write(found)
        return count - left
