"""The limits of a server: one declaration for its settings, for `serverInfo` and for the documentation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from etgraph.model.settings.declaration import AtLeast, Leaf, declared
from etgraph.model.settings.units import SIZE, TIME, Quantity, write

if TYPE_CHECKING:
    from etgraph.ingest.source import Limits as ReadingLimits


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may cost. Times are ns, sizes bytes; files and `described` write them with their units."""

    body_bytes: Annotated[int, SIZE, "of a request's body, unpacked"] = 1 << 20
    document_bytes: Annotated[int, SIZE, "characters of a document; comments and blanks count"] = 64 << 10
    tokens: Annotated[int, AtLeast(1), "lexical tokens of a document"] = 2_000
    literal_bytes: Annotated[int, SIZE, "characters of one literal in a document"] = 4_000
    aliases: Annotated[int, AtLeast(0), "aliases in a document"] = 100
    root_fields: Annotated[int, AtLeast(1), "fields of an operation's root, those of fragments counted"] = 20
    depth: Annotated[int, AtLeast(1), "fields inside each other; introspection has a bound of its own"] = 16
    width: Annotated[int, AtLeast(1), "fields of one selection, those of fragments counted"] = 200
    directives: Annotated[int, AtLeast(0), "directives in a document"] = 50
    overlaps: Annotated[int, AtLeast(1), "units of work spent on whether fields of the same name can be merged"] = (
        50_000
    )
    cost: Annotated[int, AtLeast(1), "of an operation: the sum of its fields' weights times every `first` above"] = (
        50_000
    )
    deadline_ns: Annotated[int, TIME, "for validating and executing a request, which is stopped then"] = 30 * 10**9
    response_bytes: Annotated[int, SIZE, "of an answer, before compression"] = 8 << 20
    upload_bytes: Annotated[int, SIZE, "of an upload's body"] = 4 << 30
    upload_files: Annotated[int, AtLeast(1), "files of one upload"] = 1_000
    unpacked_bytes: Annotated[int, SIZE, "of an uploaded file, or of all files of an archive, unpacked"] = 64 << 30
    archive_files: Annotated[int, AtLeast(1), "files of an uploaded archive and those inside it"] = 100_000
    ratio: Annotated[int, AtLeast(1), "times that an upload may grow when unpacked, beyond its first 256 MB"] = 250
    export_bytes: Annotated[int, SIZE, "of an export"] = 4 << 30
    export_time_ns: Annotated[int, TIME, "for writing an export, which is stopped then"] = 120 * 10**9
    introspection: Annotated[bool, "whether the schema may be asked for itself"] = True

    @property
    def deadline_s(self) -> float:
        """The deadline in seconds."""
        return self.deadline_ns / 1e9

    def of_reading(self) -> ReadingLimits:
        """The limits on how uploaded files may grow when they are read."""
        from etgraph.ingest.source import Limits as ReadingLimits

        return ReadingLimits(
            max_bytes=self.unpacked_bytes,
            max_ratio=self.ratio,
            max_members=self.archive_files,
            max_archive_bytes=self.unpacked_bytes,
        )


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit in words: `value` is a number in the base unit (0 or 1 for what is on or off), `text` has its unit."""

    name: str
    value: int
    text: str
    meaning: str


def described(limits: Limits) -> tuple[Limit, ...]:
    """Every limit with its value, for `serverInfo`.

    >>> described(Limits())[0]
    Limit(name='body', value=1048576, text='1 MiB', meaning="of a request's body, unpacked")
    """
    return tuple(_described(limits))


def _described(limits: Limits) -> Iterator[Limit]:
    for key, field in declared(Limits).fields.items():
        assert isinstance(field.kind, Leaf)
        value = getattr(limits, field.name)
        yield Limit(key, int(value), _text(value, field.kind.quantity), field.meaning)


def _text(value: int | bool, quantity: Quantity | None) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:,}" if quantity is None else write(value, quantity)


__all__ = ["Limit", "Limits", "described"]
