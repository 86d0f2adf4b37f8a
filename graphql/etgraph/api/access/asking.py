"""Which Cypher viewers may ask: the library's queries, of traces that they see and of their own team."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

from etgraph.api.errors import Forbidden
from etgraph.model.errors import NotFound
from etgraph.queries import library

MOST_ROWS: Final = 100_000
"""Rows of an answer."""
MOST_SECONDS: Final = 60.0
"""How long the server may work on a query."""
PROBE: Final = "RETURN 1"
"""Asks whether a store has Cypher at all."""
TEAM: Final = "team"
"""The parameter by which a query is of one team's traces."""


def check_cypher(text: str, values: Mapping[str, Any], team: str | None, sees: Callable[[str], bool]) -> dict[str, Any]:
    """The parameters with which a viewer may ask a query. Raises Forbidden for one that it may not ask so.

    A query must be one of the library's, and be of a trace or of a team: of traces that the viewer sees, of whose ids
    `sees` tells, and of its own team, which is meant where none is named.
    """
    if text == PROBE and not values:
        return {}
    query = _library().get(text)
    if query is None:
        raise Forbidden("free Cypher queries need the scope admin", hint="namedQueries lists those that all may run")
    checked = dict(values)
    names = [each.name for each in query.parameters]
    for name in query.traces:
        trace_id = checked.get(name)
        if not isinstance(trace_id, str) or not sees(trace_id):
            raise NotFound(f"query {query.name}, parameter {name}: no such trace")
    if TEAM in names:
        asked = checked.get(TEAM)
        if asked is not None and asked != team:
            raise Forbidden(f"query {query.name}: found team {asked!r}, expected your own, {team}")
        checked[TEAM] = team
    elif not query.traces:
        raise Forbidden(f"query {query.name} is of all traces, and needs the scope admin")
    return checked


@cache
def _library() -> dict[str, library.NamedQuery]:
    """The library's queries by their texts."""
    return {query.text: query for query in map(library.load, library.names())}


__all__ = ["MOST_ROWS", "MOST_SECONDS", "PROBE", "TEAM", "check_cypher"]
