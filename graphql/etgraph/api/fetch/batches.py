"""Things that were fetched together stay together: what is asked of one of them is fetched for all, in one call.

The members of a list have the same selection, so that a field which is resolved for one will be for each.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Batch(Generic[T]):
    """The members of a list, or of all lists that one call gave, and what was fetched for them."""

    members: tuple[T, ...]
    fetched: dict[Hashable, Sequence[Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class One(Generic[T]):
    """A member of a batch; its value's attributes are its own."""

    value: T
    batch: Batch[T]
    place: int

    def __getattr__(self, name: str) -> Any:
        return getattr(self.value, name)

    def ask(self, key: Hashable, fetch: Callable[[Sequence[T]], Sequence[R]]) -> R:
        """What `fetch` gives for this member, of what it gives for each of the batch; called once for a key."""
        fetched = self.batch.fetched
        if key not in fetched:
            fetched[key] = fetch(self.batch.members)
        found: R = fetched[key][self.place]
        return found


def together(values: Iterable[T]) -> list[One[T]]:
    """The values as members of one batch."""
    batch = Batch(tuple(values))
    return [One(value, batch, place) for place, value in enumerate(batch.members)]


def alone(value: T) -> One[T]:
    """A value that was fetched by itself."""
    return together([value])[0]


__all__ = ["Batch", "One", "alone", "together"]
