"""`etgraph push`: send trace files to a server, which keeps them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from etgraph.cli.group import command, pass_settings
from etgraph.cli.options import ingested_as
from etgraph.cli.settings import Settings


@command("push")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path))
@ingested_as
@click.option("--wait/--no-wait", default=True, help="Wait until the server has read them, which it does anyway.")
@pass_settings
def push(
    settings: Settings,
    paths: tuple[Path, ...],
    workload: str | None,
    labels: dict[str, str],
    commit: str | None,
    branch: str | None,
    each: bool,
    wait: bool,
) -> int:
    """Send trace files to the server of --store: one trace for each PATH, a file, a folder or an archive.

    Says what 'etgraph ingest' says of a store on this machine. The same files again change nothing. With --no-wait it
    ends when the files are there, and prints the jobs that read them; 'etgraph jobs' tells how far they are.
    """
    from etgraph.cli.commands.ingest import show_ingested
    from etgraph.cli.progress import watched
    from etgraph.model.errors import UsageError

    with settings.session() as session, watched(settings) as progress:
        if not session.is_remote:
            raise UsageError(
                f"{session.url} is no server", hint="name one: --store http(s)://host, or use 'etgraph ingest'"
            )
        told: dict[str, Any] = {
            "workload": workload,
            "labels": labels,
            "commit": commit,
            "branch": branch,
            "each": each,
        }
        if wait:
            return show_ingested(settings, session.ingest(paths, progress=progress, **told))
        jobs = session.push(paths, progress=progress, **told)
    from etgraph.cli.commands.jobs import show_jobs

    show_jobs(settings, jobs)
    return 0
