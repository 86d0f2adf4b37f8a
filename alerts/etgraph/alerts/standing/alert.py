"""An alert: a rule that a trace does not satisfy, and what has become of that since."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final, Literal, TypeAlias, get_args

import msgspec

from etgraph.alerts.findings import Finding
from etgraph.alerts.standing.naming import name_at, short
from etgraph.alerts.standing.silences import Silence, silencing
from etgraph.model.errors import UsageError
from etgraph.model.results import to_json
from etgraph.store.records import Record

KIND: Final = "alert"
AlertState: TypeAlias = Literal["open", "acknowledged", "silenced", "resolved"]
STATES: Final[tuple[str, ...]] = get_args(AlertState)
RAISED: Final = frozenset({"broken", "incomparable", "undecided"})
"""Verdicts on a rule that raise an alert."""
FIRING: Final = frozenset({"broken", "incomparable"})
"""Those of them that somebody must look at."""
UNCHECKED: Final = "(check)"
"""Stands for the rule of an alert that says that a set of rules could not be checked at all."""
LONGEST_NOTE: Final = 2000
_LARGEST: Final = 128 << 10
"""Characters of a finding that are kept whole; of a larger one the beginning."""


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """That somebody looks after an alert."""

    by: Annotated[str, "who"]
    moment: Annotated[str, "since when"]
    note: Annotated[str | None, "what they say of it"] = None


@dataclass(frozen=True, slots=True)
class Resolution:
    """Why an alert is none any more."""

    moment: Annotated[str, "since when"]
    reason: Annotated[str, "why, in words"]
    trace: Annotated[str | None, "id of the trace that showed it; null where rules or the trace were removed"] = None


@dataclass(frozen=True, slots=True)
class Alert:
    """A rule that a trace does not satisfy, and what has become of that."""

    id: Annotated[str, "names it among everything; those of later traces have greater ones"]
    team: Annotated[str | None, "the team whose trace it is; null for nobody's"]
    workload: Annotated[str, "the workload whose trace was checked"]
    trace: Annotated[str, "id of the trace"]
    branch: Annotated[str | None, "branch of the traced program"]
    commit: Annotated[str | None, "commit of the traced program"]
    rules: Annotated[str, "name of the set of rules"]
    created: Annotated[str, "when the trace came"]
    asked: Annotated[str, "when it was last asked to be checked"]
    finding: Annotated[Finding, "the verdict on the rule, with those responsible"]
    baseline: Annotated[tuple[str, ...], "ids of the traces that it was compared with"] = ()
    acknowledgement: Annotated[Acknowledgement | None, "who looks after it; null where nobody does"] = None
    resolution: Annotated[Resolution | None, "why it is none any more; null while it stands"] = None
    silence: Annotated[Silence | None, "what keeps it from being heard now; null where nothing does"] = None
    state: Annotated[str, "what holds of it now: resolved, else silenced, else acknowledged, else open"] = "open"

    @property
    def kept_state(self) -> str:
        """Its state but for silences, which come and go."""
        if self.resolution is not None:
            return "resolved"
        return "open" if self.acknowledgement is None else "acknowledged"

    @property
    def is_firing(self) -> bool:
        """Whether somebody is to look at it: it is broken or could not be checked, is not resolved and not silenced."""
        return self.finding.status in FIRING and self.state in ("open", "acknowledged")


def alert_id(created: str, team: str, workload: str, trace: str, rules: str, rule: str) -> str:
    """The id of the one alert that a rule has for a trace of a workload."""
    return name_at(created, team, workload, trace, rules, rule)


def changed(alert: Alert, **changes: Any) -> Alert:
    """The alert with other fields, and with the state that follows from them."""
    found = replace(alert, **changes)
    is_silenced = found.silence is not None and found.resolution is None
    return replace(found, state="silenced" if is_silenced else found.kept_state)


def acknowledged(alert: Alert, by: str, moment: str, note: str | None = None) -> Alert:
    """The alert, which somebody looks after. Raises UsageError for one that is resolved."""
    if alert.resolution is not None:
        raise UsageError(f"alert {alert.id}: found resolved since {alert.resolution.moment}, expected one that stands")
    if note is not None and len(note) > LONGEST_NOTE:
        raise UsageError(f"note: found {len(note):,} characters, expected {LONGEST_NOTE:,} or fewer")
    return changed(alert, acknowledgement=Acknowledgement(by, moment, note or None))


def heard(alert: Alert, silences: Iterable[Silence], moment: str) -> Alert:
    """The alert with the silence that holds of it at a moment, where there is one."""
    return changed(alert, silence=silencing(silences, moment, alert.team, alert.workload, alert.finding))


def document_of(alert: Alert) -> dict[str, Any]:
    """What a record keeps of an alert. What alerts are looked for by stands at its top as texts."""
    finding = alert.finding
    return {
        "short": short(alert.id), "team": alert.team or "", "workload": alert.workload, "trace": alert.trace,
        "branch": alert.branch, "commit": alert.commit, "rules": alert.rules, "rule": finding.rule,
        "level": finding.level, "status": finding.status, "state": alert.kept_state,
        "live": "no" if alert.resolution else "yes", "moment": alert.created, "asked": alert.asked,
        "baseline": list(alert.baseline), "finding": _plain(finding),
        "acknowledgement": _plain(alert.acknowledgement), "resolution": _plain(alert.resolution),
    }  # fmt: skip


def alert_of(record: Record) -> Alert:
    """The alert that a record keeps, without what silences say of it."""
    said: Any = record.document
    found = Alert(
        record.name, said["team"] or None, said["workload"], said["trace"], said["branch"], said["commit"],
        said["rules"], said["moment"], said["asked"], msgspec.convert(said["finding"], Finding),
        tuple(said["baseline"]), msgspec.convert(said["acknowledgement"], Acknowledgement | None),
        msgspec.convert(said["resolution"], Resolution | None),
    )  # fmt: skip
    return changed(found)


def bounded(finding: Finding) -> Finding:
    """A finding that a record can hold: without an interval that is no numbers, and of a huge one the beginning."""
    interval = finding.interval
    if interval is not None and not (math.isfinite(interval.low) and math.isfinite(interval.high)):
        finding = replace(finding, interval=None)
    if len(str(_plain(finding))) <= _LARGEST:
        return finding
    short: dict[str, Any] = {name: _short(each) for name, each in _fields(finding).items() if isinstance(each, str)}
    culprits = tuple(replace(each, key=_short(each.key)) for each in finding.responsible[:10])
    return replace(finding, **short, responsible=culprits, evidence={"leftOut": "too much to be kept"})


def _short(text: str) -> str:
    return text if len(text) <= 2000 else f"{text[:2000]}…"


def _plain(value: Any) -> Any:
    """A dataclass as a record holds it; no number is NaN or infinite there."""
    return None if value is None else {name: to_json(each) for name, each in _fields(value).items()}


def _fields(value: Any) -> Mapping[str, Any]:
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


__all__ = [
    "FIRING",
    "KIND",
    "RAISED",
    "STATES",
    "UNCHECKED",
    "Acknowledgement",
    "Alert",
    "AlertState",
    "Resolution",
    "acknowledged",
    "alert_id",
    "alert_of",
    "bounded",
    "changed",
    "document_of",
    "heard",
]
