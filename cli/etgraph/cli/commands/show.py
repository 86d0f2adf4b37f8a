"""`etgraph show`: what is known of one trace."""

from __future__ import annotations

import click

from etgraph.cli.group import command, pass_settings
from etgraph.cli.settings import Settings


@command("show")
@click.argument("trace")
@pass_settings
def show(settings: Settings, trace: str) -> None:
    """Show what is known of TRACE: ranks, operators, dependencies by kind, steps, and how reading it went."""
    from etgraph.cli.documents import trace_document
    from etgraph.cli.progress import watched
    from etgraph.cli.views.tables import trace_view

    with settings.session() as session, watched(settings) as progress:
        progress(f"looking at {trace}")
        info = session.show(trace)
    output = settings.output()
    if settings.json:
        output.document({"trace": trace_document(info)})
    else:
        output.show(trace_view(info))
