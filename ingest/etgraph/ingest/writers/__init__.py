"""Writers: a trace as a file that other tools read. Each module is one format; all write block by block."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from etgraph.ingest.writers.chakra import is_file, write_chakra, write_chakra_json
from etgraph.ingest.writers.dot import write_dot
from etgraph.ingest.writers.graphml import write_graphml
from etgraph.ingest.writers.networkx import write_networkx
from etgraph.ingest.writers.output import ExportError, Target, Written, check_file, check_folder
from etgraph.ingest.writers.parquet import write_parquet
from etgraph.ingest.writers.timeline import write_chrome, write_perfetto, write_speedscope
from etgraph.model import Trace
from etgraph.model.errors import UsageError
from etgraph.model.progress import Progress

if TYPE_CHECKING:
    import pyarrow as pa

Writer = Callable[[Trace, Target, Progress | None], Written]

WRITERS: Final[Mapping[str, Writer]] = MappingProxyType(
    {
        "chakra": write_chakra,
        "chakra-json": write_chakra_json,
        "networkx": write_networkx,
        "graphml": write_graphml,
        "dot": write_dot,
        "parquet": write_parquet,
        "perfetto": write_perfetto,
        "chrome": write_chrome,
        "speedscope": write_speedscope,
    }
)
"""The writer of each format, by its name on the command line."""

TIMELINES: Final = MappingProxyType(
    {"perfetto": write_perfetto, "chrome": write_chrome, "speedscope": write_speedscope}
)
"""Writers of formats that show operators in time, and a critical path among them."""

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
    "TIMELINES",
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
    "write_chrome",
    "write_dot",
    "write_graphml",
    "write_networkx",
    "write_parquet",
    "write_perfetto",
    "write_speedscope",
]


def write(
    trace: Trace,
    target: Target,
    format: str,
    progress: Progress | None = None,
    *,
    workload_for: str | None = None,
    path: pa.Table | None = None,
) -> Written:
    """Write a trace to a path, or a format of one file to an open binary stream; returns what was written.

    An existing target is replaced at the very end, and stays as it is when anything fails. `progress` is told the
    step, how many rows are done, and of how many. `workload_for` writes what a simulator can execute instead of all
    that is known. `path` is a table of segments (`CriticalPath.segments`), which a timeline shows. Raises UsageError
    for an unknown format or simulator and for a path that has no place, ExportError where the target cannot be written,
    MissingData for a timeline of a trace without times.
    """
    writer = _writer(format, workload_for)
    if path is None:
        return writer(trace, target, progress)
    if format not in TIMELINES:
        raise UsageError(f"format {format!r} cannot show a critical path", hint=f"choose one of {', '.join(TIMELINES)}")
    return TIMELINES[format](trace, target, progress, path=path)


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
