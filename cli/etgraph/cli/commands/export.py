"""`etgraph export`: a trace as a file that other tools read."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from etgraph.cli.group import command, pass_settings
from etgraph.cli.session import NEO4J_FORMAT
from etgraph.cli.settings import Settings

if TYPE_CHECKING:
    from etgraph.cli.session import Session
    from etgraph.ingest.writers import Written
    from etgraph.model.progress import Progress


@command("export")
@click.argument("traces", metavar="TRACE...", nargs=-1, required=True)
@click.option(
    "--format",
    type=click.Choice(
        [
            "chakra",
            "chakra-json",
            "networkx",
            "graphml",
            "dot",
            "parquet",
            "perfetto",
            "chrome",
            "speedscope",
            NEO4J_FORMAT,
        ]
    ),
    required=True,
    help="Chakra files in a folder, protobuf or JSON, one for each rank; node-link JSON for networkx; GraphML; DOT for "
    "Graphviz; a folder of Parquet files; a timeline with the critical path for Perfetto, for viewers of Chrome's "
    "trace events or for speedscope; or a folder for neo4j-admin, which may hold several traces.",
)
@click.option(
    "--for",
    "workload_for",
    type=click.Choice(["astra-sim"]),
    help="Write Chakra files that this simulator can execute, instead of all that is known.",
)
@click.option(
    "-o",
    "--output",
    "target",
    metavar="PATH",
    required=True,
    type=click.Path(path_type=Path, allow_dash=True),
    help="Where to write; - is stdout, for the formats that are one file.",
)
@pass_settings
def export(settings: Settings, traces: tuple[str, ...], format: str, workload_for: str | None, target: Path) -> None:
    """Write all of TRACE as a file that other tools read.

    What is at PATH is replaced when the export is whole, and stays as it is when anything fails. TRACE may be a path,
    which is read and not stored; a suffix such as #3 exports that iteration only. Format neo4j-csv takes several.
    """
    from etgraph.cli.progress import watched
    from etgraph.cli.units import counted, printable, size

    with settings.session() as session, watched(settings) as progress:
        written = _written(settings, session, traces, format, workload_for, target, progress)
    output = settings.output()
    if settings.json:
        output.document(
            {
                "export": {
                    "format": written.format,
                    "path": written.path,
                    "operators": written.operators,
                    "dependencies": written.dependencies,
                    "bytes": written.bytes,
                    "replacedCharacters": written.replaced,
                    "notes": list(written.notes),
                }
            }
        )
        return
    output.say(
        f"wrote {counted(written.operators, 'operator')} and "
        f"{counted(written.dependencies, 'dependency', 'dependencies')} to {printable(str(target))} "
        f"({size(written.bytes)})"
    )
    for note in written.notes:
        output.say(f"! {printable(note)}")
    if written.replaced:
        output.say(f"replaced {counted(written.replaced, 'character')} that {format} cannot hold by U+FFFD")
    if format == NEO4J_FORMAT:
        folder = shlex.quote(str(target))
        output.say(f"import it: sh {folder}/import.sh DATABASE, for an empty database of a server that does not run")
        output.say(f"or, for the server of 'etgraph neo4j start': etgraph neo4j import {folder}")


def _written(
    settings: Settings,
    session: Session,
    traces: tuple[str, ...],
    format: str,
    workload_for: str | None,
    target: Path,
    progress: Progress,
) -> Written:
    from etgraph.model.errors import UsageError

    place: Path | BinaryIO = target
    if str(target) == "-":
        if settings.json:
            raise UsageError("stdout cannot take both the export and --json", hint="write the export to a file")
        place = sys.stdout.buffer
    if format != NEO4J_FORMAT:
        if len(traces) > 1:
            raise UsageError(
                f"found {len(traces)} traces, expected one for format {format!r}",
                hint=f"--format {NEO4J_FORMAT} takes several",
            )
        return session.export(traces[0], place, format, workload_for=workload_for, progress=progress)
    if workload_for is not None:
        raise UsageError(f"no workloads for {workload_for} in format {format!r}")
    if not isinstance(place, Path):
        raise UsageError("this format is a folder of several files and cannot be written to a stream")
    return session.export_for_neo4j(traces, place, progress=progress)
