"""`etgraph worker`: a process that does a store's jobs."""

from __future__ import annotations

from pathlib import Path

import click

from etgraph.cli.group import command, pass_settings
from etgraph.cli.options import config_option
from etgraph.cli.settings import Settings


@command("worker")
@click.option("--once", is_flag=True, help="Do the jobs that wait, and end.")
@config_option
@pass_settings
def worker(settings: Settings, once: bool, config: Path | None) -> None:
    """Do the jobs of a store: ingest what was uploaded to a server, and run simulations that are to be kept.

    'etgraph serve' starts one by itself; more of them, also on other machines, share its jobs. Runs until it is
    interrupted or told to end (SIGTERM), and gives the job that it is at back then. Logs are lines of JSON on stderr.
    """
    import os

    from etgraph.api.http import logs
    from etgraph.api.jobs.process import work
    from etgraph.api.settings import load
    from etgraph.cli.session import local_store_url
    from etgraph.store import connect

    chosen = load(config, os.environ)
    with connect(local_store_url(settings.store)) as store, logs.to_stderr(quiet=settings.quiet):
        begun = work(store, chosen, once=once)
    output = settings.output()
    if settings.json:
        output.document({"jobs": begun})
    else:
        output.say(f"{begun} {'job' if begun == 1 else 'jobs'} begun")
