"""Tokens: made, listed, revoked, and told apart from texts that are none.

A token is `etg_<id>_<secret>`. Under its id stands what it may do and a hash of its secret; the secret itself is told
once, when it is made. It is 256 random bits, so that one round of SHA-256 is all that it needs.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

from etgraph.api.access.names import check_team
from etgraph.api.access.scopes import SCOPES
from etgraph.api.bounded import Bounded
from etgraph.api.context import Viewer
from etgraph.api.errors import Unauthenticated
from etgraph.api.http import logs
from etgraph.model.errors import EtgraphError, NotFound, UsageError
from etgraph.store.clock import written
from etgraph.store.records import Conflict, Record, Records, every
from etgraph.store.references import check_name

KIND: Final = "token"
FRESH_SECONDS: Final = 2.0
"""For which a process believes what it read of a token: so late others learn that one was revoked."""
USED: Final = timedelta(hours=1)
"""How coarsely it is noted when a token was used last."""
_TOKEN: Final = re.compile(r"etg_([0-9a-f]{16})_([0-9a-f]{64})", re.ASCII)
_KEPT_BYTES: Final = 1 << 20
_NOBODY: Final = hashlib.sha256(b"").hexdigest()

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token; its secret is not."""

    id: str
    name: Annotated[str, "what its owner is called in logs"]
    team: Annotated[str, "the team that it acts for"]
    scopes: Annotated[tuple[str, ...], "what it may do"]
    created: Annotated[str, "when it was made"]
    expires: Annotated[str | None, "when it ends to be good; null is never"]
    revoked: Annotated[str | None, "when it was revoked; null where it is not"]
    used: Annotated[str | None, "when it was used last, to within an hour; null where it never was"]


@dataclass(frozen=True, slots=True)
class Made:
    """A new token, with the text by which its owner is known. Nobody can read that text again."""

    token: Token
    secret: str


class Tokens:
    """The tokens of a server, in its store's records. For several threads."""

    def __init__(self, records: Callable[[], Records], clock: Clock = lambda: datetime.now(UTC)) -> None:
        """`records` opens those of the store."""
        self._records = records
        self._clock = clock
        self._fresh: Bounded[str, Record] = Bounded(
            _KEPT_BYTES, seconds=FRESH_SECONDS, clock=lambda: clock().timestamp()
        )

    def create(
        self, name: str, team: str, scopes: Iterable[str], *, lasts: timedelta | None = None, by: str | None = None
    ) -> Made:
        """Make a token that is good for that long, None for ever. Raises UsageError for what no token can be."""
        chosen = tuple(scope for scope in SCOPES if scope in set(scopes))
        check_name("name of a token", name, "#")
        check_team(team)
        if unknown := sorted(set(scopes) - set(SCOPES)):
            raise UsageError(f"scope: found {', '.join(unknown)}, expected some of {', '.join(SCOPES)}")
        if lasts is not None and lasts <= timedelta():
            raise UsageError("expires: found a moment that has passed, expected one to come")
        identity, secret = secrets.token_hex(8), secrets.token_hex(32)
        now = self._clock()
        try:
            expires = None if lasts is None else written(now + lasts, "seconds")
        except OverflowError:
            raise UsageError(
                "expires: found a time beyond the calendar; leave it out for a token without end"
            ) from None
        document = {
            "hash": hashlib.sha256(secret.encode()).hexdigest(), "name": name, "team": team, "scopes": list(chosen),
            "created": written(now, "seconds"), "expires": expires, "revoked": None, "used": None, "by": by,
        }  # fmt: skip
        return Made(_token(self._records().put(KIND, identity, document, 0)), f"etg_{identity}_{secret}")

    def listed(self) -> list[Token]:
        """Every token, oldest first, those that are good no more included."""
        return sorted(map(_token, every(self._records(), KIND)), key=lambda token: (token.created, token.id))

    def revoke(self, identity: str) -> Token:
        """End a token: here at once, in other processes `FRESH_SECONDS` later. Raises NotFound where there is none."""
        while True:
            record = self._records().get(KIND, identity)
            if record is None:
                raise NotFound(f"no token has the id {identity[:40]!r}", hint="etgraph token list tells the ids")
            if record.document["revoked"] is not None:
                return _token(record)
            try:
                found = self._change(record, revoked=written(self._clock(), "seconds"))
            except Conflict:
                continue  # somebody noted its use meanwhile
            return _token(found)

    def viewer(self, text: str) -> Viewer:
        """Whom a token stands for. Raises Unauthenticated for one that is none, or good no more."""
        parts = _TOKEN.fullmatch(text)
        record = None if parts is None else self._record(parts[1])
        expected = _NOBODY if record is None else str(record.document["hash"])
        given = hashlib.sha256(b"" if parts is None else parts[2].encode()).hexdigest()
        known = hmac.compare_digest(expected, given)
        if parts is None or record is None or not known:
            raise Unauthenticated("the token is none of this server's")
        token, now = _token(record), self._clock()
        if token.revoked is not None:
            raise Unauthenticated(f"the token {token.id} was revoked", hint="ask an administrator for another one")
        if token.expires is not None and datetime.fromisoformat(token.expires) <= now:
            raise Unauthenticated(f"the token {token.id} has expired", hint="ask an administrator for another one")
        if token.used is None or now - datetime.fromisoformat(token.used) >= USED:
            self._note_use(record, now)
        return Viewer(token.name, token.team, frozenset(token.scopes), token.expires, token.id)

    def _record(self, identity: str) -> Record | None:
        found = self._fresh.get(identity)
        if found is None and (found := self._records().get(KIND, identity)) is not None:
            self._keep(found)
        return found

    def _note_use(self, record: Record, now: datetime) -> None:
        """Note when a token was used, where that can be written."""
        try:
            self._change(record, used=written(now, "seconds"))
        except Conflict:
            self._fresh.drop(record.name)  # it was revoked, or another process noted the same
        except EtgraphError as error:
            logs.LOG.warning("token use not noted", exc_info=error)
            self._keep(record)

    def _change(self, record: Record, **changes: Any) -> Record:
        found = self._records().put(KIND, record.name, {**record.document, **changes}, record.version)
        self._keep(found)
        return found

    def _keep(self, record: Record) -> None:
        self._fresh.put(record.name, record, len(repr(record.document)) + 500)


def _token(record: Record) -> Token:
    document = record.document
    return Token(
        record.name, document["name"], document["team"], tuple(document["scopes"]),
        document["created"], document["expires"], document["revoked"], document["used"],
    )  # fmt: skip


__all__ = ["FRESH_SECONDS", "KIND", "USED", "Made", "Token", "Tokens"]
