"""Members of a tar archive, header by header, from a stream that is read once.

Formats: POSIX.1-1988 (ustar), POSIX.1-2001 (pax), and GNU's long names and numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

from etgraph.ingest.discovery.members import Member, Refusals
from etgraph.model.errors import InputError

BLOCK: Final = 512
_LONGEST_HEADER = 1 << 20
"""Bytes of what pax and GNU put before a member, such as a long name."""
_FILES: Final = b"\x0007"
_LONG_NAME, _LONG_LINK, _PAX, _PAX_ALL, _FOLDER = b"LKxg5"
_WORDS: Final = {
    ord("1"): "a hard link", ord("2"): "a symbolic link", ord("3"): "a device", ord("4"): "a device",
    ord("6"): "a pipe", ord("S"): "a file with holes", ord("M"): "a part of a file",
}  # fmt: skip


class Stream(Protocol):
    """What members are read from."""

    def read(self, count: int) -> bytes:
        """That many bytes; fewer at the end only."""

    def skip(self, count: int) -> object:
        """Pass over bytes."""


def is_tar(head: bytes) -> bool:
    """Whether the first bytes of a file are the header of a member, as its checksum says."""
    return len(head) >= BLOCK and any(head[:BLOCK]) and _checksum_fits(head[:BLOCK])


def members(stream: Stream, shown: str, refuse: Refusals) -> Iterator[Member]:
    """The regular files of an archive in order; `offset` counts from its beginning.

    With each of them the stream stands at its first byte, and the caller must read or skip all of it before it asks for
    the next. Raises InputError naming archive and member for links, devices, names that lead out of the archive, and an
    archive that is damaged or cut short.
    """
    counted = _Counted(stream)

    def damaged(found: str, expected: str) -> InputError:
        return InputError(shown, found=found, expected=expected, place=f"byte {counted.at:,}")

    seen: set[str] = set()
    name: str | None = None
    size: int | None = None
    while True:
        header = counted.read(BLOCK)
        if len(header) < BLOCK:
            raise damaged("the end of the file", "the block of zeros that ends a whole tar archive")
        if not any(header):
            return
        if not _checksum_fits(header):
            raise damaged("no header of a member", "a whole tar archive")
        kind = header[156]
        length = _number(header[124:136])
        if length is None or length < 0:
            raise damaged(f"the size {header[124:136]!r}", "a number")
        if kind in (_LONG_NAME, _LONG_LINK, _PAX, _PAX_ALL):
            if length > _LONGEST_HEADER:
                raise damaged(f"{length:,} bytes before a member", f"at most {_LONGEST_HEADER:,}")
            text = counted.read(length)
            if len(text) < length:
                raise damaged("the end of the archive", "the rest of a header")
            counted.skip(-length % BLOCK)
            if kind == _LONG_NAME:
                name = _text(text.split(b"\0")[0])
            elif kind in (_PAX, _PAX_ALL):
                records = _records(text)
                if records is None or any(key.startswith("GNU.sparse") for key in records):
                    raise damaged("a pax header that cannot be read", "records of known kinds")
                if kind == _PAX and "path" in records:
                    name = records["path"]
                if kind == _PAX and "size" in records:
                    if not (records["size"].isascii() and records["size"].isdigit() and len(records["size"]) < 20):
                        raise damaged(f"the size {records['size'][:20]!r}", "a number")
                    size = int(records["size"])
            continue
        name = _name(header) if name is None else name
        size = length if size is None else size
        if kind == _FOLDER:
            pass
        elif kind in _FILES and name.endswith("/"):
            counted.skip(size + -size % BLOCK)
        elif kind not in _FILES:
            wrong = _WORDS.get(kind, f"a member of kind {chr(kind)!r}")
            raise refuse.refused(shown, name, wrong, "a file or a folder")
        else:
            plain = refuse.name(shown, name, seen)
            member = refuse.member(shown, Member(plain, counted.at, size))
            yield member
            counted.at += size
            counted.skip(-size % BLOCK)
        name = size = None


class _Counted:
    """A stream and how many bytes of it were read."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.at = 0

    def read(self, count: int) -> bytes:
        found = self._stream.read(count)
        self.at += len(found)
        return found

    def skip(self, count: int) -> None:
        self._stream.skip(count)
        self.at += count


def _checksum_fits(header: bytes) -> bool:
    said = _number(header[148:156])
    return said is not None and said == sum(header[:148]) + 8 * ord(" ") + sum(header[156:])


def _number(field: bytes) -> int | None:
    """A number in octal digits, or in base 256 where GNU writes it so; None for anything else."""
    if field[0] & 0x80:
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big") if field[0] == 0x80 else None
    digits = field.split(b"\0")[0].strip(b" ")
    if not digits:
        return 0
    return int(digits, 8) if all(48 <= digit < 56 for digit in digits) else None


def _name(header: bytes) -> str:
    name, prefix = header[:100].split(b"\0")[0], header[345:500].split(b"\0")[0]
    return _text(prefix + b"/" + name if prefix and header[257:263] == b"ustar\0" else name)


def _text(name: bytes) -> str:
    return name.decode(errors="replace")


def _records(text: bytes) -> dict[str, str] | None:
    """The records of a pax header, `length key=value` and a new line each; None where they cannot be read."""
    records = {}
    at = 0
    while at < len(text):
        space = text.find(b" ", at, at + 12)
        if space < 0 or not text[at:space].isdigit():
            return None
        end = at + int(text[at:space])
        key, equals, value = text[space + 1 : end - 1].partition(b"=")
        if end <= space or end > len(text) or text[end - 1 : end] != b"\n" or not equals:
            return None
        records[_text(key)] = _text(value)
        at = end
    return records
