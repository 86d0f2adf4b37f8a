"""What a request's resolvers may use: the store as its viewer sees it, which is the only way to data."""

from __future__ import annotations

from dataclasses import dataclass, field

from etgraph.api.limits import Limits
from etgraph.store import Store


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who asks: a token's name, team and scopes. `None` as team is nobody's in particular."""

    name: str
    team: str | None = None
    scopes: frozenset[str] = frozenset({"read"})


@dataclass(frozen=True, slots=True)
class Context:
    """One request: its store, its viewer, the id under which it is logged, and what it may cost."""

    store: Store
    viewer: Viewer
    request_id: str
    limits: Limits = field(default_factory=Limits)


__all__ = ["Context", "Viewer"]
