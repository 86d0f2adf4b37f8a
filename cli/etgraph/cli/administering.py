"""What commands for a server's administrator share: the store itself, and the server's log of writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from etgraph.api.access import TeamStore, Tokens
    from etgraph.cli.settings import Settings
    from etgraph.store import Store


@dataclass(frozen=True, slots=True)
class Administration:
    """A store whose user may do all that a server's administrator may."""

    store: Store
    view: TeamStore
    tokens: Tokens

    def note(self, action: str, **arguments: Any) -> None:
        """Note in the log of writes what was done; `arguments` hold no secrets."""
        from etgraph.api.access import Audit
        from etgraph.api.access.audit import DONE

        Audit(lambda: self.store.records).note(self.view.viewer, action, arguments, DONE)


@contextmanager
def administering(settings: Settings) -> Iterator[Administration]:
    """The store that `--store` names. Raises UsageError for a server, which has mutations for this."""
    from etgraph.api.access import SCOPES, Tokens, view_of
    from etgraph.api.context import Viewer
    from etgraph.cli.session import local_store_url
    from etgraph.store import connect

    with connect(local_store_url(settings.store)) as store:
        viewer = Viewer("command line", scopes=frozenset(SCOPES))
        yield Administration(store, view_of(store, viewer), Tokens(lambda: store.records))


__all__ = ["Administration", "administering"]
