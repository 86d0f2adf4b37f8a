"""Chakra files: a file for each rank, of protobuf messages or of Jsonizer's JSON, in a folder or by itself."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from etgraph.ingest.chakra import wire
from etgraph.ingest.chakra.document import LISTS, document_of
from etgraph.ingest.chakra.fields import METADATA, NODE
from etgraph.ingest.chakra.groups import COMM_GROUPS
from etgraph.ingest.chakra.layout import canonical
from etgraph.ingest.chakra.normalise import FORMAT
from etgraph.ingest.chakra.text import jsonizer
from etgraph.ingest.writers.astra_sim import lower
from etgraph.ingest.writers.chakra.convert import Converter
from etgraph.ingest.writers.chakra.dependencies import Lists
from etgraph.ingest.writers.chakra.kept import metadata_message
from etgraph.ingest.writers.chakra.pieces import delimited, group_names
from etgraph.ingest.writers.chakra.rebuild import Rebuilder
from etgraph.ingest.writers.output import (
    ExportError,
    Target,
    Written,
    file_output,
    folder_output,
    mark_folder,
    name_of,
)
from etgraph.model import Trace
from etgraph.model.progress import Progress, silent

STEM: Final = "trace"
"""Files of a folder are called `trace.RANK.et`, so that the folder's name and this is ASTRA-sim's workload prefix."""

_OTHERS: Final = (".et", ".json", ".gz", ".zst")
Encode = Callable[[int, list[bytes]], bytes]


def is_file(target: Target, ending: str) -> bool:
    """Whether a target is one file, for a trace of one rank, rather than a folder.

    Raises ExportError for the name of another kind of file, which nobody would give to a folder.
    """
    if not isinstance(target, (str, os.PathLike)) or os.fspath(target).endswith(ending):
        return True
    if os.fspath(target).endswith(_OTHERS):
        raise ExportError(f"{os.fspath(target)}: this format is a file that ends in {ending}, or a folder")
    return False


def write_chakra(
    trace: Trace, target: Target, progress: Progress | None = None, *, workload_for: str | None = None
) -> Written:
    """Write protobuf files: `trace.RANK.et` in a folder, or one file for a target that ends in `.et` or is a stream.

    A trace that came from Chakra is written as it was, message by message, but for what was edited since. One that came
    from elsewhere keeps operators, lanes, times, iterations, process groups and dependencies of all kinds, and is read
    back with them; its raw attributes, annotations and counters are left out. `workload_for="astra-sim"` writes what
    ASTRA-sim can execute instead; see `etgraph.ingest.writers.astra_sim`. Raises ExportError.
    """
    return _write(trace, target, "chakra", ".et", _protobuf, progress or silent, workload_for)


def write_chakra_json(
    trace: Trace, target: Target, progress: Progress | None = None, *, workload_for: str | None = None
) -> Written:
    """Write the same messages as JSON objects, one a line, in the form of Chakra's Jsonizer; see `write_chakra`.

    Fields that the schema does not know have no place there and are left out, as Jsonizer does.
    """
    return _write(trace, target, "chakra-json", ".json", _jsonizer, progress or silent, workload_for)


def _write(
    trace: Trace, target: Target, format: str, ending: str, encode: Encode, progress: Progress, workload_for: str | None
) -> Written:
    groups: Mapping[Any, Sequence[int]] = {}
    notes: tuple[str, ...] = ()
    if workload_for is not None:
        progress("making a workload for ASTRA-sim")
        workload = lower(trace)
        trace, groups, notes = workload.trace, workload.groups, workload.notes
    files = _Files(trace, plain=workload_for is not None)
    notes += tuple(_left_out(trace, files))
    size = 0
    if is_file(target, ending):
        if len(files.ranks) != 1:
            raise ExportError(
                f"one file for {len(files.ranks)} ranks", hint="name a folder: each rank gets a file in it"
            )
        with file_output(target) as out:
            for piece in files.messages(files.ranks[0], progress):
                out.write_bytes(encode(*piece))
            size = out.bytes
    else:
        with folder_output(target) as folder:
            for rank in files.ranks:
                with (folder / f"{STEM}.{rank}{ending}").open("wb") as file:
                    for piece in files.messages(rank, progress):
                        size += file.write(encode(*piece))
            if groups := groups or files.groups:
                text = json.dumps({str(number): list(ranks) for number, ranks in groups.items()}, indent=2) + "\n"
                size += (folder / COMM_GROUPS).write_text(text, "utf-8")
            mark_folder(folder, {"format": f"etgraph-{format}", "version": 1, "trace": trace.trace_id})
    progress("done", len(trace), len(trace))
    stored = sum(len(files.lists.rows[name]) for name in LISTS)
    return Written(format, name_of(target), len(trace), stored, size, notes=notes)


def _left_out(trace: Trace, files: _Files) -> Iterator[str]:
    """What has no place in Chakra files, in words."""
    if files.lists.between_ranks:
        yield f"{files.lists.between_ranks:,} dependencies between ranks have no place in the file of one rank"
    if len(trace.collectives):
        yield f"{len(trace.collectives):,} collectives: which operators meet is left out, their types and sizes are not"
    names = [name for name in ("annotations", "instants", "memory_events", "counters") if len(trace.tables[name])]
    if names:
        counts = ", ".join(f"{len(trace.tables[name]):,} {name.replace('_', ' ')}" for name in names)
        yield f"what is no operator is left out: {counts}"


class _Files:
    """The messages of each rank, whatever format it came from."""

    def __init__(self, trace: Trace, *, plain: bool) -> None:
        self.lists = Lists.of_trace(trace)
        self._trace = trace
        read = {s.rank: s.document for s in trace.metadata.sources if s.format.startswith(FORMAT) and not plain}
        ours = {rank: document for rank, document in read.items() if document_of(document) is not None}
        self._documents = {rank: document for rank, document in read.items() if rank not in ours}
        # Messages have no room for the members of groups; a document of ours has.
        self.groups = _members(trace) if self._documents else {}
        self.ranks = sorted({*trace.ranks, *self._documents})
        self._rebuilder = Rebuilder(trace, self.lists) if self._documents else None
        converted = set(trace.ranks) - set(self._documents)
        self._converter = Converter(trace, self.lists, ours, plain=plain) if converted else None

    def messages(self, rank: int, progress: Progress) -> Iterator[tuple[int, list[bytes]]]:
        """The number of the message type in the schema and some messages; the metadata first."""
        rows = self._trace.rank_rows.get(rank, slice(0, 0))
        done = rows.start
        if self._rebuilder is not None and rank in self._documents:
            yield METADATA, [metadata_message(self._documents[rank])]
            blocks = self._rebuilder.nodes(rows)
        else:
            assert self._converter is not None
            yield METADATA, [self._converter.metadata(rank)]
            blocks = self._converter.nodes(rows)
        for messages in blocks:
            progress(f"writing rank {rank}", done, len(self._trace))
            done += len(messages)
            yield NODE, messages


def _members(trace: Trace) -> dict[str, list[int]]:
    """The members of the process groups of which they are known, by name."""
    return {name: list(ranks) for name, ranks in zip(group_names(trace), trace.group_ranks) if ranks}


def _protobuf(root: int, messages: list[bytes]) -> bytes:
    return b"".join(map(delimited, messages))


def _jsonizer(root: int, messages: list[bytes]) -> bytes:
    objects = jsonizer(wire.tokens(*wire.joined([canonical(message, root) for message in messages]), root))
    lines = [line + b"\n" for line in objects.to_pylist()]
    # A first object without anything in it would not tell what the file is.
    return b'{"version":""}\n' if root == METADATA and lines == [b"{}\n"] else b"".join(lines)
