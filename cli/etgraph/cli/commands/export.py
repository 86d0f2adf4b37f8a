"""`etgraph export`: a trace as a file that other tools read."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import BinaryIO

import click

from etgraph.cli.group import command, pass_settings
from etgraph.cli.settings import Settings


@command("export")
@click.argument("trace")
@click.option(
    "--format",
    type=click.Choice(["chakra", "chakra-json", "networkx", "graphml", "dot", "parquet"]),
    required=True,
    help="Chakra files in a folder, protobuf or JSON, one for each rank; node-link JSON for networkx; GraphML; DOT for "
    "Graphviz; or a folder of Parquet files.",
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
def export(settings: Settings, trace: str, format: str, workload_for: str | None, target: Path) -> None:
    """Write all of TRACE as a file that other tools read.

    What is at PATH is replaced when the export is whole, and stays as it is when anything fails. TRACE may be a path,
    which is read and not stored; a suffix such as #3 exports that iteration only.
    """
    from etgraph.cli.progress import watched
    from etgraph.cli.units import counted, printable, size
    from etgraph.model.errors import UsageError

    place: Path | BinaryIO = target
    if str(target) == "-":
        if settings.json:
            raise UsageError("stdout cannot take both the export and --json", hint="write the export to a file")
        place = sys.stdout.buffer
    with settings.session() as session, watched(settings) as progress:
        written = session.export(trace, place, format, workload_for=workload_for, progress=progress)
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
