"""Chakra files: a file for each rank, of protobuf messages or of Jsonizer's JSON, in a folder or by itself."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import numpy as np

from etgraph.ingest.chakra import wire
from etgraph.ingest.chakra.document import document_of
from etgraph.ingest.chakra.fields import METADATA, NODE
from etgraph.ingest.chakra.groups import COMM_GROUPS
from etgraph.ingest.chakra.layout import canonical
from etgraph.ingest.chakra.normalise import FORMAT
from etgraph.ingest.chakra.text import jsonizer
from etgraph.ingest.writers.astra_sim import lower
from etgraph.ingest.writers.chakra.convert import Converter
from etgraph.ingest.writers.chakra.dependencies import LISTS, Lists
from etgraph.ingest.writers.chakra.pieces import delimited
from etgraph.ingest.writers.chakra.rebuild import Rebuilder, metadata_message
from etgraph.ingest.writers.output import (
    ExportError,
    Progress,
    Target,
    Written,
    file_output,
    folder_output,
    mark_folder,
    name_of,
    silent,
)
from etgraph.model import Trace

STEM: Final = "trace"
"""Files of a folder are called `trace.RANK.et`, so that the folder's name and this is ASTRA-sim's workload prefix."""

Encode = Callable[[int, list[bytes]], bytes]


def is_file(target: Target, ending: str) -> bool:
    """Whether a target is one file, for a trace of one rank, rather than a folder."""
    return not isinstance(target, (str, os.PathLike)) or os.fspath(target).endswith(ending)


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
    groups: Mapping[int, tuple[int, ...]] = {}
    notes: tuple[str, ...] = ()
    if workload_for is not None:
        progress("making a workload for ASTRA-sim")
        workload = lower(trace)
        trace, groups, notes = workload.trace, workload.groups, workload.notes
    files = _Files(trace, plain=workload_for is not None)
    if files.lists.between_ranks:
        notes += (f"{files.lists.between_ranks} dependencies between ranks have no place in the file of one rank",)
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
            if groups:
                text = json.dumps({str(number): list(ranks) for number, ranks in groups.items()}, indent=2) + "\n"
                size += (folder / COMM_GROUPS).write_text(text, "utf-8")
            mark_folder(folder, {"format": f"etgraph-{format}", "version": 1, "trace": trace.trace_id})
    progress("done", len(trace), len(trace))
    stored = sum(len(files.lists.rows[name]) for name in LISTS)
    return Written(format, name_of(target), len(trace), stored, size, notes=notes)


class _Files:
    """The messages of each rank, whatever format it came from."""

    def __init__(self, trace: Trace, *, plain: bool) -> None:
        self.lists = Lists.of_trace(trace)
        self._trace = trace
        self._documents = {
            s.rank: s.document for s in trace.metadata.sources if s.format.startswith(FORMAT) and not plain
        }
        self.ranks = sorted({*trace.ranks, *self._documents})
        self._rebuilder = Rebuilder(trace, self.lists) if self._documents else None
        self._converter = Converter(trace, self.lists, plain=plain) if set(trace.ranks) - set(self._documents) else None

    def messages(self, rank: int, progress: Progress) -> Iterator[tuple[int, list[bytes]]]:
        """The number of the message type in the schema and some messages; the metadata first."""
        rows = self._trace.rank_rows.get(rank, slice(0, 0))
        done = rows.start
        if self._rebuilder is not None and rank in self._documents:
            document = self._documents[rank]
            yield METADATA, [metadata_message(document)]
            blocks = self._rebuilder.nodes(rows, exact=document_of(document) is not None)
        else:
            assert self._converter is not None
            yield METADATA, [self._converter.metadata(rank)]
            blocks = self._converter.nodes(rows)
        for messages in blocks:
            progress(f"writing rank {rank}", done, len(self._trace))
            done += len(messages)
            yield NODE, messages


def _protobuf(root: int, messages: list[bytes]) -> bytes:
    return b"".join(map(delimited, messages))


def _jsonizer(root: int, messages: list[bytes]) -> bytes:
    usual = [canonical(message, root) for message in messages]
    ends = np.cumsum([len(m) for m in usual], dtype=np.int64)
    data = np.frombuffer(b"".join(usual), dtype=np.uint8)
    objects = jsonizer(wire.tokens(data, np.concatenate([[0], ends[:-1]]), ends, root))
    return b"".join(line + b"\n" for line in objects.to_pylist())
