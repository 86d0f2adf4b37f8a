"""What is shared with whom, and whose a workload's name is: records that every store keeps alike."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final

from etgraph.api.access.names import EVERYONE, check_team
from etgraph.model.errors import NotFound
from etgraph.store.records import Conflict, Record, Records
from etgraph.store.visible import Shared, Visible

SHARE: Final = "share"
CLAIM: Final = "claim"


@dataclass(frozen=True, slots=True)
class Share:
    """What others may read: a trace of a team, or all that it has under a workload."""

    shared_with: Annotated[str, "a team, or `everyone`"]
    team: Annotated[str | None, "the team whose it is; null for nobody's"]
    workload: Annotated[str | None, "the workload; null for a trace without one"]
    trace: Annotated[str | None, "id of the trace; null where all of the workload is shared, with what comes"]
    by: Annotated[str, "who shared it"]
    created: Annotated[str, "when"]


def visible_to(records: Records, team: str | None) -> Visible:
    """The entries that a team sees."""
    groups = [EVERYONE] if team is None else [EVERYONE, team]
    return Visible(team, frozenset(_shared(each) for group in groups for each in _all(records, {"with": group})))


def share(records: Records, shared: Shared, group: str, by: str) -> Share:
    """Share with a team, or with everyone; done again it is as it was. Raises UsageError for what is no team."""
    if group != EVERYONE:
        check_team(group)
    document = {
        "with": group, "team": shared.team, "workload": shared.workload, "trace": shared.trace, "by": by,
    }  # fmt: skip
    name = _name(shared, group)
    try:
        return _share(records.put(SHARE, name, document, 0))
    except Conflict:
        return _share(records.get(SHARE, name) or records.put(SHARE, name, document))


def unshare(records: Records, shared: Shared, group: str) -> None:
    """Take a share back. Raises NotFound where there is none."""
    if not records.remove(SHARE, _name(shared, group)):
        what = f"workload {shared.workload}" if shared.trace is None else f"trace {shared.trace[:12]}"
        raise NotFound(f"{what} is not shared with {group}", hint="what is shared as a whole workload is taken back so")


def forget(records: Records, trace: str, team: str | None = None) -> None:
    """Take back what a team, or all of them, shared of a trace that is no more."""
    for each in _all(records, {"trace": trace} if team is None else {"trace": trace, "team": team}):
        records.remove(SHARE, each.name)


def shares(records: Records, team: str | None = None) -> list[Share]:
    """What a team shares, or what all do; oldest first."""
    found = map(_share, _all(records, {} if team is None else {"team": team}))
    return sorted(found, key=lambda each: (each.created, each.shared_with))


def owner_of(records: Records, workload: str) -> str | None:
    """The team that a workload's name belongs to, None where none claimed it."""
    found = records.get(CLAIM, _hash(workload))
    return None if found is None else found.document["team"]


def claim(records: Records, workload: str, team: str) -> str:
    """Claim a workload's name for a team, unless one has; the team whose it is."""
    owner = owner_of(records, workload)
    if owner is not None:
        return owner
    try:
        records.put(CLAIM, _hash(workload), {"workload": workload, "team": team}, 0)
    except Conflict:
        return claim(records, workload, team)
    return team


def _all(records: Records, where: Mapping[str, str]) -> list[Record]:
    found: list[Record] = []
    while page := records.find(SHARE, where, after=found[-1].name if found else None):
        found += page
        if len(page) < 1000:
            break
    return found


def _name(shared: Shared, group: str) -> str:
    return _hash(json.dumps([group, shared.team, shared.workload, shared.trace]))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _shared(record: Record) -> Shared:
    return Shared(*(record.document[name] for name in ("team", "workload", "trace")))


def _share(record: Record) -> Share:
    told = record.document
    return Share(told["with"], told["team"], told["workload"], told["trace"], told["by"], record.created)


__all__ = ["CLAIM", "SHARE", "Share", "claim", "forget", "owner_of", "share", "shares", "unshare", "visible_to"]
