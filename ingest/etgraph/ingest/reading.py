"""One file, and one rank, from bytes to a finished draft."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from etgraph.ingest.chakra.feeder import ARRAY as FEEDER
from etgraph.ingest.chakra.normalise import FORMAT as CHAKRA
from etgraph.ingest.chakra.sniff import is_chakra
from etgraph.ingest.communication.kernels import hand_down
from etgraph.ingest.discovery.grouping import HINT, RankFiles, TraceFile
from etgraph.ingest.document import Block, Document, read_document
from etgraph.ingest.draft import Draft, Pass
from etgraph.ingest.inference import infer
from etgraph.ingest.iterations import STEP, mark_iterations
from etgraph.ingest.kineto import ARRAY as KINETO
from etgraph.ingest.kineto import KinetoReader
from etgraph.ingest.launches import launch
from etgraph.ingest.linking import add_data, link
from etgraph.ingest.nesting import nest
from etgraph.ingest.pytorch_et import ARRAY as PYTORCH_ET
from etgraph.ingest.pytorch_et import PyTorchReader, mark_steps, relate
from etgraph.ingest.scopes import add_scopes
from etgraph.ingest.shifting import FARTHEST_NS, YEAR_NS, farthest
from etgraph.ingest.source import Limits, SourceFile, otherwise_packed
from etgraph.ingest.work import estimate
from etgraph.model import AttributeWriter, Report
from etgraph.model.errors import InputError


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


# The passes, in order: each list is all that happens at its stage.


def passes_of_a_file(format: str, options: Options, shown: str) -> tuple[Pass, ...]:
    """What finishes a draft of one file of that format; `shown` is what errors call the file."""
    if format.startswith(CHAKRA):
        from etgraph.ingest.chakra.relate import relate as relate_chakra

        return (lambda draft: relate_chakra(draft, shown),)
    if format.startswith("kineto"):
        return nest, lambda draft: mark_iterations(draft, options.iteration), add_scopes, launch
    return relate, lambda draft: mark_steps(draft, options.iteration)


def passes_of_a_rank(draft: Draft) -> tuple[Pass, ...]:
    """What follows once the files of a rank are one draft."""
    formats = [source.format for source in draft.trace.metadata.sources]
    if any(format.startswith(CHAKRA) for format in formats):
        return ()
    timed = any(format.startswith("kineto") for format in formats)
    return (hand_down, add_data, infer, estimate) if timed else (hand_down, add_data, estimate)


@dataclass(frozen=True, slots=True)
class RankTask:
    """What a process needs to read one rank."""

    files: RankFiles
    options: Options
    limits: Limits | None


def read_rank(task: RankTask) -> Draft:
    """The draft of one rank. Raises InputError naming file, place, what was found and what was expected."""
    drafts = {file.role: _read_trace_file(file, task) for file in task.files.files}
    host, device = drafts.get("host"), drafts.get("device")
    if host is not None and device is not None:
        _check_one_rank(task.files, host, device)
        draft = link(host, device)
    else:
        (draft,) = drafts.values()
    return finished(draft)


def finished(draft: Draft) -> Draft:
    """A rank's draft with what its passes add."""
    for step in passes_of_a_rank(draft):
        draft = step(draft)
    return draft


def _check_one_rank(files: RankFiles, host: Draft, device: Draft) -> None:
    """The metadata of both, all of it read now, tells the same rank."""
    ranks = {draft.trace.metadata.sources[0].rank for draft in (host, device)}
    if len(ranks) > 1:
        names = " and ".join(file.name for file in files.files)
        found = f"ranks {', '.join(map(str, sorted(ranks)))} in the metadata of {names}"
        raise InputError(names, found=found, expected="one rank", hint=HINT)


def _read_trace_file(file: TraceFile, task: RankTask) -> Draft:
    source = SourceFile(file.place, task.limits, name=file.name, rank=(file.rank, file.rank_from))
    return read_file(source, task.options)


def read_file(source: SourceFile, options: Options = Options()) -> Draft:
    """The draft of one file, all passes of its format done."""
    head = source.head()
    if packed := otherwise_packed(head):
        raise source.error(packed, "gzip, zstd, zip, tar or no compression", hint="unpack it first")
    with AttributeWriter() as attributes:
        draft = _read_chakra(source, attributes) if is_chakra(head) else _read_json(source, attributes)
    draft = replace(draft, trace=replace(draft.trace, attributes=attributes.attributes))
    format = draft.trace.metadata.sources[0].format
    # A Chakra file may hold any times: it need not be a recording.
    if not format.startswith(CHAKRA) and (far := farthest(draft.trace)) > FARTHEST_NS:
        raise source.error(f"times that are {far / YEAR_NS:.0f} years apart", "times of one recording")
    if not len(draft.trace):
        draft = draft.with_report(Report(warnings=(f"{source.name} holds no operators",)))
    for step in passes_of_a_file(format, options, str(source.place)):
        draft = step(draft)
    return draft


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
            f"a JSON object with {'the keys ' if top.rest else 'no keys'}{', '.join(map(repr, list(top.rest)[:8]))}",
            f"{KINETO!r} (Kineto), {PYTORCH_ET!r} (PyTorch execution trace) or {FEEDER!r} (Chakra)",
        )
    (reader,) = readers.values()
    return reader.finish(top)
