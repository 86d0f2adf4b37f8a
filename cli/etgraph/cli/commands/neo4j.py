"""`etgraph neo4j start`, `stop`, `status` and `import`: a Neo4j server on this machine, without Docker."""

from __future__ import annotations

from pathlib import Path

import click

from etgraph.cli.group import Entry, LazyGroup, command, pass_settings
from etgraph.cli.options import Seconds
from etgraph.cli.settings import Settings

_HERE = "etgraph.cli.commands.neo4j"
START = "'etgraph neo4j start' starts it"

PORT = click.IntRange(1, 65535)


@click.group(
    "neo4j",
    cls=LazyGroup,
    entries=(
        Entry("start", f"{_HERE}:start", "Start the server; the first time, fetch it."),
        Entry("stop", f"{_HERE}:stop", "Stop it. Its data stays."),
        Entry("status", f"{_HERE}:status", "Whether it runs, and where it is."),
        Entry("import", f"{_HERE}:import_", "Fill its database from an export, and start it."),
    ),
    no_args_is_help=True,
)
def neo4j() -> None:
    """Run a Neo4j Community server on this machine, for this machine only.

    'etgraph --store neo4j://127.0.0.1' and the port use it, with no password to type.
    """


@command("start")
@click.option(
    "--release",
    type=click.Choice(["5.26", "2026"]),
    help="5.26, with long-term support, or 2026. Else the last one, else 5.26.",
)
@click.option("--port", type=PORT, help="Where it speaks Bolt. Else the last one, else 7687, else a free one.")
@click.option("--http-port", type=PORT, help="Where Neo4j Browser is. Else the last one, else 7474, else a free one.")
@click.option("--memory", metavar="SIZE", help="How much memory it may take, 1g or more. Else the last size, else 2g.")
@click.option("--wait", metavar="SECONDS", type=Seconds(1), default=180.0, help="How long it may take to answer.")
@pass_settings
def start(
    settings: Settings, release: str | None, port: int | None, http_port: int | None, memory: str | None, wait: float
) -> None:
    """Start the server and wait until it answers. One that runs already is left as it is.

    The first start fetches Neo4j, about 130 MB. It needs a Java, which 'pip install etgraph[neo4j-server]' brings.
    """
    from etgraph.cli.progress import watched
    from etgraph.cli.views.neo4j import server_document, server_view
    from etgraph.store.neo4j_server import server

    output = settings.output()
    with watched(settings) as progress:
        found = server.start(
            release, port=port, http_port=http_port, memory=memory, seconds=wait, say=output.say, progress=progress
        )
    if settings.json:
        output.document({"server": {**server_document(found), "alreadyRunning": not found.fresh}})
    else:
        output.show(server_view(found), soft_wrap=True)
    output.say(f"it {'runs' if found.fresh else 'ran already'}; now try: etgraph --store {found.uri} demo")


@command("stop")
@pass_settings
def stop(settings: Settings) -> None:
    """Stop the server and wait until it is gone. Its data stays, and the next start finds it again."""
    from etgraph.cli.progress import watched
    from etgraph.cli.views.neo4j import server_document
    from etgraph.store.neo4j_server import server

    with watched(settings) as progress:
        progress("stopping Neo4j")
        stopped = server.stop()
    output = settings.output()
    if settings.json:
        output.document({"server": server_document(server.status()), "stopped": stopped is not None})
    output.say(f"stopped; the data stays in {stopped.home}" if stopped else f"it does not run; {START}")


@command("status")
@pass_settings
def status(settings: Settings) -> None:
    """Say whether the server runs, and where its address, data and password are."""
    from etgraph.cli.views.neo4j import server_document, server_view
    from etgraph.store.neo4j_server import server

    found = server.status()
    output = settings.output()
    if settings.json:
        output.document({"server": server_document(found)})
    elif found.running:
        output.show(server_view(found), soft_wrap=True)
    else:
        output.line("not running")
    if not found.running:
        output.say(START)


@command("import")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--release", type=click.Choice(["5.26", "2026"]), help="Whose database to fill. Else the last one's, else 5.26's."
)
@click.option("--overwrite", is_flag=True, help="Replace the database that is there; all in it is lost.")
@pass_settings
def import_(settings: Settings, folder: Path, release: str | None, overwrite: bool) -> None:
    """Fill the database of the server, which must not run, from FOLDER, and start it.

    'etgraph export TRACE... --format neo4j-csv -o FOLDER' writes such a folder. It is the quick way for many traces.
    """
    from etgraph.cli.progress import watched
    from etgraph.cli.views.neo4j import server_document, server_view
    from etgraph.store.neo4j.offline.export import prepare
    from etgraph.store.neo4j_server import server
    from etgraph.store.neo4j_server.importing import import_files

    output = settings.output()
    with watched(settings) as progress:
        import_files(folder, release=release, overwrite=overwrite, say=output.say, progress=progress)
        found = server.start(release, say=output.say, progress=progress)
        assert found.uri is not None
        progress("making indexes")
        prepare(found.uri)
    if settings.json:
        output.document({"server": server_document(found)})
    else:
        output.show(server_view(found), soft_wrap=True)
    output.say(f"imported; now try: etgraph --store {found.uri} ls")
