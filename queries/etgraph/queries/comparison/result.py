"""What a comparison says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from etgraph.model import Trust
from etgraph.model.results import Result


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one part of the program contributes to the difference of two steps. Times in ns on the critical path.

    `status` is added, removed, faster, slower, on-path or off-path (moved there), or same.
    """

    key: str
    status: str
    base_ns: int
    other_ns: int
    contribution_ns: int
    base_count: float
    other_count: float


@dataclass(frozen=True, slots=True)
class Difference:
    """Something in which hardware, topology or versions of the two differ."""

    what: str
    base: str | None
    other: str | None


@dataclass(frozen=True, slots=True)
class Comparison(Result):
    """The difference of two steps: `contributions` and `unexplained_ns` sum to `difference_ns`."""

    base_ns: int
    other_ns: int
    difference_ns: int
    unexplained_ns: int
    aligned_share: float
    contributions: tuple[Contribution, ...]
    differences: tuple[Difference, ...]
    trust: Trust

    FRAME: ClassVar[str] = "contributions"
    TABLE: ClassVar[str] = "contributions"


__all__ = ["Comparison", "Contribution", "Difference"]
