"""`etgraph jobs`: what a server was given to do, how far it is, and an end before its time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from etgraph.cli.group import command, pass_settings
from etgraph.cli.settings import Settings

if TYPE_CHECKING:
    from etgraph.api.jobs.job import Job

_STATES = ("queued", "running", "done", "failed", "cancelled")


@command("jobs")
@click.argument("job_id", metavar="[ID]", required=False)
@click.option("--cancel", is_flag=True, help="Have the job ID stopped.")
@click.option("--state", type=click.Choice(_STATES), help="Only jobs in this state.")
@click.option(
    "--limit", type=click.IntRange(1, 1000), metavar="N", default=50, show_default=True, help="No more than N."
)
@pass_settings
def jobs(settings: Settings, job_id: str | None, cancel: bool, state: str | None, limit: int) -> None:
    """List the jobs of a store, newest first; with ID show one.

    Jobs come from uploads to a server and from simulations that it is to keep; workers do them. With -q, print the
    jobs' ids only.
    """
    if cancel and job_id is None:
        raise click.UsageError("--cancel needs the ID of a job")
    if state is not None and job_id is not None:
        raise click.UsageError("--state chooses among all jobs, and ID names one")
    with settings.session() as session:
        if job_id is None:
            found = session.jobs(state=state, limit=limit)
        else:
            found = [session.job(job_id, cancel=cancel)]
    show_jobs(settings, found, one=job_id is not None)


def show_jobs(settings: Settings, found: Sequence[Job], *, one: bool = False) -> None:
    """Print jobs; with `one`, there is one alone, which was asked for."""
    from etgraph.cli.views.jobs import job_view, jobs_view
    from etgraph.model.results import to_json

    output = settings.output()
    if settings.json:
        documents = [to_json(job) for job in found]
        output.document({"job": documents[0]} if one else {"jobs": documents})
    elif settings.quiet:
        for job in found:
            output.line(job.id)
    elif one:
        output.show(job_view(found[0]))
    elif found:
        output.show(jobs_view(found))
    else:
        output.say("no jobs")
