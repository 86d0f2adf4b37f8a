"""Writers: a trace as a file that other tools read. Each module is one format; all write block by block."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from etgraph.ingest.writers.dot import write_dot
from etgraph.ingest.writers.graphml import write_graphml
from etgraph.ingest.writers.networkx import write_networkx
from etgraph.ingest.writers.output import ExportError, Progress, Target, Written, check_file, check_folder
from etgraph.ingest.writers.parquet import write_parquet
from etgraph.model import Trace
from etgraph.model.errors import UsageError

Writer = Callable[[Trace, Target, Progress | None], Written]

WRITERS: Final[Mapping[str, Writer]] = MappingProxyType(
    {"networkx": write_networkx, "graphml": write_graphml, "dot": write_dot, "parquet": write_parquet}
)
"""The writer of each format, by its name on the command line."""

FOLDERS: Final = frozenset({"parquet"})
"""Formats whose target is a folder; the others are one file of text."""

__all__ = [
    "FOLDERS",
    "WRITERS",
    "ExportError",
    "Progress",
    "Target",
    "Written",
    "check",
    "write",
    "write_dot",
    "write_graphml",
    "write_networkx",
    "write_parquet",
]


def write(trace: Trace, target: Target, format: str, progress: Progress | None = None) -> Written:
    """Write a trace to a path, or a text format to an open binary stream; returns what was written.

    An existing target is replaced at the very end, and stays as it is when anything fails. `progress` is told the
    step, how many rows are done, and of how many. Raises UsageError for an unknown format, ExportError where the
    target cannot be written.
    """
    return _writer(format)(trace, target, progress)


def check(target: Target, format: str) -> None:
    """Raise what `write` would raise for this target, as far as that can be known before there is a trace."""
    _writer(format)
    if format in FOLDERS:
        check_folder(target)
    else:
        check_file(target)


def _writer(format: str) -> Writer:
    if format not in WRITERS:
        raise UsageError(f"no format {format!r}: there are {', '.join(WRITERS)}")
    return WRITERS[format]
