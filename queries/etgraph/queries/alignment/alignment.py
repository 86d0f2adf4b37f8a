"""What two traces have in common: every operator of either at a position of one program."""

from __future__ import annotations

from dataclasses import dataclass

from etgraph.model.columns import Array


@dataclass(frozen=True, slots=True)
class Alignment:
    """Operators of two traces at positions of one program: those at the same position are the same operator.

    `base` and `other` have an entry an operator of their trace (int64): its position, −1 where it was not asked about.
    Operators of other iterations and of ranks that do the same share a position, so that a position has several
    operators on a side, of different iterations and ranks. A position with operators on one side only is added or
    removed. `ranks` are pairs of ranks that were taken for the same, `iterations` pairs of iterations.
    """

    base: Array
    other: Array
    positions: int
    ranks: tuple[tuple[int, int], ...] = ()


__all__ = ["Alignment"]
