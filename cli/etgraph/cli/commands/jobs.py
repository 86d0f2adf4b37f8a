"""`etgraph jobs`: what a server was given to do, how far it is, and an end before its time."""

from __future__ import annotations

import click

from etgraph.cli.group import command, pass_settings
from etgraph.cli.settings import Settings

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
    from etgraph.api.jobs.queue import Queue
    from etgraph.cli.session import local_store_url
    from etgraph.cli.views.jobs import job_view, jobs_view
    from etgraph.model.results import to_json
    from etgraph.store import connect

    if cancel and job_id is None:
        raise click.UsageError("--cancel needs the ID of a job")
    if state is not None and job_id is not None:
        raise click.UsageError("--state chooses among all jobs, and ID names one")
    output = settings.output()
    with connect(local_store_url(settings.store)) as store:
        queue = Queue(store.records)
        if job_id is None:
            found = queue.page(state=state, first=limit)
        else:
            found = [queue.cancel(job_id) if cancel else queue.get(job_id)]
    if settings.json:
        documents = [to_json(job) for job in found]
        output.document({"jobs": documents} if job_id is None else {"job": documents[0]})
    elif settings.quiet:
        for job in found:
            output.line(job.id)
    elif job_id is not None:
        output.show(job_view(found[0]))
    elif found:
        output.show(jobs_view(found))
    else:
        output.say("no jobs")
