"""From files to a trace: each file is read into a draft, passes add what the times and identifiers show."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from etgraph.ingest.chakra.feeder import ARRAY as FEEDER
from etgraph.ingest.chakra.groups import COMM_GROUPS, Groups, read_groups, with_members
from etgraph.ingest.chakra.normalise import FORMAT as CHAKRA
from etgraph.ingest.chakra.normalise import normalise
from etgraph.ingest.chakra.sniff import is_chakra
from etgraph.ingest.document import Block, Document, read_document
from etgraph.ingest.draft import Draft, Pass
from etgraph.ingest.iterations import STEP, mark_iterations, step_indices
from etgraph.ingest.kineto import ARRAY as KINETO
from etgraph.ingest.kineto import KinetoReader
from etgraph.ingest.launches import launch
from etgraph.ingest.nesting import nest
from etgraph.ingest.pytorch_et import ARRAY as PYTORCH_ET
from etgraph.ingest.pytorch_et import PyTorchReader, mark_steps, relate
from etgraph.ingest.scopes import add_scopes
from etgraph.ingest.source import Limits, SourceFile
from etgraph.model import AttributeWriter, Columns, Metadata, Report, Trace
from etgraph.model.errors import EtgraphError, InputError

SUFFIXES = tuple(name + packed for name in (".json", ".et") for packed in ("", ".gz", ".zst"))
"""Endings of the files that a folder is searched for."""
NO_TRACES = frozenset({"etgraph.json", COMM_GROUPS})
"""Files beside traces that are none: what marks a folder as an export, and the members of process groups."""


class Reader(Protocol):
    """One format's way from blocks of elements to a draft."""

    @property
    def decode(self) -> Callable[[bytes], list[Any]]:
        """Decodes a JSON list of elements."""

    def add(self, block: Block[Any]) -> None:
        """Take one block."""

    def finish(self, top: Document) -> Draft:
        """Make the draft."""


@dataclass(frozen=True, slots=True)
class Options:
    """What changes the graph that is made of the same files; part of the trace's id."""

    iteration: str = STEP


def passes(format: str, options: Options, path: Path) -> tuple[Pass, ...]:
    """What finishes a draft of one file, in order."""
    if format.startswith(CHAKRA):
        from etgraph.ingest.chakra.relate import relate as relate_chakra

        return (lambda draft: relate_chakra(draft, str(path)),)
    if format.startswith("kineto"):
        return nest, lambda draft: mark_iterations(draft, options.iteration), add_scopes, launch
    return relate, lambda draft: mark_steps(draft, options.iteration)


def read(path: str | Path, *, iteration: str = STEP, limits: Limits | None = None) -> Trace:
    """One trace from a file, or from a folder that holds one file of one format for each rank.

    `iteration` is a glob over the annotations that mark steps. Raises InputError naming file, place, what was found
    and what was expected; NotFound for a path that does not exist.
    """
    path, options = Path(path), Options(iteration)
    if not path.is_dir():
        return _identified([_read_file(path, options, limits)], options)
    traces = [_read_file(file, options, limits) for file in trace_files(path)]
    _check_one_run(path, traces)
    return _identified(traces, options, read_groups(path))


def read_each(
    path: str | Path, *, iteration: str = STEP, limits: Limits | None = None
) -> Iterator[tuple[Path, Trace | EtgraphError]]:
    """A trace for each file of a folder (or for one file), lazily; a file that cannot be read gives its error."""
    path, options = Path(path), Options(iteration)
    for file in trace_files(path) if path.is_dir() else [path]:
        try:
            yield file, _identified([_read_file(file, options, limits)], options)
        except EtgraphError as error:
            yield file, error


def trace_files(folder: Path) -> list[Path]:
    """Files below a folder that may be traces, by name. Raises InputError where there is none."""
    found = sorted(
        p
        for p in folder.rglob("*")
        if p.name.endswith(SUFFIXES)
        and p.name not in NO_TRACES
        and p.is_file()
        and not any(part.startswith(".etgraph-") for part in p.relative_to(folder).parts)
    )
    if not found:
        raise InputError(
            str(folder),
            found="no file that may be a trace",
            expected=f"files ending in {', '.join(SUFFIXES)}",
        )
    return found


def _read_file(path: Path, options: Options, limits: Limits | None) -> Trace:
    source = SourceFile(path, limits)
    with AttributeWriter() as attributes:
        draft = _read_chakra(source, attributes) if is_chakra(source.head()) else _read_json(source, attributes)
    draft = replace(draft, trace=replace(draft.trace, attributes=attributes.attributes))
    if not len(draft.trace):
        draft = draft.with_report(Report(warnings=(f"{path.name} holds no operators",)))
    for step in passes(draft.trace.metadata.sources[0].format, options, path):
        draft = step(draft)
    return draft.trace


def _read_chakra(source: SourceFile, attributes: AttributeWriter) -> Draft:
    # What decodes Chakra takes a tenth of a second to load, which readers of other formats need not wait for.
    from etgraph.ingest.chakra.files import read_chakra

    return read_chakra(source, attributes)


def _reader(array: str, source: SourceFile, attributes: AttributeWriter) -> Reader:
    """The reader of a JSON document by the name of its array."""
    if array == FEEDER:
        from etgraph.ingest.chakra.files import FeederReader

        return FeederReader(source, attributes)
    return PyTorchReader(source, attributes) if array == PYTORCH_ET else KinetoReader(source, attributes)


def _read_json(source: SourceFile, attributes: AttributeWriter) -> Draft:
    """The draft of a JSON document."""
    top = Document()
    readers: dict[str, Reader] = {}

    def decoder(array: str) -> Callable[[bytes], list[Any]]:
        if not readers:
            readers[array] = _reader(array, source, attributes)
        return readers[array].decode

    for block in read_document(source, (KINETO, PYTORCH_ET, FEEDER), decoder, top):
        readers[top.array or ""].add(block)
    if not readers:
        raise source.error(
            f"a JSON object with the keys {', '.join(map(repr, list(top.rest)[:8])) or 'none'}",
            f"{KINETO!r} (Kineto), {PYTORCH_ET!r} (PyTorch execution trace) or {FEEDER!r} (Chakra)",
        )
    (reader,) = readers.values()
    return reader.finish(top)


def _identified(traces: Sequence[Trace], options: Options, groups: Groups | None = None) -> Trace:
    trace = normalise(with_members(join(traces), groups or {}))
    digest = hashlib.sha256(repr(sorted(asdict(options).items())).encode())
    digest.update(repr(sorted((groups or {}).items())).encode() if groups else b"")
    for source in sorted(trace.metadata.sources, key=lambda s: (s.rank, s.format, s.sha256)):
        digest.update(f"{source.rank} {source.sha256}\n".encode())
    metadata = replace(trace.metadata, options=asdict(options))
    return replace(trace, trace_id=digest.hexdigest(), metadata=metadata)


def _check_one_run(folder: Path, traces: Sequence[Trace]) -> None:
    """Whether these files, one a rank, are one run; InputError says why not."""
    hint = "give each file by itself, or use read_each / --each to make one trace of each file"
    by_rank: dict[int, str] = {}
    for trace in traces:
        (source,) = trace.metadata.sources
        if source.rank in by_rank:
            found = f"rank {source.rank} twice: {by_rank[source.rank]} and {source.name}"
            raise InputError(str(folder), found=found, expected="one file for each rank", hint=hint)
        by_rank[source.rank] = source.name
    formats = sorted({t.metadata.sources[0].format for t in traces})
    if len(formats) > 1:
        raise InputError(str(folder), found=f"formats {', '.join(formats)}", expected="one format", hint=hint)
    sizes = {t.metadata.world_size for t in traces}
    if len(sizes) > 1 and len(traces) > 1:
        sized = ", ".join("none" if s is None else str(s) for s in sorted(sizes, key=lambda s: s or 0))
        raise InputError(str(folder), found=f"world sizes {sized}", expected="one world size", hint=hint)


def join(traces: Sequence[Trace]) -> Trace:
    """One trace of files of different ranks: one zero, iterations numbered alike, missing ranks named."""
    if len(traces) == 1:
        return _with_missing_ranks(traces[0])
    zeros = [t.metadata.zero_ns for t in traces]
    known = [z for z in zeros if z is not None]
    zero = min(known, default=None)
    shifted = [_shift(t, 0 if z is None or zero is None else z - zero) for t, z in zip(traces, zeros, strict=True)]
    joined = Trace.concat(shifted)
    joined = replace(joined, metadata=replace(joined.metadata, zero_ns=zero))
    return _with_missing_ranks(_number_iterations(joined))


def _shift(trace: Trace, by: int) -> Trace:
    """The same trace with all its times later by that many nanoseconds."""
    if not by:
        return trace
    moved: dict[str, Columns] = {}
    for name, columns in trace.tables.items():
        times = [c for c in ("start_ns", "end_ns", "time_ns") if c in columns.filled]
        if times:
            null = {c: columns.is_null(c) for c in times}
            moved[name] = columns.replace({c: np.where(null[c], columns[c], columns[c] + by) for c in times})
    return replace(trace, **moved)  # type: ignore[arg-type]


def _number_iterations(trace: Trace) -> Trace:
    """Number the iterations by the step in their names, so that one index is one step on all ranks."""
    if not len(trace.iterations):
        return trace
    i = trace.iterations
    names = [i.texts("name")[code].as_py() for code in i["name"].tolist()]
    return replace(trace, iterations=i.replace({"index": step_indices(names, i["rank"])}))


def _with_missing_ranks(trace: Trace) -> Trace:
    metadata: Metadata = trace.metadata
    size = metadata.world_size
    held = {s.rank for s in metadata.sources}
    if size is None or len(held) >= size:
        return trace
    warning = f"{len(held)} of {size} ranks are recorded: waiting for the others cannot be told from transfer"
    report = metadata.report + Report(warnings=(warning,))
    return replace(trace, metadata=metadata.with_report(report))
