"""What commands ask of the rules and alerts that a store keeps, on this machine or on a server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from etgraph.alerts.standing.alert import Alert
    from etgraph.alerts.standing.evaluation import Evaluation
    from etgraph.alerts.standing.rule_sets import RuleSet
    from etgraph.alerts.standing.silences import Silence
    from etgraph.store import TraceInfo


class Alerting(Protocol):
    """Rules, alerts and silences of a store, as whoever asks sees them: of all teams, or on a server of the token's.

    A `team` is one's own where none is given; only who sees all may name another. Ids of alerts and silences are whole
    or `short`. Raises NotFound and UsageError, and what a store or a server may raise.
    """

    def rules(self) -> list[RuleSet]:
        """The sets of rules, by team and name."""
        ...

    def set_rules(
        self, name: str, text: str, *, team: str | None = None, workloads: Sequence[str], baseline: Sequence[str]
    ) -> RuleSet:
        """Keep rules under a name; see `etgraph.alerts.standing.rule_sets.set_rules`."""
        ...

    def remove_rules(self, name: str, *, team: str | None = None) -> RuleSet:
        """Take rules away, which resolves their alerts; gives what they were."""
        ...

    def alerts(self, **asked: Any) -> list[Alert]:
        """Alerts, newest first; see `etgraph.alerts.standing.keeping.alerts` for what may be asked."""
        ...

    def alert(self, alert_id: str) -> Alert:
        """The alert of that id."""
        ...

    def acknowledge(self, alert_id: str, note: str | None = None) -> Alert:
        """Note that one looks after an alert."""
        ...

    def evaluations(self, **asked: Any) -> list[Evaluation]:
        """What came of rules, newest first; see `etgraph.alerts.standing.evaluation.evaluations`."""
        ...

    def silences(self, moment: str | None = None) -> list[Silence]:
        """Silences, newest first; with a moment, those that expire behind it."""
        ...

    def silence(self, *, team: str | None = None, **given: Any) -> Silence:
        """Silence alerts; see `etgraph.alerts.standing.silences.silence` for what may be given."""
        ...

    def remove_silence(self, silence_id: str) -> Silence:
        """End a silence; gives what it was."""
        ...


def rules_named(alerting: Alerting, name: str, team: str | None = None) -> RuleSet:
    """The set of rules of that name. Raises NotFound, and UsageError where several teams have one and none is named."""
    from etgraph.model.errors import NotFound, UsageError

    known = [each for each in alerting.rules() if team in (None, each.team or "")]
    found = [each for each in known if each.name == name]
    if not found:
        names = ", ".join(dict.fromkeys(each.name for each in known)) or "none"
        raise NotFound(f"no rules {name[:120]!r}; there are {names}", hint="'etgraph rules list' tells all of them")
    if len(found) > 1:
        teams = ", ".join(each.team or "nobody's" for each in found)
        raise UsageError(f"rules {name!r}: found those of several teams ({teams})", hint="--team says whose")
    return found[0]


def rules_for(alerting: Alerting, entry: TraceInfo) -> list[RuleSet]:
    """The sets by which an entry of the catalogue is checked. Raises UsageError where there are none."""
    from etgraph.model.errors import UsageError

    short = entry.id[:12]
    if entry.workload is None:
        raise UsageError(f"trace {short}: found no workload, expected one, whose rules it is checked by")
    found = [each for each in alerting.rules() if each.team == entry.team and each.is_for(entry.workload)]
    if not found:
        whose = "" if entry.team is None else f" of team {entry.team}"
        raise UsageError(
            f"trace {short}: found no rules{whose} for workload {entry.workload!r}",
            hint="'etgraph rules push' keeps rules, and 'etgraph check' checks by those of a file",
        )
    return found


__all__ = ["Alerting", "rules_for", "rules_named"]
