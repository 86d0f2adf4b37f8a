"""Alerts, silences, rules that a store keeps and what came of them, for a reader."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from rich.text import Text

from etgraph.alerts.reports import wording
from etgraph.alerts.standing.naming import short
from etgraph.cli.units import age, count, moment, printable, shortened
from etgraph.cli.views.tables import SHORT_COMMIT, SHORT_ID, facts, grid
from etgraph.model.results import to_json

if TYPE_CHECKING:
    from rich.console import RenderableType

    from etgraph.alerts.findings import Finding
    from etgraph.alerts.standing.alert import Alert
    from etgraph.alerts.standing.evaluation import Evaluation
    from etgraph.alerts.standing.rule_sets import RuleSet
    from etgraph.alerts.standing.silences import Silence

BLAMED: Final = 2
"""Responsible that a list names."""
NAME: Final = 30
"""Characters of a name that a list shows."""
_STYLES: Final = {"error": "bold red", "warning": "bold yellow", "cannot be compared": "bold red"}


def alert_document(alert: Alert) -> dict[str, Any]:
    """An alert as the API's type `Alert` has it."""
    document: dict[str, Any] = to_json(alert)
    return document | {"firing": alert.is_firing}


def alerts_view(alerts: Sequence[Alert]) -> RenderableType:
    """A row an alert."""
    teams = _teams(alerts)
    table = grid("alert", "state", "verdict", "rule", "workload", *teams, "trace", "since", "what")
    for place in (0, 1, -3, -2):
        table.columns[place].no_wrap = True
    for each in alerts:
        verdict = wording.verdict(each.finding)
        table.add_row(
            short(each.id), each.state, Text(verdict, _STYLES.get(verdict, "")), printable(each.finding.rule),
            printable(each.workload), *(_team(each) for _ in teams), each.trace[:SHORT_ID], age(each.created),
            printable(each.finding.title) + _due_to(each.finding),
        )  # fmt: skip
    return table


def alert_view(alert: Alert) -> RenderableType:
    """What is known of an alert beside its finding."""
    taken, silence, resolution = alert.acknowledgement, alert.silence, alert.resolution
    commit = alert.commit[:SHORT_COMMIT] if alert.commit else ""
    return facts(
        [
            ("alert", alert.id),
            ("state", alert.state),
            ("workload", printable(alert.workload if alert.team is None else f"{alert.workload}, team {alert.team}")),
            ("trace", alert.trace),
            ("commit", printable(" on ".join(filter(None, (commit, alert.branch))))),
            ("rules", printable(alert.rules)),
            ("since", f"{moment(alert.created)}, last checked {moment(alert.asked)}"),
            ("beside", " ".join(each[:SHORT_ID] for each in alert.baseline)),
            ("acknowledged", _said(taken.by, moment(taken.moment), taken.note) if taken else ""),
            ("silenced", _said(silence.by, f"until {moment(silence.expires)}", silence.reason) if silence else ""),
            ("resolved", _resolved(alert) if resolution else ""),
        ]
    )


def silences_view(silences: Sequence[Silence], now: str) -> RenderableType:
    """A row a silence."""
    teams = _teams(silences)
    table = grid("silence", "rule", "workload", *teams, "due to", "holds", "by", "reason")
    table.columns[0].no_wrap = True
    for each in silences:
        table.add_row(
            short(each.id), printable(each.rule), printable(each.workload), *(_team(each) for _ in teams),
            printable(each.operator or "–"), _holds(each, now), printable(each.by), printable(each.reason),
        )  # fmt: skip
    return table


def rules_view(sets: Sequence[RuleSet]) -> RenderableType:
    """A row a set of rules."""
    teams = _teams(sets)
    table = grid("rules", "workloads", "baseline", *teams, "by", "changed", "version", right=("version",))
    for each in sets:
        table.add_row(
            printable(each.name), printable(" ".join(each.workloads)), printable(" ".join(each.baseline) or "–"),
            *(_team(each) for _ in teams), printable(each.by or "–"), age(each.changed), count(each.version),
        )  # fmt: skip
    return table


def evaluation_lines(evaluations: Iterable[Evaluation]) -> Iterator[str]:
    """What came of each set of rules, in words: how many of the rules came to what, and why others were not asked."""
    for each in evaluations:
        name = f"{each.trace[:SHORT_ID]} by rules {printable(each.rules)}"
        if each.failure is not None:
            yield f"{name}: could not be checked: {printable(each.failure.message, keep_lines=True)}"
            continue
        counts = Counter(each.verdicts.values())
        told = [f"{counts[status]:,} {wording.IN_WORDS[status]}" for status in wording.GRAVITY if counts[status]]
        told += [f"{len(each.left_out):,} not asked yet"] if each.left_out else []
        yield f"{name}: {each.status} ({', '.join(told) or 'no rule applied'})"
        reasons: dict[str, list[str]] = {}
        for one in each.left_out:
            reasons.setdefault(one.reason, []).append(printable(one.rule))
        yield from (f"  not asked: {', '.join(names)}: {printable(reason)}" for reason, names in reasons.items())


def _teams(of: Iterable[Any]) -> tuple[str, ...]:
    """The header of a column for teams, where there is one to name."""
    return ("team",) if any(each.team is not None for each in of) else ()


def _team(of: Any) -> str:
    return printable(of.team or "–")


def _due_to(finding: Finding) -> str:
    """The first of those responsible, and how many there are beside them."""
    names = [shortened(each.key, NAME) for each in finding.responsible[:BLAMED]]
    more = len(finding.responsible) - BLAMED
    return f": {', '.join(names)}" + (f" and {more:,} more" if more > 0 else "") if names else ""


def _holds(silence: Silence, now: str) -> str:
    if silence.expires <= now:
        return f"ended {moment(silence.expires)}"
    begins = "" if silence.starts <= now else f"from {moment(silence.starts)} "
    return f"{begins}until {moment(silence.expires)}"


def _said(by: str, when: str, words: str | None) -> str:
    return printable(f"by {by}, {when}" + (f": {words}" if words else ""))


def _resolved(alert: Alert) -> str:
    found = alert.resolution
    assert found is not None
    by = "" if found.trace is None else f" ({found.trace[:SHORT_ID]})"
    return printable(f"{moment(found.moment)}: {found.reason}{by}")


__all__ = ["alert_document", "alert_view", "alerts_view", "evaluation_lines", "rules_view", "silences_view"]
