"""What is shared with whom, and whose a workload's name is: records that every store keeps alike."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeAlias

from etgraph.api.access.names import EVERYONE, check_team
from etgraph.model.errors import NotFound
from etgraph.store.clock import now
from etgraph.store.records import Conflict, Record, Records, every
from etgraph.store.visible import Shared, Visible

SHARE: Final = "share"
CLAIM: Final = "claim"

Row: TypeAlias = dict[str, Any]
"""A share as its record holds it."""


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
    """The entries that a team sees. It takes two records, however much is shared with others."""
    groups = [EVERYONE] if team is None else [EVERYONE, team]
    return Visible(team, frozenset(_shared(each) for group in groups for each in _told(records.get(SHARE, group))))


def share(records: Records, shared: Shared, group: str, by: str) -> Share:
    """Share with a team, or with everyone; done again it is as it was. Raises UsageError for what is no team."""
    if group != EVERYONE:
        check_team(group)
    row = {"team": shared.team, "workload": shared.workload, "trace": shared.trace, "by": by, "created": now()}
    rows = _change(records, group, lambda rows: rows if shared in map(_shared, rows) else [*rows, row])
    return next(_share(group, each) for each in rows if _shared(each) == shared)


def unshare(records: Records, shared: Shared, group: str) -> None:
    """Take a share back. Raises NotFound where there is none."""
    if shared not in map(_shared, _told(records.get(SHARE, group))):
        what = f"workload {shared.workload}" if shared.trace is None else f"trace {shared.trace[:12]}"
        raise NotFound(f"{what} is not shared with {group}", hint="what is shared as a whole workload is taken back so")
    _change(records, group, lambda rows: [each for each in rows if _shared(each) != shared])


def forget(records: Records, trace: str, team: str | None = None) -> None:
    """Take back what a team, or all of them, shared of a trace that is no more."""

    def is_kept(row: Row) -> bool:
        return row["trace"] != trace or (team is not None and row["team"] != team)

    for record in _groups(records):
        if not all(map(is_kept, _told(record))):
            _change(records, record.name, lambda rows: list(filter(is_kept, rows)))


def shares(records: Records, team: str | None = None) -> list[Share]:
    """What a team shares, or what all do; oldest first."""
    found = [_share(record.name, row) for record in _groups(records) for row in _told(record)]
    return sorted(
        (each for each in found if team is None or each.team == team), key=lambda each: (each.created, each.shared_with)
    )


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


def _change(records: Records, group: str, change: Callable[[list[Row]], list[Row]]) -> list[Row]:
    """Change what is shared with a group, from what it is now; what it is then."""
    while True:
        record = records.get(SHARE, group)
        before = _told(record)
        after = change(before)
        if after == before:
            return after
        try:
            records.put(SHARE, group, {"shares": after}, 0 if record is None else record.version)
            return after
        except Conflict:
            continue  # somebody changed it meanwhile


def _groups(records: Records) -> Iterator[Record]:
    """What is shared, a record for each team that something is shared with, and one for everyone."""
    return every(records, SHARE)


def _told(record: Record | None) -> list[Row]:
    return [] if record is None else record.document["shares"]


def _shared(row: Row) -> Shared:
    return Shared(row["team"], row["workload"], row["trace"])


def _share(group: str, row: Row) -> Share:
    return Share(group, row["team"], row["workload"], row["trace"], row["by"], row["created"])


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


__all__ = ["CLAIM", "SHARE", "Share", "claim", "forget", "owner_of", "share", "shares", "unshare", "visible_to"]
