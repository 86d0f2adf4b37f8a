"""What an answer was read from: a store that notes it, so that the answer can be given again while it is the same.

Traces are immutable under their id and revision, and what was computed from one is a function of it. The catalogue is
not: a workload gets a newer trace, a tag moves. So what the catalogue said is noted with the answer, and asked again
before the answer's bytes are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, cast

from etgraph.api.access import TeamStore
from etgraph.model.errors import EtgraphError
from etgraph.store import Store

_CATALOGUE: Final = frozenset({"find", "traces", "workloads", "artefacts", "simulations_of", "validations"})
"""Methods whose answers are small, and compared when they are asked again."""
_OF_A_TRACE: Final = frozenset({"load", "get_artefact", "put_artefact", "artefact_schema"})
"""Methods whose answers follow from the trace in its revision. A kept answer is the one that would be computed."""
_OF_ROWS: Final = frozenset({"rows", "count_rows", "neighbours", "attributes"})
"""Methods that are given traces which the catalogue was asked for before."""
_NEUTRAL: Final = frozenset({"url", "close"})


@dataclass(frozen=True, slots=True)
class Read:
    """One answer of the catalogue."""

    method: str
    arguments: tuple[Any, ...]
    choices: tuple[tuple[str, Any], ...]
    answer: Any

    def is_same(self, store: Store) -> bool:
        """Whether the store says the same now."""
        try:
            return bool(getattr(store, self.method)(*self.arguments, **dict(self.choices)) == self.answer)
        except EtgraphError:
            return False


class Reads:
    """What one request read; `lasting` is false where it read or changed what cannot be compared."""

    def __init__(self, store: TeamStore) -> None:
        self._store = store
        self.seen: dict[tuple[str, str], Read] = {}
        self.lasting = True

    @property
    def store(self) -> TeamStore:
        """The store as the request is to see it."""
        return cast(TeamStore, self)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if name in _NEUTRAL or name in _OF_ROWS:
            return found
        if name in _CATALOGUE:
            return self._noting(name, found)
        if name in _OF_A_TRACE:
            return self._finding(found)
        self.lasting = False
        return found

    def _noting(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **choices: Any) -> Any:
            answer = method(*arguments, **choices)
            read = Read(name, arguments, tuple(sorted(choices.items())), answer)
            self.seen.setdefault((name, repr((read.arguments, read.choices))), read)
            return answer

        return call

    def _finding(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(reference: str, *arguments: Any, **choices: Any) -> Any:
            self.find(reference)
            return method(reference, *arguments, **choices)

        return call


__all__ = ["Read", "Reads"]
