"""`etgraph label`: labels by which traces are found."""

from __future__ import annotations

import click

from etgraph.cli.group import command, pass_settings
from etgraph.cli.options import pairs
from etgraph.cli.settings import Settings


@command("label")
@click.argument("trace")
@click.argument("labels", metavar="KEY=VALUE...", nargs=-1, required=True, callback=pairs)
@pass_settings
def label(settings: Settings, trace: str, labels: dict[str, str]) -> None:
    """Set labels on TRACE. Afterwards WORKLOAD@KEY=VALUE means the newest trace that has the label."""
    with settings.session() as session:
        info = session.label(trace, labels)
    output = settings.output()
    if settings.json:
        output.document({"labelled": [{"id": info.id, "workload": info.workload, "labels": dict(info.labels)}]})
    listed = ", ".join(f"{key}={value}" for key, value in info.labels.items())
    output.say(f"{info.id[:12]} has {listed}")
