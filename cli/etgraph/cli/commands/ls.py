"""`etgraph ls`: the traces of the store."""

from __future__ import annotations

import click

from etgraph.cli.group import command, pass_settings
from etgraph.cli.options import labels_option
from etgraph.cli.settings import Settings


@command("ls")
@click.option("--workload", metavar="NAME", help="Only traces of this workload.")
@click.option("--team", metavar="NAME", help="Only traces of this team.")
@labels_option("Only traces with this label; may be repeated.")
@pass_settings
def ls(settings: Settings, workload: str | None, team: str | None, labels: dict[str, str]) -> None:
    """List the traces of the store, newest first. With -q, print their ids only."""
    from etgraph.cli.documents import trace_document
    from etgraph.cli.views.tables import traces_table

    with settings.session() as session:
        traces = session.traces(workload=workload, team=team, labels=labels)
        url = session.url
    output = settings.output()
    if settings.json:
        output.document({"traces": [trace_document(info) for info in traces]})
    elif settings.quiet:
        for info in traces:
            output.line(info.id)
    elif traces:
        output.show(traces_table(traces, output.answer.width))
    elif workload or team or labels:
        output.say("no trace satisfies all of that; 'etgraph ls' without options lists every trace")
    else:
        output.say(f"the store {url} is empty; 'etgraph ingest PATH --workload NAME' puts a trace in")
