"""What inference finds in each Kineto file with a device, what it leaves unexplained, and what it costs an event."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

from benchmarks.collection import events_of, folder
from etgraph.ingest import trace_files
from etgraph.ingest.draft import Draft
from etgraph.ingest.inference import infer, unexplained_device_wait
from etgraph.ingest.reading import read_file
from etgraph.ingest.source import SourceFile
from etgraph.model import DependencyKind
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
        draft = read_file(SourceFile(file))
    except EtgraphError:
        return None
    return draft if draft.trace.metadata.sources[0].format.startswith("kineto") else None
