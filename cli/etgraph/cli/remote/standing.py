"""Rules, alerts and silences that a server keeps, and checks of its traces by them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar

from etgraph.alerts.standing.alert import Alert
from etgraph.alerts.standing.evaluation import Evaluation
from etgraph.alerts.standing.rule_sets import RuleSet
from etgraph.alerts.standing.silences import Silence
from etgraph.cli.remote.asking import arguments_of, ask_root, change, pages, read_as
from etgraph.cli.remote.failures import made
from etgraph.cli.remote.http import Client
from etgraph.cli.remote.selections import selection_of
from etgraph.cli.remote.uploads import waited_for
from etgraph.model.progress import Progress

T = TypeVar("T")
TYPES: Final[Mapping[str, str]] = {
    "baseline": "[String!]!",
    "expires": "DateTime!",
    "id": "ID!",
    "name": "String!",
    "note": "String",
    "operator": "String",
    "reason": "String!",
    "reference": "String!",
    "rule": "String",
    "rules": "String",
    "starts": "DateTime",
    "team": "String",
    "text": "String!",
    "trace": "ID",
    "workload": "String",
    "workloads": "[String!]!",
}
"""Types of arguments that go as variables."""
_TOGETHER: Final = 100
"""Alerts, or evaluations, that one request asks for."""


class RemoteAlerts:
    """Implements `Alerting` on a server."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def rules(self) -> list[RuleSet]:
        """See `Alerting.rules`."""
        return self._list(RuleSet, "rules")

    def set_rules(
        self, name: str, text: str, *, team: str | None = None, workloads: Sequence[str], baseline: Sequence[str]
    ) -> RuleSet:
        """See `Alerting.set_rules`."""
        given = {"name": name, "text": text, "team": team, "workloads": list(workloads), "baseline": list(baseline)}
        return self._change(RuleSet, "setRules", "rules", given)

    def remove_rules(self, name: str, *, team: str | None = None) -> RuleSet:
        """See `Alerting.remove_rules`."""
        return self._change(RuleSet, "removeRules", "rules", {"name": name, "team": team})

    def alerts(self, *, first: int = 100, **asked: Any) -> list[Alert]:
        """See `Alerting.alerts`."""
        return self._pages(Alert, "alerts", first, asked)

    def alert(self, alert_id: str) -> Alert:
        """See `Alerting.alert`."""
        ask = ask_root(self._client, "alert", arguments_of({"id": alert_id}, TYPES))
        return read_as(Alert, ask(_fields(Alert)))

    def acknowledge(self, alert_id: str, note: str | None = None) -> Alert:
        """See `Alerting.acknowledge`."""
        return self._change(Alert, "acknowledgeAlert", "alert", {"id": alert_id, "note": note})

    def evaluations(self, *, first: int = 100, **asked: Any) -> list[Evaluation]:
        """See `Alerting.evaluations`."""
        return self._pages(Evaluation, "evaluations", first, asked)

    def silences(self, moment: str | None = None) -> list[Silence]:
        """See `Alerting.silences`. A server tells by its own clock which of them have expired."""
        return self._list(Silence, "silences", expired=moment is None)

    def silence(self, *, team: str | None = None, **given: Any) -> Silence:
        """See `Alerting.silence`."""
        return self._change(Silence, "silence", "silence", {"team": team, **given})

    def remove_silence(self, silence_id: str) -> Silence:
        """See `Alerting.remove_silence`."""
        return self._change(Silence, "removeSilence", "silence", {"id": silence_id})

    def evaluate(self, trace_id: str, progress: Progress) -> list[Evaluation]:
        """Have a trace checked by the rules for it, and wait. Raises what made a check fail."""
        from etgraph.api.jobs.job import Job

        told = arguments_of({"reference": trace_id}, TYPES)
        asked = change(self._client, "checkTrace", told, f"jobs {_fields(Job)}")["jobs"]
        found: list[Evaluation] = []
        for each in asked:
            job = waited_for(self._client, read_as(Job, each), progress)
            if job.error is not None:
                raise made(job.error.code, job.error.message, job.error.hint)
            about = self.evaluations(trace=trace_id, workload=job.input["workload"])
            found += [one for one in about if one.asked == job.input["asked"]]
        return found

    def _list(self, kind: type[T], field: str, **given: Any) -> list[T]:
        found: Any = ask_root(self._client, field, arguments_of(given))(_fields(kind))
        return [read_as(kind, each) for each in found]

    def _pages(self, kind: type[T], field: str, first: int, asked: Mapping[str, Any]) -> list[T]:
        """The first of a connection's nodes that satisfy what is asked."""
        given = arguments_of(asked, TYPES)
        inside = f"{given.text[1:-1]}, " if given.text else ""

        def ask(place: str, selection: str) -> Mapping[str, Any]:
            return ask_root(self._client, field, replace(given, text=f"({inside}{place})"))(selection)

        nodes = pages(ask, selection_of(kind, windows=False).whole, min(first, _TOGETHER), most=first)
        return [read_as(kind, each) for each in nodes]

    def _change(self, kind: type[T], field: str, told: str, given: Mapping[str, Any]) -> T:
        outcome = change(self._client, field, arguments_of(given, TYPES), f"{told} {_fields(kind)}")
        return read_as(kind, outcome[told])


def _fields(kind: type) -> str:
    return f"{{ {selection_of(kind, windows=False).whole} }}"


__all__ = ["RemoteAlerts"]
