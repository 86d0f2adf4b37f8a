"""`etgraph alerts list`, `show`, `acknowledge`, `silence`, `silences` and `evaluate`: rules of a store, and what broke.

The rules themselves are looked after by `etgraph rules push`, `list`, `show` and `remove`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click

from etgraph.cli.group import Entry, LazyGroup, command, pass_settings
from etgraph.cli.options import Duration, Moment, team_option
from etgraph.cli.settings import Settings

_HERE = "etgraph.cli.commands.alerts"
_STANDING = ("open", "acknowledged", "silenced")
_STATES = (*_STANDING, "resolved")
_MOST = 1000


@click.group(
    "alerts",
    cls=LazyGroup,
    entries=(
        Entry("list", f"{_HERE}:list_", "The alerts that stand, newest first."),
        Entry("show", f"{_HERE}:show", "All that is known of one: what became worse, and who is responsible."),
        Entry("acknowledge", f"{_HERE}:acknowledge", "Say that you look after alerts."),
        Entry("silence", f"{_HERE}:silence", "Let alerts not be heard for a while, those to come included."),
        Entry("silences", f"{_HERE}:silences", "The silences that hold or will; end one."),
        Entry("evaluate", f"{_HERE}:evaluate", "Check a stored trace by the rules of the store, now."),
    ),
    no_args_is_help=True,
)
def alerts() -> None:
    """Alerts: what traces broke of the rules that a store keeps ('etgraph rules push'), until a later one mends it.

    ID is an alert's or a silence's id, whole or the twelve digits that lists show: docs/alerts/server.md.
    """


@command("list")
@click.option("--workload", metavar="GLOB", help="Only of workloads that fit, such as gpt or 'gpt*'.")
@click.option("--rule", metavar="GLOB", help="Only of rules whose ids fit.")
@click.option(
    "--state", "states", type=click.Choice(_STATES), multiple=True,
    help="Only in this state; may be repeated. Else all but those that are resolved.",
)  # fmt: skip
@click.option("--level", type=click.Choice(["error", "warn"]), help="Only of rules of this level.")
@click.option("--trace", metavar="REF", help="Only of this stored trace.")
@click.option(
    "--limit", type=click.IntRange(1, _MOST), metavar="N", default=50, show_default=True, help="No more than N."
)
@pass_settings
def list_(
    settings: Settings, workload: str | None, rule: str | None, states: tuple[str, ...], level: str | None,
    trace: str | None, limit: int,
) -> None:  # fmt: skip
    """List alerts, those of the newest traces first. With -q, print their ids only."""
    from etgraph.cli.views.alerts import alert_document, alerts_view

    with settings.session() as session:
        asked = {"workload": workload, "rule": rule, "level": level, "trace": trace and session.find(trace).id}
        told = {name: value for name, value in asked.items() if value is not None}
        # A state is asked for by itself, and one may change meanwhile.
        each_once = {
            alert.id: alert
            for state in dict.fromkeys(states or _STANDING)
            for alert in session.alerts.alerts(state=state, first=limit, **told)
        }
    found = [each_once[name] for name in sorted(each_once, reverse=True)[:limit]]
    output = settings.output()
    if settings.json:
        output.document({"alerts": [alert_document(each) for each in found]})
    elif settings.quiet:
        for each in found:
            output.line(each.id)
    elif found:
        output.show(alerts_view(found))
        if len(found) == limit:
            output.say(f"no more than {limit:,} are listed; --limit N lists more")
    else:
        output.say("no alerts" if told or states else "no alert stands")


@command("show")
@click.argument("alert_id", metavar="ID")
@pass_settings
def show(settings: Settings, alert_id: str) -> None:
    """Show the alert ID: what became of it, and the finding as 'etgraph check' tells it."""
    from etgraph.alerts.reports.text import lines_of
    from etgraph.cli.views.alerts import alert_document, alert_view

    with settings.session() as session:
        found = session.alerts.alert(alert_id)
    output = settings.output()
    if settings.json:
        output.document({"alert": alert_document(found)})
        return
    output.show(alert_view(found))
    output.line("")
    for line in lines_of(found.finding, colour=output.answer.is_terminal and not output.answer.no_color):
        output.line(line)


@command("acknowledge")
@click.argument("alert_ids", metavar="ID...", nargs=-1, required=True)
@click.option("--note", metavar="TEXT", help="What is to be said of it: the cause, a ticket.")
@pass_settings
def acknowledge(settings: Settings, alert_ids: tuple[str, ...], note: str | None) -> None:
    """Note that you look after the alerts ID. They stand until a later trace resolves them."""
    from etgraph.alerts.standing.naming import short
    from etgraph.cli.units import printable
    from etgraph.cli.views.alerts import alert_document

    with settings.session() as session:
        # Each is there, or none is changed.
        names = [session.alerts.alert(each).id for each in alert_ids]
        found = [session.alerts.acknowledge(each, note) for each in dict.fromkeys(names)]
    output = settings.output()
    if settings.json:
        output.document({"alerts": [alert_document(each) for each in found]})
    for each in found:
        output.say(printable(f"alert {short(each.id)}, {each.finding.rule} of {each.workload}, is acknowledged"))


@command("silence")
@click.option("--rule", metavar="GLOB", help="Alerts of rules whose ids fit.")
@click.option("--workload", metavar="GLOB", help="Alerts of workloads that fit.")
@click.option("--operator", metavar="GLOB", help="Alerts of which one of those responsible fits.")
@click.option("--reason", metavar="TEXT", required=True, help="Why.")
@click.option("--for", "lasts", metavar="TIME", type=Duration(), help="How long: 12h, 3d, 2w.")
@click.option(
    "--until", metavar="WHEN", type=Moment(end=True),
    help="Until when: the last day, such as 2026-03-31, or a moment, 2026-03-31T18:00.",
)  # fmt: skip
@click.option("--from", "starts", metavar="WHEN", type=Moment(), help="Since when; now if not said.")
@team_option("Whose alerts: of a team, for who sees all; else one's own.")
@pass_settings
def silence(
    settings: Settings, rule: str | None, workload: str | None, operator: str | None, reason: str,
    lasts: timedelta | None, until: str | None, starts: str | None, team: str | None,
) -> None:  # fmt: skip
    """Let alerts not be heard for a while, those that are there and those to come; they must fit all that is given.

    They are still raised and resolved, and listed as silenced.
    """
    from etgraph.alerts.standing.naming import short
    from etgraph.cli.units import counted, moment
    from etgraph.store.clock import written

    given = {"rule": rule, "workload": workload, "operator": operator}
    told = {name: value for name, value in given.items() if value is not None}
    if not told:
        raise click.UsageError("--rule, --workload or --operator says which alerts; --rule '*' means all")
    if (lasts is None) == (until is None):
        raise click.UsageError("either --for or --until says how long")
    if starts is not None:
        told["starts"] = starts
    begins = datetime.now(UTC) if starts is None else datetime.fromisoformat(starts)
    expires = until if lasts is None else written(begins + lasts)
    with settings.session() as session:
        made = session.alerts.silence(team=team, reason=reason, expires=expires, **told)
        silenced = session.alerts.alerts(state="silenced", first=_MOST)
    meant = sum(made.means(each.team, each.workload, each.finding) for each in silenced)
    output = settings.output()
    if settings.json:
        from etgraph.model.results import to_json

        output.document({"silence": to_json(made)})
    elif settings.quiet:
        output.line(made.id)
    begun = starts is None or datetime.fromisoformat(made.starts) <= datetime.now(UTC)
    whom = f": {counted(meant, 'alert')} of now" if begun else ""
    output.say(f"silence {short(made.id)} until {moment(made.expires)}{whom}")


@command("silences")
@click.option("--expired", is_flag=True, help="Also those that have ended.")
@click.option("--remove", "gone", metavar="ID", multiple=True, help="Instead end this one; may be repeated.")
@pass_settings
def silences(settings: Settings, expired: bool, gone: tuple[str, ...]) -> None:
    """List the silences that hold or are to come, newest first. With -q, print their ids only."""
    from etgraph.alerts.standing.naming import short
    from etgraph.cli.views.alerts import silences_view
    from etgraph.model.results import to_json
    from etgraph.store.clock import now

    output = settings.output()
    if gone:
        with settings.session() as session:
            removed = [session.alerts.remove_silence(each) for each in gone]
        if settings.json:
            output.document({"removed": [to_json(each) for each in removed]})
        for each in removed:
            output.say(f"silence {short(each.id)} is ended")
        return
    with settings.session() as session:
        found = session.alerts.silences(None if expired else now())
    if settings.json:
        output.document({"silences": [to_json(each) for each in found]})
    elif settings.quiet:
        for each in found:
            output.line(each.id)
    elif found:
        output.show(silences_view(found, now()))
    else:
        output.say("no silences")


@command("evaluate")
@click.argument("traces", metavar="REF...", nargs=-1, required=True)
@pass_settings
def evaluate(settings: Settings, traces: tuple[str, ...]) -> None:
    """Check the stored traces REF by the rules that are kept for their workloads, as if they came now.

    'etgraph ingest' does this by itself; this is for traces that were there before the rules, or before what they are
    compared with. Alerts come of it, and others are resolved. The exit code says that it was done, not what came of it:
    'etgraph check' is the gate.
    """
    from etgraph.cli.progress import watched
    from etgraph.cli.views.alerts import evaluation_lines
    from etgraph.model.results import to_json

    with settings.session() as session, watched(settings) as progress:
        found = [each for trace in traces for each in session.evaluate(trace, progress=progress)]
    output = settings.output()
    if settings.json:
        output.document({"evaluations": [to_json(each) for each in found]})
    elif not settings.quiet:
        for line in evaluation_lines(found):
            output.line(line)
