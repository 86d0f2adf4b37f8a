"""`etgraph rules push`, `list`, `show` and `remove`: rules that a store keeps, by which it checks what comes."""

from __future__ import annotations

import click

from etgraph.cli.group import command, pass_settings
from etgraph.cli.options import team_option
from etgraph.cli.settings import Settings


@command("push")
@click.argument("name")
@click.argument("file", metavar="F")
@click.option(
    "--workload", "workloads", metavar="GLOB", multiple=True,
    help="Check traces of workloads that fit; may be repeated. Without it, those of all.",
)  # fmt: skip
@click.option(
    "--baseline", metavar="B", multiple=True,
    help="What rules that name none compare with, as of 'etgraph check'; '@tag' is that tag of the trace's workload. "
    "May be repeated. Without it, @baseline where there is one, else last:5.",
)  # fmt: skip
@team_option("Check traces of this team, for who sees all; else of one's own.")
@pass_settings
def push(
    settings: Settings, name: str, file: str, workloads: tuple[str, ...], baseline: tuple[str, ...], team: str | None
) -> None:
    """Have the store keep the rules of the file F under NAME, in place of those that it has there.

    'default' for F means the rules that come with etgraph, of whatever version does the check. Every trace that comes
    under a fitting workload is checked by them. 'etgraph alerts' tells what is broken.
    """
    from pathlib import Path

    from etgraph.alerts.rules.reading import DEFAULT, loads_all, rules_text
    from etgraph.cli.units import counted, printable
    from etgraph.model.results import to_json

    text, place = rules_text(DEFAULT if file == DEFAULT else Path(file))
    count = len(loads_all([(text, place)]))
    with settings.session() as session:
        kept = session.alerts.set_rules(
            name, DEFAULT if file == DEFAULT else text, team=team, workloads=workloads or ("*",), baseline=baseline
        )
    output = settings.output()
    if settings.json:
        output.document({"ruleSet": to_json(kept)})
    whose = "" if kept.team is None else f" of team {kept.team}"
    output.say(
        printable(f"{counted(count, 'rule')} kept as {kept.name}, for workloads {' '.join(kept.workloads)}{whose}")
    )


@command("list")
@pass_settings
def list_(settings: Settings) -> None:
    """List the sets of rules that the store keeps, by name. With -q, print their names only."""
    from etgraph.cli.views.alerts import rules_view
    from etgraph.model.results import to_json

    with settings.session() as session:
        found = session.alerts.rules()
    output = settings.output()
    if settings.json:
        output.document({"ruleSets": [to_json(each) for each in found]})
    elif settings.quiet:
        for each in found:
            output.line(each.name)
    elif found:
        output.show(rules_view(found))
    else:
        output.say("the store keeps no rules; 'etgraph rules push' gives it some")


@command("show")
@click.argument("name")
@team_option("Whose, where several teams have rules of that name.")
@pass_settings
def show(settings: Settings, name: str, team: str | None) -> None:
    """Print the file of rules that was pushed as NAME, as it was written."""
    from etgraph.alerts.rules.reading import DEFAULT, default_pack
    from etgraph.cli.alerting import rules_named
    from etgraph.model.results import to_json

    with settings.session() as session:
        found = rules_named(session.alerts, name, team)
    output = settings.output()
    if settings.json:
        output.document({"ruleSet": to_json(found)})
        return
    if found.text == DEFAULT:
        output.say("the rules that come with etgraph, as this version has them")
    output.line((default_pack()[0] if found.text == DEFAULT else found.text).removesuffix("\n"))


@command("remove")
@click.argument("name")
@team_option("Whose, where several teams have rules of that name.")
@pass_settings
def remove(settings: Settings, name: str, team: str | None) -> None:
    """Take away the rules NAME. Alerts that they raised are resolved."""
    from etgraph.cli.alerting import rules_named
    from etgraph.cli.units import printable
    from etgraph.model.results import to_json

    with settings.session() as session:
        there = rules_named(session.alerts, name, team)
        removed = session.alerts.remove_rules(there.name, team=there.team or "")
    output = settings.output()
    if settings.json:
        output.document({"removed": [to_json(removed)]})
    output.say(printable(f"rules {removed.name} are removed; their alerts are resolved"))
