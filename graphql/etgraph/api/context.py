"""What a request's resolvers may use: the store as its viewer sees it, which is the only way to data."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from etgraph.api.limits import Limits
from etgraph.api.shared import Shared
from etgraph.store import Store

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who asks: a token's name, team and scopes. `None` as team is nobody's in particular."""

    name: str
    team: str | None = None
    scopes: frozenset[str] = frozenset({"read"})


@dataclass(frozen=True, slots=True)
class Context:
    """One request: its store, its viewer, the id under which it is logged, what it may cost, and what all share."""

    store: Store
    viewer: Viewer
    request_id: str
    limits: Limits = field(default_factory=Limits)
    shared: Shared = field(default_factory=Shared, compare=False, repr=False)
    remembered: dict[Hashable, Any] = field(default_factory=dict, compare=False, repr=False)

    def once(self, key: Hashable, work: Callable[[], T]) -> T:
        """What the work gives, done once in this request for all who ask under that key."""
        if key not in self.remembered:
            self.remembered[key] = work()
        found: T = self.remembered[key]
        return found


__all__ = ["Context", "Viewer"]
