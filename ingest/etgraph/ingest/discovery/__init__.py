"""What of a path are traces: files of folders and archives, told by content, grouped into the ranks of one run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from etgraph.ingest.chakra.groups import COMM_GROUPS, Groups, groups_in
from etgraph.ingest.discovery.archives import candidates, is_archive
from etgraph.ingest.discovery.folders import files_below
from etgraph.ingest.discovery.grouping import HINT, RankFiles, TraceFile, group
from etgraph.ingest.discovery.look import SUFFIXES, Facts, Kind, Look, look, named_like_a_trace, with_tail
from etgraph.ingest.places import Place, portable
from etgraph.ingest.ranks import named_rank
from etgraph.ingest.scratch import Scratch
from etgraph.ingest.source import Limits, SourceFile
from etgraph.model import Ignored
from etgraph.model.errors import InputError, NotFound

__all__ = ["HINT", "Discovered", "Facts", "Kind", "Other", "RankFiles", "Ranks", "TraceFile", "discover", "is_archive",
           "named_like_a_trace", "trace_files"]  # fmt: skip

MOST_LISTED: Final = 100
"""Files that are no traces which a report names."""
MOST_WARNED: Final = 8
"""Archives and folders left out that warnings name."""
MOST_BYTES_OF_GROUPS: Final = 64 << 20
"""Bytes that the file with the members of process groups may have."""
BESIDE: Final = {
    "etgraph.json": "the mark of an export",
    COMM_GROUPS: "the members of process groups, which were read",
}
"""Names of files beside traces that are none."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """The ranks of one run, and what grouping them showed."""

    ranks: tuple[RankFiles, ...]
    warnings: tuple[str, ...] = ()
    ignored: tuple[Ignored, ...] = ()
    """Traces that are left out."""


@dataclass(frozen=True, slots=True)
class Other:
    """A file that is no trace, and why; `damaged`: by its name it should be one; `beside`: it belongs to traces."""

    place: Place
    name: str
    reason: str
    damaged: bool = False
    beside: bool = False
    refused: InputError | None = None
    """The error of what may hold traces but cannot be searched: a folder, or an archive in a folder."""


@dataclass(frozen=True, slots=True)
class Discovered:
    """What lies at a path, a folder or an `archive`: the traces, and the other files with the reason, each by name."""

    where: str
    files: tuple[TraceFile, ...]
    others: tuple[Other, ...]
    groups_file: Place | None
    archive: bool

    @property
    def ignored(self) -> tuple[Ignored, ...]:
        """The files that are no traces; the rest are counted where there are very many."""
        listed = tuple(Ignored(other.name, other.reason) for other in self.others[:MOST_LISTED])
        more = len(self.others) - len(listed)
        return listed + ((Ignored(f"{more:,} more files", "not listed"),) if more else ())

    @property
    def refused(self) -> tuple[tuple[Place, InputError], ...]:
        """What may hold traces but cannot be searched, and why."""
        return tuple((other.place, other.refused) for other in self.others if other.refused is not None)

    def groups(self) -> Groups:
        """The members of process groups, from the file beside the traces. Raises InputError where it is damaged."""
        return (
            {}
            if self.groups_file is None
            else groups_in(SourceFile(self.groups_file, Limits(max_bytes=MOST_BYTES_OF_GROUPS)))
        )

    def meant_as_traces(self) -> tuple[tuple[Place, str, tuple[int, str]], ...]:
        """Place, name and rank of all files that are traces or are named like one, by name."""
        meant = {file.name: (file.place, file.name, (file.rank, file.rank_from)) for file in self.files}
        for other in self.others:
            if named_like_a_trace(other.name) and not other.beside and other.refused is None:
                meant[other.name] = (other.place, other.name, _rank_by_name(other.name, self.archive))
        return tuple(meant[name] for name in sorted(meant, key=_order))

    def one_run(self) -> Ranks:
        """The ranks, where the files are of one run. Raises InputError that says why they are not."""
        for other in self.others:
            if other.damaged:
                raise InputError(str(other.place), found=other.reason, expected="a trace, as its name says")
        if not self.files:
            raise self.nothing()
        ranks, warnings = group(self.files, self.where)
        used = {file.name for rank in ranks for file in rank.files}
        reason = "an execution trace of a rank that has no Kineto trace, and thus no times"
        ignored = tuple(Ignored(file.name, reason) for file in self.files if file.name not in used)
        return Ranks(ranks, warnings + _left_out(self.others), ignored)

    def nothing(self) -> InputError:
        """The error for a path at which there is no trace."""
        for _, error in self.refused:
            return error
        seen = f" ({self.others[0].name}: {self.others[0].reason})" if self.others else ""
        return InputError(
            self.where,
            found=f"no file that may be a trace{seen}",
            expected=f"files ending in {', '.join(SUFFIXES)}, or archives of such",
        )


@contextmanager
def discover(path: Path, limits: Limits | None = None) -> Iterator[Discovered]:
    """Search a folder, an archive or a file; what had to be unpacked is kept until the end of the block.

    Raises NotFound, and InputError for an archive that holds what it must not.
    """
    limits = limits or Limits()
    if not path.exists():
        raise NotFound(f"{path}: no such file")
    with Scratch() as scratch:
        try:
            found = _searched(path, limits, scratch)
        except OSError as error:
            raise InputError(str(path), found=error.strerror or str(error), expected="readable files") from error
        yield found


def _order(name: str) -> list[tuple[int, str]]:
    """Names in an order in which rank 2 comes before rank 10."""
    # `isdigit` alone is true of digits such as ² as well, which are no number.
    return [
        (int(part), "") if part.isascii() and part.isdigit() else (-1, part)
        for part in re.split(r"([0-9]+)", name)
        if part
    ]


def _left_out(others: Sequence[Other]) -> tuple[str, ...]:
    """Warnings of what may hold traces but could not be searched."""
    refused = [f"{other.name} was left out: {other.reason}" for other in others if other.refused is not None]
    more = len(refused) - MOST_WARNED
    return (*refused[:MOST_WARNED], *([f"{more:,} more were left out"] if more > 0 else []))


class _Search:
    """What was found so far."""

    def __init__(self, limits: Limits, scratch: Scratch) -> None:
        self._limits, self._scratch = limits, scratch
        self.traces: list[tuple[Place, str, Look]] = []
        self.others: list[Other] = []
        self.groups: dict[str, Place] = {}

    def add(self, place: Place, name: str) -> None:
        """Look at a file, or at the files of an archive. Raises InputError for an archive; then none of it counts."""
        traces, others, groups = list[tuple[Place, str, Look]](), list[Other](), dict[str, Place]()
        for candidate in candidates(place, name, self._limits, self._scratch):
            base = re.split(r"[/!]", candidate.name)[-1]
            if base == COMM_GROUPS:
                groups[candidate.name] = candidate.place
            if base in BESIDE:
                others.append(Other(candidate.place, candidate.name, BESIDE[base], beside=True))
                continue
            seen = look(candidate, self._limits)
            if seen.kind is not None:
                traces.append((candidate.place, candidate.name, seen))
            else:
                others.append(Other(candidate.place, candidate.name, seen.reason, seen.damaged))
        self.traces += traces
        self.others += others
        self.groups |= groups

    def refuse(self, place: Place, name: str, error: InputError) -> None:
        """Note what may hold traces but cannot be searched."""
        self.others.append(Other(place, name, _reason(place, error), refused=error))


def _reason(place: Place, error: InputError) -> str:
    """What was found, and at which member."""
    member = error.file.removeprefix(str(place)).removeprefix("!") if error.file else ""
    return f"{member}: {error.found}" if member else error.found


def _searched(path: Path, limits: Limits, scratch: Scratch) -> Discovered:
    search = _Search(limits, scratch)
    archive = not path.is_dir()
    if archive:
        search.add(Place(path), portable(path.name))
    else:
        below = files_below(path)
        for file in below.files:
            place, name = Place(file), portable(file.relative_to(path).as_posix())
            try:
                search.add(place, name)
            except InputError as error:
                search.refuse(place, name, error)
        for unseen, why in below.unseen:
            unreadable = InputError(str(unseen), found=why, expected="a folder or a file that can be read")
            search.refuse(Place(unseen), portable(unseen.relative_to(path).as_posix()), unreadable)
    traces, groups = search.traces, search.groups
    if len(traces) > 1:
        traces = [(place, name, with_tail(seen, SourceFile(place, limits))) for place, name, seen in traces]
    return Discovered(
        str(path),
        tuple(sorted((_trace_file(*trace, archive) for trace in traces), key=lambda file: _order(file.name))),
        tuple(sorted(search.others, key=lambda other: _order(other.name))),
        groups[min(groups, key=lambda name: (len(re.split(r"[/!]", name)), name))] if groups else None,
        archive,
    )


def _trace_file(place: Place, name: str, seen: Look, archive: bool) -> TraceFile:
    assert seen.kind is not None
    recorded = seen.facts.rank
    rank, rank_from = (recorded, "metadata") if recorded is not None else _rank_by_name(name, archive)
    return TraceFile(place, name, seen.kind, rank, rank_from, seen.facts)


def _rank_by_name(name: str, archive: bool) -> tuple[int, str]:
    """The rank by names below what was searched, whose own name says nothing, be it a folder's or an archive's."""
    return named_rank(re.split(r"[/!]", name.partition("!")[2] or name if archive else name))


def trace_files(folder: Path) -> list[Path]:
    """Files below a folder that may be traces, by name. Raises InputError for none, and for what cannot be seen."""
    below = files_below(folder)
    for path, why in below.unseen:
        raise InputError(str(path), found=why, expected="a folder or a file that can be read")
    found = [path for path in below.files if path.name.endswith(SUFFIXES) and path.name not in BESIDE]
    if not found:
        raise InputError(
            str(folder), found="no file that may be a trace", expected=f"files ending in {', '.join(SUFFIXES)}"
        )
    return found
