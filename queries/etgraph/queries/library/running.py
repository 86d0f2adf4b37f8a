"""Running a named query on a store that has Cypher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from etgraph.model.errors import EtgraphError
from etgraph.queries.library.answer import Answer
from etgraph.queries.library.binding import bind
from etgraph.queries.library.files import load
from etgraph.queries.library.header import NamedQuery
from etgraph.queries.library.types import TYPES

ROWS: Final = 100_000
"""Rows that an answer has at most; most queries take a smaller limit as a parameter."""


class _Found(Protocol):
    @property
    def id(self) -> str: ...


class _Result(Protocol):
    @property
    def columns(self) -> Sequence[str]: ...

    @property
    def data(self) -> Sequence[Sequence[Any]]: ...

    @property
    def truncated(self) -> bool: ...


class CypherStore(Protocol):
    """What is needed of a store, or of a session with one: to find a trace, and to run Cypher."""

    def find(self, reference: str, /) -> _Found:
        """The trace that a reference means."""
        ...

    def cypher(self, text: str, parameters: Mapping[str, Any], /, *, timeout_s: float, limit: int) -> _Result:
        """The rows of a query that reads."""
        ...


class UnexpectedAnswer(EtgraphError):
    """The database holds what the header of a named query rules out."""

    code = "UNEXPECTED_ANSWER"


def run(store: CypherStore, name: str, /, *, timeout_s: float = 60.0, **values: Any) -> Answer:
    """The answer of a named query; the keywords are its parameters, traces given as references.

    Raises NotFound for an unknown query or trace, UsageError for values that it does not take and for a store without
    Cypher, UnexpectedAnswer where a column is not of its declared type.
    """
    query = load(name)
    bound = bind(query, **values)
    for trace in query.traces:
        if bound[trace] is not None:
            bound[trace] = store.find(bound[trace]).id
    result = store.cypher(query.text, bound, timeout_s=timeout_s, limit=ROWS)
    _check(query, result)
    return Answer(query, tuple(result.data), result.truncated)


def _check(query: NamedQuery, result: _Result) -> None:
    expected = [column.name for column in query.columns]
    if list(result.columns) != expected:
        raise UnexpectedAnswer(f"query {query.name}: found columns {list(result.columns)}, expected {expected}")
    for column, values in zip(query.columns, result.data):
        holds = TYPES[column.type].holds
        for row, value in enumerate(values):
            if not (column.nullable if value is None else holds(value)):
                found = "no value" if value is None else repr(value)
                raise UnexpectedAnswer(
                    f"query {query.name}, row {row}, column {column.name}: found {found}, "
                    f"expected {TYPES[column.type].words}",
                    hint="was this part of the graph written by something else?",
                )
