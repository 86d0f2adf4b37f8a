"""`etgraph rm`: remove traces from the store."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from etgraph.cli.group import command, pass_settings
from etgraph.cli.settings import Settings

if TYPE_CHECKING:
    from etgraph.store import TraceInfo


@command("rm")
@click.argument("traces", metavar="TRACE...", nargs=-1, required=True)
@click.option("--yes", "-y", is_flag=True, help="Do not ask, not even on a terminal.")
@pass_settings
def rm(settings: Settings, traces: tuple[str, ...], yes: bool) -> int:
    """Remove traces from the store, with their tags, labels and saved results, under every workload that names them.

    On a terminal this asks first. Nothing is removed unless every TRACE names one.
    """
    from etgraph.cli.views.tables import SHORT_ID, name_of
    from etgraph.model.errors import UsageError

    with settings.session() as session:
        found = {info.id: info for info in map(session.find, traces)}
        known = session.traces(workload=None, team=None, labels=None)
        others = [i for i in known if i.id in found and i.workload != found[i.id].workload]
        if others and not yes and not _asks():
            raise UsageError(
                f"also known as {', '.join(map(name_of, others))}, which would go too",
                hint="--yes removes a trace under every workload that names it",
            )
        if not yes and _asks() and not click.confirm(_question([*found.values(), *others]), err=True):
            click.echo("nothing was removed", err=True)
            return 0
        for trace_id in found:
            session.remove(trace_id)
    output = settings.output()
    if settings.json:
        output.document({"removed": [{"id": info.id, "workload": info.workload} for info in found.values()]})
    for info in [*found.values(), *others]:
        output.say(f"removed {info.id[:SHORT_ID]} ({name_of(info)})")
    return 0


def _asks() -> bool:
    """Whether somebody is there to answer."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def _question(found: list[TraceInfo]) -> str:
    from etgraph.cli.views.tables import SHORT_ID, name_of

    if len(found) > 1:
        return f"Remove {len(found)} traces ({', '.join(map(name_of, found))}) with their tags and saved results?"
    return f"Remove {name_of(found[0])} ({found[0].id[:SHORT_ID]}) with its tags and saved results?"
