"""Every file of the collection: what was read, with which dependencies, and how fast. Kept in docs/traces.md."""

from __future__ import annotations

import json
import time
from pathlib import Path

from benchmarks.collection import events_of, folder
from etgraph.ingest import read, trace_files
from etgraph.model import Trace
from etgraph.model.errors import EtgraphError
from etgraph.queries import critical_path


def files() -> list[Path]:
    """The files of the collection's manifest; every file that may be a trace where there is no manifest."""
    manifest = folder() / "manifest.json"
    if manifest.exists():
        return [folder() / entry["file"] for entry in json.loads(manifest.read_text())]
    return trace_files(folder())


def main() -> None:
    """Print one row a file in Markdown, and a sum."""
    print("| file | format | operators | dependencies | iterations | unexplained | µs an event |")
    print("|---|---|---:|---|---:|---:|---:|")
    done = refused = 0
    for file in files():
        name = file.relative_to(folder())
        start = time.perf_counter()
        try:
            trace = read(file)
        except EtgraphError as error:
            refused += 1
            print(f"| {name} | refused: {error.message.removeprefix(str(file)).strip(': ')} | | | | | |")
            continue
        elapsed = time.perf_counter() - start
        done += 1
        trace.validate()
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in trace.dependency_counts.items())
        (source,) = trace.metadata.sources
        print(
            f"| {name} | {source.format} | {len(trace):,} | {kinds} | {len(trace.iteration_indices)} "
            f"| {_unexplained(trace)} | {elapsed / max(_events(file, trace), 1) * 1e6:.1f} |"
        )
    print(f"\n{done} files read, {refused} refused")


def _events(file: Path, trace: Trace) -> int:
    """Number of events of a file; a Chakra file has as many as operators."""
    return len(trace) if trace.metadata.sources[0].format.startswith("chakra") else events_of(file)


def _unexplained(trace: object) -> str:
    """Share of the critical path that no stored cause explains, over the whole window."""
    try:
        share = critical_path(trace).trust.explained_share  # type: ignore[arg-type]
    except EtgraphError:
        return "no times"
    return "–" if share is None else f"{1 - share:.1%}"
