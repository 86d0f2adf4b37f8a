"""`etgraph show`: what is known of one trace."""

from __future__ import annotations

import click

from etgraph.cli.group import command, pass_settings
from etgraph.cli.settings import Settings


@command("show")
@click.argument("trace")
@pass_settings
def show(settings: Settings, trace: str) -> None:
    """Show what is known of TRACE: ranks, operators, dependencies, steps, how reading it went, and its simulations."""
    from etgraph.cli.documents import trace_document
    from etgraph.cli.progress import watched
    from etgraph.cli.views.simulations import simulations_table
    from etgraph.cli.views.tables import trace_view
    from etgraph.model.results import to_json

    with settings.session() as session, watched(settings) as progress:
        progress(f"looking at {trace}")
        info = session.show(trace)
        saved = session.simulations(info.id) if info.created else None
    output = settings.output()
    if settings.json:
        simulations = [] if saved is None else to_json(saved.simulations)
        output.document({"trace": trace_document(info) | {"simulations": simulations}})
        return
    output.show(trace_view(info))
    if saved is not None and saved.simulations:
        output.show("", simulations_table(saved.simulations, output.answer.width))
