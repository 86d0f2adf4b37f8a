"""Rules and alerts as their viewer sees them: those of its team, and of all for the scope admin.

Reading needs the scope `read`, setting rules, acknowledging and silencing the scope `alert`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from etgraph.alerts.standing import evaluation, keeping, rule_sets, silences
from etgraph.alerts.standing.alert import Alert
from etgraph.alerts.standing.evaluation import Evaluation
from etgraph.alerts.standing.keeping import Firing
from etgraph.alerts.standing.rule_sets import RuleSet
from etgraph.alerts.standing.silences import Silence
from etgraph.api.access.scopes import require
from etgraph.api.context import Viewer
from etgraph.api.errors import Forbidden
from etgraph.store.records import Records

WRITES: Final = "alert"
"""The scope for what changes rules and alerts."""


class TeamAlerts:
    """The rules, alerts and silences of a store for one viewer. Raises Forbidden for what the viewer may not.

    What belongs to other teams is not there for it.
    """

    def __init__(self, records: Records, viewer: Viewer) -> None:
        self._records = records
        self._viewer = viewer

    @property
    def seen(self) -> str | None:
        """The team whose rules and alerts the viewer sees: None for all."""
        return None if self._viewer.is_admin else self._viewer.team or ""

    # What is seen

    def rules(self) -> list[RuleSet]:
        """See `rule_sets.rule_sets`."""
        require(self._viewer, "read")
        return rule_sets.rule_sets(self._records, self.seen)

    def alerts(self, **asked: Any) -> list[Alert]:
        """See `keeping.alerts`."""
        require(self._viewer, "read")
        return keeping.alerts(self._records, self.seen, **asked)

    def alert(self, alert_id: str) -> Alert:
        """See `keeping.get_alert`."""
        require(self._viewer, "read")
        return keeping.get_alert(self._records, self.seen, alert_id)

    def evaluations(self, **asked: Any) -> list[Evaluation]:
        """See `evaluation.evaluations`."""
        require(self._viewer, "read")
        return evaluation.evaluations(self._records, self.seen, **asked)

    def silences(self, moment: str | None = None) -> list[Silence]:
        """See `silences.silences`."""
        require(self._viewer, "read")
        return silences.silences(self._records, self.seen, moment)

    def firing(self) -> Mapping[Firing, int]:
        """See `keeping.firing`."""
        require(self._viewer, "read")
        return keeping.firing(self._records, self.seen)

    # What is changed

    def set_rules(self, name: str, text: str, *, team: str | None = None, **given: Any) -> RuleSet:
        """See `rule_sets.set_rules`; alerts of workloads that are no longer meant are resolved."""
        own = self._own(team)
        found = rule_sets.set_rules(self._records, own, name, text, by=self._viewer.name, **given)
        keeping.withdraw_unasked(self._records, own, name)
        return found

    def remove_rules(self, name: str, *, team: str | None = None) -> RuleSet:
        """See `rule_sets.remove_rules`; alerts of them are resolved."""
        own = self._own(team)
        removed = rule_sets.remove_rules(self._records, own, name)
        keeping.withdraw_unasked(self._records, own, name)
        return removed

    def forget_trace(self, trace_id: str) -> None:
        """Resolve the alerts of a trace that is no more, as whoever may remove it does."""
        keeping.withdraw_trace(self._records, self.seen, trace_id)

    def acknowledge(self, alert_id: str, note: str | None = None) -> Alert:
        """See `keeping.acknowledge`."""
        self._check_writes()
        return keeping.acknowledge(self._records, self.seen, alert_id, self._viewer.name, note)

    def silence(self, *, team: str | None = None, **given: Any) -> Silence:
        """See `silences.silence`."""
        return silences.silence(self._records, self._own(team), by=self._viewer.name, **given)

    def remove_silence(self, silence_id: str) -> Silence:
        """See `silences.remove_silence`."""
        self._check_writes()
        return silences.remove_silence(self._records, self.seen, silence_id)

    # Within

    def _check_writes(self) -> None:
        """Raise Forbidden for a viewer who may not change alerts, or not see what it changes."""
        require(self._viewer, WRITES)
        require(self._viewer, "read")

    def _own(self, team: str | None) -> str:
        """The team for which something is set: the viewer's or, for administrators, any. Raises Forbidden."""
        self._check_writes()
        own = self._viewer.team or ""
        if team not in (None, own) and not self._viewer.is_admin:
            raise Forbidden(f"{self._viewer.name} sets rules and silences of team {own}, and of no other")
        return own if team is None else team


__all__ = ["WRITES", "TeamAlerts"]
