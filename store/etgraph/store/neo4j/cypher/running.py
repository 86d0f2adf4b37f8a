"""Cypher from outside: one query at a time, read-only unless asked otherwise, within limits of time and rows."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from etgraph.model.errors import StoreError, UsageError
from etgraph.store.neo4j.cypher.gate import check_plan, check_prefix, check_text, refusal
from etgraph.store.neo4j.cypher.values import plain
from etgraph.store.protocol import CypherResult

if TYPE_CHECKING:
    from neo4j import Driver, Result, ResultSummary, Session
    from neo4j.exceptions import Neo4jError

FETCH: Final = 1000
"""Rows that the server sends at a time; a query that is cut off at its limit has sent no more than that in vain."""

_EXPLAIN: Final = "EXPLAIN "
_PLACE: Final = re.compile(r"\s*\(line (\d+), column (\d+) \(offset: -?\d+\)\)")


def run(
    driver: Driver,
    database: str | None,
    text: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    write: bool = False,
    timeout_s: float = 60.0,
    limit: int = 100_000,
    **session: Any,
) -> CypherResult:
    """The rows of a query, no more than `limit`; further keywords are the session's, such as its bookmark manager.

    Without `write`, a query that would do anything but read the graph is refused before it runs, and runs in a
    transaction that cannot write. With it, the query commits by itself, `CALL … IN TRANSACTIONS` in its parts.

    Raises UsageError for a query that the server cannot understand or that may not run, with the place in it, and
    StoreError for one that took longer than `timeout_s` seconds or more memory than the server allows. Other errors
    of the driver pass.
    """
    import neo4j

    if not (timeout_s > 0 and math.isfinite(timeout_s)):
        raise UsageError(f"time limit: found {timeout_s} s, expected a number above 0")
    if limit < 0:
        raise UsageError(f"row limit: found {limit}, expected 0 or more")
    check_prefix(text)
    if not write:
        check_text(text)
    values = dict(parameters or {})
    with driver.session(
        database=database,
        default_access_mode=neo4j.WRITE_ACCESS if write else neo4j.READ_ACCESS,
        fetch_size=FETCH,
        notifications_min_severity="WARNING",
        **session,
    ) as opened:
        if not write:
            with _explained(text, timeout_s, len(_EXPLAIN)):
                summary = _start(opened, _EXPLAIN + text, values, timeout_s).consume()
                check_plan(summary.query_type or "", summary.plan)
        with _explained(text, timeout_s):
            return _pulled(_start(opened, text, values, timeout_s), limit)


def _start(session: Session, text: str, values: dict[str, Any], timeout_s: float) -> Result:
    import neo4j

    try:
        return session.run(neo4j.Query(text, timeout=timeout_s), values)
    except (OverflowError, TypeError, ValueError) as error:
        hint = "a value is a text, a number of at most 64 bits, true or false, or a list or map of values"
        raise UsageError(f"parameters: {error}", hint=hint) from error


def _pulled(result: Result, limit: int) -> CypherResult:
    """The first rows of a result, column by column."""
    columns = tuple(result.keys())
    data: tuple[list[Any], ...] = tuple([] for _ in columns)
    truncated = False
    for number, record in enumerate(result):
        if number == limit:
            truncated = True
            break
        for column, value in zip(data, record.values()):
            column.append(plain(value))
    # This also discards the rest, at which a server stops looking for more.
    notes = dict.fromkeys(filter(None, _notes(result.consume())))
    return CypherResult(columns, data, truncated, tuple(notes))


def _notes(summary: ResultSummary) -> Iterator[str]:
    """What the server has to say about the query, such as names that the database does not have."""
    import neo4j

    if int(neo4j.__version__.partition(".")[0]) < 6:
        for notification in summary.notifications or ():
            yield " ".join(str(notification.get("description", "")).split())
        return
    for status in summary.gql_status_objects:
        if status.is_notification:
            yield " ".join(status.status_description.removeprefix("warn: ").split())


@contextmanager
def _explained(text: str, timeout_s: float, shift: int = 0) -> Iterator[None]:
    """Turn what is wrong with a query into UsageError, and what the server would not go on with into StoreError.

    `shift` is the number of characters that the server saw before the query.
    """
    from neo4j.exceptions import Neo4jError

    try:
        yield
    except Neo4jError as error:
        told = _told(error, text, timeout_s, shift)
        if told is None:
            raise
        raise told from error


def _told(error: Neo4jError, text: str, timeout_s: float, shift: int) -> UsageError | StoreError | None:
    code, message = error.code or "", (error.message or str(error)).strip()
    if code.endswith("Statement.AccessMode"):
        return refusal("changes of the graph")
    if "TransactionTimedOut" in code:
        return StoreError(
            f"the query took longer than {timeout_s:g} s and was ended",
            hint="--timeout (timeout_s in Python) gives it more; begin at the trace, "
            "(t:Trace {id: $trace}), so that indexes are used",
        )
    if "OutOfMemory" in code:
        return StoreError(
            "the query needs more memory than the server allows it",
            hint="ask for less at a time: fewer columns, a LIMIT before sorting and collecting",
        )
    if "Terminated" in code:
        return StoreError("the query was ended by the server or by one of its administrators", hint="try again")
    if code.endswith("Statement.SyntaxError"):
        return UsageError(_placed(message, text, shift))
    if code.startswith(("Neo.ClientError.Statement.", "Neo.ClientError.Procedure.", "Neo.ClientError.Schema.")):
        return UsageError(message)
    return None


def _placed(message: str, text: str, shift: int) -> str:
    """A message about a place in the query, with the line and a pointer below it."""
    place = _PLACE.search(message)
    if place is None:
        return message
    line, column = int(place[1]), int(place[2])
    words = message[: place.start()]
    if line == 1:
        column -= shift
    lines = text.splitlines()
    if not 1 <= line <= len(lines) or column < 1:
        return words
    shown, shift = _window(lines[line - 1], column)
    return f"line {line}, column {column}: {words}\n  {shown}\n  {' ' * (column - 1 - shift)}^"


def _window(line: str, column: int, width: int = 100) -> tuple[str, int]:
    """The part of a line around a column that fits, and how many characters were left out before it."""
    start = max(0, column - width // 2) if len(line) > width else 0
    return line[start : start + width].replace("\t", " "), start
