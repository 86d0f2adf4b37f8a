"""Alerts in a store's records: raised once, settled by whichever evaluation is later, listed, and forgotten."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import islice, takewhile
from typing import Final

from etgraph.alerts.language.evaluating import matches
from etgraph.alerts.standing import evaluation as evaluated
from etgraph.alerts.standing import silences as silenced
from etgraph.alerts.standing.alert import (
    KIND,
    Alert,
    acknowledged,
    alert_of,
    changed,
    document_of,
    heard,
)
from etgraph.alerts.standing.evaluation import Evaluation, later_evaluations
from etgraph.alerts.standing.naming import ID, SHORT, first_at
from etgraph.alerts.standing.rule_sets import rule_set
from etgraph.alerts.standing.settling import settled, withdrawn
from etgraph.alerts.standing.silences import silences
from etgraph.model.errors import NotFound
from etgraph.store.clock import now, written
from etgraph.store.records import Conflict, Records, every

KEPT: Final = timedelta(days=90)
"""For which alerts and evaluations are remembered."""
_GLOB: Final = re.compile(r"[*?]")
_LOOKED_AT: Final = 200
"""Records that are looked at together."""


@dataclass(frozen=True, slots=True)
class Firing:
    """What firing alerts are counted by."""

    team: str | None
    workload: str
    rule: str
    level: str
    state: str


def raise_alert(records: Records, alert: Alert) -> None:
    """Keep an alert, once for its trace and rule: one that is there has the new finding, and keeps who looks after it.

    One that was resolved before this was asked for stands again. What was asked for later settles it at once.
    """

    def change(there: Alert | None) -> Alert | None:
        if there is None:
            return alert
        if alert.asked < there.asked or (alert.asked == there.asked and there.resolution is not None):
            return None
        again = there.resolution is not None
        return changed(alert, acknowledgement=None if again else there.acknowledgement)

    _change(records, alert.id, change)
    for later in later_evaluations(records, alert.team or "", alert.workload, alert.rules, alert.asked):
        _settle(records, alert.id, partial(settled, by=later))


def settle_by(records: Records, by: Evaluation) -> None:
    """Resolve the alerts that an evaluation settles."""
    where = {"team": by.team or "", "workload": by.workload, "rules": by.rules, "live": "yes"}
    for record in every(records, KIND, where, together=_LOOKED_AT):
        if settled(alert_of(record), by) is not None:
            _settle(records, record.name, partial(settled, by=by))


def withdraw_unasked(records: Records, team: str, rules: str) -> None:
    """Resolve a team's alerts of a set of rules that is no more, or of workloads that it is not for any more."""
    there, moment = rule_set(records, team, rules), now()
    for record in every(records, KIND, {"team": team, "rules": rules, "live": "yes"}, together=_LOOKED_AT):
        workload = record.document["workload"]
        if there is None or not there.is_for(workload):
            reason = f"the rules {rules} " + ("were removed" if there is None else f"are not for {workload} any more")
            _settle(records, record.name, partial(withdrawn, moment=moment, reason=reason))


def withdraw_trace(records: Records, team: str | None, trace: str) -> None:
    """Resolve a team's alerts, None: all teams', of a trace that is no more."""
    moment = now()
    where = {"trace": trace, "live": "yes"} | ({} if team is None else {"team": team})
    for record in every(records, KIND, where, together=_LOOKED_AT):
        _settle(records, record.name, partial(withdrawn, moment=moment, reason="the trace was removed"))


def acknowledge(records: Records, team: str | None, alert_id: str, by: str, note: str | None = None) -> Alert:
    """Note that somebody looks after an alert of a team; None: of any. Raises NotFound, UsageError once resolved."""
    moment = now()
    alert_id = get_alert(records, team, alert_id).id
    after = _change(records, alert_id, lambda there: None if there is None else acknowledged(there, by, moment, note))
    if after is None:
        raise _no_alert(alert_id)
    return heard(after, silences(records, after.team or "", moment), moment)


def get_alert(records: Records, team: str | None, alert_id: str) -> Alert:
    """The alert of that id, or of that short one. Raises NotFound where a team has none; None: any team."""
    record = records.get(KIND, alert_id) if ID.fullmatch(alert_id) else None
    if SHORT.fullmatch(alert_id):
        # Of the team's own: what is short may be another team's, too.
        where = {"short": alert_id} if team is None else {"short": alert_id, "team": team}
        record = next(iter(records.find(KIND, where, first=1, newest=True)), None)
    if record is None or team not in (None, record.document["team"]):
        raise _no_alert(alert_id)
    moment = now()
    return heard(alert_of(record), silences(records, record.document["team"], moment), moment)


def alerts(
    records: Records,
    team: str | None = None,
    *,
    workload: str | None = None,
    rule: str | None = None,
    rules: str | None = None,
    state: str | None = None,
    level: str | None = None,
    status: str | None = None,
    trace: str | None = None,
    after: str | None = None,
    first: int = 100,
    moment: str | None = None,
) -> list[Alert]:
    """Alerts of a team, newest first: those behind the id `after`; None: of all teams. All conditions hold.

    `workload` and `rule` are names or globs. The store looks for what it keeps; what fits a glob, and what is silenced
    at the moment, now unless given, is told here.
    """
    globs = [each for each in (workload, rule) if each is not None and _GLOB.search(each)]
    asked = {
        "team": team, "workload": None if workload in globs else workload, "rule": None if rule in globs else rule,
        "rules": rules, "level": level, "status": status, "trace": trace,
        "state": state if state in ("open", "acknowledged", "resolved") else None,
        "live": "yes" if state == "silenced" else None,
    }  # fmt: skip
    moment = moment or now()
    holding = silences(records, team, moment)
    found: list[Alert] = []
    where = {name: value for name, value in asked.items() if value is not None}
    together = _LOOKED_AT if globs or state is not None else first
    for record in every(records, KIND, where, after=after, newest=True, together=max(1, together)):
        if len(found) >= first:
            break
        alert = heard(alert_of(record), holding, moment)
        fits = matches(alert.workload, workload or "*") and matches(alert.finding.rule, rule or "*")
        if fits and state in (None, alert.state):
            found.append(alert)
    return found


def firing(records: Records, team: str | None = None, moment: str | None = None) -> Mapping[Firing, int]:
    """How many alerts of a team are firing, or of all teams."""
    moment = moment or now()
    holding = silences(records, team, moment)
    where = {"live": "yes"} if team is None else {"live": "yes", "team": team}
    standing = (heard(alert_of(each), holding, moment) for each in every(records, KIND, where, together=_LOOKED_AT))
    return Counter(
        Firing(each.team, each.workload, each.finding.rule, each.finding.level, each.state)
        for each in standing
        if each.is_firing
    )


def broken_traces(records: Records, team: str, workload: str, rules: str) -> frozenset[str]:
    """Ids of traces of a workload that broke a rule of level error of a set: none that others are compared with."""
    where = {"team": team, "workload": workload, "rules": rules, "level": "error", "status": "broken"}
    return frozenset(each.document["trace"] for each in every(records, KIND, where, together=_LOOKED_AT))


def expire(records: Records, keeps: timedelta = KEPT, moment: str | None = None) -> int:
    """Forget alerts and evaluations that were asked for, and silences that ended, longer ago than that; how many.

    Of each kind no more than some hundreds at once: what is left goes the next time.
    """
    oldest = written(datetime.fromisoformat(moment or now()) - keeps)
    gone = 0
    for kind, until in ((KIND, "asked"), (evaluated.KIND, "asked"), (silenced.KIND, "expires")):
        # Of what is as old by its name, some was asked for again, or holds for long.
        old = takewhile(lambda each: each.name < first_at(oldest), every(records, kind, together=_LOOKED_AT))
        for record in islice((each for each in old if each.document[until] < oldest), _LOOKED_AT):
            gone += records.remove(kind, record.name)
    return gone


def _settle(records: Records, alert_id: str, change: Callable[[Alert], Alert | None]) -> None:
    _change(records, alert_id, lambda there: None if there is None or there.resolution is not None else change(there))


def _change(records: Records, alert_id: str, change: Callable[[Alert | None], Alert | None]) -> Alert | None:
    """Change an alert from what it is now, None where it is not there; as it was where the change is None."""
    while True:
        record = records.get(KIND, alert_id)
        there = None if record is None else alert_of(record)
        after = change(there)
        if after is None or after == there:
            return there
        with suppress(Conflict):  # somebody changed it meanwhile
            records.put(KIND, alert_id, document_of(after), 0 if record is None else record.version)
            return after


def _no_alert(alert_id: str) -> NotFound:
    return NotFound(f"no alert {alert_id[:40]!r}", hint="those of old traces are forgotten")


__all__ = [
    "KEPT",
    "Firing",
    "acknowledge",
    "alerts",
    "broken_traces",
    "expire",
    "firing",
    "get_alert",
    "raise_alert",
    "settle_by",
    "withdraw_trace",
    "withdraw_unasked",
]
