"""The log of writes: who tried to change what, and what came of it. It holds no secrets, and forgets after a time."""

from __future__ import annotations

import itertools
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

from etgraph.api.context import Viewer
from etgraph.api.http import logs
from etgraph.model.errors import EtgraphError
from etgraph.store.clock import written
from etgraph.store.records import Record, Records

KIND: Final = "audit"
DONE: Final = "done"
LONGEST: Final = 2_000
"""Characters of what is noted of a write's arguments."""
_TIDY_EVERY: Final = 100
"""Writes between two looks for events that are too old."""
_ATTEMPTS: Final = 1000

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Event:
    """A write, or an attempt at one: who, what, and what came of it."""

    id: Annotated[str, "names it; later events have greater ones"]
    moment: Annotated[str, "when it ended"]
    viewer: Annotated[str, "name of the token that was sent"]
    team: Annotated[str | None, "its team; null for nobody's"]
    token: Annotated[str | None, "its id; null where none was needed"]
    action: Annotated[str, "the mutation, or the route"]
    arguments: Annotated[dict[str, Any], "what it was given"]
    outcome: Annotated[str, "`done`, or the code of the error"]
    request_id: Annotated[str | None, "id of the request, as in the server's log"]


class Audit:
    """The log of a server, in its store's records. For several threads."""

    def __init__(
        self,
        records: Callable[[], Records],
        keeps: timedelta | None = None,
        clock: Clock = lambda: datetime.now(UTC),
    ) -> None:
        """`records` opens those of the store; events older than `keeps` are forgotten, None keeps all."""
        self._records = records
        self._keeps = keeps
        self._clock = clock
        self._noted = itertools.count()

    def note(
        self, viewer: Viewer, action: str, arguments: Mapping[str, Any], outcome: str, request_id: str | None = None
    ) -> None:
        """Note a write and log it. `arguments` must hold no secrets; of long ones the beginning is noted.

        What is done is done: where the log cannot be written, the server's own log says so.
        """
        now = self._clock()
        document = {
            "moment": written(now), "viewer": viewer.name, "team": viewer.team, "token": viewer.token, "action": action,
            "arguments": _short(arguments), "outcome": outcome, "request": request_id,
        }  # fmt: skip
        logs.event("write", **document)
        try:
            self._records().put(KIND, f"{written(now)}-{secrets.token_hex(4)}", document, 0)
            if next(self._noted) % _TIDY_EVERY == 0:
                self.tidy()
        except EtgraphError as error:
            logs.LOG.error("write not noted", exc_info=error, extra={"fields": {"requestId": request_id}})

    def newest(self, first: int, after: str | None = None) -> list[Event]:
        """No more than so many events, the newest first, those before the one of the id `after`."""
        return [_event(each) for each in self._records().find(KIND, after=after, first=first, newest=True)]

    def tidy(self) -> int:
        """Forget events that are too old; how many those were."""
        if self._keeps is None:
            return 0
        records, oldest = self._records(), written(self._clock() - self._keeps)
        gone = [each.name for each in records.find(KIND, first=_ATTEMPTS) if each.name < oldest]
        return sum(records.remove(KIND, name) for name in gone)


def _short(arguments: Mapping[str, Any]) -> dict[str, Any]:
    text = json.dumps(arguments, default=str)
    return json.loads(text) if len(text) <= LONGEST else {"beginning": text[:LONGEST]}


def _event(record: Record) -> Event:
    told = record.document
    return Event(
        record.name, told["moment"], told["viewer"], told["team"], told["token"], told["action"], told["arguments"],
        told["outcome"], told["request"],
    )  # fmt: skip


__all__ = ["DONE", "KIND", "Audit", "Event"]
