"""Questions to a store by GraphQL, without HTTP."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from graphql import ExecutionResult

from etgraph.api.access import SCOPES, view_of
from etgraph.api.context import Context, Viewer
from etgraph.api.jobs.queue import Queue
from etgraph.api.schema import SCHEMA
from etgraph.store import Store

Ask = Callable[..., ExecutionResult]


class CountingStore:
    """A store that counts the calls of its methods."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.store, name)
        if not callable(found):
            return found

        def call(*arguments: Any, **keywords: Any) -> Any:
            self.calls[name] += 1
            return found(*arguments, **keywords)

        return call


def asking(store: Any, team: str | None = None, scopes: Iterable[str] = SCOPES) -> Ask:
    """A function that executes a query on a store for a viewer, who may do all; keywords are its variables."""
    viewer = Viewer("tester", team, frozenset(scopes))

    def ask(query: str, **variables: Any) -> ExecutionResult:
        context = Context(view_of(store, viewer), viewer, "test", queue=Queue(store.records))
        found: ExecutionResult = SCHEMA.execute(query, context=context, variables=variables)
        return found

    return ask


__all__ = ["Ask", "CountingStore", "asking"]
