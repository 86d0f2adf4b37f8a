"""Members of archives: what one is, which are refused, and how many bytes all of them may have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from etgraph.ingest.places import Deflated
from etgraph.ingest.source import Limits
from etgraph.model.errors import InputError

LONGEST_NAME: Final = 4096
HINT: Final = "if the archive is what it should be, raise the limits: read(path, limits=Limits(…))"


@dataclass(frozen=True, slots=True)
class Member:
    """A regular file in an archive: its name, and where its bytes are within the archive's.

    `length` counts the bytes that it takes there, `size` those that it has.
    """

    name: str
    offset: int
    length: int
    deflated: Deflated | None = None

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self.length if self.deflated is None else self.deflated.size


class Refusals:
    """Raises InputError naming archive and member for what an archive must not hold; counts what it holds.

    One object serves an archive and those inside it, so that the limits are of all of them.
    """

    def __init__(self, limits: Limits, stored: int) -> None:
        """`stored` is the number of bytes of the archive itself."""
        self._limits = limits
        self._stored = max(stored, 1)
        self._members = 0
        self._bytes = 0

    def name(self, archive: str, name: str, seen: set[str]) -> str:
        """A member's name with slashes, if it leads nowhere but below the archive and is there for the first time."""
        self._members += 1
        if self._members > self._limits.max_members:
            raise InputError(
                archive, found=f"more than {self._limits.max_members:,} members", expected="fewer", hint=HINT
            )
        plain = name.replace("\\", "/")
        parts = [part for part in plain.split("/") if part not in ("", ".")]
        wrong = ""
        if plain.startswith("/") or plain[1:2] == ":":
            wrong = "an absolute name"
        elif ".." in parts:
            wrong = "a name that leads out of the archive"
        elif not parts or "\0" in plain or len(plain) > LONGEST_NAME:
            wrong = "a name that no file can have"
        if wrong:
            raise self.refused(archive, name, wrong, "the name of a file below the archive")
        plain = "/".join(parts)
        if plain in seen:
            raise self.refused(archive, name, "a second member of this name", "names that differ")
        seen.add(plain)
        return plain

    def member(self, archive: str, member: Member) -> Member:
        """The member, if all so far are not too large together."""
        self._bytes += member.size
        ratio = self._bytes / self._stored
        limits = self._limits
        if self._bytes > limits.max_archive_bytes or (self._bytes > limits.ratio_from and ratio > limits.max_ratio):
            raise self.refused(
                archive,
                member.name,
                f"{self._bytes:,} bytes or more with the members before it ({ratio:.0f} times the archive)",
                f"at most {limits.max_archive_bytes:,} bytes and {limits.max_ratio} times",
                HINT,
            )
        return member

    def depth(self, shown: str, depth: int) -> None:
        """Refuse an archive that lies in too many others."""
        if depth > self._limits.max_depth:
            raise InputError(
                shown, found=f"archives in archives, {depth} deep", expected=f"at most {self._limits.max_depth}",
                hint=HINT,
            )  # fmt: skip

    @staticmethod
    def refused(archive: str, member: str, found: str, expected: str, hint: str | None = None) -> InputError:
        """The error for a member."""
        return InputError(f"{archive}!{printable(member)}", found=found, expected=expected, hint=hint)


def printable(name: str) -> str:
    """A member's name without what would move a terminal's cursor, and not too long."""
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name[:200])
    return shown + ("…" if len(name) > 200 else "")
