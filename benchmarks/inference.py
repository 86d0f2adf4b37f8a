"""What inference finds in each Kineto file with a device, what it leaves unexplained, and what it costs an event."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

from benchmarks.collection import events_of, folder
from etgraph.ingest import trace_files
from etgraph.ingest.document import Document, read_document
from etgraph.ingest.draft import Draft
from etgraph.ingest.inference import infer, unexplained_device_wait
from etgraph.ingest.iterations import mark_iterations
from etgraph.ingest.kineto import ARRAY, KinetoReader
from etgraph.ingest.launches import launch
from etgraph.ingest.nesting import nest
from etgraph.ingest.scopes import add_scopes
from etgraph.ingest.source import SourceFile
from etgraph.model import AttributeWriter, DependencyKind
from etgraph.model.errors import EtgraphError

SHOWN = ("EVENT", "SYNC", "SPAWN", "JOIN", "OCCUPANCY", "STREAM")
REPEATS = 5


def main() -> None:
    """Print one row a file in Markdown. Times are processor time, the least of several runs."""
    print(f"| trace | events | unexplained | {' | '.join(SHOWN)} | reading µs/event | inference µs/event |")
    print("|---|---:|---:|" + "---:|" * (len(SHOWN) + 2))
    for file in trace_files(folder()):
        start = time.process_time()
        draft = _draft(file)
        reading = time.process_time() - start
        if draft is None or not draft.trace.metadata.report.device_operators:
            continue
        least = min(_seconds(draft) for _ in range(REPEATS))
        trace = infer(draft).trace
        new = trace.dependencies["kind"][len(draft.trace.dependencies) :].tolist()
        found = Counter(DependencyKind(kind).name for kind in new)
        events = events_of(file)
        print(
            f"| {file.relative_to(folder())} | {events:,} | {unexplained_device_wait(trace).share:.2%} "
            f"| {' | '.join(str(found[kind] or '') for kind in SHOWN)} "
            f"| {reading / events * 1e6:.2f} | {least / events * 1e6:.2f} |"
        )


def _seconds(draft: Draft) -> float:
    start = time.process_time()
    infer(draft)
    return time.process_time() - start


def _draft(file: Path) -> Draft | None:
    """The draft of a Kineto file as inference gets it; None for a file of another format."""
    try:
        source, top = SourceFile(file), Document()
        with AttributeWriter() as attributes:
            reader = KinetoReader(source, attributes)
            for block in read_document(source, (ARRAY,), lambda _: reader.decode, top):
                reader.add(block)
            if top.array != ARRAY:
                return None
            draft = reader.finish(top)
    except EtgraphError:
        return None
    draft = replace(draft, trace=replace(draft.trace, attributes=attributes.attributes))
    return launch(add_scopes(mark_iterations(nest(draft))))
