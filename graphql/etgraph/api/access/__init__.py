"""Who may see and do what: tokens and their scopes, the store as a team sees it, sharing, and the log of writes.

`view_of(store, viewer)` is the one way from a viewer to data. `require(viewer, scope)` refuses who lacks a scope.
"""

from etgraph.api.access.audit import Audit, Event
from etgraph.api.access.scopes import SCOPES, require
from etgraph.api.access.teams import TeamStore, view_of
from etgraph.api.access.tokens import Token, Tokens

__all__ = ["SCOPES", "Audit", "Event", "TeamStore", "Token", "Tokens", "require", "view_of"]
