"""Silences: alerts that are not to be heard for a while, because somebody knows of them."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from etgraph.alerts.findings import Finding
from etgraph.alerts.language.evaluating import matches
from etgraph.alerts.standing.naming import ID, SHORT, name_at, short
from etgraph.model.errors import NotFound, UsageError
from etgraph.store.clock import now, written
from etgraph.store.records import Record, Records, every

KIND: Final = "silence"
LONGEST: Final = timedelta(days=366)
"""For which a silence may hold, and how far ahead it may begin."""
MOST: Final = 1000
"""Silences of a team that have not expired, and about as many that have."""
LONGEST_TEXT: Final = 2000
"""Characters of a reason, or of a glob."""


@dataclass(frozen=True, slots=True)
class Silence:
    """Alerts of a team that are not to be heard for a while; those that come too."""

    id: Annotated[str, "names it; later ones have greater ones"]
    team: Annotated[str | None, "the team whose alerts are meant; null for nobody's"]
    rule: Annotated[str, "glob of the rules"]
    workload: Annotated[str, "glob of the workloads"]
    operator: Annotated[str | None, "glob that one of the responsible must fit; null for whatever they are"]
    reason: Annotated[str, "why"]
    by: Annotated[str, "who silenced them"]
    created: Annotated[str, "when it was made"]
    starts: Annotated[str, "since when it holds"]
    expires: Annotated[str, "until when it holds"]

    def holds(self, moment: str) -> bool:
        """Whether it holds at a moment."""
        return self.starts <= moment < self.expires

    def means(self, team: str | None, workload: str, finding: Finding) -> bool:
        """Whether an alert for a finding is one of those that it is about."""
        return (
            self.team == team
            and matches(finding.rule, self.rule)
            and matches(workload, self.workload)
            and (self.operator is None or any(matches(each.key, self.operator) for each in finding.responsible))
        )


def silencing(
    silences: Iterable[Silence], moment: str, team: str | None, workload: str, finding: Finding
) -> Silence | None:
    """The silence that keeps an alert from being heard at a moment; of several the one that holds longest."""
    holding = (each for each in silences if each.holds(moment) and each.means(team, workload, finding))
    return max(holding, key=lambda each: (each.expires, each.id), default=None)


def silence(
    records: Records,
    team: str,
    *,
    reason: str,
    expires: str,
    rule: str = "*",
    workload: str = "*",
    operator: str | None = None,
    starts: str | None = None,
    by: str = "",
    moment: str | None = None,
) -> Silence:
    """Silence a team's alerts until a moment (ISO 8601, with its zone). Raises UsageError for what cannot be one."""
    moment = moment or now()
    begins = moment if starts is None else _moment("starts", starts)
    ends = _moment("expires", expires)
    for what, text in (("rule", rule), ("workload", workload), ("operator", operator), ("reason", reason)):
        if text is not None and not 0 < len(text.strip()) <= LONGEST_TEXT:
            raise UsageError(f"silence: {what}: found {len(text)} characters, expected 1 to {LONGEST_TEXT:,}")
    if ends <= max(begins, moment):
        raise UsageError(f"silence: expires: found {ends}, expected a moment to come, behind its start")
    most = written(datetime.fromisoformat(moment) + LONGEST)
    if begins > most or ends > written(datetime.fromisoformat(begins) + LONGEST):
        raise UsageError(
            f"silence: found {begins} to {ends}, expected a start within {LONGEST.days} days and an end within "
            f"{LONGEST.days} days of it", hint="silence it again when that time has come",
        )  # fmt: skip
    there = silences(records, team)
    if len([each for each in there if each.expires > moment]) >= MOST:
        raise UsageError(f"silence: found {MOST:,} that have not expired, and there may be no more", hint="remove some")
    document = {
        "team": team, "rule": rule, "workload": workload, "operator": operator, "reason": reason, "by": by,
        "moment": moment, "starts": begins, "expires": ends,
    }  # fmt: skip
    for each in [each for each in there if each.expires <= moment][MOST:]:  # all are read with each list of alerts
        records.remove(KIND, each.id)
    return _silence(records.put(KIND, name_at(moment, secrets.token_hex(16)), document, 0))


def silences(records: Records, team: str | None, moment: str | None = None) -> list[Silence]:
    """Silences of a team, newest first; None: of all. With a moment, only those that expire behind it."""
    where = None if team is None else {"team": team}
    found = map(_silence, every(records, KIND, where, newest=True))
    return [each for each in found if moment is None or each.expires > moment]


def remove_silence(records: Records, team: str | None, silence_id: str) -> Silence:
    """End a silence now, by its id or its short one; gives what it was. Raises NotFound where a team has none."""
    if SHORT.fullmatch(silence_id):
        silence_id = next((each.id for each in silences(records, team) if short(each.id) == silence_id), silence_id)
    record = records.get(KIND, silence_id) if ID.fullmatch(silence_id) else None
    if record is None or team not in (None, record.document["team"]):
        raise NotFound(f"no silence {silence_id[:40]!r}", hint="those that expired long ago are forgotten")
    records.remove(KIND, silence_id)
    return _silence(record)


def _moment(what: str, text: str) -> str:
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is None:
            raise ValueError
        return written(found)
    except (ValueError, OverflowError):
        raise UsageError(f"silence: {what}: found {text[:60]!r}, expected such as 2026-03-31T18:00:00Z") from None


def _silence(record: Record) -> Silence:
    said: Any = record.document
    return Silence(
        record.name, said["team"] or None, said["rule"], said["workload"], said["operator"], said["reason"],
        said["by"], said["moment"], said["starts"], said["expires"],
    )  # fmt: skip


__all__ = ["KIND", "Silence", "remove_silence", "silence", "silences", "silencing"]
