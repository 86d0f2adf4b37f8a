"""What a request's resolvers may use: the store as its viewer sees it, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from etgraph.store import Store


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who asks: a token's name, team and scopes. `None` as team is nobody's in particular."""

    name: str
    team: str | None = None
    scopes: frozenset[str] = frozenset({"read"})


@dataclass(frozen=True, slots=True)
class Context:
    """One request: its store, its viewer, and the id under which it is logged."""

    store: Store
    viewer: Viewer
    request_id: str


__all__ = ["Context", "Viewer"]
