"""`etgraph serve`: the GraphQL API over a store, for this machine or, with tokens, for others."""

from __future__ import annotations

from pathlib import Path

import click

from etgraph.cli.group import command, pass_settings
from etgraph.cli.options import config_option
from etgraph.cli.settings import Settings


@command("serve")
@click.option("--host", metavar="ADDRESS", help="Where to listen, 127.0.0.1 if nothing is said.")
@click.option("--port", type=click.IntRange(0, 65535), help="The port, 8321 if nothing is said; 0 for a free one.")
@config_option
@pass_settings
def serve(settings: Settings, host: str | None, port: int | None, config: Path | None) -> None:
    """Serve the store's traces over HTTP: GraphQL at /graphql, a page to try it at /graphiql.

    Runs until it is interrupted or told to end (SIGTERM); requests that run then are answered. Logs are lines of JSON
    on stderr.
    """
    import os
    import sys

    from etgraph.api.http import logs
    from etgraph.api.running.serving import serve
    from etgraph.api.settings import load, with_address
    from etgraph.cli.session import local_store_url
    from etgraph.store import connect

    chosen = with_address(load(config, os.environ), host, port)
    output = settings.output()

    def ready(url: str) -> None:
        if settings.json:
            output.document({"server": {"url": url, "graphql": f"{url}/graphql", "graphiql": f"{url}/graphiql"}})
        else:
            output.line(url)
        sys.stdout.flush()

    url = local_store_url(settings.store)
    with connect(url) as store, logs.to_stderr(quiet=settings.quiet):
        serve(store, chosen, ready=ready, store_url=url, quiet=settings.quiet)
