"""What a store on this machine does about rules and alerts when traces come, are tagged and go, as a server does."""

from __future__ import annotations

import getpass
import warnings
from typing import TYPE_CHECKING

from etgraph.cli.session import Checked
from etgraph.model.progress import Progress, silent
from etgraph.store import Store, TraceInfo

if TYPE_CHECKING:
    from etgraph.cli.alerting import Alerting


def alerting_of(store: Store) -> Alerting:
    """The rules and alerts of a store, whose user sees those of all teams."""
    from etgraph.api.access import SCOPES
    from etgraph.api.access.alerts import TeamAlerts
    from etgraph.api.context import Viewer

    return TeamAlerts(store.records, Viewer(_user(), None, frozenset(SCOPES)))


def _user() -> str:
    """Whom others of the store see to have acknowledged or silenced something."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user may have no name
        return "local"


def check_by_rules(store: Store, entry: TraceInfo, progress: Progress = silent) -> list[Checked]:
    """What the rules for an entry say of it, where there are any. Whatever goes wrong there, the trace is stored."""
    from etgraph.alerts.standing.rule_sets import sets_for

    try:
        if not sets_for(store.records, entry.team or "", entry.workload):
            return []
        from etgraph.alerts.standing.evaluating import evaluate

        return [Checked(entry, tuple(evaluate(store, store.records, entry, progress=progress)))]
    except Exception as error:
        return [Checked(entry, error=error)]


def check_beside(store: Store, tagged: TraceInfo, tag: str) -> None:
    """Check the newest trace of a workload again, where another trace has become what its rules compare with."""
    from etgraph.alerts.standing.rule_sets import newest_beside, sets_for

    if not sets_for(store.records, tagged.team or "", tagged.workload):
        return
    newest = newest_beside(store, tagged, tag)
    for one in [] if newest is None else check_by_rules(store, newest):
        if one.error is not None:
            warnings.warn(f"trace {one.trace.id[:12]} could not be checked by rules: {one.error}", stacklevel=2)


def forget_trace(store: Store, trace_id: str) -> None:
    """Resolve the alerts of a trace that is no more."""
    from etgraph.alerts.standing.keeping import withdraw_trace

    withdraw_trace(store.records, None, trace_id)


__all__ = ["alerting_of", "check_beside", "check_by_rules", "forget_trace"]
