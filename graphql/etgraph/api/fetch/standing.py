"""Rules of teams and their alerts, as resolvers ask for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from etgraph.alerts.rules import RulesError
from etgraph.alerts.standing.alert import Alert
from etgraph.alerts.standing.evaluation import Evaluation
from etgraph.alerts.standing.rule_sets import RuleSet, newest_beside
from etgraph.alerts.standing.silences import Silence
from etgraph.api.access import require
from etgraph.api.access.alerts import WRITES
from etgraph.api.context import Context
from etgraph.api.fetch.batches import One, alone, together
from etgraph.api.fetch.lists import Listed, checked_first, listed
from etgraph.api.fetch.tokens import cursor, place_of
from etgraph.api.jobs.checks import ask_checks
from etgraph.api.jobs.job import Job
from etgraph.model.errors import UsageError
from etgraph.store import TraceInfo
from etgraph.store.clock import now


class _Named(Protocol):
    @property
    def id(self) -> str:
        """Names it, and tells its moment."""
        ...


T = TypeVar("T", bound=_Named)


def rules(context: Context) -> list[RuleSet]:
    """Sets of rules, by team and name."""
    return context.store.alerts.rules()


def set_rules(
    context: Context,
    *,
    name: str,
    text: str,
    workloads: Sequence[str],
    baseline: Sequence[str],
    version: int | None = None,
    team: str | None = None,
) -> RuleSet:
    """Keep rules under a name."""
    try:
        return context.store.alerts.set_rules(
            name, text, team=team, workloads=workloads, baseline=baseline, version=version
        )
    except RulesError as error:
        raise UsageError(error.message, hint=error.hint) from error


def remove_rules(context: Context, *, name: str, team: str | None = None) -> RuleSet:
    """Take rules away."""
    return context.store.alerts.remove_rules(name, team=team)


def alerts(context: Context, *, first: int, after: str | None = None, **asked: Any) -> Listed[One[Alert]]:
    """Alerts, newest first."""
    return _page(context, "alerts", context.store.alerts.alerts, asked, first, after)


def alert(context: Context, alert_id: str) -> One[Alert]:
    """The alert of that id."""
    return alone(context.store.alerts.alert(alert_id))


def acknowledge(context: Context, *, id: str, note: str | None = None) -> One[Alert]:
    """Note that the viewer looks after an alert."""
    return alone(context.store.alerts.acknowledge(id, note))


def evaluations(context: Context, *, first: int, after: str | None = None, **asked: Any) -> Listed[One[Evaluation]]:
    """What came of rules, newest first."""
    return _page(context, "evaluations", context.store.alerts.evaluations, asked, first, after)


def silences(context: Context, *, expired: bool) -> list[Silence]:
    """Silences, newest first; with `expired` those too that hold no more."""
    return context.store.alerts.silences(None if expired else now())


def silence(context: Context, **given: Any) -> Silence:
    """Silence alerts."""
    return context.store.alerts.silence(**given)


def remove_silence(context: Context, *, id: str) -> Silence:
    """End a silence."""
    return context.store.alerts.remove_silence(id)


def check_trace(context: Context, *, reference: str) -> list[One[Job]]:
    """Have a trace of the viewer's team checked now. Raises UsageError where there are no rules for it."""
    require(context.viewer, WRITES)
    found = context.store.owned(reference)
    asked = _asked(context, found)
    if not asked:
        raise UsageError(
            f"trace {found.id[:12]}: found no rules for workload {found.workload!r}",
            hint="setRules keeps rules, and names the workloads that they are for",
        )
    return together(asked)


def checked_beside(context: Context, tagged: TraceInfo, tag: str) -> list[Job]:
    """Have the newest trace of a workload checked again, whose usual baseline another trace has become."""
    newest = newest_beside(context.store, tagged, tag)
    return [] if newest is None else _asked(context, newest)


def _asked(context: Context, entry: TraceInfo) -> list[Job]:
    if context.queue is None or entry.workload is None:
        return []
    return ask_checks(context.queue, context.viewer, [entry.id], entry.workload, entry.team)


def _page(
    context: Context, name: str, ask: Callable[..., list[T]], asked: dict[str, Any], first: int, after: str | None
) -> Listed[One[T]]:
    """A page of what is named by its moment, newest first."""
    conditions = {key: value for key, value in asked.items() if value is not None}
    listing = f"{name} {context.store.alerts.seen} {sorted(conditions.items())}"
    place = place_of(after, listing)
    if place is not None and not isinstance(place[0], str):
        raise UsageError("the cursor is none of this list's")
    found = ask(**conditions, after=None if place is None else place[0], first=checked_first(first) + 1)
    shown = found[:first]
    cursors = [cursor(listing, each.id) for each in shown]
    return listed(together(shown), cursors, more=len(found) > first, begun=place is not None)


__all__ = [
    "acknowledge",
    "alert",
    "alerts",
    "check_trace",
    "checked_beside",
    "evaluations",
    "remove_rules",
    "remove_silence",
    "rules",
    "set_rules",
    "silence",
    "silences",
]
