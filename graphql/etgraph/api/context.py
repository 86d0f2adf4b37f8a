"""What a request's resolvers may use: the store as its viewer sees it, which is the only way to data."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from etgraph.api.limits import Limits
from etgraph.api.shared import Shared

if TYPE_CHECKING:
    from etgraph.api.access.audit import Audit
    from etgraph.api.access.teams import TeamStore
    from etgraph.api.access.tokens import Tokens
    from etgraph.api.jobs.queue import Queue

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who asks: what its token says.

    `team` is null for nobody's in particular, `scopes` are what it may do. `expires` is when the token ends to be good,
    null is never, and `token` its id, null for whoever needs none.
    """

    name: str
    team: str | None = None
    scopes: frozenset[str] = frozenset({"read"})
    expires: str | None = None
    token: str | None = None

    @property
    def is_admin(self) -> bool:
        """Whether it sees everything, and may do everything."""
        return "admin" in self.scopes


@dataclass(frozen=True, slots=True)
class Context:
    """One request: its store as its viewer sees it, its viewer, the id under which it is logged, what it may cost.

    `tokens` are the server's, for administrators, `audit` is where writes are noted, `queue` holds everybody's jobs.
    """

    store: TeamStore
    viewer: Viewer
    request_id: str
    limits: Limits = field(default_factory=Limits)
    tokens: Tokens | None = field(default=None, repr=False)
    audit: Audit | None = field(default=None, repr=False)
    queue: Queue | None = field(default=None, repr=False)
    shared: Shared = field(default_factory=Shared, compare=False, repr=False)
    remembered: dict[Hashable, Any] = field(default_factory=dict, compare=False, repr=False)

    def once(self, key: Hashable, work: Callable[[], T]) -> T:
        """What the work gives, done once in this request for all who ask under that key."""
        if key not in self.remembered:
            self.remembered[key] = work()
        found: T = self.remembered[key]
        return found


__all__ = ["Context", "Viewer"]
