"""Tokens, shares and the log of writes, as resolvers ask for them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from etgraph.api.access import Audit, Event, Token, Tokens, require
from etgraph.api.access.shares import Share
from etgraph.api.access.tokens import Made
from etgraph.api.context import Context
from etgraph.api.fetch.batches import One, alone, together
from etgraph.api.fetch.changes import Done
from etgraph.api.fetch.lists import Listed, checked_first, listed
from etgraph.api.fetch.tokens import cursor, place_of
from etgraph.model.errors import UsageError

_LISTED = "audit"


def tokens(context: Context) -> list[Token]:
    """Every token, oldest first. Raises Forbidden for viewers who are no administrators."""
    return _tokens(context).listed()


def create_token(context: Context, name: str, team: str, scopes: Sequence[str], days: int | None = None) -> Made:
    """Make a token, good for so many days or for ever."""
    try:
        lasts = None if days is None else timedelta(days=days)
    except OverflowError:
        raise UsageError(f"days: found {days}, expected fewer") from None
    return _tokens(context).create(name, team, scopes, lasts=lasts, by=context.viewer.name)


def revoke_token(context: Context, id: str) -> Token:
    """End a token."""
    return _tokens(context).revoke(id)


def audit_log(context: Context, *, first: int, after: str | None = None) -> Listed[One[Event]]:
    """Writes, the newest first. Raises Forbidden for viewers who are no administrators."""
    require(context.viewer, "admin")
    audit = context.audit or Audit(lambda: context.store.records)
    place = place_of(after, _LISTED)
    if place is not None and not isinstance(place[0], str):
        raise UsageError("the cursor is none of this list's")
    found = audit.newest(checked_first(first) + 1, None if place is None else place[0])
    shown = together(found[:first])
    cursors = [cursor(_LISTED, each.id) for each in shown]
    return listed(shown, cursors, more=len(found) > first, begun=place is not None)


def shares(context: Context) -> list[Share]:
    """What the viewer's team shares; what all do for administrators."""
    return context.store.shares()


def share(context: Context, reference: str, group: str) -> Done:
    """Let a team, or everyone, read a trace."""
    entry, made = context.store.share(reference, group)
    return Done(alone(entry), made)


def unshare(context: Context, reference: str, group: str) -> Done:
    """Take that back."""
    return Done(alone(context.store.unshare(reference, group)))


def share_workload(context: Context, workload: str, group: str) -> Share:
    """Let a team, or everyone, read all of a workload."""
    return context.store.share_workload(workload, group)


def unshare_workload(context: Context, workload: str, group: str) -> tuple[str, str]:
    """Take that back; the workload, and with whom it was shared."""
    context.store.unshare_workload(workload, group)
    return workload, group


def _tokens(context: Context) -> Tokens:
    require(context.viewer, "admin")
    return context.tokens or Tokens(lambda: context.store.records)


__all__ = [
    "audit_log",
    "create_token",
    "revoke_token",
    "share",
    "share_workload",
    "shares",
    "tokens",
    "unshare",
    "unshare_workload",
]
