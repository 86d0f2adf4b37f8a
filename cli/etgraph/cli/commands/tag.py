"""`etgraph tag` and `etgraph untag`: names for traces within their workload."""

from __future__ import annotations

import click

from etgraph.cli.group import command, pass_settings
from etgraph.cli.settings import Settings


@command("tag")
@click.argument("trace")
@click.argument("name")
@pass_settings
def tag(settings: Settings, trace: str, name: str) -> None:
    """Let WORKLOAD@NAME mean TRACE, of whose workload it is. A tag that exists moves here."""
    with settings.session() as session:
        info = session.tag(trace, name)
    output = settings.output()
    if settings.json:
        output.document({"tagged": [{"id": info.id, "workload": info.workload, "name": name}]})
    output.say(f"{info.workload}@{name} now means {info.id[:12]}")


@command("untag")
@click.argument("tag", metavar="WORKLOAD@NAME")
@pass_settings
def untag(settings: Settings, tag: str) -> None:
    """Take a tag away. The trace itself stays."""
    workload, at, name = tag.rpartition("@")
    if not at or not workload or not name:
        raise click.BadParameter(f"found {tag!r}, expected WORKLOAD@NAME", param_hint="'WORKLOAD@NAME'")
    with settings.session() as session:
        session.untag(workload, name)
    output = settings.output()
    if settings.json:
        output.document({"untagged": [{"workload": workload, "name": name}]})
    output.say(f"{tag} means nothing any more")
