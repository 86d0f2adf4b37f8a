"""Lists a page at a time, as connections show them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from etgraph.api.fetch.batches import One, together
from etgraph.api.fetch.tokens import cursor, place_of
from etgraph.model.errors import UsageError

T = TypeVar("T")

MOST: Final = 1000
"""Rows of a page."""
USUAL: Final = 100
"""Rows of a page where nothing is said."""


@dataclass(frozen=True, slots=True)
class Edge(Generic[T]):
    """A node and its place in the list."""

    node: T
    cursor: str


@dataclass(frozen=True, slots=True)
class PageInfo:
    """Whether there are pages around this one, and where it begins and ends."""

    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


@dataclass(frozen=True, slots=True)
class Listed(Generic[T]):
    """A page; `count`, where it is known, tells how many rows all pages have together."""

    edges: tuple[Edge[T], ...]
    page_info: PageInfo
    count: Callable[[], int] | None = None

    @property
    def nodes(self) -> list[T]:
        """The nodes alone."""
        return [edge.node for edge in self.edges]

    @property
    def total_count(self) -> int | None:
        """Rows of all pages together."""
        return None if self.count is None else self.count()


def listed(
    nodes: Sequence[T], cursors: Sequence[str], *, more: bool, begun: bool, count: Callable[[], int] | None = None
) -> Listed[T]:
    """A page of nodes; `begun` says that there are some before it."""
    ends = PageInfo(more, begun, cursors[0] if cursors else None, cursors[-1] if cursors else None)
    return Listed(tuple(map(Edge, nodes, cursors)), ends, count)


def checked_first(first: int) -> int:
    """The number of rows of a page. Raises UsageError for one out of range."""
    if not 0 <= first <= MOST:
        raise UsageError(f"first: found {first}, expected 0 to {MOST}")
    return first


def page_of(
    values: Sequence[T], key: Callable[[T], tuple[str, ...]], name: str, *, first: int, after: str | None
) -> Listed[One[T]]:
    """A page of a list that is at hand, in descending order of its keys, which are unique."""
    place = place_of(after, name)
    ordered = sorted(values, key=key, reverse=True)
    if place is not None:
        if not all(isinstance(part, str) for part in place):
            raise UsageError("the cursor is none of this list's")
        ordered = [value for value in ordered if key(value) < tuple(place)]
    shown = ordered[: checked_first(first)]
    cursors = [cursor(name, *key(value)) for value in shown]
    return listed(
        together(shown), cursors, more=len(ordered) > first, begun=place is not None, count=lambda: len(values)
    )


def together_in_pages(pages: Sequence[Sequence[T]]) -> list[list[One[Any]]]:
    """The members of several pages as one batch, page by page."""
    members = iter(together(value for page in pages for value in page))
    return [[next(members) for _ in page] for page in pages]


__all__ = ["MOST", "USUAL", "Edge", "Listed", "PageInfo", "checked_first", "listed", "page_of", "together_in_pages"]
