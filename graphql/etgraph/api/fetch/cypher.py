"""Cypher, where the store has it: free queries for administrators, and the library's for everybody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from etgraph.api.access.asking import MOST_SECONDS, PROBE
from etgraph.api.context import Context
from etgraph.model.errors import UsageError
from etgraph.queries import library

MOST_ROWS = 10_000
"""Rows of an answer."""


@dataclass(frozen=True, slots=True)
class CypherRows:
    """The rows of a Cypher query. `truncated` says that there were more; `warnings` are the server's remarks on it."""

    columns: tuple[str, ...]
    rows: tuple[list[Any], ...]
    truncated: bool
    warnings: tuple[str, ...] = ()


def cypher(
    context: Context, *, query: str, parameters: dict[str, Any] | None = None, timeout: float, limit: int
) -> CypherRows:
    """The rows of a query that reads. Raises Forbidden for viewers who are no administrators."""
    found = context.store.cypher(query, parameters or {}, timeout_s=timeout, limit=min(limit, MOST_ROWS))
    return CypherRows(found.columns, tuple(found.rows()), found.truncated, found.warnings)


def named_queries() -> list[library.NamedQuery]:
    """The library, by name."""
    return [library.load(name) for name in library.names()]


def run(context: Context, *, name: str, parameters: dict[str, Any] | None = None, limit: int) -> CypherRows:
    """The answer of a query of the library. Raises what `etgraph.queries.library.run` raises, and Forbidden."""
    values = parameters or {}
    if {"timeout_s", "query"} & set(values):
        raise UsageError(f"query {name} has no such parameter", hint="namedQueries tells the parameters")
    # A store without Cypher says so, rather than that it lacks the trace.
    context.store.cypher(PROBE, limit=1)
    found = library.run(context.store, name, timeout_s=MOST_SECONDS, **values)
    rows = tuple(found.rows())
    shown = max(min(limit, MOST_ROWS), 0)
    return CypherRows(found.columns, rows[:shown], found.truncated or len(rows) > shown)


__all__ = ["CypherRows", "cypher", "named_queries", "run"]
