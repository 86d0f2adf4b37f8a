"""`etgraph share`: let other teams read a trace, or a workload."""

from __future__ import annotations

import click

from etgraph.cli.administering import administering
from etgraph.cli.group import command, pass_settings
from etgraph.cli.settings import Settings


@command("share")
@click.argument("trace")
@click.option("--with", "group", metavar="TEAM", required=True, help="The team; 'everyone' for all teams.")
@click.option("--workload", is_flag=True, help="TRACE is a workload: share all its traces, those to come included.")
@click.option("--undo", is_flag=True, help="Take it back.")
@pass_settings
def share(settings: Settings, trace: str, group: str, workload: bool, undo: bool) -> None:
    """Let a team read TRACE on servers of the store, and change nothing of it. Its own team sees it anyway."""
    action = f"{'unshare' if undo else 'share'}{'Workload' if workload else 'Trace'}"
    with administering(settings) as admin:
        view = admin.view
        if workload:
            (view.unshare_workload if undo else view.share_workload)(trace, group)
            what, told = f"workload {trace}", {"id": None, "workload": trace}
        else:
            found = view.unshare(trace, group) if undo else view.share(trace, group)[0]
            what, told = f"trace {found.id[:12]}", {"id": found.id, "workload": found.workload}
        told["with"] = group
        admin.note(action, **told)
    output = settings.output()
    if settings.json:
        output.document({"unshared" if undo else "shared": [told]})
    output.say(f"{what} is {'no longer ' if undo else ''}shared with {group}")
