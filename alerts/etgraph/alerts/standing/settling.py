"""Which alerts an evaluation settles: a later trace of the workload passes, or the question is another one now."""

from __future__ import annotations

from etgraph.alerts.standing.alert import UNCHECKED, Alert, Resolution, changed
from etgraph.alerts.standing.evaluation import Evaluation


def settled(alert: Alert, by: Evaluation) -> Alert | None:
    """The alert, resolved by an evaluation; None where that does not settle it.

    It must be of the same rules and workload, have ended, and have been asked for later than the alert's own. What is
    broken is settled by a trace that passes the rule, or that is the very one it was compared with, and by a rule that
    is suppressed since; what could not be decided or compared by any later verdict, which is an alert of its own where
    it is none better.
    """
    same = (alert.team, alert.workload, alert.rules) == (by.team, by.workload, by.rules)
    if alert.resolution is not None or not same or not by.has_ended or by.asked <= alert.asked:
        return None
    reason = _reason(alert, by)
    moment = by.ended or by.asked
    return None if reason is None else changed(alert, resolution=Resolution(moment, reason, by.trace))


def withdrawn(alert: Alert, moment: str, reason: str) -> Alert:
    """The alert, of which the rules or the trace were taken away."""
    return changed(alert, resolution=Resolution(moment, reason))


def _reason(alert: Alert, by: Evaluation) -> str | None:
    rule = alert.finding.rule
    if by.status == "failed":
        return None
    if rule == UNCHECKED:
        return "the rules could be checked again"
    verdict = by.verdicts.get(rule)
    if verdict in ("passed", "improved"):
        return "a later trace passes the rule"
    if verdict == "suppressed":
        return "the rule is let pass for a while"
    if verdict is not None:
        return f"a later trace is {verdict}" if alert.finding.status != "broken" else None
    if any(each.rule == rule for each in by.left_out):
        return "the trace that it was compared with came again" if by.trace in alert.baseline else None
    return f"the rules {alert.rules} ask for {rule} no more"


__all__ = ["settled", "withdrawn"]
