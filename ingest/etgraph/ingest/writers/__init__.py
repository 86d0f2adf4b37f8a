"""Writers: a trace as a file that other tools read. Each module is one format; all write block by block."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Final

from etgraph.ingest.writers.chakra import is_file, write_chakra, write_chakra_json
from etgraph.ingest.writers.dot import write_dot
from etgraph.ingest.writers.graphml import write_graphml
from etgraph.ingest.writers.networkx import write_networkx
from etgraph.ingest.writers.output import ExportError, Target, Written, check_file, check_folder
from etgraph.ingest.writers.parquet import write_parquet
from etgraph.model import Trace
from etgraph.model.errors import UsageError
from etgraph.model.progress import Progress

Writer = Callable[[Trace, Target, Progress | None], Written]

WRITERS: Final[Mapping[str, Writer]] = MappingProxyType(
    {
        "chakra": write_chakra,
        "chakra-json": write_chakra_json,
        "networkx": write_networkx,
        "graphml": write_graphml,
        "dot": write_dot,
        "parquet": write_parquet,
    }
)
"""The writer of each format, by its name on the command line."""

FOLDERS: Final = {"parquet": "", "chakra": ".et", "chakra-json": ".json"}
"""Formats whose target is a folder, unless it has this ending; the others are one file of text."""

WORKLOADS: Final[Mapping[str, Mapping[str, Writer]]] = MappingProxyType(
    {
        "astra-sim": {
            "chakra": partial(write_chakra, workload_for="astra-sim"),
            "chakra-json": partial(write_chakra_json, workload_for="astra-sim"),
        }
    }
)
"""Simulators for which a format can be written, and the writers that do."""

__all__ = [
    "FOLDERS",
    "WORKLOADS",
    "WRITERS",
    "ExportError",
    "Progress",
    "Target",
    "Written",
    "check",
    "write",
    "write_chakra",
    "write_chakra_json",
    "write_dot",
    "write_graphml",
    "write_networkx",
    "write_parquet",
]


def write(
    trace: Trace, target: Target, format: str, progress: Progress | None = None, *, workload_for: str | None = None
) -> Written:
    """Write a trace to a path, or a format of one file to an open binary stream; returns what was written.

    An existing target is replaced at the very end, and stays as it is when anything fails. `progress` is told the
    step, how many rows are done, and of how many. `workload_for` writes what a simulator can execute instead of all
    that is known. Raises UsageError for an unknown format or simulator, ExportError where the target cannot be written.
    """
    return _writer(format, workload_for)(trace, target, progress)


def check(target: Target, format: str, workload_for: str | None = None) -> None:
    """Raise what `write` would raise for this target, as far as that can be known before there is a trace."""
    _writer(format, workload_for)
    if format in FOLDERS and not (FOLDERS[format] and is_file(target, FOLDERS[format])):
        check_folder(target)
    else:
        check_file(target)


def _writer(format: str, workload_for: str | None) -> Writer:
    if format not in WRITERS:
        raise UsageError(f"no format {format!r}: there are {', '.join(WRITERS)}")
    if workload_for is None:
        return WRITERS[format]
    if workload_for not in WORKLOADS:
        raise UsageError(f"no simulator {workload_for!r}: there are {', '.join(WORKLOADS)}")
    if format not in WORKLOADS[workload_for]:
        raise UsageError(
            f"no workloads for {workload_for} in format {format!r}",
            hint=f"choose one of {', '.join(WORKLOADS[workload_for])}",
        )
    return WORKLOADS[workload_for][format]
