"""`etgraph jobs`: what a server is at."""

from __future__ import annotations

import click

from etgraph.cli.group import command, pass_settings
from etgraph.cli.settings import Settings


@command("jobs")
@click.argument("job", metavar="[ID]", required=False)
@click.option("--cancel", is_flag=True, help="Have the job ID stopped.")
@pass_settings
def jobs(settings: Settings, job: str | None, cancel: bool) -> None:
    """List the jobs of the server of --store, newest first, or tell of the job ID. With -q, print their ids only."""
    from etgraph.cli.views.jobs import jobs_shown
    from etgraph.model.errors import UsageError

    if cancel and job is None:
        raise UsageError("--cancel: found no job, expected its id", hint="'etgraph jobs' lists jobs with their ids")
    with settings.session() as session:
        if not session.is_remote:
            raise UsageError(f"{session.url} is no server, and has no jobs", hint="name one: --store http(s)://host")
        found = session.jobs(job, cancel=cancel)
    jobs_shown(settings, found, one=job is not None)
