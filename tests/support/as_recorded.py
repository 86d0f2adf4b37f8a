"""A file as its reader leaves it, for comparison with what the file says."""

from __future__ import annotations

from pathlib import Path

from etgraph.ingest.reading import read_file
from etgraph.ingest.source import SourceFile
from etgraph.model import Trace


def as_recorded(path: Path) -> Trace:
    """The trace of a file before anything is linked, inferred or matched."""
    return read_file(SourceFile(path)).trace
