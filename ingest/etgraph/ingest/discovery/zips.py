"""Members of a zip archive, from its directory and the headers before the members, which must agree.

Format: APPNOTE.TXT of PKWARE, sections 4.3 and 4.4; 64-bit sizes are section 4.5.3.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, Final

from etgraph.ingest.discovery.members import Member, Refusals, printable
from etgraph.ingest.places import Deflated, Place
from etgraph.ingest.source import Limits
from etgraph.model.errors import InputError

MAGIC: Final = (b"PK\x03\x04", b"PK\x05\x06")
"""How an archive begins: with a member, or, when it has none, with the end of the directory."""
_END, _END64, _LOCATOR = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_ENTRY, _LOCAL = b"PK\x01\x02", b"PK\x03\x04"
_LONGEST_COMMENT = 1 << 16
_MOST_AN_ENTRY = 1 << 10
"""Bytes of the directory for each member, on average, beyond which it is not read."""
_ENCRYPTED, _UTF8 = 1, 1 << 11
_WAYS: Final = {0: "stored", 8: "deflated"}
_UNIX, _FORMAT_MASK, _REGULAR, _FOLDER = 3, 0xF000, 0x8000, 0x4000
_IN_EXTRA = 0xFFFFFFFF


def members(place: Place, refuse: Refusals, limits: Limits) -> Iterator[Member]:
    """The regular files of an archive, which must be seekable, in the order of its directory.

    Raises InputError naming archive and member for links, devices, encrypted members, names that lead out of the
    archive, members that overlap, other ways of compression, and an archive that is damaged. Raises OSError.
    """
    with place.path.open("rb") as file:
        window = _Window(file, place)
        directory = _directory(window, limits)
        seen: set[str] = set()
        until = 0
        entries = sorted(_entries(directory, window), key=lambda entry: entry.header)
        for entry in entries:
            name = refuse.name(window.shown, entry.name, seen) if not entry.name.endswith("/") else entry.name
            if entry.header < until:
                raise refuse.refused(window.shown, name, "a member that overlaps the one before", "one after another")
            until = entry.header + 30
            if entry.name.endswith("/"):
                continue
            _check_kind(entry, window, refuse)
            offset = _data_offset(entry, window)
            until = offset + entry.length
            if until > window.size:
                raise refuse.refused(window.shown, name, "a member beyond the end of the archive", "all of it")
            said = Deflated(entry.size, entry.crc) if entry.way == 8 else None
            yield refuse.member(window.shown, Member(name, offset, entry.length, said))


class _Window:
    """The part of a file that is the archive."""

    def __init__(self, file: BinaryIO, place: Place) -> None:
        self._file = file
        self._first = place.offset
        self.size = place.size()
        self.shown = str(place)

    def read(self, at: int, count: int) -> bytes:
        """Bytes of the archive. Raises InputError where there are fewer."""
        if not 0 <= at <= self.size - count:
            raise self.damaged(f"{self.size:,} bytes", f"{count:,} bytes at byte {at:,}")
        self._file.seek(self._first + at)
        return self._file.read(count)

    def damaged(self, found: str, expected: str, place: str | None = None) -> InputError:
        """The error for an archive that is no whole zip archive."""
        return InputError(self.shown, found=found, expected=expected, place=place)


class _Entry:
    """One entry of the directory."""

    __slots__ = ("crc", "flags", "header", "length", "mode", "name", "raw_name", "size", "way")

    def __init__(self, fixed: tuple[int, ...], raw_name: bytes, extra: bytes) -> None:
        made_by, self.flags, self.way, self.crc, self.length, self.size, attributes, self.header = fixed
        self.raw_name = raw_name
        self.name = raw_name.decode("utf-8" if self.flags & _UTF8 else "cp437", errors="replace")
        self.mode = attributes >> 16 if made_by >> 8 == _UNIX else 0
        wide = _wide(extra, sum(value == _IN_EXTRA for value in (self.size, self.length, self.header)))
        for field in ("size", "length", "header"):
            if getattr(self, field) == _IN_EXTRA and wide:
                setattr(self, field, wide.pop(0))


def _wide(extra: bytes, count: int) -> list[int]:
    """The 64-bit numbers of an entry's extra field."""
    at = 0
    while count and at + 4 <= len(extra):
        tag, size = struct.unpack_from("<HH", extra, at)
        if tag == 1 and size >= 8 * count and at + 4 + 8 * count <= len(extra):
            return list(struct.unpack_from(f"<{count}Q", extra, at + 4))
        at += 4 + size
    return []


def _directory(window: _Window, limits: Limits) -> bytes:
    """The directory's bytes, found from the end of the archive."""
    tail_at = max(window.size - _LONGEST_COMMENT - 22, 0)
    tail = window.read(tail_at, window.size - tail_at)
    end = tail.rfind(_END)
    while end >= 0 and (
        len(tail) - end < 22 or end + 22 + int.from_bytes(tail[end + 20 : end + 22], "little") != len(tail)
    ):
        end = tail.rfind(_END, 0, end)
    if end < 0:
        raise window.damaged("no end of a directory", "a whole zip archive")
    disk, first_disk, here, count, size, offset = struct.unpack_from("<4H2I", tail, end + 4)
    at = tail_at + end
    if window.size >= 20 and at >= 20 and window.read(at - 20, 4) == _LOCATOR:
        (at,) = struct.unpack("<8xQ4x", window.read(at - 20, 20))
        record = window.read(at, 56)
        if record[:4] != _END64:
            raise window.damaged("no 64-bit end of the directory where one should be", "a whole zip archive")
        disk, first_disk, here, count, size, offset = struct.unpack("<16x2I4Q", record)
    if disk or first_disk or here != count:
        raise window.damaged("a part of an archive", "all of it in one file")
    if offset + size != at:
        raise window.damaged(f"a directory of {size:,} bytes at byte {offset:,}, ended at {at:,}", "one before its end")
    if count > limits.max_members or size > limits.max_members * _MOST_AN_ENTRY:
        raise window.damaged(
            f"{count:,} members in a directory of {size:,} bytes", f"at most {limits.max_members:,} members"
        )
    directory = window.read(offset, size)
    window.size = offset
    return directory


def _entries(directory: bytes, window: _Window) -> Iterator[_Entry]:
    at = 0
    while at < len(directory):
        if directory[at : at + 4] != _ENTRY or at + 46 > len(directory):
            raise window.damaged(f"{directory[at : at + 4]!r}", "an entry", f"byte {at:,} of the directory")
        made_by, flags, way, crc, length, size, names, extras, comments, attributes, header = struct.unpack_from(
            "<4xH2xHH4xIIIHHH4xII", directory, at
        )
        end = at + 46 + names + extras + comments
        if end > len(directory):
            raise window.damaged("an entry that is cut short", "all of it", f"byte {at:,} of the directory")
        name, extra = directory[at + 46 : at + 46 + names], directory[at + 46 + names : end - comments]
        yield _Entry((made_by, flags, way, crc, length, size, attributes, header), name, extra)
        at = end


def _check_kind(entry: _Entry, window: _Window, refuse: Refusals) -> None:
    kind = entry.mode & _FORMAT_MASK
    wrong = expected = ""
    if kind not in (0, _REGULAR):
        wrong, expected = "a link, a device or another special file", "a file"
    elif entry.flags & _ENCRYPTED:
        wrong, expected = "an encrypted member", "one that can be read"
    elif entry.way not in _WAYS:
        wrong, expected = f"a member compressed in way {entry.way}", "one that is stored or deflated"
    elif entry.way == 0 and entry.size != entry.length:
        wrong, expected = f"a stored member of {entry.size:,} bytes in {entry.length:,}", "the same number"
    if wrong:
        raise refuse.refused(window.shown, entry.name, wrong, expected)


def _data_offset(entry: _Entry, window: _Window) -> int:
    """Where a member's bytes begin: after its own header, which must have the name that the directory has."""
    local = window.read(entry.header, 30)
    names, extras = struct.unpack_from("<HH", local, 26)
    if local[:4] != _LOCAL or window.read(entry.header + 30, names) != entry.raw_name:
        raise window.damaged(
            "another header", "that of the member", f"{printable(entry.name)} at byte {entry.header:,}"
        )
    return entry.header + 30 + int(names) + int(extras)
