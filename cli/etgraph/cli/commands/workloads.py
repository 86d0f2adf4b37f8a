"""`etgraph workloads`: the workloads of the store, and what each of them loses."""

from __future__ import annotations

import click

from etgraph.cli.group import command, pass_settings
from etgraph.cli.settings import Settings


@command("workloads")
@click.option("--team", metavar="NAME", help="Only what this team published.")
@pass_settings
def workloads(settings: Settings, team: str | None) -> None:
    """List workloads, a row each with its newest trace, and a summary of each team. With -q, print their names only.

    What steps lose is that of the waterfall that was kept last: 'etgraph waterfall WORKLOAD --save' keeps one.
    """
    from etgraph.cli.documents import result_document
    from etgraph.cli.views.workloads import workloads_view

    with settings.session() as session:
        found = session.workloads(team)
        url = session.url
    output = settings.output()
    if settings.json:
        output.document(result_document(found))
    elif settings.quiet:
        for row in found.workloads:
            output.line(row.workload)
    elif found.workloads:
        output.show(workloads_view(found, output.answer.width))
    elif team:
        output.say(f"team {team} has published nothing; 'etgraph workloads' lists every workload")
    else:
        output.say(f"no trace in {url} has a workload; 'etgraph ingest PATH --workload NAME' puts one in")
